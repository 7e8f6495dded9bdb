#pragma once
// When a window gives a result, and of which of its records: triggers and evictors, with the meanings of Flink's
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/windows/#triggers).
//
//     .window(df::global_window()).trigger(df::on_count(3)).evictor(df::keep_last(10)).process<Median>()
//
// Without a trigger a window gives its result at its end, and again for each late record within the allowed lateness.
// A trigger stands instead of that: on_count(3) gives nothing at the end.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataflow/codec.hpp"
#include "dataflow/process.hpp"

namespace dataflow {

/// A window's bounds, [start, end). Of count and global windows the ends of time.
struct Window {
  Timestamp start;
  Timestamp end;
};

/// When a window gives results.
struct Trigger {
  enum class Kind : std::uint8_t {
    at_end,                   ///< by the window's own time
    early,                    ///< and every `interval` of processing time before that, if it has changed
    at_end_by_the_clock,      ///< when processing time has reached its end
    count,                    ///< for every `count` records
    continuous,               ///< every `interval` of event time, and at its end
    continuous_by_the_clock,  ///< every `interval` of processing time
    never,
  };
  Kind kind = Kind::at_end;
  Duration interval{0};
  std::uint64_t count = 0;
  bool purging = false;  ///< a result is of the records since the last one
};

/// The one trigger that the built-in window operators know, too.
struct EarlyTrigger {
  Duration interval{0};
  operator Trigger() const {  // NOLINT(google-explicit-constructor): it is one
    return {.kind = Trigger::Kind::early, .interval = interval};
  }
};
/// Results of windows that have changed, every `interval` of processing time, before their final one.
inline EarlyTrigger early(Duration interval) {
  return {interval};
}
/// When the watermark has reached the window's end: what a window over event time does without a trigger.
inline Trigger on_event_time() {
  return {.kind = Trigger::Kind::at_end};
}
/// When the clock has reached the window's end, also of a window over event time.
inline Trigger on_processing_time() {
  return {.kind = Trigger::Kind::at_end_by_the_clock};
}
/// Whenever `records` more have come; not at the window's end.
inline Trigger on_count(std::uint64_t records) {
  return {.kind = Trigger::Kind::count, .count = records};
}
/// At each multiple of `interval` of event time up to the window's end, and there.
inline Trigger continuously(Duration interval) {
  return {.kind = Trigger::Kind::continuous, .interval = interval};
}
/// At each multiple of `interval` of processing time; not at the window's end.
inline Trigger continuously_by_the_clock(Duration interval) {
  return {.kind = Trigger::Kind::continuous_by_the_clock, .interval = interval};
}
inline Trigger never() {
  return {.kind = Trigger::Kind::never};
}
/// The same, and what is in the window goes with each result.
inline Trigger purging(Trigger trigger) {
  trigger.purging = true;
  return trigger;
}

/// What is to be done with a window.
enum class TriggerResult : std::uint8_t { go_on, fire, purge, fire_and_purge };

/// What a trigger of one's own may ask and keep, of one window of one key. Only valid during the call.
class TriggerContext {
 public:
  using Times = std::vector<std::int64_t>;
  using Values = std::map<std::string, std::string, std::less<>>;
  /// `merged`: of on_merge, what each of the sessions had put; it outlives the call.
  TriggerContext(ProcessContext& context, Times& event_times, Times& clock_times, Values& values,
                 const std::vector<Values>* merged = nullptr)
      : context_{context}, event_times_{event_times}, clock_times_{clock_times}, values_{values}, merged_{merged} {}

  [[nodiscard]] Timestamp watermark() const { return context_.watermark(); }
  /// Processing time.
  [[nodiscard]] Timestamp now() const { return context_.now(); }

  /// Calls on_event_time of this window when the watermark has reached `time`. The same time twice is once.
  void set_event_timer(Timestamp time) {
    if (insert(event_times_, time.micros)) context_.on_event_time(time);
  }
  void set_processing_timer(Timestamp time) {
    if (insert(clock_times_, time.micros)) context_.on_processing_time(time);
  }
  void delete_event_timer(Timestamp time) { std::erase(event_times_, time.micros); }
  void delete_processing_timer(Timestamp time) { std::erase(clock_times_, time.micros); }

