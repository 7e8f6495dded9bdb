#pragma once
// What user functions emit to: typed records in, batches out.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataflow/record.hpp"
#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// Collects the rows of one output of an operator and hands them on as batches.
class OutputPort {
 public:
  OutputPort(SchemaPtr schema, std::size_t index, bool event_time)
      : rows_{std::move(schema)}, index_{index}, event_time_{event_time} {}

  /// Where batches go until the next attach.
  void attach(OperatorOutput& out) { out_ = &out; }
  /// The event time of the rows that follow.
  void set_time(Timestamp time) { time_ = time; }
  [[nodiscard]] const SchemaPtr& schema() const { return rows_.schema(); }

  template <class T>
  void put(const T& record) {
    put_record(rows_, record);
    if (event_time_) {
      rows_.end_row(time_);
    } else {
      rows_.end_row();
    }
    if (rows_.full()) flush();
  }
  void flush();
  /// Whether batches have gone out since this was last asked.
  [[nodiscard]] bool take_has_given() { return std::exchange(has_given_, false); }

 private:
  RowBuffer rows_;
  std::size_t index_;
  bool event_time_;
  bool has_given_ = false;
  Timestamp time_ = Timestamp::min();
  OperatorOutput* out_ = nullptr;
};

/// The results of a user's function. `emit` never blocks: when the output is full the engine stops feeding the
/// function after this record.
template <class T>
class Output {
 public:
  explicit Output(OutputPort& port) : port_{&port} {}
  void emit(const T& record) { port_->put(record); }

 private:
  OutputPort* port_;
};

/// The side outputs of a node, filled while the job is put together and read-only once it is planned. A side output
/// that nobody reads is not in it, and what is emitted to it is dropped.
struct SideOutput {
  std::string name;
  SchemaPtr schema;
  std::string record_name;
};
using SideOutputs = std::vector<SideOutput>;
using SideOutputsPtr = std::shared_ptr<SideOutputs>;

/// All outputs of one operator instance: the main one and the side outputs by name.
class OutputSet {
 public:
  OutputSet(SchemaPtr main, SideOutputsPtr sides, bool event_time);

  OutputPort& main() { return ports_[0]; }
  /// Nothing when no one reads the output. Throws std::logic_error when it was declared for other records.
  OutputPort* side(std::string_view name, const RecordInfo& record);
  void attach(OperatorOutput& out);
  void set_time(Timestamp time) {
    for (OutputPort& port : ports_) port.set_time(time);
  }
  void flush();
  /// Whether the task should be asked for room before the next record. Only what goes out fills the task's output, so
  /// that it need not be asked for each record (benchmark nexmark_q6).
  [[nodiscard]] bool full() {
    bool ask = false;
    for (OutputPort& port : ports_) ask |= port.take_has_given();
    if (ask) full_ = out_->full();
    return full_;
  }

 private:
  SideOutputsPtr sides_;
  std::vector<OutputPort> ports_;
  OperatorOutput* out_ = nullptr;
  bool full_ = false;  ///< when it was last asked
};

}  // namespace dataflow
