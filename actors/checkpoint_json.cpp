#include "actors/checkpoint_json.hpp"

#include <chrono>

#include <nlohmann/json.hpp>

namespace dataflow {

namespace {

using nlohmann::ordered_json;

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

ordered_json record_json(const CheckpointRecord& record, const Secrets& secrets) {
  ordered_json json{{"id", record.id},
                    {"state", to_string(record.state)},
                    {"started", to_iso8601(record.started)},
                    {"bytes", record.bytes},
                    {"incremental_bytes", record.written},
                    {"seconds", seconds(record.duration)},
                    {"alignment_seconds", seconds(record.longest.alignment)},
                    {"synchronous_seconds", seconds(record.longest.synchronous)},
                    {"upload_seconds", seconds(record.longest.upload)}};
  if (record.savepoint) json["savepoint"] = true;
  if (!record.slowest.empty()) json["slowest"] = record.slowest;
  if (record.state != CheckpointRecord::State::completed) json["subtasks_missing"] = record.missing;
  if (!record.failure.empty()) json["error"] = secrets.redact(record.failure);
  return json;
}

ordered_json savepoint_json(const SavepointRecord& record, const Secrets& secrets) {
  ordered_json json{{"request", record.request}, {"state", to_string(record.state)}, {"target", record.target}};
  if (record.id != 0) json["id"] = record.id;
  if (!record.location.empty()) json["path"] = record.location;
  if (!record.failure.empty()) json["error"] = secrets.redact(record.failure);
  return json;
}

}  // namespace

std::string checkpoints_as_json(const CheckpointStatus& status, const Secrets& secrets) {
  ordered_json json{{"completed", status.completed}, {"failed", status.failed}};
  if (status.resumed_from != 0) json["resumed_from"] = status.resumed_from;
  ordered_json& newest = json["newest"] = ordered_json::array();
  for (const CheckpointRecord& record : status.records) newest.push_back(record_json(record, secrets));
  ordered_json& savepoints = json["savepoints"] = ordered_json::array();
  for (const SavepointRecord& record : status.savepoints) savepoints.push_back(savepoint_json(record, secrets));
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace dataflow