  /// What the trigger has put under a name; nothing when it has put nothing. It goes with the window.
  template <class V>
  [[nodiscard]] std::optional<V> get(std::string_view name) const {
    static_assert(Codec<V>::known, "what a trigger keeps is a record or of a field type, and owns its bytes");
    return decoded<V>(values_, name);
  }
  /// In on_merge: what each of the sessions that have become one had put under a name, in the order in which they came
  /// to be. A session that had put nothing is left out. Empty in other calls.
  template <class V>
  [[nodiscard]] std::vector<V> merged(std::string_view name) const {
    static_assert(Codec<V>::known, "what a trigger keeps is a record or of a field type, and owns its bytes");
    std::vector<V> all;
    if (merged_ == nullptr) return all;
    for (const Values& of_session : *merged_) {
      if (auto value = decoded<V>(of_session, name)) all.push_back(std::move(*value));
    }
    return all;
  }
  template <class V>
  void put(std::string_view name, const V& value) {
    static_assert(Codec<V>::known, "what a trigger keeps is a record or of a field type, and owns its bytes");
    std::string bytes;
    Codec<V>::encode(value, bytes);
    values_.insert_or_assign(key_of(name), std::move(bytes));
  }
  void remove(std::string_view name) { values_.erase(key_of(name)); }

 private:
  /// Apart from what the window's function keeps.
  static std::string key_of(std::string_view name) { return "trigger:" + std::string{name}; }
  template <class V>
  static std::optional<V> decoded(const Values& values, std::string_view name) {
    const auto at = values.find(key_of(name));
    if (at == values.end()) return std::nullopt;
    ByteReader in{at->second};
    V value{};
    Codec<V>::decode(in, value);
    return value;
  }
  static bool insert(Times& times, std::int64_t time) {
    if (std::find(times.begin(), times.end(), time) != times.end()) return false;
    times.push_back(time);
    return true;
  }

  ProcessContext& context_;
  Times& event_times_;
  Times& clock_times_;
  Values& values_;
  const std::vector<Values>* merged_;
};

/// A trigger of one's own over records T: `.trigger(std::make_shared<Above>(100.0))`. One object serves all subtasks;
/// what it remembers of a window it keeps in the context.
template <class T>
class WindowTrigger {
 public:
  virtual ~WindowTrigger() = default;
  /// For each record that comes into the window, which has it already.
  virtual TriggerResult on_record(const T& record, Timestamp time, const Window& window,
                                  TriggerContext& context) const = 0;
  /// For a time that it has set.
  virtual TriggerResult on_event_time(Timestamp /*time*/, const Window& /*window*/, TriggerContext& /*context*/) const {
    return TriggerResult::go_on;
  }
  virtual TriggerResult on_processing_time(Timestamp /*time*/, const Window& /*window*/,
                                           TriggerContext& /*context*/) const {
    return TriggerResult::go_on;
  }
  /// Whether it can be used in sessions. A record that makes a session longer, or joins two, makes a new one of them.
  [[nodiscard]] virtual bool merges() const { return false; }
  /// Of such a new session, before on_record of the record that has made it. The context has what the trigger had put:
  /// `get` the newest session's of a name, `merged` each one's. The timers of the sessions before are gone: what is
  /// still to come, such as the earliest of the times that it had put, is set anew here.
  virtual void on_merge(const Window& /*window*/, TriggerContext& /*context*/) const {}
};

/// A record of a window, and when it was: its event time, or for windows by the clock when it came.
template <class T>
struct Timed {
  Timestamp time;
  T record;
};
template <class T>
struct Codec<Timed<T>> {
  static constexpr bool known = Codec<T>::known;
  static void encode(const Timed<T>& timed, std::string& out) {
    Codec<Timestamp>::encode(timed.time, out);
    Codec<T>::encode(timed.record, out);
  }
  static void decode(ByteReader& in, Timed<T>& timed) {
    Codec<Timestamp>::decode(in, timed.time);
    Codec<T>::decode(in, timed.record);
  }
};

/// Which records leave a window when it gives a result: before that, or, with `after`, behind it. They do not come
/// back.
struct Evictor {
  std::optional<std::size_t> last;  ///< only so many that came last stay
  std::optional<Duration> newest;   ///< only those that are less than so much older than the newest stay
  bool behind_result = false;
};
inline Evictor keep_last(std::size_t records) {
  return {.last = records, .newest = {}};
}
inline Evictor keep_newest(Duration span) {
  return {.last = {}, .newest = span};
}
/// The result is of all records; then they go.
inline Evictor after(Evictor evictor) {
  evictor.behind_result = true;
  return evictor;
}

/// An evictor of one's own: removes from a window's records, which are in the order in which they came.
template <class T>
using EvictFunction = std::function<void(std::vector<Timed<T>>&, const Window&)>;

}  // namespace dataflow
