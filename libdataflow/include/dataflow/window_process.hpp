#pragma once
// Functions over all records of a window, as Flink's ProcessWindowFunction
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/windows/#processwindowfunction):
//
//     class Median : public df::WindowProcess<std::string, Payment, Typical> {
//      public:
//       void on_window(const df::Window& window, std::span<const df::Timed<Payment>> payments, Context& ctx,
//                      df::Output<Typical>& out) override;
//      private:
//       df::WindowState<std::int64_t> results_{this, "results"};   // of this window of this key
//       df::ValueState<double> last_{this, "last"};                // of this key, over all its windows
//     };
//     payments.key_by(&Payment::card).window(df::tumbling(1h)).process<Median>().named("medians");
//
// A window keeps its records until it is over; where an aggregator does, it is cheaper by far.

#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "dataflow/triggered_windows.hpp"

namespace dataflow {

/// What has state of windows as members.
class WindowStateOwner {
 public:
  WindowStateOwner() = default;
  WindowStateOwner(const WindowStateOwner&) = delete;
  WindowStateOwner& operator=(const WindowStateOwner&) = delete;

 protected:
  TriggerContext::Values* values_of_window_ = nullptr;  ///< of the window that is being given
  bool has_window_state_ = false;

 private:
  template <class V>
  friend class WindowState;
};

/// One value for each window of each key; it goes with the window. Only in on_window. Sessions, which merge, have none.
template <class V>
class WindowState {
 public:
  static_assert(Codec<V>::known,
                "state must own its bytes and fit into a snapshot: a record declared with DATAFLOW_RECORD, a field "
                "type, or std::vector, std::map, std::pair of these; in all of them std::string, not std::string_view");
  WindowState(WindowStateOwner* owner, std::string name) : owner_{owner}, name_{"state:" + std::move(name)} {
    owner_->has_window_state_ = true;
  }
  WindowState(const WindowState&) = delete;
  WindowState& operator=(const WindowState&) = delete;

  [[nodiscard]] std::optional<V> get() const {
    const auto at = values().find(name_);
    if (at == values().end()) return std::nullopt;
    ByteReader in{at->second};
    V value{};
    Codec<V>::decode(in, value);
    return value;
  }
  [[nodiscard]] V value_or(V otherwise) const { return get().value_or(std::move(otherwise)); }
  explicit operator bool() const { return values().contains(name_); }
  WindowState& operator=(const V& value) {  // NOLINT: assigns the window's value, not the state
    std::string bytes;
    Codec<V>::encode(value, bytes);
    values().insert_or_assign(name_, std::move(bytes));
    return *this;
  }
  void clear() { values().erase(name_); }

 private:
  [[nodiscard]] TriggerContext::Values& values() const {
    if (owner_->values_of_window_ != nullptr) return *owner_->values_of_window_;
    throw std::logic_error{"the " + name_ + " is a window's, and used outside of on_window"};
  }
  WindowStateOwner* owner_;
  std::string name_;
};

/// See WindowProcess and AllWindowProcess.
template <class Base>
class WindowProcessOver : public TriggeredWindows<Base, WindowRecords<typename Base::input_type>>,
                          public WindowStateOwner {
  using Windows = TriggeredWindows<Base, WindowRecords<typename Base::input_type>>;
  using In = typename Base::input_type;
  using Out = typename Base::output_type;

 public:
  static_assert(Codec<In>::known,
                "a window keeps its records: their members own their bytes (std::string, not std::string_view)");
  using Context = typename Base::Context;
  using window_function = WindowProcessOver;

  /// A result of a window: `records` are those that are in it, in the order in which they came. More than once for a
  /// window, when its trigger says so or a record is late. Timers belong to the windows: there are none of one's own.
  virtual void on_window(const Window& window, std::span<const Timed<In>> records, Context& context,
                         Output<Out>& out) = 0;

 protected:
  void configure(WindowSettings<In> settings) {
    if (settings.spec.kind == WindowKind::session && has_window_state_) {
      throw std::invalid_argument{"sessions merge, and have no state of their own: keep it by key, in a ValueState"};
    }
    Windows::configure(std::move(settings));
  }

 private:
  void give(typename Windows::Open& open, Context& context, Output<Out>& out) final {
    values_of_window_ = &open.values;
    try {
      on_window(open.bounds(), open.content.records, context, out);
    } catch (...) {
      values_of_window_ = nullptr;
      throw;
    }
    values_of_window_ = nullptr;
  }
};

/// A function over the records of each window of each key.
template <class K, class In, class Out>
using WindowProcess = WindowProcessOver<KeyedProcess<K, In, Out>>;
/// A function over all records of each window, in one subtask.
template <class In, class Out>
using AllWindowProcess = WindowProcessOver<Process<In, Out>>;

/// A function of windows with the windows that a stream has: what `window(...).process<P>(arguments...)` runs.
/// `df::testing::Harness<df::Windowed<Median>> h{df::WindowSettings<Payment>{.spec = df::tumbling(1h)}}` tests it.
template <class P>
class Windowed final : public P {
 public:
  using Context = typename P::Context;
  template <class... Args>
  explicit Windowed(const WindowSettings<typename P::input_type>& settings, const Args&... arguments)
      : P(arguments...) {
    this->configure(settings);
  }
};

/// Windows with a trigger, over an aggregator; with Records, those that are left by an evictor.
template <class Base, class A, class C>
class TriggeredAggregate final : public TriggeredWindows<Base, C> {
  using Windows = TriggeredWindows<Base, C>;

 public:
  using Context = typename Base::Context;
  explicit TriggeredAggregate(WindowSettings<typename Base::input_type> settings) {
    this->configure(std::move(settings));
  }

 private:
  void give(typename Windows::Open& open, Context& context, Output<typename Base::output_type>& out) override {
    if constexpr (requires { open.content.records; }) {
      A aggregate{};
      for (const auto& timed : open.content.records) aggregate.add(timed.record);
      give(aggregate, open.bounds(), context, out);
    } else {
      give(open.content.aggregate, open.bounds(), context, out);
    }
  }
  static void give(const A& aggregate, const Window& window, Context& context,
                   Output<typename Base::output_type>& out) {
    if constexpr (KeyedFunction<Base>) {
      out.emit(aggregator_result(aggregate, context.key(), window));
    } else {
      out.emit(aggregator_result(aggregate, NoKey{}, window));
    }
  }
};

}  // namespace dataflow
