#pragma once
// Windows with a trigger or an evictor, or given to a function with all their records: Flink's WindowOperator and
// EvictingWindowOperator, written as a process function.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "dataflow/open_windows.hpp"
#include "dataflow/process.hpp"
#include "dataflow/trigger.hpp"
#include "dataflow/window_function.hpp"
#include "libdataflow/windows/assign.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow {

/// What is known of windows over records T.
template <class T>
struct WindowSettings {
  WindowSpec spec;
  std::string late_output = "late";
  Trigger trigger;
  std::shared_ptr<const WindowTrigger<T>> own_trigger;
  Evictor evictor;
  EvictFunction<T> own_evictor;

  [[nodiscard]] bool evicts() const { return evictor.last || evictor.newest || own_evictor; }
};

/// Gives what came too late for all its windows to their side output; of two streams' windows each has its own.
template <class T>
void emit_late(ProcessContext& context, const std::string& output, const T& record) {
  context.emit(output, record);
}
template <class A, class B>
void emit_late(ProcessContext& context, const std::string& output, const std::variant<A, B>& record) {
  if (const A* left = std::get_if<0>(&record)) {
    context.emit(late_of_left(output), *left);
  } else {
    context.emit(late_of_right(output), *std::get_if<1>(&record));
  }
}

/// What is in a window: its records.
template <class T>
struct WindowRecords {
  std::vector<Timed<T>> records;
  void add(const T& record, Timestamp time) { records.push_back({time, record}); }
  void merge(WindowRecords other) {
    records.insert(records.end(), std::make_move_iterator(other.records.begin()),
                   std::make_move_iterator(other.records.end()));
  }
};
/// Or what an aggregator has made of them.
template <class A>
struct WindowAggregateOf {
  A aggregate{};
  template <class T>
  void add(const T& record, Timestamp) {
    aggregate.add(record);
  }
  void merge(const WindowAggregateOf& other) {
    if constexpr (MergingAggregator<A>) aggregate.merge(other.aggregate);  // the plan has refused it otherwise
  }
};

template <class T>
struct Codec<WindowRecords<T>> {
  static constexpr bool known = Codec<T>::known;
  static void encode(const WindowRecords<T>& content, std::string& out) {
    Codec<std::vector<Timed<T>>>::encode(content.records, out);
  }
  static void decode(ByteReader& in, WindowRecords<T>& content) {
    Codec<std::vector<Timed<T>>>::decode(in, content.records);
  }
};
template <class A>
struct Codec<WindowAggregateOf<A>> {
  static constexpr bool known = Codec<A>::known;
  static void encode(const WindowAggregateOf<A>& content, std::string& out) {
    Codec<A>::encode(content.aggregate, out);
  }
  static void decode(ByteReader& in, WindowAggregateOf<A>& content) { Codec<A>::decode(in, content.aggregate); }
};

/// One open window of one key, with its content C.
template <class C>
struct TriggeredWindow {
  static constexpr std::int64_t no_time = first_micros;

  std::int64_t start = 0;
  std::int64_t end = 0;
  std::int64_t newest = first_micros;  ///< time of its newest record
  std::uint64_t count = 0;             ///< records that on_count has seen since its last result
  std::int64_t next = no_time;         ///< when `continuously` gives the next result
  bool filled = false;                 ///< there is something in it
  bool changed = false;                ///< since its last result
  bool goes = false;                   ///< the timer that ends it is set
  TriggerContext::Times event_times;   ///< that its trigger waits for
  TriggerContext::Times clock_times;
  TriggerContext::Values values;  ///< what its trigger and function keep
  C content{};

  [[nodiscard]] bool spent() const {
    return !filled && count == 0 && event_times.empty() && clock_times.empty() && values.empty();
  }
  [[nodiscard]] Window bounds() const { return {Timestamp{start}, Timestamp{end}}; }
};

