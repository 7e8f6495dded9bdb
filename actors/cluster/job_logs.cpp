#include "actors/cluster/job_logs.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <functional>
#include <sstream>
#include <vector>

namespace dataflow {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t max_bytes_of_file = 256 * 1024;

std::string read_end(const fs::path& file) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(file, error);
  std::ifstream in{file, std::ios::binary};
  if (error || !in) return {};
  std::string text;
  if (size > max_bytes_of_file) {
    in.seekg(static_cast<std::streamoff>(size - max_bytes_of_file));
    std::getline(in, text);  // the rest of a line
    text.clear();
  }
  std::ostringstream rest;
  rest << in.rdbuf();
  text = std::move(rest).str();
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

/// Lines of ours begin with a date.
bool has_time(const std::string& line) {
  return line.size() > 10 && line[4] == '-' && line[7] == '-' && line[10] == 'T';
}

}  // namespace

fs::path job_log_file(const fs::path& folder, const std::string& job_id, const std::string& name) {
  return folder / (job_id + "-" + name + ".log");
}

std::string read_job_logs(const fs::path& folder, const std::string& job_id) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{folder, error}) {
    if (entry.path().filename().string().starts_with(job_id + "-")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string text;
  for (const fs::path& file : files) text += read_end(file);
  return text;
}

std::string sort_log_lines(const std::string& lines) {
  std::vector<std::string> entries;
  std::istringstream in{lines};
  for (std::string line; std::getline(in, line);) {
    if (has_time(line) || entries.empty()) {
      entries.push_back(line + "\n");
    } else {
      entries.back() += line + "\n";
    }
  }
  constexpr std::size_t time_digits = 23;  // 2026-11-24T18:19:33.750
  std::stable_sort(entries.begin(), entries.end(), [](const std::string& a, const std::string& b) {
    return a.compare(0, time_digits, b, 0, time_digits) < 0;
  });
  std::string sorted;
  for (const std::string& entry : entries) sorted += entry;
  return sorted;
}

void prune_job_logs(const fs::path& folder, const std::set<std::string>& live_jobs) {
  std::vector<std::pair<fs::file_time_type, fs::path>> logs;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{folder, error})
    logs.emplace_back(entry.last_write_time(error), entry);
  if (logs.size() <= max_job_logs) return;
  std::sort(logs.begin(), logs.end(), std::greater<>{});
  for (const std::string& job : live_jobs) {
    const auto newest = std::find_if(logs.begin(), logs.end(), [start = job + "-"](const auto& log) {
      return log.second.filename().string().starts_with(start);
    });
    if (newest != logs.end()) logs.erase(newest);
  }
  for (std::size_t i = max_job_logs; i < logs.size(); ++i) fs::remove(logs[i].second, error);
}

}  // namespace dataflow
