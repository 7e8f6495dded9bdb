#include "libdataflow/state/sorted_run.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "libdataflow/state/hash_state.hpp"

namespace dataflow {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t write_bytes = 1U << 18;
constexpr std::size_t run_read_bytes = 1U << 16;
constexpr std::size_t piece_bytes = 1U << 14;

struct EntryHeader {
  std::uint32_t key_bytes;
  std::uint32_t value_bytes;
};

tl::unexpected<Error> cannot(std::string_view what, const fs::path& file) {
  return fail(ErrorCode::io, "cannot " + std::string{what} + " " + file.string() + ": " + std::strerror(errno));
}

std::unique_ptr<XXH3_state_t, FreeHashState> new_hash() {
  std::unique_ptr<XXH3_state_t, FreeHashState> hash{XXH3_createState()};
  XXH3_64bits_reset(hash.get());
  return hash;
}

/// One run from its beginning to its end.
class RunReader {
 public:
  explicit RunReader(SortedRunPtr run)
      : run_{std::move(run)}, descriptor_{::open(run_->file().c_str(), O_RDONLY | O_CLOEXEC)}, hash_{new_hash()} {
    if (descriptor_ < 0) {
      status_ = cannot("read", run_->file());
    } else {
      next();
    }
  }
  ~RunReader() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  RunReader(const RunReader&) = delete;
  RunReader& operator=(const RunReader&) = delete;

  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] std::string_view key() const { return std::string_view{buffer_}.substr(key_at_, header_.key_bytes); }
  [[nodiscard]] std::string_view value() const {
    return std::string_view{buffer_}.substr(key_at_ + header_.key_bytes, header_.value_bytes);
  }
  /// Below 0 when its entry comes before the other's. The keys' first words tell most apart (bench_batch).
  [[nodiscard]] int compare(const RunReader& other) const {
    if (words_ != other.words_) return words_ < other.words_ ? -1 : 1;
    return key().compare(other.key());
  }
  void next() {
    valid_ = false;
    if (!status_) return;
    if (at_ == buffer_.size() && read_ == run_->bytes()) {
      if (XXH3_64bits_digest(hash_.get()) != run_->checksum()) damaged();
      return;
    }
    if (!have(sizeof header_)) return;
    std::memcpy(&header_, buffer_.data() + at_, sizeof header_);
    const std::size_t all = sizeof header_ + header_.key_bytes + header_.value_bytes;
    if (!have(all)) return;
    key_at_ = at_ + sizeof header_;
    at_ += all;
    valid_ = true;
    words_ = {};
    std::memcpy(words_.data(), buffer_.data() + key_at_, std::min<std::size_t>(sizeof words_, header_.key_bytes));
    for (std::uint64_t& word : words_) word = __builtin_bswap64(word);
  }

 private:
  void damaged() {
    status_ = fail(ErrorCode::malformed_data, run_->file().string() + " is not what was written: its disk is damaged");
  }
  /// Whether so many bytes from `at_` on are in the buffer, or now are.
  bool have(std::size_t count) {
    if (buffer_.size() - at_ >= count) return true;
    if (count - (buffer_.size() - at_) > run_->bytes() - read_) {
      damaged();
      return false;
    }
    buffer_.erase(0, at_);
    at_ = 0;
    while (buffer_.size() < count) {
      const std::size_t before = buffer_.size();
      buffer_.resize(before + std::max(run_read_bytes, count - before));
      const ssize_t got = ::read(descriptor_, buffer_.data() + before, buffer_.size() - before);
      buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) status_ = cannot("read", run_->file());
      if (got == 0) damaged();
      if (got <= 0) return false;
      XXH3_64bits_update(hash_.get(), buffer_.data() + before, static_cast<std::size_t>(got));
      read_ += static_cast<std::uint64_t>(got);
    }
    return true;
  }

  SortedRunPtr run_;
  int descriptor_;
  std::unique_ptr<XXH3_state_t, FreeHashState> hash_;
  Status status_;
  std::string buffer_;
  std::size_t at_ = 0;  ///< in the buffer, behind the entry
  std::size_t key_at_ = 0;
  std::uint64_t read_ = 0;
  EntryHeader header_{};
  std::array<std::uint64_t, 2> words_{};  ///< the key's first bytes, as numbers
  bool valid_ = false;
};

class MergedRuns final : public StoreScan {
  /// For a heap whose first is the one to come next.
  struct Later {
    const MergedRuns* runs;
    bool operator()(std::size_t a, std::size_t b) const {
      const int order = runs->readers_[a]->compare(*runs->readers_[b]);
      return order != 0 ? order > 0 : a > b;
    }
  };

 public:
  explicit MergedRuns(const std::vector<SortedRunPtr>& runs) {
    for (const SortedRunPtr& run : runs) readers_.push_back(std::make_unique<RunReader>(run));
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      note(*readers_[i]);
      if (!readers_[i]->valid()) continue;
      heap_.push_back(i);
      std::push_heap(heap_.begin(), heap_.end(), Later{this});
    }
  }
  [[nodiscard]] bool valid() const override { return status_ && !heap_.empty(); }
  void next() override {
    std::pop_heap(heap_.begin(), heap_.end(), Later{this});
    RunReader& reader = *readers_[heap_.back()];
    reader.next();
    note(reader);
    if (reader.valid()) {
      std::push_heap(heap_.begin(), heap_.end(), Later{this});
    } else {
      heap_.pop_back();
    }
  }
  [[nodiscard]] std::string_view key() const override { return readers_[heap_.front()]->key(); }
  [[nodiscard]] std::string_view value() const override { return readers_[heap_.front()]->value(); }
  [[nodiscard]] Status status() const override { return status_; }

 private:
  void note(const RunReader& reader) {
    if (status_ && !reader.status()) status_ = reader.status();
  }

  std::vector<std::unique_ptr<RunReader>> readers_;
  std::vector<std::size_t> heap_;  ///< of those that have an entry
  Status status_;
};

}  // namespace

