#pragma once
// Windows over a user's own aggregator: a struct that starts empty and has
//
//     void add(const T& record);
//     void merge(const Self& other);                      // for session windows, which a record may join
//     R result() const;                                   // or result(df::Window), or result(key, df::Window)
//
// Written as a process function: open windows are state, their ends are timers (libdataflow/windows/assign.hpp has the
// arithmetic that the built-in windows use too).

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataflow/open_windows.hpp"
#include "dataflow/process.hpp"
#include "dataflow/window.hpp"
#include "libdataflow/windows/assign.hpp"

namespace dataflow {

template <class A, class T>
concept Aggregator = std::is_default_constructible_v<A> && requires(A& a, const T& record) {
  a.add(record);
};

template <class A>
concept MergingAggregator = requires(A& a, const A& other) {
  a.merge(other);
};

/// Whether its `result` asks for the window, which must have bounds then.
template <class A, class K>
concept BoundedAggregator = requires(const A& a, const K& key, const Window& window) {
  a.result(key, window);
}
|| requires(const A& a, const Window& window) {
  a.result(window);
};

/// The aggregator of `reduce(f)`, where F captures nothing.
template <class T, class F>
struct Reduced {
  std::optional<T> value;
  void add(const T& record) { value = value ? F{}(std::as_const(*value), record) : record; }
  void merge(const Reduced& other) {
    if (other.value) add(*other.value);
  }
  const T& result() const { return *value; }
};

template <class T, class F>
struct Codec<Reduced<T, F>> {
  static constexpr bool known = Codec<T>::known;
  static void encode(const Reduced<T, F>& reduced, std::string& out) {
    Codec<std::optional<T>>::encode(reduced.value, out);
  }
  static void decode(ByteReader& in, Reduced<T, F>& reduced) { Codec<std::optional<T>>::decode(in, reduced.value); }
};

/// What `result` gives, whichever of its forms the aggregator has.
template <class A, class K>
decltype(auto) aggregator_result(const A& aggregator, const K& key, const Window& window) {
  if constexpr (requires { aggregator.result(key, window); }) {
    return aggregator.result(key, window);
  } else if constexpr (requires { aggregator.result(window); }) {
    return aggregator.result(window);
  } else {
    static_assert(
        requires { aggregator.result(); },
        "an aggregator has R result() const, R result(df::Window) const or R result(key, df::Window) const");
    return aggregator.result();
  }
}

template <class A>
struct OpenWindow {
  std::int64_t start = 0;
  std::int64_t end = 0;
  std::int64_t newest = first_micros;  ///< event time of the newest record
  std::uint64_t records = 0;
  bool changed = false;  ///< since its last result
  bool due = false;      ///< since its last result that was not an early one: there is one to give at its end
  A aggregate{};
};

template <class A>
struct Codec<OpenWindow<A>> {
  static constexpr bool known = Codec<A>::known;
  static void encode(const OpenWindow<A>& open, std::string& out) {
    put_fixed(out, open.start);
    put_fixed(out, open.end);
    put_fixed(out, open.newest);
    put_fixed(out, open.records);
    put_fixed(out, static_cast<std::uint8_t>((open.changed ? 1 : 0) + (open.due ? 2 : 0)));
    Codec<A>::encode(open.aggregate, out);
  }
  static void decode(ByteReader& in, OpenWindow<A>& open) {
    open.start = in.fixed<std::int64_t>();
    open.end = in.fixed<std::int64_t>();
    open.newest = in.fixed<std::int64_t>();
    open.records = in.fixed<std::uint64_t>();
    const auto flags = in.fixed<std::uint8_t>();
    open.changed = (flags & 1) != 0;
    open.due = (flags & 2) != 0;
    Codec<A>::decode(in, open.aggregate);
  }
};

/// `Base` is KeyedProcess<K, T, R> or Process<T, R>.
template <class Base, class A>
class WindowFunction final : public Base {
  using T = typename Base::input_type;
  using R = typename Base::output_type;
  using Windows = std::vector<OpenWindow<A>>;

 public:
  using Context = typename Base::Context;
  WindowFunction(WindowSpec spec, std::string late_output) : spec_{std::move(spec)}, late_{std::move(late_output)} {}

  void process(const T& record, Context& context, Output<R>& out) override {
    const bool in_event_time = spec_.time == TimeDomain::event;
    const std::int64_t ts = (in_event_time ? context.timestamp() : context.now()).micros;
    Windows& windows = windows_.of_key();
    const bool before = !windows.empty();
    bool taken = false;
    const auto add_to = [&](std::int64_t start, std::int64_t end) {
      if (in_event_time && window_expired(end, spec_.allowed_lateness.count(), context.watermark().micros)) return;
      taken = true;
      add(record, ts, window_of(windows, start, end), context, out);
    };
    const std::int64_t offset = spec_.offset.count();
    const std::int64_t size = spec_.size.count();
    switch (spec_.kind) {
      case WindowKind::tumbling: add_to(tumbling_start(ts, size, offset), tumbling_end(ts, size, offset)); break;
      case WindowKind::sliding: for_each_sliding_window(ts, size, spec_.slide.count(), offset, add_to); break;
      case WindowKind::cumulate: for_each_cumulating_window(ts, size, spec_.step.count(), offset, add_to); break;
      case WindowKind::session:
        // The plan has refused it otherwise.
        if constexpr (MergingAggregator<A>) add_to_session(record, ts, windows, context, out, taken);
        break;
      case WindowKind::count:
      case WindowKind::global:
      case WindowKind::running: add_to(first_micros, last_micros); break;
    }
    if (!taken) {
      context.counter("late").add(1);
      context.emit(late_, record);
    }
    windows_.count_use(before, !windows.empty());
  }

