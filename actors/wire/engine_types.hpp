#pragma once
// How the engine's own small types are written between processes: an inspect function each, which CAF finds by the
// type's namespace. A field is only ever added together with a new `protocol_version`.

#include <string>
#include <utility>

#include <caf/meta/type_name.hpp>

#include "libdataflow/checkpoint/coordinator.hpp"
#include "libdataflow/master/execution_graph.hpp"
#include "libdataflow/runtime/stage.hpp"
#include "libdataflow/runtime/time_use.hpp"
#include "libdataflow/sources/source.hpp"
#include "serialization/envelope.hpp"
#include "serialization/result.hpp"
#include "serialization/time.hpp"

namespace dataflow {

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Timestamp& t) {
  return f(caf::meta::type_name("Timestamp"), t.micros);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SubtaskId& id) {
  return f(caf::meta::type_name("SubtaskId"), id.vertex, id.subtask);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RegionAttempt& of) {
  return f(caf::meta::type_name("RegionAttempt"), of.region, of.attempt);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Barrier& barrier) {
  return f(caf::meta::type_name("Barrier"), barrier.checkpoint_id, barrier.started, barrier.savepoint);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SnapshotTimes& x) {
  return f(caf::meta::type_name("SnapshotTimes"), x.alignment, x.synchronous, x.upload);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, TimeTotals& x) {
  return f(caf::meta::type_name("TimeTotals"), x.busy, x.back_pressured, x.idle);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Split& split) {
  return f(caf::meta::type_name("Split"), split.id, split.description);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, NodeMetrics& m) {
  return f(caf::meta::type_name("NodeMetrics"), m.node, m.records_in, m.records_out, m.watermark, m.counters,
           m.waits_for, m.newest, m.split, m.idle);
}

namespace msg {

/// An Error in a message: what travels has a default value.
struct Failure {
  ErrorCode code = ErrorCode::internal;
  std::string message;

  Failure() = default;
  Failure(const Error& error) : code{error.code()}, message{error.message()} {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] Error error() const { return {code, message}; }
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Failure& x) {
  return f(caf::meta::type_name("Failure"), x.code, x.message);
}

/// What came of a request: a JSON text, or a failure.
struct Answer {
  bool ok = false;
  std::string json;
  Failure failure;

  Answer() = default;
  Answer(Result<std::string> result) : ok{result.has_value()} {  // NOLINT(google-explicit-constructor)
    if (result) {
      json = std::move(*result);
    } else {
      failure = result.error();
    }
  }
  [[nodiscard]] Result<std::string> result() const {
    if (ok) return json;
    return fail(failure.error());
  }
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Answer& x) {
  return f(caf::meta::type_name("Answer"), x.ok, x.json, x.failure);
}

}  // namespace msg

}  // namespace dataflow
