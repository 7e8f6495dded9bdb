#pragma once
// Lambdas over typed records as loops over whole batches: one virtual call a batch, none a record.
//
// Filters in front of a map do not build a batch: they narrow a list of rows, and the map reads only those.

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "dataflow/output.hpp"
#include "dataflow/record.hpp"
#include "dataflow/row_loop.hpp"

namespace dataflow {

/// One subtask's filter.
class RowFilter {
 public:
  virtual ~RowFilter() = default;
  /// Leaves in `selection` the rows to keep.
  virtual Status narrow(const Batch& batch, RowSelection& selection) = 0;
};

/// One subtask's map.
class RowMap {
 public:
  virtual ~RowMap() = default;
  /// One row for each selected one; its timestamps and kinds are the selected rows'.
  virtual Result<BatchPtr> apply(const Batch& batch, const RowSelection& selection) = 0;
};

/// Makes the pieces of a row pipeline for each subtask.
class RowFilterFactory {
 public:
  virtual ~RowFilterFactory() = default;
  [[nodiscard]] virtual std::unique_ptr<RowFilter> create() const = 0;
};
class RowMapFactory {
 public:
  virtual ~RowMapFactory() = default;
  [[nodiscard]] virtual std::unique_ptr<RowMap> create() const = 0;
};

/// Filters, then perhaps a map: the operator that lambdas become.
struct RowPipeline {
  std::vector<std::shared_ptr<const RowFilterFactory>> filters;
  std::shared_ptr<const RowMapFactory> map;
  /// The input's fields that the lambdas' records have; nothing: all of them.
  std::optional<std::vector<std::uint16_t>> reads;
};
OperatorFactoryPtr make_row_operator(RowPipeline pipeline);

/// The selected rows' timestamps and kinds, put under the rows of `mapped`.
BatchPtr finish_mapped(RowBuffer& mapped, const Batch& batch, const RowSelection& selection);

template <class T, class F>
class LambdaFilter final : public RowFilter {
 public:
  LambdaFilter(F keep, std::vector<std::uint16_t> positions) : keep_{std::move(keep)}, reader_{std::move(positions)} {}

  Status narrow(const Batch& batch, RowSelection& selection) override {
    if (auto status = reader_.bind(batch); !status) return status;
    if (selection.rows.size() < batch.rows() + RowSelection::room)
      selection.rows.resize(batch.rows() + RowSelection::room);
    const std::uint32_t count = selection.count;
    std::uint32_t row = 0;
    std::uint32_t kept = 0;
    try {
      kept = selection.all ? keep_of_all(count, row, selection.rows.data()) : keep_of_some(selection, row);
    } catch (...) {
      return fail(error_of_current_exception(batch, row));
    }
    if (kept != count) selection.all = false;
    selection.count = kept;
    return {};
  }

 private:
  /// First a flag for each row, then the rows of the flags: a lambda's answer waits for nothing that was stored before,
  /// where a list that grows by each answer does.
  std::uint32_t keep_of_all(std::uint32_t count, std::uint32_t& row, std::uint32_t* to) {
    constexpr std::uint32_t block = 512;
    std::array<std::uint8_t, block> flags;
    std::uint32_t kept = 0;
    for (std::uint32_t first = 0; first < count; first += block) {
      const std::uint32_t rows = std::min(block, count - first);
      for_each_record<T>(
          reader_, rows,
          row, [first = std::size_t{first}](std::size_t i) __attribute__((always_inline)) { return first + i; },
          [&](std::size_t i, const T& record) __attribute__((always_inline)) {
            flags[i] = static_cast<std::uint8_t>(static_cast<bool>(keep_(record)));
          });
      kept += rows_of_flags(flags.data(), rows, first, to + kept);
    }
    return kept;
  }
  std::uint32_t keep_of_some(RowSelection& selection, std::uint32_t& row) {
    std::uint32_t* const to = selection.rows.data();
    std::uint32_t kept = 0;
    for_each_record<T>(
        reader_, selection, row, [&](std::size_t, const T& record) __attribute__((always_inline)) {
          to[kept] = row;
          kept += static_cast<std::uint32_t>(static_cast<bool>(keep_(record)));
        });
    return kept;
  }

  F keep_;
  RowReader<T> reader_;
};

template <class T, class R, class F>
class LambdaMap final : public RowMap {
 public:
  LambdaMap(F map, std::vector<std::uint16_t> positions)
      : map_{std::move(map)}, reader_{std::move(positions)}, mapped_{schema_of<R>()} {}

