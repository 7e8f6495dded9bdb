#include "libdataflow/patterns/stored_matches.hpp"

#include <absl/container/flat_hash_map.h>

#include "dataflow/codec.hpp"
#include "libdataflow/patterns/match_bytes.hpp"
#include "libdataflow/process/key_table.hpp"

namespace dataflow::patterns {

namespace {

class FrozenMatches final : public FrozenState {
 public:
  void add(std::uint32_t slot, const MatchesState& state) {
    const auto [at, is_new] = places_.try_emplace(slot, Place{bytes_.size(), 0});
    if (!is_new) return;  // slots may be there more than once
    if (state.encode(slot, bytes_)) at->second.bytes = bytes_.size() - at->second.at;
  }
  bool encode(std::uint32_t slot, std::string& out) const override {
    const auto place = places_.find(slot);
    if (place == places_.end() || place->second.bytes == 0) return false;
    out.append(bytes_, place->second.at, place->second.bytes);
    return true;
  }

 private:
  struct Place {
    std::size_t at;
    std::size_t bytes;
  };
  absl::flat_hash_map<std::uint32_t, Place> places_;
  std::string bytes_;
};

}  // namespace

void MatchesState::keep(KeySlot slot) {
  grow();
  if (counted_.size() < matches_.size()) counted_.resize(matches_.size());
  const bool any = !matches_[slot].empty();
  if (!any && counted_[slot] == 0) return;
  changed(slot);
  if (any == (counted_[slot] != 0)) return;
  counted_[slot] = any ? 1 : 0;
  any ? used(slot) : unused(slot);
}

bool MatchesState::encode(std::uint32_t slot, std::string& out) const {
  if (slot >= matches_.size() || matches_[slot].empty()) return false;
  save_matches(matches_[slot], buffer_, out);
  return true;
}

bool MatchesState::decode(std::uint32_t slot, std::string_view bytes) {
  grow();
  const bool good = load_matches(bytes, places_, buffer_, matches_[slot]);
  keep(slot);
  return good;
}

void MatchesState::drop(std::uint32_t slot) {
  if (slot >= matches_.size() || matches_[slot].empty()) return;
  forget_matches(matches_[slot], buffer_);
  keep(slot);
}

std::unique_ptr<FrozenState> MatchesState::freeze() {
  auto frozen = std::make_unique<FrozenMatches>();
  for (const std::uint32_t slot : changed_slots()) frozen->add(slot, *this);
  return frozen;
}

std::size_t MatchesState::more_bytes(std::uint32_t slot) const {
  std::string saved;
  encode(slot, saved);
  return saved.size();
}

StoredMatches::StoredMatches(MatchBuffer& buffer, std::size_t places, std::vector<DataType> key_types)
    : buffer_{buffer},
      places_{places},
      key_types_{key_types},
      state_{&owner_, buffer, places},
      runtime_{owner_, {}, std::move(key_types), KeyShape::composite} {}

Status StoredMatches::open(const StateBackendPtr& backend, std::uint32_t max_parallelism) {
  deadlines_.emplace(backend);
  return runtime_.use_backend(backend, max_parallelism);
}

Status StoredMatches::make_room() {
  runtime_.let_go_of_idle(ahead_);
  ahead_.clear();
  return runtime_.end_batch();
}

Status StoredMatches::load(std::vector<KeySlot>& slots) {
  ahead_ = slots;
  if (Status loaded = runtime_.load(slots); !loaded) return loaded;
  state_.grow();
  return {};
}

void StoredMatches::write_keys(const std::vector<KeySlot>& slots, std::vector<ColumnBuilder>& columns) const {
  for (const KeySlot slot : slots) {
    ByteReader key{runtime_.text_key(slot)};
    for (std::size_t i = 0; i < key_types_.size(); ++i) read_key_field(key, key_types_[i], columns[i]);
  }
}

Status StoredMatches::for_each(const std::function<Status(std::string_view, std::uint16_t, const KeyMatches&)>& visit) {
  state_.grow();
  for (KeySlot slot = 0; slot < state_.size(); ++slot) {
    if (state_.matches(slot).empty()) continue;
    if (Status visited = visit(key(slot), key_group(slot), state_.matches(slot)); !visited) return visited;
  }
  return runtime_.for_each_stored([&](std::uint16_t group, std::string_view key, std::string_view saved) -> Status {
    KeyMatches matches;
    if (!load_matches(saved, places_, buffer_, matches)) {
      return fail(ErrorCode::malformed_data, "the partial matches of a key are damaged");
    }
    Status visited = visit(key, group, matches);
    forget_matches(matches, buffer_);
    return visited;
  });
}

bool StoredMatches::take_in(std::string_view key, std::uint16_t key_group, std::string_view saved) {
  const KeySlot slot = slot_of(key, key_group);
  std::vector<KeySlot> slots{slot};
  return load(slots) && state_.decode(slot, saved);
}

}  // namespace dataflow::patterns