template <class C>
struct Codec<TriggeredWindow<C>> {
  static constexpr bool known = Codec<C>::known;
  static void encode(const TriggeredWindow<C>& open, std::string& out) {
    put_fixed(out, open.start);
    put_fixed(out, open.end);
    put_fixed(out, open.newest);
    put_fixed(out, open.count);
    put_fixed(out, open.next);
    put_fixed(out, static_cast<std::uint8_t>((open.filled ? 1 : 0) + (open.changed ? 2 : 0) + (open.goes ? 4 : 0)));
    Codec<TriggerContext::Times>::encode(open.event_times, out);
    Codec<TriggerContext::Times>::encode(open.clock_times, out);
    put_fixed(out, static_cast<std::uint32_t>(open.values.size()));
    for (const auto& [name, value] : open.values) {
      put_text(out, name);
      put_text(out, value);
    }
    Codec<C>::encode(open.content, out);
  }
  static void decode(ByteReader& in, TriggeredWindow<C>& open) {
    open.start = in.fixed<std::int64_t>();
    open.end = in.fixed<std::int64_t>();
    open.newest = in.fixed<std::int64_t>();
    open.count = in.fixed<std::uint64_t>();
    open.next = in.fixed<std::int64_t>();
    const auto flags = in.fixed<std::uint8_t>();
    open.filled = (flags & 1) != 0;
    open.changed = (flags & 2) != 0;
    open.goes = (flags & 4) != 0;
    Codec<TriggerContext::Times>::decode(in, open.event_times);
    Codec<TriggerContext::Times>::decode(in, open.clock_times);
    for (auto left = in.fixed<std::uint32_t>(); left != 0 && in.ok(); --left) {
      std::string name{in.text()};
      open.values.insert_or_assign(std::move(name), std::string{in.text()});
    }
    Codec<C>::decode(in, open.content);
  }
};

/// `Base` is KeyedProcess<K, T, R> or Process<T, R>; who derives from it says what a result is.
template <class Base, class C>
class TriggeredWindows : public Base {
 protected:
  using T = typename Base::input_type;
  using R = typename Base::output_type;
  using Open = TriggeredWindow<C>;

 public:
  using Context = typename Base::Context;

  void process(const T& record, Context& context, Output<R>& out) final {
    const bool in_event_time = spec().time == TimeDomain::event;
    const std::int64_t time = (in_event_time ? context.timestamp() : context.now()).micros;
    std::vector<Open>& windows = windows_.of_key();
    const bool before = !windows.empty();
    bool taken = false;
    const auto add_to = [&](std::int64_t start, std::int64_t end) {
      if (in_event_time && is_expired(end, context.watermark().micros)) return;
      taken = true;
      add(record, time, window_of(windows, start, end), context, out);
    };
    const std::int64_t offset = spec().offset.count();
    const std::int64_t size = spec().size.count();
    switch (spec().kind) {
      case WindowKind::tumbling: add_to(tumbling_start(time, size, offset), tumbling_end(time, size, offset)); break;
      case WindowKind::sliding: for_each_sliding_window(time, size, spec().slide.count(), offset, add_to); break;
      case WindowKind::cumulate: for_each_cumulating_window(time, size, spec().step.count(), offset, add_to); break;
      case WindowKind::session: taken = add_to_session(record, time, windows, context, out); break;
      case WindowKind::count:
      case WindowKind::global:
      case WindowKind::running: add_to(first_micros, last_micros); break;
    }
    if (!taken) {
      context.counter("late").add(1);
      emit_late(context, settings_.late_output, record);
    }
    std::erase_if(windows, [&](const Open& open) { return is_spent(open); });
    windows_.count_use(before, !windows.empty());
  }

  void on_timer(Timestamp time, Context& context, Output<R>& out) final {
    std::vector<Open>& windows = windows_.of_key();
    const bool before = !windows.empty();
    const bool by_the_clock = context.timer_domain() == TimerDomain::processing_time;
    for (Open& open : windows) {
      if (context.timer_name() == "early") {
        if (open.changed) act(open, fires(), context, out);
        continue;
      }
      TriggerContext::Times& times = by_the_clock ? open.clock_times : open.event_times;
      const auto at = std::find(times.begin(), times.end(), time.micros);
      if (at == times.end()) continue;
      times.erase(at);
      act(open, by_the_clock ? on_clock(time, open, context) : on_event(time, open, context), context, out);
    }
    const bool over = !by_the_clock && time == Timestamp::max();
    const bool own_time = by_the_clock == (spec().time == TimeDomain::processing);
    std::erase_if(windows, [&](const Open& open) {
      return over || is_spent(open) || (own_time && is_expired(open.end, time.micros));
    });
    windows_.count_use(before, !windows.empty());
  }

