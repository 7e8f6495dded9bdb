#include "tools/dfnode/job_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tools/dfnode/padded.hpp"

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

std::string counted(std::uint64_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

std::string share_of(const json& object, const char* key) {
  const auto found = object.find(key);
  const double share = found != object.end() && found->is_number() ? found->get<double>() : 0;
  return std::to_string(std::lround(share * 100)) + "%";
}

using Line = std::vector<std::string>;

/// Columns as wide as their widest cell, the last one as it is.
std::string table(const std::vector<Line>& lines) {
  std::vector<std::size_t> widths(lines.front().size());
  for (const Line& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size() + 2);
  }
  std::string out;
  for (const Line& line : lines) {
    std::string text = "  ";
    for (std::size_t i = 0; i < line.size(); ++i) text += padded(line[i], widths[i]);
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

std::string input_as_text(const json& input) {
  std::string keys;
  for (const json& key : list_of(input, "keys")) keys += (keys.empty() ? "" : ", ") + key.get<std::string>();
  return "  from " + text_of(input, "from") + " of \"" + text_of(input, "vertex") +
         "\": " + text_of(input, "partitioning") + (keys.empty() ? "" : " by " + keys) + "\n";
}

std::string vertex_as_text(const json& vertex) {
  std::vector<Line> lines{{"subtask", "state", "since", "node", "slot", "attempt", "records in", "records out",
                           "watermark", "busy", "idle", "back-pressured"}};
  for (const json& subtask : list_of(vertex, "subtasks")) {
    lines.push_back({std::to_string(number_of(subtask, "subtask")), text_of(subtask, "state"),
                     text_of(subtask, "since"), text_of(subtask, "node"),
                     subtask.contains("slot") ? std::to_string(number_of(subtask, "slot")) : "",
                     std::to_string(number_of(subtask, "attempt")), std::to_string(number_of(subtask, "records_in")),
                     std::to_string(number_of(subtask, "records_out")), text_of(subtask, "watermark"),
                     share_of(subtask, "busy"), share_of(subtask, "idle"), share_of(subtask, "back_pressured")});
  }
  std::string out =
      text_of(vertex, "name") + ", parallelism " + std::to_string(number_of(vertex, "parallelism")) + "\n";
  for (const json& input : list_of(vertex, "inputs")) out += input_as_text(input);
  return out + table(lines);
}

std::string failure_as_text(const json& failure) {
  std::string out = "  " + text_of(failure, "at");
  if (failure.contains("attempt")) out += "  attempt " + std::to_string(number_of(failure, "attempt"));
  if (failure.contains("master")) out += "  master " + std::to_string(number_of(failure, "master"));
  if (const auto node = text_of(failure, "node"); !node.empty()) out += ", " + node;
  out += ": " + text_of(failure, "reason") + "\n";
  for (const json& frame : list_of(failure, "backtrace")) out += "      " + frame.get<std::string>() + "\n";
  return out;
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
  for (const json& vertex : list_of(job, "vertices")) out += vertex_as_text(vertex);
  const json& failures = list_of(job, "failures");
  if (!failures.empty()) out += "failures, the newest last\n";
  for (const json& failure : failures) out += failure_as_text(failure);
  return out;
}

namespace {

std::string waiting_as_text(const json& waiting) {
  std::string out = text_of(waiting, "name") + " waits for " + text_of(waiting, "waits_for") + "; its time ";
  const std::string watermark = text_of(waiting, "watermark");
  out += watermark.empty() ? "has not begun\n" : "is " + watermark + ", " + text_of(waiting, "behind") + " behind\n";
  const json& by = waiting.at("held_by");
  const std::string holder = text_of(by, by.contains("source") ? "source" : "operator");
  out += "  held back by ";
  if (const auto input = text_of(by, "input"); !input.empty()) {
    out += "its input " + (input == holder ? "" : input + ", which comes from ");
  }
  out += holder + ", subtask " + std::to_string(number_of(by, "subtask"));
  if (const auto split = text_of(by, "split"); !split.empty()) out += ", in " + split;
  if (const auto newest = text_of(by, "newest"); !newest.empty()) {
    out += ": its newest record is of " + newest + ", out_of_orderness is " + text_of(by, "out_of_orderness");
  }
  return out + "\n  " + text_of(waiting, "advice") + "\n";
}

/// What became of records that a node did not hand on.
std::string rest_as_text(const json& node) {
  constexpr std::pair<const char*, const char*> named[] = {{"filtered", "did not meet the condition"},
                                                           {"having", "did not meet having"},
                                                           {"late", "came too late"},
                                                           {"without_key", "had no key"},
                                                           {"without_match", "had no match"},
                                                           {"errors", "could not be computed"},
                                                           {"duplicates", "were there already"},
                                                           {"forgotten", "forgotten keys"},
                                                           {"unmatched", "took back what nobody has"},
                                                           {"unknown_retractions", "took back what is not there"},
                                                           {"timeouts", "had no answer in time"}};
  std::string out;
  for (const auto& [name, meaning] : named) {
    const std::uint64_t count = number_of(node, name);
    if (count != 0) out += (out.empty() ? "" : ", ") + std::to_string(count) + " " + meaning;
  }
  const bool takes = text_of(node, "role") == "operator";
  if (takes && number_of(node, "records_in") != 0 && number_of(node, "records_out") == 0) {
    out += out.empty() ? "gives nothing" : ": gives nothing";
  }
  return out;
}

}  // namespace

std::string why_as_text(const json& job) {
  std::string out = summary_of_job(job);
  out.resize(out.find('\n') + 1);
  if (const auto error = text_of(job, "error"); !error.empty()) out += "error: " + error + "\n";
  for (const json& waiting : list_of(job, "waiting")) out += waiting_as_text(waiting);
  if (list_of(job, "waiting").empty() && text_of(job, "state") == "RUNNING") out += "nothing waits for event time\n";
  std::vector<Line> lines{{"node", "records in", "records out", "of these"}};
  for (const json& node : list_of(job, "nodes")) {
    const std::string role = text_of(node, "role");
    lines.push_back({text_of(node, "name"), role == "source" ? "" : std::to_string(number_of(node, "records_in")),
                     role == "sink" ? "" : std::to_string(number_of(node, "records_out")), rest_as_text(node)});
  }
  return out + table(lines);
}

/// Of an id, and two blanks.
constexpr std::size_t id_width = 18;

std::string jobs_as_text(const json& jobs) {
  std::string out = padded("JOB", id_width) + padded("STATE", 11) + padded("SUBMITTED", 29) + "NAME\n";
  for (const json& job : jobs) {
    out += padded(text_of(job, "id"), id_width) + padded(text_of(job, "state"), 11) +
           padded(text_of(job, "submitted"), 29) + text_of(job, "name");
    if (const auto reason = text_of(job, "waits_for"); !reason.empty()) out += "  (" + reason + ")";
    if (const auto error = text_of(job, "error"); !error.empty())
      out += "  (" + error.substr(0, error.find('\n')) + ")";
    out += "\n";
  }
  return out;
}

std::string nodes_as_text(const json& nodes) {
  std::string out = padded("NODE", 24) + padded("SLOTS", 7) + padded("USED", 6) + "HEARD\n";
  for (const json& node : nodes) {
    out += padded(text_of(node, "node"), 24) + padded(std::to_string(number_of(node, "slots")), 7) +
           padded(std::to_string(number_of(node, "used")), 6) + (node.value("silent", false) ? "silent" : "yes") + "\n";
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
