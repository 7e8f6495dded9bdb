#include "tools/dfnode/job_text.hpp"

#include <cstdint>
#include <cstdio>
#include <iterator>

#include <nlohmann/json.hpp>

namespace dataflow::cli {

namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::uint64_t number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

const json& list_of(const json& object, const char* key) {
  static const json empty = json::array();
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : empty;
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string counted(std::uint64_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

std::string seconds_of(const json& object, const char* key) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", object.value(key, 0.0));
  return text;
}

std::string bytes_of(const json& object, const char* key) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(number_of(object, key));
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < std::size(units)) {
    size /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
  return text;
}

}  // namespace

std::string summary_of_job(const json& job) {
  std::string out = text_of(job, "name") + ": " + text_of(job, "state");
  if (const auto restarts = number_of(job, "restarts"); restarts > 0) out += ", " + counted(restarts, "restart");
  if (const auto reason = text_of(job, "waits_for"); !reason.empty()) out += ", " + reason;
  out += "\n";
  for (const json& node : list_of(job, "nodes")) {
    const std::string role = text_of(node, "role");
    if (role == "source")
      out += "  " + text_of(node, "name") + ": " + counted(number_of(node, "records_out"), "record") + " read\n";
    if (role == "sink")
      out += "  " + text_of(node, "name") + ": " + counted(number_of(node, "records_in"), "record") +
             (text_of(job, "state") == "FINISHED" ? " written\n" : " received\n");
  }
  return out;
}

std::string job_as_text(const json& job) {
  std::string out = summary_of_job(job);
  if (const auto error = text_of(job, "error"); !error.empty()) out += "error: " + error + "\n";
  for (const json& vertex : list_of(job, "vertices")) {
    out += text_of(vertex, "name") + "\n";
    for (const json& subtask : list_of(vertex, "subtasks")) {
      out += "  " + padded(std::to_string(number_of(subtask, "subtask")), 4) + padded(text_of(subtask, "state"), 13) +
             padded(text_of(subtask, "node"), 22) + "attempt " + std::to_string(number_of(subtask, "attempt"));
      for (const json& node : list_of(subtask, "nodes")) {
        out += ", " + text_of(node, "name") + " " + std::to_string(number_of(node, "records_in")) + " in " +
               std::to_string(number_of(node, "records_out")) + " out";
      }
      out += "\n";
    }
  }
  for (const json& failure : list_of(job, "failures")) {
    out += text_of(failure, "at") + " attempt " + std::to_string(number_of(failure, "attempt")) +
           " failed: " + text_of(failure, "reason") + "\n";
  }
  return out;
}

std::string jobs_as_text(const json& jobs) {
  std::string out;
  for (const json& job : jobs) {
    out += text_of(job, "id") + "  " + padded(text_of(job, "state"), 11) + padded(text_of(job, "submitted"), 29) +
           text_of(job, "name");
    if (const auto reason = text_of(job, "waits_for"); !reason.empty()) out += "  (" + reason + ")";
    out += "\n";
  }
  return out;
}

std::string nodes_as_text(const json& nodes) {
  std::string out;
  for (const json& node : nodes) {
    out += padded(text_of(node, "node"), 24) + counted(number_of(node, "slots"), "slot") + ", " +
           std::to_string(number_of(node, "used")) + " used\n";
  }
  return out;
}

std::string checkpoints_as_text(const json& checkpoints) {
  std::string out = counted(number_of(checkpoints, "completed"), "checkpoint") + " completed, " +
                    std::to_string(number_of(checkpoints, "failed")) + " failed";
  if (const auto from = number_of(checkpoints, "resumed_from"); from > 0) {
    out += "; the job went on from number " + std::to_string(from);
  }
  out += "\n";
  if (!list_of(checkpoints, "newest").empty()) {
    out += "NUMBER   STATE        SIZE        NEW         SECONDS   ALIGN     SYNC      UPLOAD    SLOWEST\n";
  }
  for (const json& one : list_of(checkpoints, "newest")) {
    std::string number = std::to_string(number_of(one, "id"));
    if (one.value("savepoint", false)) number += " s";
    out += padded(number, 9) + padded(text_of(one, "state"), 13) + padded(bytes_of(one, "bytes"), 12) +
           padded(bytes_of(one, "incremental_bytes"), 12) + padded(seconds_of(one, "seconds"), 10) +
           padded(seconds_of(one, "alignment_seconds"), 10) + padded(seconds_of(one, "synchronous_seconds"), 10) +
           padded(seconds_of(one, "upload_seconds"), 10) + text_of(one, "slowest") + "\n";
    if (const auto error = text_of(one, "error"); !error.empty()) out += "         " + error + "\n";
  }
  for (const json& one : list_of(checkpoints, "savepoints")) {
    out += "savepoint " + text_of(one, "state") + ": ";
    const auto path = text_of(one, "path");
    out += (path.empty() ? text_of(one, "target") : path);
    if (const auto error = text_of(one, "error"); !error.empty()) out += ": " + error;
    out += "\n";
  }
  return out;
}

}  // namespace dataflow::cli
