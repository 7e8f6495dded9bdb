#pragma once
// Windows and what is aggregated over them.
//
//     stream.key_by(&Total::card)
//           .window(df::sliding(5min, 1min))
//           .aggregate<CardStats>(df::key(&CardStats::card), df::window_end(&CardStats::until),
//                                 df::count(&CardStats::n), df::sum(&Total::gross, &CardStats::total))

#include <chrono>

#include "dataflow/plan.hpp"
#include "dataflow/record.hpp"
#include "dataflow/trigger.hpp"

namespace dataflow {

/// [start, start + size), aligned to the Unix epoch plus `offset`.
inline WindowSpec tumbling(Duration size, Duration offset = Duration{0}) {
  return {.kind = WindowKind::tumbling, .size = size, .offset = offset};
}
/// Windows of `size`, a new one every `every`.
inline WindowSpec sliding(Duration size, Duration every, Duration offset = Duration{0}) {
  return {.kind = WindowKind::sliding, .size = size, .slide = every, .offset = offset};
}
/// Ends `gap` after its last record.
inline WindowSpec session(Duration gap) {
  return {.kind = WindowKind::session, .gap = gap};
}
/// Grows by `every` up to `size`, then starts anew.
inline WindowSpec cumulate(Duration size, Duration every, Duration offset = Duration{0}) {
  return {.kind = WindowKind::cumulate, .size = size, .step = every, .offset = offset};
}
/// Every `records` records of a key.
inline WindowSpec count_of(std::uint64_t records) {
  return {.kind = WindowKind::count, .count = records};
}
/// One for all of time: fires when a bounded input ends, and early with a trigger.
inline WindowSpec global_window() {
  return {.kind = WindowKind::global};
}
/// The same windows by the clock instead of the records' time.
inline WindowSpec in_processing_time(WindowSpec window) {
  window.time = TimeDomain::processing;
  return window;
}

/// A ready-made part of an aggregation: which function of which field of T goes into which field of R.
template <class R, class T = void>
struct Piece {
  AggregatePiece piece;
};

template <class R, class M>
Piece<R> key(M R::*out) {
  return {{.kind = AggregatePiece::Kind::key, .function = {}, .output_field = member_index(out)}};
}
template <class R>
Piece<R> window_start(Timestamp R::*out) {
  return {{.kind = AggregatePiece::Kind::window_start, .function = {}, .output_field = member_index(out)}};
}
template <class R>
Piece<R> window_end(Timestamp R::*out) {
  return {{.kind = AggregatePiece::Kind::window_end, .function = {}, .output_field = member_index(out)}};
}
/// How many records.
template <class R, class M>
Piece<R> count(M R::*out) {
  return {{.function = "count", .input_field = SIZE_MAX, .output_field = member_index(out)}};
}
/// How many records have a value in the field.
template <class T, class In, class R, class M>
Piece<R, T> count(In T::*in, M R::*out) {
  return {{.function = "count", .input_field = member_index(in), .output_field = member_index(out)}};
}
template <class T, class In, class R, class M>
Piece<R, T> sum(In T::*in, M R::*out) {
  return {{.function = "sum", .input_field = member_index(in), .output_field = member_index(out)}};
}
template <class T, class In, class R, class M>
Piece<R, T> min(In T::*in, M R::*out) {
  return {{.function = "min", .input_field = member_index(in), .output_field = member_index(out)}};
}
template <class T, class In, class R, class M>
Piece<R, T> max(In T::*in, M R::*out) {
  return {{.function = "max", .input_field = member_index(in), .output_field = member_index(out)}};
}
template <class T, class In, class R, class M>
Piece<R, T> avg(In T::*in, M R::*out) {
  return {{.function = "avg", .input_field = member_index(in), .output_field = member_index(out)}};
}
template <class T, class In, class R, class M>
Piece<R, T> first(In T::*in, M R::*out) {
  return {{.function = "first", .input_field = member_index(in), .output_field = member_index(out)}};
}
template <class T, class In, class R, class M>
Piece<R, T> last(In T::*in, M R::*out) {
  return {{.function = "last", .input_field = member_index(in), .output_field = member_index(out)}};
}

}  // namespace dataflow
