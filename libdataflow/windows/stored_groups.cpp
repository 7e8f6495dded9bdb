#include "libdataflow/windows/stored_groups.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "libdataflow/state/restored_store.hpp"
#include "libdataflow/state/store_key.hpp"

namespace dataflow::windows {

namespace {

constexpr std::size_t changes_bytes = 1U << 20;
/// Keys that are put wait for as many others, so that they are hashed together.
constexpr std::size_t keys_put_at_once = 1024;
/// Of a number in a value: whether it is there, and the number.
constexpr std::size_t number_bytes = 1 + sizeof(std::int64_t);

}  // namespace

bool StoredRows::next(StoredRow& row) {
  if (left_.empty()) return false;
  StoredFields fields{left_};
  for (std::size_t i = 0; i < schema_->numbers(); ++i) row.numbers[i] = fields.int64().value_or(0);
  const std::string_view states = fields.left();
  for (std::size_t i = schema_->first_aggregate(); i < schema_->schema()->size(); ++i) fields.text();
  left_ = fields.left();
  row.states = fields.ok() ? states.substr(0, states.size() - left_.size()) : std::string_view{};
  return true;
}

StoredWalk::StoredWalk(StoredGroups& groups) : groups_{groups}, scan_{groups.store_.scan({}, {})} {}

Result<bool> StoredWalk::next() {
  if (!cleared_.empty()) {
    if (Status changed = groups_.change(scan_->key(), cleared_); !changed) return fail(changed.error());
    cleared_.clear();
  }
  if (std::exchange(begun_, true)) scan_->next();
  if (!scan_->valid()) {
    if (Status walked = scan_->status(); !walked) return fail(walked.error());
    return false;
  }
  key_ = groups_.form_->keys.read_stored(scan_->key().substr(key_group_bytes));
  rows_ = {scan_->value(), groups_.form_->schema};
  return true;
}

bool StoredWalk::next_row(StoredRow& row) {
  if (!begun_) return false;
  row_at_ = scan_->value().size() - rows_.left().size();
  return rows_.next(row);
}

void StoredWalk::clear_mark() {
  if (cleared_.empty()) cleared_ = scan_->value();
  const std::size_t end_of_numbers = row_at_ + groups_.form_->schema.numbers() * number_bytes;
  std::fill_n(cleared_.begin() + static_cast<std::ptrdiff_t>(end_of_numbers - sizeof(std::int64_t)),
              sizeof(std::int64_t), '\0');
}

Result<std::unique_ptr<StoredGroups>> StoredGroups::open(const StateBackendPtr& backend, GroupFormPtr form) {
  assert(form->schema.numbers() <= StoredRow::most_numbers);
  auto store = backend->open(backend->new_folder());
  if (!store) return fail(store.error());
  return std::unique_ptr<StoredGroups>{new StoredGroups{std::move(*store), std::move(form)}};
}

StoredGroups::StoredGroups(OwnedStorePtr store, GroupFormPtr form)
    : form_{std::move(form)}, store_{std::move(store)}, deadlines_{store_.backend(), form_} {
  const Schema& schema = *form_->schema.schema();
  key_columns_.reserve(form_->schema.keys());
  for (std::size_t i = 0; i < form_->schema.keys(); ++i) key_columns_.emplace_back(schema[i].type);
  for (ColumnBuilder& column : key_columns_) key_builders_.push_back(&column);
}

/// With the share of the deadlines' store, which keeps nothing in memory.
std::uint64_t StoredGroups::budget_bytes() const {
  return store_.backend()->cache_bytes() * (deadlines_.any_store() ? 2 : 1);
}

const std::vector<std::uint64_t>& StoredGroups::hash_keys(std::uint32_t rows) {
  std::vector<ColumnPtr> columns;
  std::vector<const Column*> refs;
  for (ColumnBuilder& column : key_columns_) {
    columns.push_back(column.finish());
    refs.push_back(columns.back().get());
  }
  hash_rows(refs, rows, hashes_);
  return hashes_;
}

void StoredGroups::begin(const KeyRef& key) {
  form_->keys.write(&key, 1, key_builders_.data());
  const std::size_t at = put_bytes_.size();
  form_->keys.append_stored(key, put_bytes_);
  puts_.push_back({put_bytes_.size() - at, put_bytes_.size()});
}

void StoredGroups::add(std::span<const std::int64_t> numbers, const std::byte* states) {
  assert(numbers.size() == form_->schema.numbers());
  for (const std::int64_t number : numbers) append_stored_int64(number, put_bytes_);
  form_->aggregation.save(states, put_bytes_);
}

Status StoredGroups::end() {
  puts_.back().value_bytes = put_bytes_.size() - puts_.back().value_bytes;
  ++size_;
  return puts_.size() < keys_put_at_once && put_bytes_.size() < changes_bytes ? Status{} : flush();
}

Status StoredGroups::flush() {
  if (!puts_.empty()) {
    const std::vector<std::uint64_t>& hashes = hash_keys(static_cast<std::uint32_t>(puts_.size()));
    std::string key;
    std::string_view left{put_bytes_};
    for (std::size_t i = 0; i < puts_.size(); ++i) {
      key.clear();
      put_key_group(key, group_of(hashes[i]));
      key += left.substr(0, puts_[i].key_bytes);
      left.remove_prefix(puts_[i].key_bytes);
      changes_.put(key, left.substr(0, puts_[i].value_bytes));
      left.remove_prefix(puts_[i].value_bytes);
    }
    puts_.clear();
    put_bytes_.clear();
  }
  if (changes_.empty()) return {};
  Status written = store_.write(changes_);
  changes_.clear();
  return written;
}

Status StoredGroups::change(std::string_view key, std::optional<std::string_view> value) {
  value ? changes_.put(key, *value) : changes_.erase(key);
  return changes_.byte_size() < changes_bytes ? Status{} : flush();
}

/// Keys are looked up in their order, which a store finds fastest.
Status StoredGroups::take(std::span<const KeyRef> keys) {
  values_.clear();
  position_.clear();
  if (empty() || keys.empty()) return {};
  if (Status flushed = flush(); !flushed) return flushed;
  form_->keys.write(keys.data(), keys.size(), key_builders_.data());
  const std::vector<std::uint64_t>& hashes = hash_keys(static_cast<std::uint32_t>(keys.size()));
  key_bytes_.clear();
  ends_.assign(1, 0);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    put_key_group(key_bytes_, group_of(hashes[i]));
    form_->keys.append_stored(keys[i], key_bytes_);
    ends_.push_back(key_bytes_.size());
  }
  const auto bytes_of = [this](std::size_t i) {
    return std::string_view{key_bytes_}.substr(ends_[i], ends_[i + 1] - ends_[i]);
  };
  order_.resize(keys.size());
  std::iota(order_.begin(), order_.end(), 0U);
  std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return bytes_of(a) < bytes_of(b); });
  lookup_.clear();
  for (const std::uint32_t i : order_) lookup_.push_back(bytes_of(i));
  if (Status got = store_.multi_get(lookup_, values_); !got) return got;
  position_.resize(keys.size());
  for (std::uint32_t at = 0; at < order_.size(); ++at) {
    position_[order_[at]] = at;
    if (!values_[at]) continue;
    changes_.erase(lookup_[at]);
    one_less();
  }
  return {};
}

