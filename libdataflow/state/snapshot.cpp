#include "libdataflow/state/snapshot.hpp"

#include <algorithm>
#include <numeric>

#include "libdataflow/runtime/buggify.hpp"

namespace dataflow {

namespace {

/// Calls `visit(key_group, rows)` for each key group in the batch.
template <class Visit>
Status split_by_key_group(const BatchPtr& batch, const std::vector<std::size_t>& key_fields,
                          std::uint32_t max_parallelism, Visit&& visit) {
  std::vector<const Column*> keys;
  keys.reserve(key_fields.size());
  for (const std::size_t field : key_fields) keys.push_back(&batch->column(field));
  std::vector<std::uint64_t> hashes;
  hash_rows(keys, batch->rows(), hashes);
  std::vector<std::uint32_t> order(batch->rows());
  std::iota(order.begin(), order.end(), 0U);
  const auto group_of = [&](std::uint32_t row) { return key_group_of(hashes[row], max_parallelism); };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return group_of(a) < group_of(b); });
  for (std::size_t first = 0; first < order.size();) {
    const std::uint32_t group = group_of(order[first]);
    std::size_t end = first + 1;
    while (end < order.size() && group_of(order[end]) == group) ++end;
    if (Status visited = visit(group, batch->select_rows({order.data() + first, end - first})); !visited) {
      return visited;
    }
    first = end;
  }
  return {};
}

}  // namespace

/// Rows of one key group, joined up to a batch's size.
class KeyGroupWriter::GroupRows {
 public:
  Status add(std::uint32_t key_group, BatchPtr rows, StateWriter& writer) {
    bytes_ += rows->byte_size();
    rows_ += rows->rows();
    pending_.push_back(std::move(rows));
    const bool enough = rows_ >= max_batch_rows || bytes_ >= max_batch_bytes || buggified(Buggify::small_state_blocks);
    return enough ? flush(key_group, writer) : Status{};
  }
  Status flush(std::uint32_t key_group, StateWriter& writer) {
    if (pending_.empty()) return {};
    const BatchPtr all = pending_.size() == 1 ? pending_.front() : concatenate(pending_);
    pending_.clear();
    rows_ = bytes_ = 0;
    return writer.add(key_group, all);
  }

 private:
  std::vector<BatchPtr> pending_;
  std::size_t rows_ = 0;
  std::size_t bytes_ = 0;
};

KeyGroupWriter::KeyGroupWriter(StateWriter& writer, std::vector<std::size_t> key_fields, std::uint32_t max_parallelism)
    : writer_{writer},
      key_fields_{std::move(key_fields)},
      max_parallelism_{max_parallelism},
      groups_(max_parallelism) {}
KeyGroupWriter::~KeyGroupWriter() = default;

Status KeyGroupWriter::add(const BatchPtr& batch) {
  return split_by_key_group(batch, key_fields_, max_parallelism_, [&](std::uint32_t group, BatchPtr rows) {
    return groups_[group].add(group, std::move(rows), writer_);
  });
}

Status KeyGroupWriter::finish() {
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    if (Status flushed = groups_[group].flush(group, writer_); !flushed) return flushed;
  }
  return {};
}

Status StateWriter::add_segment(const SegmentId&, const std::function<Status(StateWriter&)>& write) {
  return write(*this);
}

Status StateWriter::add_store(const StateDescription& state, const std::filesystem::path&, std::span<const StoreFile>) {
  return fail(ErrorCode::unsupported, "the state \"" + state.name + "\" is wanted as rows, not as a store");
}

void CopiedState::add_keyed(BatchPtr rows, std::vector<std::size_t> key_fields, std::uint32_t max_parallelism) {
  tables_.back().batches.push_back(std::move(rows));
  tables_.back().key_fields = std::move(key_fields);
  max_parallelism_ = max_parallelism;
}

Status CopiedState::write(StateWriter& writer) {
  for (const Table& table : tables_) {
    if (Status begun = writer.begin(table.state); !begun) return begun;
    if (table.state.kind != StateKind::keyed) {
      for (const BatchPtr& batch : table.batches) {
        if (Status added = writer.add(0, batch); !added) return added;
      }
      continue;
    }
    if (table.batches.empty()) continue;
    KeyGroupWriter rows{writer, table.key_fields, max_parallelism_};
    for (const BatchPtr& batch : table.batches) {
      if (Status added = rows.add(batch); !added) return added;
    }
    if (Status finished = rows.finish(); !finished) return finished;
  }
  return {};
}

}  // namespace dataflow
