#include "actors/exchange/refusal_log.hpp"

#include <spdlog/spdlog.h>

namespace dataflow {

namespace {

constexpr auto quiet_time = std::chrono::minutes{1};
/// Beyond this many different refusals within a minute they are not told apart any more.
constexpr std::size_t most_entries = 256;

}  // namespace

bool RefusalLog::is_due(const std::string& host, const std::string& reason, Clock::time_point now,
                        std::uint64_t& kept_back) {
  const std::lock_guard lock{mutex_};
  std::erase_if(entries_,
                [&](const auto& e) { return e.second.kept_back == 0 && now - e.second.logged >= quiet_time; });
  const std::string key = entries_.size() < most_entries ? host + " " + reason : "";
  const auto [at, is_new] = entries_.try_emplace(key);
  Entry& entry = at->second;
  if (!is_new && now - entry.logged < quiet_time) {
    ++entry.kept_back;
    return false;
  }
  kept_back = entry.kept_back;
  entry = {now, 0};
  return true;
}

void RefusalLog::refused(const std::string& address, const std::string& reason) {
  const std::string host = address.substr(0, address.rfind(':'));
  std::uint64_t kept_back = 0;
  if (!is_due(host, reason, Clock::now(), kept_back)) return;
  spdlog::warn("{}: refused a connection from {}: {}{}", who_, address, reason,
               kept_back == 0 ? "" : " (" + std::to_string(kept_back) + " more times since the last line)");
}

}  // namespace dataflow
