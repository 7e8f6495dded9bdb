#pragma once
// What windows come to by a reference that keeps every record of every window in a list and computes each result from
// scratch.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/windows/aggregates/quantile_sketch.hpp"
#include "libdataflow/windows/assign.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "serialization/value.hpp"

namespace dataflow::windows_reference {

struct Record {
  std::int64_t time;
  Value k;
  Value i;
  Value a;
  Value x;
  Value s;
};

inline const SchemaPtr& schema() {
  static const SchemaPtr s = make_schema({{"k", TypeKind::string},
                                          {"i", TypeKind::int32},
                                          {"a", TypeKind::int64},
                                          {"x", TypeKind::float64},
                                          {"s", TypeKind::string}});
  return s;
}

inline const std::vector<std::pair<std::string, std::string>> aggregates = {
    {"n", "count()"},
    {"na", "count(a)"},
    {"da", "count(distinct a)"},
    {"ds", "count(distinct s)"},
    {"sum_a", "sum(a)"},
    {"sum_x", "sum(x)"},
    {"min_a", "min(a)"},
    {"max_x", "max(x)"},
    {"min_s", "min(s)"},
    {"avg_a", "avg(a)"},
    {"first_a", "first(a)"},
    {"last_s", "last(s)"},
    {"dev", "stddev(x)"},
    {"sum_pos", "sum(a) FILTER (WHERE x > 0)"},
    {"ratio", "max(a) - count()"},
    {"approx", "approx_count_distinct(a)"},
    {"median", "approx_percentile(x, 0.5)"},
};

inline std::string show(const Value& v) {
  if (is_null(v)) return "NULL";
  if (const auto* n = std::get_if<std::int64_t>(&v)) return std::to_string(*n);
  if (const auto* d = std::get_if<double>(&v)) {
    char text[40];
    std::snprintf(text, sizeof text, "%.6g", *d == 0 ? 0.0 : *d);
    return text;
  }
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  return std::get<bool>(v) ? "true" : "false";
}

using Records = std::vector<const Record*>;

template <class Get>
std::vector<Value> values_of(const Records& records, Get get) {
  std::vector<Value> values;
  for (const Record* r : records) {
    if (!is_null(get(*r))) values.push_back(get(*r));
  }
  return values;
}

inline Value sum_of(const std::vector<Value>& values) {
  if (values.empty()) return {};
  std::int64_t sum = 0;
  for (const Value& v : values) sum += std::get<std::int64_t>(v);
  return sum;
}

/// Those of the aggregates that are chosen, of records in order of arrival, as shown text.
inline std::string expected_results(const Records& records, const std::vector<bool>& chosen) {
  const auto as = values_of(records, [](const Record& r) { return r.a; });
  const auto xs = values_of(records, [](const Record& r) { return r.x; });
  const auto ss = values_of(records, [](const Record& r) { return r.s; });
  std::vector<Value> out;
  out.push_back(static_cast<std::int64_t>(records.size()));
  out.push_back(static_cast<std::int64_t>(as.size()));
  const auto distinct = static_cast<std::int64_t>(std::set<Value>(as.begin(), as.end()).size());
  out.push_back(distinct);
  out.push_back(static_cast<std::int64_t>(std::set<Value>(ss.begin(), ss.end()).size()));
  out.push_back(sum_of(as));
  double sum = 0;
  for (const Value& x : xs) sum += std::get<double>(x);
  out.push_back(xs.empty() ? Value{} : Value{sum});
  out.push_back(as.empty() ? Value{} : *std::min_element(as.begin(), as.end()));
  out.push_back(xs.empty() ? Value{} : *std::max_element(xs.begin(), xs.end()));
  out.push_back(ss.empty() ? Value{} : *std::min_element(ss.begin(), ss.end()));
  const Value total = sum_of(as);
  out.push_back(as.empty() ? Value{} : Value{double(std::get<std::int64_t>(total)) / double(as.size())});
  out.push_back(as.empty() ? Value{} : as.front());
  out.push_back(ss.empty() ? Value{} : ss.back());
  double squares = 0;
  for (const Value& x : xs) squares += std::pow(std::get<double>(x) - sum / double(xs.size()), 2);
  out.push_back(xs.size() < 2 ? Value{} : Value{std::sqrt(squares / double(xs.size() - 1))});
  Records positive;
  for (const Record* r : records) {
    if (!is_null(r->x) && std::get<double>(r->x) > 0) positive.push_back(r);
  }
  out.push_back(sum_of(values_of(positive, [](const Record& r) { return r.a; })));
  out.push_back(as.empty() ? Value{}
                           : Value{std::get<std::int64_t>(*std::max_element(as.begin(), as.end())) -
                                   static_cast<std::int64_t>(records.size())});
  out.push_back(distinct);
  windows::QuantileSketch sketch;
  for (const Value& x : xs) sketch.add(std::get<double>(x));
  out.push_back(xs.empty() ? Value{} : Value{sketch.quantile(0.5)});
  std::string text;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (chosen[i]) text += show(out[i]) + "|";
  }
  return text;
}

