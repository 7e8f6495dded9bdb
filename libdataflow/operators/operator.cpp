#include "libdataflow/operators/operator.hpp"

namespace dataflow {

void OperatorOutput::advance_watermark(Timestamp) {}
void OperatorOutput::set_idle(bool) {}

Status Operator::open(OperatorContext&) {
  return {};
}
Result<Step> Operator::on_watermark(Timestamp, OperatorOutput&) {
  return Step::done;
}
Result<Step> Operator::give_kept(OperatorOutput&) {
  return Step::done;
}

Result<Step> Operator::on_processing_time(Timestamp, OperatorOutput&) {
  return Step::done;
}
std::optional<Timestamp> Operator::next_processing_timer() const {
  return std::nullopt;
}
std::optional<Timestamp> Operator::waits_for() const {
  return std::nullopt;
}
Result<Step> Operator::end_of_data(OperatorOutput&) {
  return Step::done;
}
Result<Step> Operator::end_of_input(std::size_t, OperatorOutput&) {
  return Step::done;
}
Result<Step> Operator::resume(OperatorOutput&) {
  return Step::done;
}
bool Operator::takes(std::size_t) const {
  return true;
}
Result<CapturedStatePtr> Operator::snapshot() {
  return nullptr;
}
Status Operator::restore(StateReader&) {
  return {};
}
Status Operator::pre_commit(std::uint64_t) {
  return {};
}
Status Operator::commit(std::uint64_t) {
  return {};
}
void Operator::abort() {}
Status Operator::close() {
  return {};
}

Result<std::string> Operator::receive(std::string_view message, std::string_view) {
  return fail(ErrorCode::not_found, "the operator takes no message \"" + std::string{message} + "\"");
}

Result<std::string> Operator::query(std::string_view state, std::string_view) {
  return fail(ErrorCode::not_found, "the operator has no state \"" + std::string{state} + "\" that can be asked for");
}

Result<std::unique_ptr<JobGuard>> OperatorFactory::before_job(const JobStart&) const {
  return nullptr;
}
Status OperatorFactory::before_attempt(const std::string&, std::uint32_t, StateReader*) const {
  return {};
}

}  // namespace dataflow
