#include "tools/dfnode/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "actors/checkpoint_json.hpp"
#include "tools/dfnode/log.hpp"

namespace dataflow::cli {

namespace {

constexpr std::chrono::milliseconds redraw_interval{250};
constexpr std::chrono::seconds log_interval{10};

std::uint64_t counter(const NodeMetrics& metrics, const std::string& name) {
  const auto found = metrics.counters.find(name);
  return found == metrics.counters.end() ? 0 : found->second;
}

/// `1234567` as `1 234 567`.
std::string grouped(std::uint64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, " ");
  return digits;
}

/// `1 error`, `2 errors`.
std::string counted(std::uint64_t n, const std::string& noun, const std::string& behind = "") {
  return grouped(n) + " " + noun + (n == 1 ? "" : "s") + behind;
}

/// Records that a source has read, those that did not decode included: only side_output sends them on.
std::uint64_t records_read(const StreamNode& source, const NodeMetrics& metrics) {
  const bool sent_on = source.source->on_error == ErrorPolicy::side_output;
  return metrics.records_out + (sent_on ? 0 : counter(metrics, "errors"));
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, seconds < 10 ? "%.2f s" : "%.1f s", seconds);
  return text;
}

/// What fits into a line of the terminal: a longer one would leave its start behind when it is drawn again.
std::string fitting(std::string line) {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && line.size() >= size.ws_col)
    line.resize(size.ws_col - 1U);
  return line;
}

std::string status_line(const JobTotals& now, double rate, double seconds, const JobStatus& status) {
  std::string line{to_string(status.state)};
  line += "  " + counted(now.read, "record", " read, ") + grouped(static_cast<std::uint64_t>(rate)) + "/s, " +
          grouped(now.written) + " written";
  if (now.watermark != Timestamp::max() && now.watermark != Timestamp::min())
    line += ", watermark " + to_iso8601(now.watermark);
  if (now.late > 0) line += ", " + grouped(now.late) + " late";
  if (now.errors > 0) line += ", " + counted(now.errors, "error");
  if (status.restarts > 0) line += ", " + counted(status.restarts, "restart");
  return line + ", " + seconds_text(seconds);
}

void append_node(const StreamNode& node, const NodeMetrics& metrics, std::string& out) {
  out += "{\"name\":";
  append_json_string(node.name, out);
  out += ",\"records_in\":" + std::to_string(metrics.records_in);
  out += ",\"records_out\":" + std::to_string(metrics.records_out);
  for (const auto& [name, value] : metrics.counters) {
    out += ",";
    append_json_string(name, out);
    out += ":" + std::to_string(value);
  }
  out += "}";
}

}  // namespace

JobTotals totals(const JobGraph& graph, const JobStatus& status) {
  JobTotals sums;
  for (const StreamNode& node : graph.stream->nodes) {
    const auto found = status.nodes.find(node.name);
    if (found == status.nodes.end()) continue;
    const NodeMetrics& metrics = found->second;
    if (node.is_source()) sums.read += records_read(node, metrics);
    if (node.is_sink()) {
      sums.written += metrics.records_in;
      sums.watermark = std::min(sums.watermark, metrics.watermark);
    }
    sums.late += counter(metrics, "late");
    sums.errors += counter(metrics, "errors");
  }
  return sums;
}

Progress::Progress(const JobGraph& graph, Clock::time_point started)
    : graph_{graph}, started_{started}, shown_at_{started}, terminal_{isatty(STDERR_FILENO) == 1} {}

std::chrono::milliseconds Progress::interval() const {
  return terminal_ ? redraw_interval : std::chrono::milliseconds{log_interval};
}

void Progress::show(const JobStatus& status) {
  const Clock::time_point now = Clock::now();
  const double since_shown = std::chrono::duration<double>(now - shown_at_).count();
  if (now - shown_at_ < interval()) return;
  const JobTotals sums = totals(graph_, status);
  const double rate = static_cast<double>(sums.read - std::min(read_before_, sums.read)) / since_shown;
  const std::string line = status_line(sums, rate, std::chrono::duration<double>(now - started_).count(), status);
  if (terminal_) {
    std::cerr << "\r\033[K" << fitting(line) << std::flush;
    drawn_ = true;
  } else {
    log_info(graph_.stream->name + ": " + line);
  }
  read_before_ = sums.read;
  shown_at_ = now;
}