struct Window {
  std::int64_t start;
  std::int64_t end;
  Records records;
  bool fired = false;
  bool changed = true;  ///< since the last early results
};

/// Everything by lists. Results of a step are a sorted list of texts.
class Reference {
 public:
  /// `chosen`: which of the aggregates the spec has.
  Reference(const WindowSpec& spec, std::vector<bool> chosen) : spec_{spec}, chosen_{std::move(chosen)} {}

  std::vector<std::string> push(const std::vector<Record>& batch, std::vector<std::size_t>& late) {
    results_.clear();
    std::set<std::pair<std::string, std::int64_t>> touched;  // key and end of windows to fire again
    for (std::size_t n = 0; n < batch.size(); ++n) {
      kept_.push_back(std::make_unique<Record>(batch[n]));
      const Record& record = *kept_.back();
      const std::string key = key_of(record);
      bool accepted = false;
      if (!has_window_bounds(spec_.kind)) {
        count_record(key, record);
        accepted = true;
      } else if (spec_.kind == WindowKind::session) {
        accepted = session_record(key, record);
      } else {
        for (const auto& [start, end] : windows_of(record.time)) {
          if (expired(end)) continue;
          accepted = true;
          Window& window = windows_[key].try_emplace(end, Window{start, end, {}}).first->second;
          window.records.push_back(&record);
          window.changed = true;
          if (complete(end)) {
            window.fired = true;
            touched.emplace(key, end);
          }
        }
      }
      if (!accepted) late.push_back(n);
    }
    for (const auto& [key, end] : touched) give(key, windows_[key].at(end));
    for (auto& [key, sessions] : windows_) {
      for (auto& [id, session] : sessions) {
        if (spec_.kind != WindowKind::session || !touched_sessions_.contains({key, id})) continue;
        if (!complete(session.end)) continue;
        session.fired = true;
        give(key, session);
      }
    }
    touched_sessions_.clear();
    return sorted();
  }

  std::vector<std::string> watermark(std::int64_t time) {
    results_.clear();
    watermark_ = std::max(watermark_, time);
    for (auto& [key, windows] : windows_) {
      for (auto it = windows.begin(); it != windows.end();) {
        Window& window = it->second;
        const bool timeless = !has_window_bounds(spec_.kind);
        const bool due = timeless ? watermark_ == last_micros : complete(window.end);
        if (due && !window.fired) {
          window.fired = true;
          give(key, window);
        }
        const bool gone = timeless ? due : expired(window.end);
        it = gone ? windows.erase(it) : std::next(it);
      }
    }
    return sorted();
  }

  std::vector<std::string> early() {
    results_.clear();
    for (auto& [key, windows] : windows_) {
      for (auto& [id, window] : windows) {
        const bool open = !has_window_bounds(spec_.kind) || !complete(window.end);
        if (std::exchange(window.changed, false) && open) give(key, window);
      }
    }
    return sorted();
  }