StoredRows StoredGroups::taken(std::size_t i) const {
  if (position_.empty()) return {};
  const auto value = values_[position_[i]];
  return value ? StoredRows{*value, form_->schema} : StoredRows{};
}

Result<std::unique_ptr<StoredWalk>> StoredGroups::walk() {
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  return std::make_unique<StoredWalk>(*this);
}

Result<SealedStorePtr> StoredGroups::seal() {
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  if (empty()) return SealedStorePtr{};
  return store_.seal();
}

Result<bool> StoredGroups::restore(StateReader& state, std::string_view table) {
  auto restored = restore_store(store_.backend(), state, table, *form_->schema.schema());
  if (!restored) return fail(restored.error());
  if (*restored == nullptr) return false;
  // How many keys it has is known by the example of the first ones.
  constexpr std::uint64_t examples = 1024;
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;
  const auto scan = (**restored)->scan({}, {});
  for (; scan->valid() && keys < examples; scan->next(), ++keys) bytes += scan->key().size() + scan->value().size();
  if (Status walked = scan->status(); !walked) return fail(walked.error());
  counted_ = !scan->valid();
  size_ = counted_ ? keys : std::max(keys, (**restored)->disk_bytes() * keys / bytes);
  store_ = SealableStore{std::move(*restored)};
  return true;
}

std::uint64_t oldest_half(std::vector<std::uint64_t>& ages) {
  const auto middle = ages.begin() + static_cast<std::ptrdiff_t>((ages.size() - 1) / 2);
  std::nth_element(ages.begin(), middle, ages.end());
  return *middle;
}

std::uint64_t owned_bytes(const Aggregation& aggregation, const GroupTable& table, std::size_t offset) {
  if (!aggregation.states_own_memory()) return 0;
  constexpr std::size_t examples = 16;
  GroupTable::Cursor first;
  std::byte* rows[examples];
  const std::size_t count = table.next_rows(first, examples, rows);
  if (count == 0) return 0;
  std::string saved;
  for (std::size_t i = 0; i < count; ++i) aggregation.save(rows[i] + offset, saved);
  return saved.size() * table.size() / count;
}

}  // namespace dataflow::windows
