#include "dataflow/output.hpp"

#include <cassert>
#include <stdexcept>

namespace dataflow {

void OutputPort::flush() {
  if (rows_.empty()) return;
  out_->emit(rows_.finish(), index_);
  has_given_ = true;
}

OutputSet::OutputSet(SchemaPtr main, SideOutputsPtr sides, bool event_time) : sides_{std::move(sides)} {
  ports_.reserve(1 + sides_->size());
  ports_.emplace_back(std::move(main), 0, event_time);
  for (const SideOutput& side : *sides_) ports_.emplace_back(side.schema, ports_.size(), event_time);
}

OutputPort* OutputSet::side(std::string_view name, const RecordInfo& record) {
  for (std::size_t i = 0; i < sides_->size(); ++i) {
    const SideOutput& side = (*sides_)[i];
    if (side.name != name) continue;
    if (!(*side.schema == *record.schema)) {
      throw std::logic_error{"the side output \"" + side.name + "\" is read as " + side.record_name + " " +
                             to_string(*side.schema) + ", but a " + std::string{record.name} + " was emitted to it"};
    }
    return &ports_[i + 1];
  }
  return nullptr;
}

void OutputSet::attach(OperatorOutput& out) {
  out_ = &out;
  full_ = out.full();
  for (OutputPort& port : ports_) port.attach(out);
}

void OutputSet::flush() {
  for (OutputPort& port : ports_) port.flush();
}

}  // namespace dataflow