 protected:
  explicit TriggeredWindows() = default;
  /// Before anything else.
  void configure(WindowSettings<T> settings) {
    settings_ = std::move(settings);
    if (settings_.spec.kind == WindowKind::count) {
      settings_.trigger = purging(on_count(settings_.spec.count));
      settings_.own_trigger = nullptr;
    }
  }
  [[nodiscard]] const WindowSpec& spec() const { return settings_.spec; }
  /// One result of what is in the window.
  virtual void give(Open& open, Context& context, Output<R>& out) = 0;

 private:
  [[nodiscard]] bool is_expired(std::int64_t end, std::int64_t now) const {
    if (end == last_micros) return now == last_micros;
    return window_expired(end, spec().allowed_lateness.count(), now);
  }

  /// Whether nothing is lost with it. A session's bounds are: records join it until it is over, also when it is empty.
  [[nodiscard]] bool is_spent(const Open& open) const { return spec().kind != WindowKind::session && open.spent(); }

  Open& window_of(std::vector<Open>& windows, std::int64_t start, std::int64_t end) {
    for (Open& open : windows) {
      if (open.start == start && open.end == end) return open;
    }
    Open& open = windows.emplace_back();
    open.start = start;
    open.end = end;
    return open;
  }

  void add(const T& record, std::int64_t time, Open& open, Context& context, Output<R>& out) {
    open.content.add(record, Timestamp{time});
    open.newest = std::max(open.newest, time);
    open.filled = open.changed = true;
    ++open.count;
    act(open, on_record(record, time, open, context), context, out);
    if (open.goes || open.end == last_micros) return;
    open.goes = true;
    if (spec().time == TimeDomain::processing) {
      context.on_processing_time(last_of(open), clean_up_timer);
    } else {
      context.on_event_time(last_of(open), clean_up_timer);
    }
  }
  /// The time after which it is no more.
  [[nodiscard]] Timestamp last_of(const Open& open) const {
    return Timestamp{saturating_add(open.end - 1, spec().allowed_lateness.count())};
  }

  /// Joins all sessions that the record's own touches.
  bool add_to_session(const T& record, std::int64_t time, std::vector<Open>& windows, Context& context,
                      Output<R>& out) {
    std::int64_t start = time;
    std::int64_t end = saturating_add(time, spec().gap.count());
    for (const Open& open : windows) {
      if (open.start <= end && time <= open.end) {
        start = std::min(start, open.start);
        end = std::max(end, open.end);
      }
    }
    if (spec().time == TimeDomain::event && is_expired(end, context.watermark().micros)) return false;
    Open* session = nullptr;
    for (Open& open : windows) {
      if (open.start == start && open.end == end) session = &open;
    }
    if (session == nullptr) session = &merge(windows, start, end, context);
    add(record, time, *session, context, out);
    return true;
  }

  Open& merge(std::vector<Open>& windows, std::int64_t start, std::int64_t end, Context& context) {
    Open merged;
    merged.start = start;
    merged.end = end;
    const auto first_gone = std::stable_partition(
        windows.begin(), windows.end(), [&](const Open& open) { return open.start < start || open.end > end; });
    std::vector<Open> gone{std::make_move_iterator(first_gone), std::make_move_iterator(windows.end())};
    windows.erase(first_gone, windows.end());
    std::vector<TriggerContext::Values> kept;
    for (Open& open : gone) {
      delete_timers(open, windows, context);
      merged.newest = std::max(merged.newest, open.newest);
      merged.count += open.count;
      merged.next = earlier(merged.next, next_if_longer(open));
      merged.filled = merged.filled || open.filled;
      merged.changed = merged.changed || open.changed;
      for (const auto& [name, value] : open.values) merged.values.insert_or_assign(name, value);
      if (!open.values.empty()) kept.push_back(std::move(open.values));
      merged.content.merge(std::move(open.content));
    }
    windows.push_back(std::move(merged));
    Open& open = windows.back();
    if (!gone.empty()) set_timers_anew(open, kept, context);
    return open;
  }

