#pragma once
// A log line for who is turned away, and not one for each try: a scanner or a misconfigured node that tries again every
// second must not fill the log.

#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace dataflow {

/// Safe to use from any thread.
class RefusalLog {
 public:
  using Clock = std::chrono::steady_clock;

  /// `who` turns them away: "exchange".
  explicit RefusalLog(std::string who) : who_{std::move(who)} {}

  /// Logs a warning unless one for the same host and reason was logged within the last minute.
  void refused(const std::string& address, const std::string& reason);
  /// Whether it would be logged at `now`; what was kept back since is counted in `kept_back`.
  bool is_due(const std::string& host, const std::string& reason, Clock::time_point now, std::uint64_t& kept_back);

 private:
  struct Entry {
    Clock::time_point logged;
    std::uint64_t kept_back = 0;
  };
  const std::string who_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace dataflow
