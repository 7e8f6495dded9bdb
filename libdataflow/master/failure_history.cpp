#include "libdataflow/master/failure_history.hpp"

#include <algorithm>
#include <string_view>

namespace dataflow {

namespace {

/// The same failure names another subtask, record, part file or address in each attempt; a crash's message goes on with
/// the stack, which may differ from thread to thread.
bool same_but_for_numbers(std::string_view a, std::string_view b) {
  a = a.substr(0, a.find('\n'));
  b = b.substr(0, b.find('\n'));
  const auto skip_digits = [](std::string_view text, std::size_t at) {
    const bool hex = text.substr(at, 2) == "0x";
    const std::string_view digits = hex ? "0123456789abcdef" : "0123456789";
    at = text.find_first_not_of(digits, hex ? at + 2 : at);
    return std::min(at, text.size());
  };
  for (std::size_t i = 0, j = 0;; ++i, ++j) {
    i = skip_digits(a, i);
    j = skip_digits(b, j);
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (a[i] != b[j]) return false;
  }
}

}  // namespace

void FailureHistory::add(FailureRecord record) {
  records_.push_back(std::move(record));
  if (records_.size() > max_failure_records) records_.erase(records_.begin());
}

std::string FailureHistory::hopeless(const Error& error, std::uint32_t region, bool has_run) const {
  switch (error.code()) {
    case ErrorCode::unavailable: return "";
    case ErrorCode::invalid_argument:
    case ErrorCode::malformed_data:
    case ErrorCode::arithmetic:
    case ErrorCode::unsupported:
    case ErrorCode::cancelled: return "a restart cannot help: the next attempt would meet the same";
    default: break;
  }
  if (!has_run) return "the job has never run";
  std::size_t same = 0;
  for (auto failure = records_.rbegin(); failure != records_.rend(); ++failure) {
    if (failure->of.region != region) continue;
    if (!same_but_for_numbers(failure->message, error.message())) break;
    ++same;
  }
  const bool patient = error.code() != ErrorCode::user_code && !bounded_;
  if (patient || same < max_same_failures) return "";
  return "failed " + std::to_string(same) + " times in a row in the same way";
}

}  // namespace dataflow