  /// Those of a session that has become part of another one, but for what an open one of `others` waits for, too.
  void delete_timers(const Open& gone, const std::vector<Open>& others, Context& context) const {
    const auto waited_for = [&](TriggerContext::Times Open::*times, std::int64_t time) {
      return std::any_of(others.begin(), others.end(), [&](const Open& open) {
        return std::find((open.*times).begin(), (open.*times).end(), time) != (open.*times).end();
      });
    };
    for (const std::int64_t time : gone.event_times) {
      if (!waited_for(&Open::event_times, time)) context.delete_event_timer(Timestamp{time});
    }
    for (const std::int64_t time : gone.clock_times) {
      if (!waited_for(&Open::clock_times, time)) context.delete_processing_timer(Timestamp{time});
    }
    if (!gone.goes) return;
    if (spec().time == TimeDomain::processing) {
      context.delete_processing_timer(last_of(gone), clean_up_timer);
    } else {
      context.delete_event_timer(last_of(gone), clean_up_timer);
    }
  }

  [[nodiscard]] static std::int64_t earlier(std::int64_t a, std::int64_t b) {
    if (a == Open::no_time) return b;
    return b == Open::no_time ? a : std::min(a, b);
  }
  /// When `continuously` gives the next result of a session that has not ended where it seemed to: that end is no
  /// multiple of the interval.
  [[nodiscard]] std::int64_t next_if_longer(const Open& open) const {
    const bool at_end = settings_.trigger.kind == Trigger::Kind::continuous && open.next == open.end - 1;
    return at_end ? tumbling_end(open.next - 1, settings_.trigger.interval.count()) : open.next;
  }

  /// Of a session that others have become part of, whose trigger had put what is `kept`. What only depends on the
  /// session's end is set by on_record, which comes next.
  void set_timers_anew(Open& open, const std::vector<TriggerContext::Values>& kept, Context& context) const {
    TriggerContext of_window{context, open.event_times, open.clock_times, open.values, &kept};
    if (settings_.own_trigger) return settings_.own_trigger->on_merge(open.bounds(), of_window);
    if (open.next == Open::no_time) return;
    if (settings_.trigger.kind == Trigger::Kind::continuous) {
      open.next = before_end(open, open.next);
      of_window.set_event_timer(Timestamp{open.next});
    } else {
      of_window.set_processing_timer(Timestamp{open.next});
    }
  }

  static TriggerContext context_of(Open& open, Context& context) {
    return {context, open.event_times, open.clock_times, open.values};
  }

  TriggerResult on_record(const T& record, std::int64_t time, Open& open, Context& context) {
    TriggerContext of_window = context_of(open, context);
    if (settings_.own_trigger) {
      return settings_.own_trigger->on_record(record, Timestamp{time}, open.bounds(), of_window);
    }
    const std::int64_t interval = settings_.trigger.interval.count();
    switch (settings_.trigger.kind) {
      case Trigger::Kind::early:
        context.on_processing_time(Timestamp{tumbling_end(context.now().micros, interval)}, "early");
        return wait_for_end(open, context, of_window);
      case Trigger::Kind::at_end: return wait_for_end(open, context, of_window);
      case Trigger::Kind::at_end_by_the_clock:
        if (open.end != last_micros) of_window.set_processing_timer(Timestamp{open.end - 1});
        return TriggerResult::go_on;
      case Trigger::Kind::count:
        if (open.count < settings_.trigger.count) return TriggerResult::go_on;
        open.count = 0;
        return fires();
      case Trigger::Kind::continuous: {
        const TriggerResult at_end = wait_for_end(open, context, of_window);
        if (at_end == TriggerResult::go_on && open.next == Open::no_time) {
          open.next = before_end(open, tumbling_end(time, interval));
          of_window.set_event_timer(Timestamp{open.next});
        }
        return at_end;
      }
      case Trigger::Kind::continuous_by_the_clock:
        if (open.next == Open::no_time) {
          open.next = tumbling_end(context.now().micros, interval);
          of_window.set_processing_timer(Timestamp{open.next});
        }
        return TriggerResult::go_on;
      case Trigger::Kind::never: return TriggerResult::go_on;
    }
    return TriggerResult::go_on;
  }

