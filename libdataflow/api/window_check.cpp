#include "dataflow/plan.hpp"
#include "dataflow/trigger.hpp"
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

void check_co_group(Plan& plan, const StreamInfo& left, const StreamInfo& right, const WindowDraft& window) {
  StreamInfo timed = left;
  timed.event_time = true;
  check_window_draft(plan, timed, window);
  if (window.spec.time != TimeDomain::event || !has_window_bounds(window.spec.kind)) return;
  for (const StreamInfo* stream : {&left, &right}) {
    if (stream->event_time) continue;
    plan.mistake(window.where,
                 std::string{"a co_group in windows over event time goes by it in both streams, and the "} +
                     (stream == &left ? "left" : "right") +
                     " one has none: call event_time(&Record::member, ...) after its source, or use "
                     "in_processing_time(...)");
  }
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

void check_trigger(Plan& plan, const StreamInfo& stream, const WindowDraft& window, const Trigger& trigger,
                   const OwnTrigger& own) {
  const auto mistake = [&](std::string message) { plan.mistake(window.where, std::move(message)); };
  if (own.own) {
    if (window.spec.kind == WindowKind::count) mistake("count_of is a trigger already: give global_window() your own");
    if (window.spec.kind == WindowKind::session && !own.merges) {
      mistake("a record may join two sessions, for which the trigger needs merges() and on_merge(...)");
    }
    return;
  }
  if (trigger.kind != Trigger::Kind::at_end && window.spec.kind == WindowKind::count) {
    mistake("count_of is a trigger already: give global_window() another one");
  }
  switch (trigger.kind) {
    case Trigger::Kind::count:
      if (trigger.count == 0) mistake("on_count takes at least one record");
      return;
    case Trigger::Kind::early:
    case Trigger::Kind::continuous:
    case Trigger::Kind::continuous_by_the_clock:
      if (trigger.interval.count() <= 0) mistake("a trigger's interval is longer than nothing");
      break;
    case Trigger::Kind::at_end:
    case Trigger::Kind::at_end_by_the_clock:
    case Trigger::Kind::never: break;
  }
  if (trigger.kind == Trigger::Kind::at_end_by_the_clock && !has_window_bounds(window.spec.kind)) {
    mistake("this window has no end that the clock could reach");
  }
  if (trigger.kind == Trigger::Kind::continuous && window.spec.time != TimeDomain::event) {
    mistake("continuously(...) goes by event time, and the window by the clock: use continuously_by_the_clock(...)");
  }
  if (trigger.kind == Trigger::Kind::continuous && !stream.event_time) {
    mistake("continuously(...) goes by event time, which the stream has not: call event_time(&Record::member, ...)");
  }
}

void check_in_sessions(Plan& plan, const WindowDraft& window, const std::function<void()>& make) {
  try {
    make();
  } catch (...) {
    plan.mistake(window.where, error_of_current_exception("in a window function's constructor").message());
  }
}

}  // namespace dataflow