 private:
  bool complete(std::int64_t end) const { return end - 1 <= watermark_; }
  bool expired(std::int64_t end) const {
    return watermark_ != first_micros && end - 1 <= watermark_ - spec_.allowed_lateness.count();
  }
  std::string key_of(const Record& r) const {
    std::string key;
    for (const std::size_t field : spec_.key_fields) key += show(field == 0 ? r.k : field == 1 ? r.i : r.x) + "|";
    return key;
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> windows_of(std::int64_t time) const {
    std::vector<std::pair<std::int64_t, std::int64_t>> found;
    const std::int64_t size = spec_.size.count();
    const std::int64_t every = spec_.kind == WindowKind::sliding ? spec_.slide.count() : size;
    // From a start far below, step by step.
    std::int64_t start = spec_.offset.count();
    while (start > time - 2 * size) start -= every;
    while (start + size <= time) start += every;
    for (; start <= time; start += every) {
      if (spec_.kind != WindowKind::cumulate) {
        found.emplace_back(start, start + size);
        continue;
      }
      for (std::int64_t end = start + spec_.step.count(); end <= start + size; end += spec_.step.count()) {
        if (end > time) found.emplace_back(start, end);
      }
    }
    return found;
  }
  void count_record(const std::string& key, const Record& record) {
    Window& window = windows_[key].try_emplace(0, Window{0, 0, {}}).first->second;
    window.records.push_back(&record);
    window.changed = true;
    if (spec_.kind == WindowKind::global || window.records.size() < spec_.count) return;
    give(key, window);
    windows_[key].erase(0);
  }
  bool session_record(const std::string& key, const Record& record) {
    Window merged{record.time, record.time + spec_.gap.count(), {&record}};
    auto& sessions = windows_[key];
    std::vector<std::int64_t> taken;
    for (const auto& [id, other] : sessions) {
      if (other.start <= record.time + spec_.gap.count() && other.end >= record.time) taken.push_back(id);
    }
    if (taken.empty() && expired(merged.end)) return false;
    for (const std::int64_t id : taken) {
      Window& other = sessions.at(id);
      merged.start = std::min(merged.start, other.start);
      merged.end = std::max(merged.end, other.end);
      merged.records.insert(merged.records.end(), other.records.begin(), other.records.end());
      sessions.erase(id);
      touched_sessions_.erase({key, id});
    }
    std::sort(merged.records.begin(), merged.records.end(),
              [this](const Record* a, const Record* b) { return arrival(a) < arrival(b); });
    const std::int64_t id = next_session_++;
    touched_sessions_.emplace(key, id);
    sessions.emplace(id, std::move(merged));
    return true;
  }
  std::size_t arrival(const Record* record) {
    for (; numbered_ < kept_.size(); ++numbered_) arrivals_[kept_[numbered_].get()] = numbered_;
    return arrivals_.at(record);
  }
  void give(const std::string& key, const Window& window) {
    std::string text = key;
    if (has_window_bounds(spec_.kind)) text += std::to_string(window.start) + "|" + std::to_string(window.end) + "|";
    results_.push_back(text + expected_results(window.records, chosen_));
  }
  std::vector<std::string> sorted() {
    std::sort(results_.begin(), results_.end());
    return results_;
  }

  const WindowSpec& spec_;
  std::vector<bool> chosen_;
  std::int64_t watermark_ = first_micros;
  std::vector<std::unique_ptr<Record>> kept_;
  std::map<const Record*, std::size_t> arrivals_;
  std::size_t numbered_ = 0;
  std::map<std::string, std::map<std::int64_t, Window>> windows_;  ///< by key, then end (sessions: number)
  std::set<std::pair<std::string, std::int64_t>> touched_sessions_;
  std::int64_t next_session_ = 0;
  std::vector<std::string> results_;
};

}  // namespace dataflow::windows_reference
