#include "libdataflow/process/timer_queue.hpp"

#include <algorithm>

namespace dataflow {

namespace {

constexpr std::size_t piece_timers = 256;

/// How many of `count`, which are in the order of their times, have a time that is earlier. Halves without a branch:
/// timers are set for any time, and half of the branches would be mispredicted (benchmark nexmark_q6).
template <class TimeOf>
std::size_t earlier_than(Timestamp time, std::size_t count, TimeOf&& time_of) {
  std::size_t first = 0;
  while (count > 1) {
    const std::size_t half = count / 2;
    first += half * static_cast<std::size_t>(time_of(first + half - 1) < time);
    count -= half;
  }
  return first + (count == 1 && time_of(first) < time ? 1 : 0);
}

}  // namespace

bool TimerQueue::before(const KeyTimer& a, const KeyTimer& b) const {
  if (a.time != b.time) return a.time < b.time;
  if (a.slot != b.slot) return keys_.before(a.slot, b.slot);
  return a.name != b.name && names_[a.name] < names_[b.name];
}

/// Functions use a handful of names, so that a list is searched fastest.
std::uint32_t TimerQueue::number_of(std::string_view name) {
  for (std::uint32_t i = 0; i < names_.size(); ++i) {
    if (names_[i] == name) return i;
  }
  names_.emplace_back(name);
  return static_cast<std::uint32_t>(names_.size() - 1);
}

std::size_t TimerQueue::piece_of(const KeyTimer& timer) const {
  std::size_t after = earlier_than(timer.time, pieces_.size(), [this](std::size_t i) { return pieces_[i].front.time; });
  if (after != pieces_.size() && pieces_[after].front.time == timer.time) {
    const auto at = std::upper_bound(pieces_.begin() + static_cast<std::ptrdiff_t>(after), pieces_.end(), timer,
                                     [this](const KeyTimer& t, const Piece& piece) { return before(t, piece.front); });
    after = static_cast<std::size_t>(at - pieces_.begin());
  }
  return after == 0 ? 0 : after - 1;
}

std::size_t TimerQueue::position_in(const Piece& piece, const KeyTimer& timer) const {
  const std::vector<KeyTimer>& timers = *piece.timers;
  const KeyTimer* const from = timers.data() + piece.first;
  const std::size_t position = piece.first + earlier_than(timer.time, timers.size() - piece.first,
                                                          [from](std::size_t i) { return from[i].time; });
  if (position == timers.size() || timers[position].time != timer.time) return position;
  const auto at = std::lower_bound(timers.begin() + static_cast<std::ptrdiff_t>(position), timers.end(), timer,
                                   [this](const KeyTimer& a, const KeyTimer& b) { return before(a, b); });
  return static_cast<std::size_t>(at - timers.begin());
}

std::vector<KeyTimer>& TimerQueue::to_change(Piece& piece) {
  if (!readers_.empty() && piece.generation != generation_) {
    std::erase_if(readers_, [](const auto& reader) { return reader.use_count() == 1; });
    if (!readers_.empty()) {
      const auto from = piece.timers->begin() + static_cast<std::ptrdiff_t>(piece.first);
      auto copy = std::make_shared<std::vector<KeyTimer>>();
      copy->reserve(piece_timers + 1);
      copy->assign(from, piece.timers->end());
      piece.timers = std::move(copy);
      piece.first = 0;
    }
    piece.generation = generation_;
  }
  if (piece.first != 0) {
    piece.timers->erase(piece.timers->begin(), piece.timers->begin() + static_cast<std::ptrdiff_t>(piece.first));
    piece.first = 0;
  }
  return *piece.timers;
}

void TimerQueue::split(std::size_t at) {
  std::vector<KeyTimer>& timers = *pieces_[at].timers;
  // Timers often come in the order in which they fire: then the piece that is full stays so.
  const std::size_t keep = at + 1 == pieces_.size() ? timers.size() - 1 : timers.size() / 2;
  auto rest = std::make_shared<std::vector<KeyTimer>>();
  rest->reserve(piece_timers + 1);
  rest->assign(timers.begin() + static_cast<std::ptrdiff_t>(keep), timers.end());
  timers.resize(keep);
  const KeyTimer front = rest->front();
  pieces_.insert(pieces_.begin() + static_cast<std::ptrdiff_t>(at) + 1, Piece{front, 0, std::move(rest), generation_});
}

bool TimerQueue::add(Timestamp time, std::uint32_t slot, std::string_view name) {
  const KeyTimer timer{time, slot, number_of(name)};
  if (pieces_.empty()) {
    pieces_.push_back({timer, 0, std::make_shared<std::vector<KeyTimer>>(1, timer), generation_});
    ++size_;
    return true;
  }
  // What fires for a timer often sets the next function's, which come in their order then.
  const bool is_last = before(pieces_.back().timers->back(), timer);
  const std::size_t at = is_last ? pieces_.size() - 1 : piece_of(timer);
  Piece& piece = pieces_[at];
  const std::size_t found = is_last ? piece.timers->size() : position_in(piece, timer);
  if (found != piece.timers->size() && !before(timer, (*piece.timers)[found])) return false;
  const std::size_t position = found - piece.first;
  std::vector<KeyTimer>& timers = to_change(piece);
  timers.insert(timers.begin() + static_cast<std::ptrdiff_t>(position), timer);
  piece.front = timers.front();
  ++size_;
  if (timers.size() > piece_timers) split(at);
  return true;
}

bool TimerQueue::remove(Timestamp time, std::uint32_t slot, std::string_view name) {
  const KeyTimer timer{time, slot, number_of(name)};
  if (pieces_.empty()) return false;
  const std::size_t at = piece_of(timer);
  Piece& piece = pieces_[at];
  const std::size_t found = position_in(piece, timer);
  if (found == piece.timers->size() || before(timer, (*piece.timers)[found])) return false;
  const std::size_t position = found - piece.first;
  std::vector<KeyTimer>& timers = to_change(piece);
  timers.erase(timers.begin() + static_cast<std::ptrdiff_t>(position));
  --size_;
  if (timers.empty()) {
    pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(at));
  } else {
    piece.front = timers.front();
  }
  return true;
}

