#pragma once
// The hand-written baseline of the Nexmark query that writes files (10): bids as CSV, a folder for each minute.

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "tests/bench/loops_nexmark.hpp"

namespace dataflow::loops {

/// Digits of `number`, at least so many.
inline void append_number(std::string& out, std::int64_t number, std::size_t digits = 1) {
  char text[20];
  const auto end = std::to_chars(std::begin(text), std::end(text), number).ptr;
  const auto length = static_cast<std::size_t>(end - std::begin(text));
  if (length < digits) out.append(digits - length, '0');
  out.append(std::begin(text), length);
}

/// The calendar day so many days after 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
inline void append_day(std::string& out, std::int64_t days) {
  const std::int64_t from_march = days + 719'468;
  const std::int64_t era = from_march / 146'097;
  const std::int64_t of_era = from_march % 146'097;
  const std::int64_t year = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t month = (5 * of_year + 2) / 153;
  append_number(out, year + era * 400 + (month >= 10 ? 1 : 0), 4);
  out += '-';
  append_number(out, month < 10 ? month + 3 : month - 9, 2);
  out += '-';
  append_number(out, of_year - (153 * month + 2) / 5 + 1, 2);
}

class Q10 {
 public:
  explicit Q10(std::filesystem::path folder) : folder_{std::move(folder)} {}

  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const std::int64_t minute = bids.time[i] / minute_us;
      if (minute != minute_) change_to(minute);
      write(bids, i);
    }
    rows_ += bids.rows;
  }
  void finish() {
    for (auto& [minute, file] : files_) file.flush();
  }
  [[nodiscard]] std::uint64_t rows() const { return rows_; }

 private:
  static constexpr std::int64_t minute_us = 60'000'000;
  static constexpr std::size_t flush_bytes = 64 * 1024;

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct File {
    std::unique_ptr<std::FILE, Close> handle;
    std::string buffer;
    std::string behind;  ///< each line's end: the day and the minute
    void flush() {
      if (std::fwrite(buffer.data(), 1, buffer.size(), handle.get()) != buffer.size()) std::abort();
      buffer.clear();
    }
  };

  void change_to(std::int64_t minute) {
    minute_ = minute;
    file_ = &files_[minute];
    if (file_->handle) return;
    std::string day;
    append_day(day, minute / 1440);
    std::string hour;
    append_number(hour, minute / 60 % 24, 2);
    hour += ':';
    append_number(hour, minute % 60, 2);
    const std::filesystem::path folder = folder_ / ("dt=" + day) / ("hm=" + hour);
    std::filesystem::create_directories(folder);
    file_->handle.reset(std::fopen((folder / "part-0.csv").c_str(), "w"));
    if (!file_->handle) std::abort();
    file_->buffer = "auction,bidder,price,date_time,extra,dt,hm\n";
    file_->behind = "," + day + "," + hour + "\n";
  }

  void write(const Bids& bids, std::size_t i) {
    std::string& out = file_->buffer;
    append_number(out, bids.auction[i]);
    out += ',';
    append_number(out, bids.bidder[i]);
    out += ',';
    append_number(out, bids.price[i]);
    out += ',';
    append_time(out, bids.time[i]);
    out += ',';
    append_text(out, bids.extra[i]);
    out += file_->behind;
    if (out.size() >= flush_bytes) file_->flush();
  }

  /// ISO 8601, milliseconds only where there are some, as the bids have no finer times.
  static void append_time(std::string& out, std::int64_t us) {
    append_day(out, us / (1440 * minute_us));
    out += 'T';
    append_number(out, us / (60 * minute_us) % 24, 2);
    out += ':';
    append_number(out, us / minute_us % 60, 2);
    out += ':';
    append_number(out, us / 1'000'000 % 60, 2);
    if (const std::int64_t ms = us / 1000 % 1000; ms != 0) {
      out += '.';
      append_number(out, ms, 3);
    }
    out += 'Z';
  }

  static void append_text(std::string& out, std::string_view text) {
    if (text.find_first_of(",\"\n\r") == std::string_view::npos) {
      out += text;
      return;
    }
    out += '"';
    for (const char c : text) {
      if (c == '"') out += '"';
      out += c;
    }
    out += '"';
  }

  std::filesystem::path folder_;
  std::map<std::int64_t, File> files_;
  std::int64_t minute_ = -1;
  File* file_ = nullptr;
  std::uint64_t rows_ = 0;
};

}  // namespace dataflow::loops
