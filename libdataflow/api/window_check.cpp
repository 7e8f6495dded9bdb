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

}  // namespace dataflow
