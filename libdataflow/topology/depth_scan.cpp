#include "libdataflow/topology/depth_scan.hpp"

#include <algorithm>
#include <vector>

namespace dataflow {

namespace {

/// Nobody writes keys of so many parts, or values so deep. Whatever walks through a tree calls itself for each level,
/// toml++ too, and the stack has to be enough for it.
constexpr std::size_t most_key_parts = 64;
constexpr std::size_t most_levels = 256;

/// Knows of TOML only what it needs: which dots part a key, and which brackets are open.
class DepthScan {
 public:
  explicit DepthScan(std::string_view text) : text_{text} {}

  std::optional<TooDeep> find() {
    while (at_ < text_.size()) {
      const std::size_t here = at_;
      step();
      if (key_parts_ > most_key_parts) {
        return TooDeep{here, "a key of more than " + std::to_string(most_key_parts) + " parts"};
      }
      if (levels_ > most_levels) {
        return TooDeep{here, "values nested in more than " + std::to_string(most_levels) + " levels"};
      }
    }
    return std::nullopt;
  }

 private:
  void step() {
    switch (text_[at_]) {
      case '"':
      case '\'': skip_text(text_[at_]); return;
      case '#': at_ = std::min(text_.find('\n', at_), text_.size()); return;
      case '.': ++key_parts_; break;
      case '[':
      case '{':
        opened_.push_back(key_parts_);
        levels_ += key_parts_;
        begin_key();
        break;
      case ']':
      case '}':
        if (!opened_.empty()) {
          levels_ -= opened_.back();
          opened_.pop_back();
        }
        begin_key();
        break;
      case ',':
      case '\n': begin_key(); break;
      default: break;
    }
    ++at_;
  }

  void begin_key() { key_parts_ = 1; }

  void skip_text(char quote) {
    const bool escapes = quote == '"';
    const std::string three(3, quote);
    const bool several_lines = text_.substr(at_).starts_with(three);
    at_ += several_lines ? 3 : 1;
    while (at_ < text_.size()) {
      if (escapes && text_[at_] == '\\') {
        at_ += 2;
      } else if (several_lines && text_.substr(at_).starts_with(three)) {
        at_ += 3;
        // Up to two more are the text's last characters.
        for (int more = 0; more < 2 && at_ < text_.size() && text_[at_] == quote; ++more) ++at_;
        return;
      } else if (!several_lines && (text_[at_] == quote || text_[at_] == '\n')) {
        at_ += text_[at_] == quote;
        return;
      } else {
        ++at_;
      }
    }
    at_ = std::min(at_, text_.size());
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t key_parts_ = 1;        ///< of the key at hand
  std::vector<std::size_t> opened_;  ///< levels that each open bracket is deep, its key's parts included
  std::size_t levels_ = 0;           ///< their sum
};

}  // namespace

std::optional<TooDeep> find_too_deep(std::string_view toml) {
  return DepthScan{toml}.find();
}

}  // namespace dataflow