  /// By the window's own time.
  TriggerResult wait_for_end(const Open& open, const Context& context, TriggerContext& of_window) const {
    if (spec().time == TimeDomain::processing) {
      if (open.end != last_micros) of_window.set_processing_timer(Timestamp{open.end - 1});
      of_window.set_event_timer(Timestamp::max());  // a bounded input ends: what is open fires
      return TriggerResult::go_on;
    }
    if (open.end != last_micros && window_complete(open.end, context.watermark().micros)) return fires();
    of_window.set_event_timer(open.end == last_micros ? Timestamp::max() : Timestamp{open.end - 1});
    return TriggerResult::go_on;
  }

  [[nodiscard]] static std::int64_t before_end(const Open& open, std::int64_t time) {
    return open.end == last_micros ? time : std::min(time, open.end - 1);
  }

  TriggerResult on_event(Timestamp time, Open& open, Context& context) {
    TriggerContext of_window = context_of(open, context);
    if (settings_.own_trigger) return settings_.own_trigger->on_event_time(time, open.bounds(), of_window);
    if (settings_.trigger.kind == Trigger::Kind::continuous && time.micros == open.next) {
      // When all input is there, a window without end has nothing more to say behind its newest record but its last.
      const bool over =
          open.end == last_micros && context.watermark() == Timestamp::max() && time.micros >= open.newest;
      open.next =
          over ? Open::no_time : before_end(open, saturating_add(time.micros, settings_.trigger.interval.count()));
      if (open.next > time.micros) of_window.set_event_timer(Timestamp{open.next});
    }
    return fires();
  }

  TriggerResult on_clock(Timestamp time, Open& open, Context& context) {
    TriggerContext of_window = context_of(open, context);
    if (settings_.own_trigger) return settings_.own_trigger->on_processing_time(time, open.bounds(), of_window);
    if (settings_.trigger.kind == Trigger::Kind::continuous_by_the_clock) {
      open.next = saturating_add(time.micros, settings_.trigger.interval.count());
      of_window.set_processing_timer(Timestamp{open.next});
    }
    return fires();
  }

  [[nodiscard]] TriggerResult fires() const {
    return settings_.trigger.purging ? TriggerResult::fire_and_purge : TriggerResult::fire;
  }

  void act(Open& open, TriggerResult result, Context& context, Output<R>& out) {
    const bool fire = result == TriggerResult::fire || result == TriggerResult::fire_and_purge;
    if (fire && open.filled) {
      if (open.start != first_micros || open.end != last_micros) {
        context.set_result_time(Timestamp{open.end - 1});
      } else if (spec().time == TimeDomain::event) {
        context.set_result_time(Timestamp{open.newest});
      }
      if (!settings_.evictor.behind_result) evict(open);
      give(open, context, out);
      if (settings_.evictor.behind_result) evict(open);
      open.changed = false;
    }
    if (result == TriggerResult::purge || result == TriggerResult::fire_and_purge) {
      open.content = C{};
      open.filled = open.changed = false;
    }
  }

  void evict([[maybe_unused]] Open& open) {
    if constexpr (requires { open.content.records; }) {
      if (!settings_.evicts()) return;
      auto& records = open.content.records;
      if (const auto& last = settings_.evictor.last; last && records.size() > *last) {
        records.erase(records.begin(), records.end() - static_cast<std::ptrdiff_t>(*last));
      }
      if (settings_.evictor.newest && !records.empty()) {
        const auto newest = std::max_element(records.begin(), records.end(),
                                             [](const auto& a, const auto& b) { return a.time < b.time; });
        const std::int64_t gone = saturating_sub(newest->time.micros, settings_.evictor.newest->count());
        std::erase_if(records, [&](const Timed<T>& timed) { return timed.time.micros <= gone; });
      }
      if (settings_.own_evictor) settings_.own_evictor(records, open.bounds());
      open.filled = !records.empty();
    }
  }

  WindowSettings<T> settings_;
  OpenWindows<Open> windows_{this, "windows"};
};

}  // namespace dataflow