SortedRun::~SortedRun() {
  std::error_code ignored;  // what cannot be removed goes with the process's folder
  fs::remove(file_, ignored);
}

struct SortedRunWriter::Hash {
  std::unique_ptr<XXH3_state_t, FreeHashState> state = new_hash();
};

SortedRunWriter::SortedRunWriter(fs::path file, int descriptor, RunIndex index)
    : file_{std::move(file)}, descriptor_{descriptor}, hash_{std::make_unique<Hash>()}, index_{index} {}

SortedRunWriter::~SortedRunWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (file_.empty()) return;
  std::error_code ignored;
  fs::remove(file_, ignored);
}

Result<std::unique_ptr<SortedRunWriter>> SortedRunWriter::create(fs::path file, RunIndex index) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) return cannot("make", file);
  return std::unique_ptr<SortedRunWriter>{new SortedRunWriter{std::move(file), descriptor, index}};
}

Status SortedRunWriter::add(std::string_view key, std::string_view value) {
  assert(last_key_ <= key);
#ifndef NDEBUG
  last_key_ = key;
#endif
  if (index_ == RunIndex::pieces && !in_piece_) {
    piece_at_ = buffer_.size();
    pieces_.push_back({std::string{key}, bytes_ + piece_at_, 0, 0});
    in_piece_ = true;
  }
  const EntryHeader header{static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(value.size())};
  buffer_.append(reinterpret_cast<const char*>(&header), sizeof header);
  buffer_ += key;
  buffer_ += value;
  if (in_piece_ && buffer_.size() - piece_at_ >= piece_bytes) end_piece();
  return buffer_.size() < write_bytes ? Status{} : flush();
}

void SortedRunWriter::end_piece() {
  RunPiece& piece = pieces_.back();
  piece.bytes = static_cast<std::uint32_t>(buffer_.size() - piece_at_);
  piece.checksum = XXH3_64bits(buffer_.data() + piece_at_, piece.bytes);
  in_piece_ = false;
}

Status SortedRunWriter::flush() {
  if (in_piece_) end_piece();
  XXH3_64bits_update(hash_->state.get(), buffer_.data(), buffer_.size());
  bytes_ += buffer_.size();
  for (std::string_view left = buffer_; !left.empty();) {
    const ssize_t written = ::write(descriptor_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot("write", file_);
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return {};
}

Result<SortedRunPtr> SortedRunWriter::finish() {
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  const int failed = ::close(std::exchange(descriptor_, -1));
  if (failed != 0) return cannot("write", file_);
  return std::make_shared<const SortedRun>(std::exchange(file_, {}), bytes_, XXH3_64bits_digest(hash_->state.get()),
                                           std::move(pieces_));
}

namespace {

/// One piece of a run in memory.
class LoadedPiece {
 public:
  explicit LoadedPiece(const SortedRun& run)
      : run_{run}, descriptor_{::open(run.file().c_str(), O_RDONLY | O_CLOEXEC)} {}
  ~LoadedPiece() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  LoadedPiece(const LoadedPiece&) = delete;
  LoadedPiece& operator=(const LoadedPiece&) = delete;

  Status load(const RunPiece& piece) {
    if (loaded_ == &piece) return {};
    if (descriptor_ < 0) return cannot("read", run_.file());
    bytes_.resize(piece.bytes);
    for (std::size_t have = 0; have < bytes_.size();) {
      const ssize_t got =
          ::pread(descriptor_, bytes_.data() + have, bytes_.size() - have, static_cast<off_t>(piece.at + have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return cannot("read", run_.file());
      if (got == 0) return damaged();
      have += static_cast<std::size_t>(got);
    }
    if (XXH3_64bits(bytes_.data(), bytes_.size()) != piece.checksum) return damaged();
    loaded_ = &piece;
    left_ = bytes_;
    return {};
  }
  /// Goes on to `key`; what was passed is not looked at again.
  std::optional<std::string_view> find(std::string_view key) {
    while (!left_.empty()) {
      EntryHeader header{};
      std::memcpy(&header, left_.data(), sizeof header);
      const int order = left_.substr(sizeof header, header.key_bytes).compare(key);
      if (order > 0) return std::nullopt;
      if (order == 0) return left_.substr(sizeof header + header.key_bytes, header.value_bytes);
      left_.remove_prefix(sizeof header + header.key_bytes + header.value_bytes);
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] Status damaged() const {
    return fail(ErrorCode::malformed_data, run_.file().string() + " is not what was written: its disk is damaged");
  }

  const SortedRun& run_;
  int descriptor_;
  std::string bytes_;
  const RunPiece* loaded_ = nullptr;
  std::string_view left_;
};

}  // namespace

Status look_up(const SortedRun& run, std::span<const std::string_view> keys, StoreValues& values) {
  values.clear();
  const std::vector<RunPiece>& pieces = run.pieces();
  LoadedPiece loaded{run};
  for (const std::string_view key : keys) {
    const auto after = std::upper_bound(pieces.begin(), pieces.end(), key,
                                        [](std::string_view k, const RunPiece& piece) { return k < piece.first_key; });
    if (after == pieces.begin()) {
      values.add_missing();
      continue;
    }
    if (Status read = loaded.load(*(after - 1)); !read) return read;
    if (const auto value = loaded.find(key)) {
      values.add(*value);
    } else {
      values.add_missing();
    }
  }
  return {};
}

std::unique_ptr<StoreScan> merge_runs(const std::vector<SortedRunPtr>& runs) {
  return std::make_unique<MergedRuns>(runs);
}

}  // namespace dataflow
