#pragma once
// What is said of windows that are given to a function with all their records, or have a trigger or an evictor: the
// same of one stream's and of two streams'.

#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "dataflow/plan.hpp"
#include "dataflow/triggered_windows.hpp"

namespace dataflow {

/// T: the windows' records.
template <class Self, class T>
class TriggerCalls {
 public:
  explicit TriggerCalls(WindowDraft draft) : draft_{std::move(draft)} {}

  /// Late records still change their window's result for this long after its end.
  Self& allowed_lateness(Duration lateness) {
    draft_.spec.allowed_lateness = lateness;
    return self();
  }

  /// Names the side output of what came too late, which is "late" otherwise; of a co_group NAME_left and NAME_right,
  /// for the two streams.
  Self& late_to(std::string name) {
    draft_.late_output = std::move(name);
    return self();
  }

  /// Results at other times than the window's end.
  Self& trigger(Trigger trigger) {
    settings_.trigger = trigger;
    return self();
  }
  /// By a WindowTrigger<T> of one's own.
  template <class W>
  Self& trigger(std::shared_ptr<W> own) {
    static_assert(std::is_base_of_v<WindowTrigger<T>, W>,
                  "a trigger of one's own derives from dataflow::WindowTrigger<T>, where T is the stream's record, and "
                  "of a co_group std::variant<A, B> of the two streams' records");
    settings_.own_trigger = std::move(own);
    return self();
  }

  /// Which records of a window stay in it when it gives a result.
  Self& evictor(Evictor evictor) {
    check_kept();
    settings_.evictor = evictor;
    return self();
  }
  /// By a function of one's own, which removes from a std::vector<df::Timed<T>>&.
  template <class F>
  requires std::is_invocable_v < F&, std::vector<Timed<T>>
  &, const Window& > Self& evictor(F own) {
    check_kept();
    settings_.own_evictor = std::move(own);
    return self();
  }

 protected:
  [[nodiscard]] WindowSettings<T> settings() const {
    WindowSettings<T> settings = settings_;
    settings.spec = draft_.spec;
    settings.late_output = draft_.late_output;
    return settings;
  }
  /// Mistakes of the trigger, for a stream that has event time or has none.
  void check_trigger_on(Plan& plan, const StreamInfo& stream) const {
    check_trigger(plan, stream, draft_, settings_.trigger,
                  {.own = settings_.own_trigger != nullptr,
                   .merges = settings_.own_trigger != nullptr && settings_.own_trigger->merges()});
  }
  /// A mistake when a function of class W cannot have sessions, which an object of it knows.
  template <class W, class... Args>
  void check_function(Plan& plan, const std::tuple<Args...>& arguments) const {
    if (draft_.spec.kind != WindowKind::session) return;
    check_in_sessions(plan, draft_, [&] {
      std::apply([&](const Args&... each) { W made{settings(), each...}; }, arguments);
    });
  }

  WindowDraft draft_;
  WindowSettings<T> settings_;

 private:
  Self& self() { return static_cast<Self&>(*this); }
  static void check_kept() {
    static_assert(Codec<T>::known,
                  "an evictor chooses among records that are kept: their members own their bytes "
                  "(std::string, not std::string_view)");
  }
};

}  // namespace dataflow