  Result<BatchPtr> apply(const Batch& batch, const RowSelection& selection) override {
    if (auto status = reader_.bind(batch); !status) return fail(status.error());
    std::uint32_t row = 0;
    try {
      RowWriter<R> writer{mapped_, selection.count};
      for_each_record<T>(
          reader_, selection,
          row, [&](std::size_t i, const T& record) __attribute__((always_inline)) { writer.write(i, map_(record)); });
      writer.finish(selection.count);
    } catch (...) {
      return fail(error_of_current_exception(batch, row));
    }
    return finish_mapped(mapped_, batch, selection);
  }

 private:
  F map_;
  RowReader<T> reader_;
  RowBuffer mapped_;
};

/// The input's columns and, after them, one computed by a lambda: the key of key_by(lambda).
BatchPtr with_key_column(const Batch& batch, RowBuffer& keys, const SchemaPtr& schema);

template <class T, class K, class F>
class LambdaKey final : public RowMap {
 public:
  LambdaKey(F key, std::vector<std::uint16_t> positions, SchemaPtr schema)
      : key_{std::move(key)}, reader_{std::move(positions)}, schema_{std::move(schema)}, keys_{schema_of<K>()} {}

  Result<BatchPtr> apply(const Batch& whole, const RowSelection& selection) override {
    const BatchPtr selected = selection.all ? nullptr : whole.select_rows({selection.rows.data(), selection.count});
    const Batch& batch = selected ? *selected : whole;
    if (auto status = reader_.bind(batch); !status) return fail(status.error());
    std::uint32_t row = 0;
    try {
      T record{};
      for (; row < batch.rows(); ++row) {
        reader_.read(row, record);
        put_record<K>(keys_, key_(std::as_const(record)));
        keys_.end_row();
      }
    } catch (...) {
      return fail(error_of_current_exception(batch, row));
    }
    return with_key_column(batch, keys_, schema_);
  }

 private:
  F key_;
  RowReader<T> reader_;
  SchemaPtr schema_;
  RowBuffer keys_;
};

/// Factories that copy a prototype's parts for each subtask.
template <class Base, class Piece, class... Parts>
class PieceFactory final : public Base {
 public:
  explicit PieceFactory(Parts... parts) : parts_{std::move(parts)...} {}
  [[nodiscard]] auto create_piece() const {
    return std::apply([](const Parts&... parts) { return std::make_unique<Piece>(parts...); }, parts_);
  }
  [[nodiscard]] decltype(std::declval<const Base&>().create()) create() const override { return create_piece(); }

 private:
  std::tuple<Parts...> parts_;
};

/// The untyped half of a flat map: a cursor, and the outputs.
class FlatMapOperator : public Operator {
 public:
  FlatMapOperator(SchemaPtr output, bool event_time)
      : outputs_{std::move(output), std::make_shared<SideOutputs>(), event_time}, event_time_{event_time} {}
  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) final;
  Result<Step> resume(OperatorOutput& out) final;

 protected:
  virtual Status bind(const Batch& batch) = 0;
  virtual void run_rows(const Batch& batch) = 0;
  void begin_row(const Batch& batch, std::uint32_t row) {
    if (event_time_) outputs_.set_time(batch.timestamp(row));
  }

  OutputSet outputs_;
  std::uint32_t row_ = 0;

 private:
  BatchPtr batch_;
  bool event_time_;
};

template <class T, class R, class F>
class LambdaFlatMap final : public FlatMapOperator {
 public:
  LambdaFlatMap(F expand, std::vector<std::uint16_t> positions, bool event_time)
      : FlatMapOperator{schema_of<R>(), event_time}, expand_{std::move(expand)}, reader_{std::move(positions)} {}

 protected:
  Status bind(const Batch& batch) override { return reader_.bind(batch); }
  void run_rows(const Batch& batch) override {
    Output<R> out{outputs_.main()};
    for (; row_ < batch.rows() && !outputs_.full(); ++row_) {
      begin_row(batch, row_);
      reader_.read(row_, record_);
      if constexpr (std::is_invocable_v<F&, const T&, Output<R>&>) {
        expand_(std::as_const(record_), out);
      } else {
        for (const auto& result : expand_(std::as_const(record_))) out.emit(result);
      }
    }
  }

 private:
  F expand_;
  RowReader<T> reader_;
  T record_{};
};

}  // namespace dataflow