void Progress::show_failures(const JobStatus& status, const Secrets& secrets) {
  for (; failures_shown_ < status.failures.size(); ++failures_shown_) {
    clear();
    const FailureRecord& failure = status.failures[failures_shown_];
    log_warning(graph_.stream->name + ": attempt " + std::to_string(failure.of.attempt + 1) +
                " failed: " + secrets.redact(failure.message));
  }
  for (const CheckpointRecord& record : status.checkpoints.records) {
    if (record.id <= last_checkpoint_seen_ || record.state == CheckpointRecord::State::in_progress) continue;
    last_checkpoint_seen_ = record.id;
    if (record.failure == last_checkpoint_failure_) continue;
    last_checkpoint_failure_ = record.failure;
    if (record.failure.empty()) continue;
    clear();
    log_warning(graph_.stream->name + ": checkpoint " + std::to_string(record.id) +
                " failed: " + secrets.redact(record.failure));
  }
}

void Progress::clear() {
  if (drawn_) std::cerr << "\r\033[K" << std::flush;
  drawn_ = false;
}

std::string summary_as_text(const JobGraph& graph, const JobStatus& status, double seconds) {
  std::string out =
      graph.stream->name + ": " + std::string{to_string(status.state)} + " after " + seconds_text(seconds);
  if (status.restarts > 0) out += ", " + counted(status.restarts, "restart");
  if (status.checkpoints.resumed_from != 0) {
    out += ", went on from checkpoint " + std::to_string(status.checkpoints.resumed_from);
  }
  out += "\n";
  // A sink may have made nothing visible of what it got.
  const std::string received = status.state == JobState::finished ? " written" : " received";
  for (const StreamNode& node : graph.stream->nodes) {
    const auto found = status.nodes.find(node.name);
    const NodeMetrics metrics = found == status.nodes.end() ? NodeMetrics{} : found->second;
    if (node.is_source()) out += "  " + node.name + ": " + counted(records_read(node, metrics), "record", " read");
    if (node.is_sink()) out += "  " + node.name + ": " + counted(metrics.records_in, "record", received);
    std::string notes;
    for (const auto& [name, value] : metrics.counters)
      if (value > 0)
        notes +=
            (notes.empty() ? "" : ", ") + (name == "errors" ? counted(value, "error") : grouped(value) + " " + name);
    const bool ends_of_job = node.is_source() || node.is_sink();
    if (ends_of_job) out += (notes.empty() ? "" : ", ") + notes + "\n";
    if (!ends_of_job && !notes.empty()) out += "  " + node.name + ": " + notes + "\n";
  }
  return out;
}

std::string summary_as_json(const JobGraph& graph, const JobStatus& status, double seconds, const Secrets& secrets) {
  const JobTotals sums = totals(graph, status);
  std::string out = "{\"job\":";
  append_json_string(graph.stream->name, out);
  out += ",\"state\":";
  append_json_string(to_string(status.state), out);
  out += ",\"seconds\":";
  append_json_double(seconds, out);
  out += ",\"restarts\":" + std::to_string(status.restarts);
  out += ",\"records_read\":" + std::to_string(sums.read) + ",\"records_written\":" + std::to_string(sums.written) +
         ",\"late\":" + std::to_string(sums.late) + ",\"errors\":" + std::to_string(sums.errors);
  if (status.error) {
    out += ",\"error\":";
    append_json_string(status.error->message(), out);
  }
  if (graph.stream->settings.checkpoint) {
    out += ",\"checkpoints\":" + checkpoints_as_json(status.checkpoints, secrets);
  }
  out += ",\"nodes\":[";
  bool first = true;
  for (const StreamNode& node : graph.stream->nodes) {
    const auto found = status.nodes.find(node.name);
    if (found == status.nodes.end()) continue;
    if (!first) out += ",";
    first = false;
    append_node(node, found->second, out);
  }
  return out + "]}";
}

}  // namespace dataflow::cli
