#include "dataflow/plan.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow {

bool check_window_draft(Plan& plan, const StreamInfo& stream, const WindowDraft& window) {
  bool good = true;
  // What only the built-in operators lack is no matter here: an aggregator of the user's own brings its operator.
  if (auto status = check_window(window.spec); !status && status.error().code() != ErrorCode::unsupported) {
    plan.mistake(window.where, status.error().message());
    good = false;
  }
  if (window.spec.time == TimeDomain::event && has_window_bounds(window.spec.kind) && !stream.event_time) {
    plan.mistake(window.where,
                 "a window over event time needs a stream with event time: call event_time(&Record::member, ...) after "
                 "the source, or use in_processing_time(...)");
    good = false;
  }
  if (window.spec.allowed_lateness.count() != 0 && window.spec.time != TimeDomain::event) {
    plan.mistake(window.where, "allowed_lateness is for windows over event time");
    good = false;
  }
  return good;
}

void check_aggregator(Plan& plan, const WindowDraft& window, const AggregatorTraits& aggregator) {
  const std::string name = readable_name(aggregator.type);
  if (window.spec.kind == WindowKind::session && !aggregator.merges) {
    plan.mistake(window.where, "a record may join two sessions, for which the aggregator " + name +
                                   " needs a void merge(const " + name + "& other)");
  }
  if (!has_window_bounds(window.spec.kind) && aggregator.bounded) {
    plan.mistake(window.where,
                 "count and global windows have neither start nor end, which the result(...) of the "
                 "aggregator " +
                     name + " asks for: give it R result() const");
  }
}

}  // namespace dataflow