  void on_timer(Timestamp time, Context& context, Output<R>& out) override {
    Windows& windows = windows_.of_key();
    const bool before = !windows.empty();
    const bool early = context.timer_name() == "early";
    const bool at_end = time == Timestamp::max();
    for (OpenWindow<A>& open : windows) {
      if (early && open.changed) fire(open, context, out);
      const bool ends = !early && (at_end || open.end == saturating_add(time.micros, 1));
      if (ends && open.due) {
        fire(open, context, out);
        open.due = false;
      }
    }
    if (!early) {
      std::erase_if(windows, [&](const OpenWindow<A>& open) {
        return at_end || window_expired(open.end, spec_.allowed_lateness.count(), time.micros);
      });
    }
    windows_.count_use(before, !windows.empty());
  }

 private:
  OpenWindow<A>& window_of(Windows& windows, std::int64_t start, std::int64_t end) {
    for (OpenWindow<A>& open : windows) {
      if (open.start == start && open.end == end) return open;
    }
    return windows.emplace_back(OpenWindow<A>{.start = start, .end = end});
  }

  void add(const T& record, std::int64_t ts, OpenWindow<A>& open, Context& context, Output<R>& out) {
    open.aggregate.add(record);
    open.newest = std::max(open.newest, ts);
    open.changed = open.due = true;
    ++open.records;
    if (spec_.kind == WindowKind::count && open.records == spec_.count) {
      fire(open, context, out);
      auto& windows = windows_.of_key();
      windows.erase(windows.begin() + (&open - windows.data()));
      return;
    }
    if (spec_.kind != WindowKind::count) set_timers(open, context, out);
    if (spec_.early) {
      context.on_processing_time(Timestamp{tumbling_end(context.now().micros, spec_.early->count())}, "early");
    }
  }

  void set_timers(OpenWindow<A>& open, Context& context, Output<R>& out) {
    if (spec_.time == TimeDomain::processing) {
      if (open.end != last_micros) context.on_processing_time(Timestamp{open.end - 1});
      context.on_event_time(Timestamp::max());  // a bounded input ends: what is open fires
      return;
    }
    if (open.end == last_micros) return context.on_event_time(Timestamp::max());
    if (window_complete(open.end, context.watermark().micros)) {
      fire(open, context, out);  // late, but within the allowed lateness: the result again, corrected
      open.due = false;
    } else {
      context.on_event_time(Timestamp{open.end - 1});
    }
    if (spec_.allowed_lateness.count() != 0) {
      context.on_event_time(last_of(open), clean_up_timer);
    }
  }
  /// The time after which it is no more.
  [[nodiscard]] Timestamp last_of(const OpenWindow<A>& open) const {
    return Timestamp{saturating_add(open.end - 1, spec_.allowed_lateness.count())};
  }
  /// Of a session that has become longer.
  void delete_timers(const OpenWindow<A>& gone, Context& context) const {
    if (spec_.time == TimeDomain::processing) return context.delete_processing_timer(Timestamp{gone.end - 1});
    context.delete_event_timer(Timestamp{gone.end - 1});
    if (spec_.allowed_lateness.count() != 0) context.delete_event_timer(last_of(gone), clean_up_timer);
  }

  void add_to_session(const T& record, std::int64_t ts, Windows& windows, Context& context, Output<R>& out,
                      bool& taken) {
    std::int64_t start = ts;
    std::int64_t end = saturating_add(ts, spec_.gap.count());
    for (const OpenWindow<A>& open : windows) {
      if (open.start <= end && ts <= open.end) {
        start = std::min(start, open.start);
        end = std::max(end, open.end);
      }
    }
    const bool in_event_time = spec_.time == TimeDomain::event;
    if (in_event_time && window_expired(end, spec_.allowed_lateness.count(), context.watermark().micros)) return;
    taken = true;
    OpenWindow<A> merged{.start = start, .end = end};
    std::erase_if(windows, [&](OpenWindow<A>& open) {
      if (open.start < start || open.end > end) return false;
      if (open.end != end) delete_timers(open, context);
      merged.newest = std::max(merged.newest, open.newest);
      merged.records += open.records;
      merged.aggregate.merge(std::as_const(open.aggregate));
      return true;
    });
    windows.push_back(std::move(merged));
    add(record, ts, windows.back(), context, out);
  }

  void fire(OpenWindow<A>& open, Context& context, Output<R>& out) {
    const bool bounded = open.start != first_micros || open.end != last_micros;
    if (bounded) {
      context.set_result_time(Timestamp{open.end - 1});
    } else if (spec_.time == TimeDomain::event) {
      context.set_result_time(Timestamp{open.newest});
    }
    const Window window{Timestamp{open.start}, Timestamp{open.end}};
    if constexpr (KeyedFunction<Base>) {
      out.emit(aggregator_result(open.aggregate, context.key(), window));
    } else {
      out.emit(aggregator_result(open.aggregate, NoKey{}, window));
    }
    open.changed = false;
  }

  WindowSpec spec_;
  std::string late_;
  OpenWindows<OpenWindow<A>> windows_{this, "windows"};
};

}  // namespace dataflow