std::optional<Timestamp> TimerQueue::first() const {
  return pieces_.empty() ? std::nullopt : std::optional{pieces_.front().front.time};
}

std::optional<Timestamp> TimerQueue::first_not_named(std::string_view name) const {
  const auto number = static_cast<std::uint32_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
  for (const Piece& piece : pieces_) {
    const auto begin = piece.timers->begin() + static_cast<std::ptrdiff_t>(piece.first);
    const auto found = std::find_if(begin, piece.timers->end(), [&](const KeyTimer& t) { return t.name != number; });
    if (found != piece.timers->end()) return found->time;
  }
  return std::nullopt;
}

std::optional<KeyTimer> TimerQueue::pop(Timestamp until) {
  if (pieces_.empty() || pieces_.front().front.time > until) return std::nullopt;
  Piece& piece = pieces_.front();
  const KeyTimer timer = piece.front;
  --size_;
  if (++piece.first == piece.timers->size()) {
    pieces_.erase(pieces_.begin());
  } else {
    piece.front = (*piece.timers)[piece.first];
  }
  return timer;
}

std::vector<KeyTimer> TimerQueue::take_behind(std::size_t count) {
  std::vector<KeyTimer> taken;
  std::size_t kept = 0;
  std::size_t at = 0;
  for (; at < pieces_.size() && kept + pieces_[at].timers->size() - pieces_[at].first <= count; ++at) {
    kept += pieces_[at].timers->size() - pieces_[at].first;
  }
  if (at == pieces_.size()) return taken;
  if (kept != count) {
    std::vector<KeyTimer>& cut = to_change(pieces_[at]);
    const auto from = cut.begin() + static_cast<std::ptrdiff_t>(count - kept);
    taken.assign(from, cut.end());
    cut.erase(from, cut.end());
    ++at;
  }
  for (std::size_t i = at; i < pieces_.size(); ++i) {
    const auto from = pieces_[i].timers->begin() + static_cast<std::ptrdiff_t>(pieces_[i].first);
    taken.insert(taken.end(), from, pieces_[i].timers->end());
  }
  pieces_.resize(at);
  size_ = count;
  return taken;
}

void TimerQueue::next_slots(Timestamp until, std::size_t count, std::vector<std::uint32_t>& slots) const {
  for (const Piece& piece : pieces_) {
    for (std::size_t i = piece.first; i < piece.timers->size(); ++i, --count) {
      if (count == 0 || (*piece.timers)[i].time > until) return;
      slots.push_back((*piece.timers)[i].slot);
    }
  }
}

FrozenTimers TimerQueue::freeze() {
  FrozenTimers frozen;
  frozen.pieces_.reserve(pieces_.size());
  for (const Piece& piece : pieces_) frozen.pieces_.push_back({piece.first, piece.timers});
  frozen.names_.assign(names_.begin(), names_.end());
  frozen.reader_ = std::make_shared<int>();
  readers_.push_back(frozen.reader_);
  ++generation_;
  return frozen;
}

}  // namespace dataflow
