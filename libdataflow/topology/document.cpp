#include "libdataflow/topology/document.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cassert>
#include <optional>
#include <sstream>

#include "libdataflow/topology/depth_scan.hpp"
#include "libdataflow/topology/text_position.hpp"

namespace dataflow {

namespace {

std::shared_ptr<const SourceText> make_source(std::string name, std::string text) {
  auto source = std::make_shared<SourceText>();
  source->name = std::move(name);
  source->text = std::move(text);
  source->line_starts.push_back(0);
  for (std::size_t i = 0; i < source->text.size(); ++i) {
    if (source->text[i] == '\n') source->line_starts.push_back(i + 1);
    source->ascii = source->ascii && static_cast<unsigned char>(source->text[i]) < 0x80;
  }
  return source;
}

/// Whether a line is the header of the table `name`: `[name]`, `[[name]]`.
bool is_header_of(std::string_view line, std::string_view name) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t["), line.size()));
  if (!line.starts_with(name)) return false;
  line.remove_prefix(name.size());
  return line.substr(std::min(line.find_first_not_of(" \t"), line.size())).starts_with(']');
}

/// 1-based, as its column_of in characters.
std::uint32_t line_of(const SourceText& source, std::size_t offset) {
  const auto next_line = std::upper_bound(source.line_starts.begin(), source.line_starts.end(), offset);
  return static_cast<std::uint32_t>(next_line - source.line_starts.begin());
}
std::uint32_t column_of(const SourceText& source, std::size_t offset) {
  const std::size_t line_start = source.line_starts[line_of(source, offset) - 1];
  const std::string_view before = std::string_view{source.text}.substr(line_start, offset - line_start);
  return 1 + static_cast<std::uint32_t>(character_count(before));
}

/// Where the characters of a line start, found without counting from its beginning each time: a line may hold a
/// million values.
class LineOffsets {
 public:
  explicit LineOffsets(std::string_view line) : line_{line} {
    std::size_t seen = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if ((static_cast<unsigned char>(line[i]) & 0xC0) == 0x80) continue;
      if (seen++ % step == 0) starts_.push_back(i);
    }
  }

  /// As byte_offset(line, index).
  [[nodiscard]] std::size_t of(std::size_t index) const {
    if (index / step >= starts_.size()) return line_.size();
    const std::size_t from = starts_[index / step];
    return from + byte_offset(line_.substr(from), index % step);
  }

 private:
  static constexpr std::size_t step = 256;

  std::string_view line_;
  std::vector<std::size_t> starts_;  ///< of each `step`th character
};

/// Turns toml++'s tree, whose tables are sorted by key, into ours.
class Converter {
 public:
  explicit Converter(std::shared_ptr<const SourceText> source) : source_{std::move(source)} {}

  TomlValue convert(const toml::node& node) {
    TomlValue value;
    value.place = place_of(node.source());
    switch (node.type()) {
      case toml::node_type::table: convert_table(*node.as_table(), value); break;
      case toml::node_type::array:
        value.kind = TomlValue::Kind::array;
        for (const toml::node& item : *node.as_array()) value.items.push_back(convert(item));
        break;
      case toml::node_type::string: convert_text(node.as_string()->get(), value); break;
      case toml::node_type::integer:
        value.kind = TomlValue::Kind::integer;
        value.integer = node.as_integer()->get();
        break;
      case toml::node_type::floating_point:
        value.kind = TomlValue::Kind::number;
        value.number = node.as_floating_point()->get();
        break;
      case toml::node_type::boolean:
        value.kind = TomlValue::Kind::boolean;
        value.boolean = node.as_boolean()->get();
        break;
      default: convert_datetime(node, value); break;
    }
    return value;
  }

 private:
  void convert_table(const toml::table& table, TomlValue& value) {
    value.kind = TomlValue::Kind::table;
    std::vector<std::pair<const toml::key*, const toml::node*>> entries;
    entries.reserve(table.size());
    for (auto it = table.cbegin(); it != table.cend(); ++it) entries.emplace_back(&it->first, &it->second);
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
      const auto& x = a.first->source().begin;
      const auto& y = b.first->source().begin;
      return std::pair{x.line, x.column} < std::pair{y.line, y.column};
    });
    for (const auto& [key, node] : entries)
      value.members.push_back({std::string{key->str()}, place_of(key->source()), convert(*node)});
  }

  void convert_text(const std::string& text, TomlValue& value) {
    value.kind = TomlValue::Kind::text;
    value.text = text;
    const FileSpan& span = value.place.span;
    value.content = source_->line_starts[span.line - 1] + offsets_of(span.line).of(span.column - 1) + 1;
    const std::string_view opening = std::string_view{source_->text}.substr(value.content - 1);
    if (!opening.starts_with("\"\"\"") && !opening.starts_with("'''")) return;
    // A line end right behind three quotes is not part of the text.
    value.content += 2;
    if (opening.substr(3).starts_with("\r\n")) value.content += 2;
    if (opening.substr(3).starts_with('\n')) value.content += 1;
  }

  void convert_datetime(const toml::node& node, TomlValue& value) const {
    value.kind = TomlValue::Kind::datetime;
    std::ostringstream text;
    if (const auto* date_time = node.as_date_time()) text << date_time->get();
    if (const auto* date = node.as_date()) text << date->get();
    if (const auto* time = node.as_time()) text << time->get();
    value.text = text.str();
  }

  SourceSpan place_of(const toml::source_region& region) const {
    FileSpan span{region.begin.line, region.begin.column, 1};
    if (region.end.line == region.begin.line && region.end.column > region.begin.column) {
      span.length = region.end.column - region.begin.column;
    } else if (region.end.line > region.begin.line) {
      const auto width = static_cast<std::uint32_t>(character_count(source_->line(region.begin.line)));
      if (width >= region.begin.column) span.length = width - region.begin.column + 1;
    }
    return {source_, span};
  }

  /// Values of one line come one behind the other.
  const LineOffsets& offsets_of(std::uint32_t line) {
    if (line != offsets_line_) {
      offsets_ = LineOffsets{source_->line(line)};
      offsets_line_ = line;
    }
    return offsets_;
  }

  std::shared_ptr<const SourceText> source_;
  LineOffsets offsets_{{}};
  std::uint32_t offsets_line_ = 0;  ///< whose they are
};

/// toml++ says "Error while parsing key-value pair: cannot redefine existing integer 'a'".
std::string toml_message(std::string_view description) {
  constexpr std::string_view prefix = "Error while parsing ";
  if (description.substr(0, prefix.size()) == prefix) description.remove_prefix(prefix.size());
  return "not valid TOML: " + std::string{description};
}

/// The mistake of a text that would become too deep a tree.
std::optional<Diagnostic> too_deep(const std::shared_ptr<const SourceText>& source) {
  const auto found = find_too_deep(source->text);
  if (!found) return std::nullopt;
  const FileSpan span{line_of(*source, found->offset), column_of(*source, found->offset), 1};
  return diagnose(Severity::error, {source, span}, found->message);
}

/// Where a mistake in the grammar is. Of some table headers toml++ says only behind their line that they cannot be:
/// "cannot redefine existing integer 'sources.r' as table".
FileSpan place_of(const toml::parse_error& error, const SourceText& source) {
  // At the end of the file toml++ counts the last line's end as a character.
  const auto line =
      std::clamp<std::uint32_t>(error.source().begin.line, 1, static_cast<std::uint32_t>(source.line_starts.size()));
  const std::string_view description = error.description();
  const std::size_t opening = std::min(description.find('\''), description.size() - 1);
  const std::size_t closing = std::max(description.rfind('\''), opening + 1);
  const std::string_view name = description.substr(opening + 1, closing - opening - 1);
  const bool of_header = description.find("table header: cannot") != std::string_view::npos;
  if (of_header && line > 1 && !is_header_of(source.line(line), name) && is_header_of(source.line(line - 1), name)) {
    const std::size_t column = source.line(line - 1).find('[') + 1;
    return {line - 1, static_cast<std::uint32_t>(column), 1};
  }
  const auto width = static_cast<std::uint32_t>(character_count(source.line(line)));
  return {line, std::clamp<std::uint32_t>(error.source().begin.column, 1, width + 1), 1};
}

tl::expected<TomlValue, Diagnostic> parse_source(const std::shared_ptr<const SourceText>& source) {
  if (auto mistake = too_deep(source)) return tl::unexpected(std::move(*mistake));
  try {
    const toml::table table = toml::parse(std::string_view{source->text}, std::string_view{source->name});
    return Converter{source}.convert(table);
  } catch (const toml::parse_error& error) {
    return tl::unexpected(
        diagnose(Severity::error, {source, place_of(error, *source)}, toml_message(error.description())));
  }
}

/// The value as a TOML string: a literal one where it can be, so that columns in errors are the value's own.
std::string quoted(std::string_view text) {
  if (text.find('\'') == std::string_view::npos) return "'" + std::string{text} + "'";
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

/// Tables written as `a.b.c = 1` are merged member by member; anything else replaces what was there.
bool merge(TomlValue& target, TomlValue&& addition) {
  for (TomlMember& member : addition.members) {
    TomlMember* old = target.find_member(member.key);
    const bool leads_on = member.value.kind == TomlValue::Kind::table && member.value.members.size() == 1 &&
                          member.value.place.span.column == member.key_place.span.column;  // not an inline table
    if (old == nullptr) {
      target.members.push_back(std::move(member));
    } else if (!leads_on) {
      old->value = std::move(member.value);
      old->key_place = member.key_place;
    } else if (old->value.kind != TomlValue::Kind::table || !merge(old->value, std::move(member.value))) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string_view SourceText::line(std::uint32_t number) const {
  if (number == 0 || number > line_starts.size()) return {};
  const std::size_t from = line_starts[number - 1];
  const std::size_t to = number < line_starts.size() ? line_starts[number] - 1 : text.size();
  std::string_view line = std::string_view{text}.substr(from, to - from);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

const TomlMember* TomlValue::find_member(std::string_view key) const {
  for (const TomlMember& member : members)
    if (member.key == key) return &member;
  return nullptr;
}

TomlMember* TomlValue::find_member(std::string_view key) {
  return const_cast<TomlMember*>(std::as_const(*this).find_member(key));
}

const TomlValue* TomlValue::find(std::string_view key) const {
  const TomlMember* member = find_member(key);
  return member ? &member->value : nullptr;
}

std::string_view describe(TomlValue::Kind kind) {
  switch (kind) {
    case TomlValue::Kind::table: return "a table";
    case TomlValue::Kind::array: return "an array";
    case TomlValue::Kind::text: return "a text";
    case TomlValue::Kind::integer: return "an integer";
    case TomlValue::Kind::number: return "a number";
    case TomlValue::Kind::boolean: return "true or false";
    case TomlValue::Kind::datetime: return "a date or time";
  }
  return "";
}

namespace {

/// Walks through a text value and its source side by side, as long as they are the same.
class TextWalk {
 public:
  explicit TextWalk(const TomlValue& value)
      : text_{value.text},
        source_{value.place.text->text},
        escapes_{source_[value.content - 1] == '"'},
        substituted_{value.substituted},
        at_{value.content} {}

  /// Goes to `offset` of the text; false when the two part before there.
  bool go_to(std::size_t offset) {
    while (offset_ < offset && step()) {
    }
    return offset_ == offset;
  }
  /// As go_to, but not beyond the end of the line.
  bool go_on_line_to(std::size_t offset) {
    while (offset_ < offset && !at_line_end() && step()) {
    }
    return offset_ == offset || at_line_end();
  }
  [[nodiscard]] std::size_t source_at() const { return at_; }

 private:
  [[nodiscard]] bool at_line_end() const {
    const std::string_view rest = source_.substr(at_);
    return rest.starts_with('\n') || rest.starts_with("\r\n");
  }

  bool step() {
    if (offset_ >= text_.size() || at_ >= source_.size()) return false;
    // A line end of Windows is one of Unix in the text.
    const std::size_t returned = source_.substr(at_).starts_with("\r\n") && text_[offset_] == '\n' ? 1 : 0;
    const char c = source_[at_ + returned];
    if (c != text_[offset_] || (escapes_ && c == '\\') || (substituted_ && c == '$')) return false;
    at_ += returned + 1;
    ++offset_;
    return true;
  }

  std::string_view text_;
  std::string_view source_;
  bool escapes_;
  bool substituted_;
  std::size_t offset_ = 0;  ///< in the text
  std::size_t at_;          ///< in the source
};

}  // namespace

SourceSpan place_within(const TomlValue& value, std::size_t offset, std::size_t length) {
  if (value.kind != TomlValue::Kind::text || !value.place.text || value.content == 0) return value.place;
  if (offset > value.text.size()) return value.place;
  TextWalk walk{value};
  if (!walk.go_to(offset)) return value.place;
  const std::size_t from = walk.source_at();
  const bool whole = walk.go_on_line_to(std::min(offset + length, value.text.size()));
  // An escape is none of the text's bytes; and of a text as a whole not only the part before one is meant.
  if (!whole && (offset == 0 || walk.source_at() == from)) return value.place;

  const SourceText& source = *value.place.text;
  const std::string_view piece = std::string_view{source.text}.substr(from, walk.source_at() - from);
  SourceSpan place = value.place;
  place.span.line = line_of(source, from);
  place.span.column = column_of(source, from);
  place.span.length = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(character_count(piece)));
  return place;
}

namespace {

/// The line of a place for its diagnostic. A file may be one line, and have a mistake in each of ten thousand rows: of
/// a long line each takes only what can be shown.
void keep_line(const SourceSpan& place, Diagnostic& diagnostic) {
  constexpr std::uint32_t before = 200;
  constexpr std::uint32_t kept = 1'000;
  const std::string_view line = place.text->line(place.span.line);
  const std::uint32_t first = line.size() > kept && place.span.column > before ? place.span.column - before : 1;
  const auto offset_of = [&](std::string_view text, std::size_t character) {
    return place.text->ascii ? std::min(character, text.size()) : byte_offset(text, character);
  };
  const std::string_view rest = line.substr(offset_of(line, first - 1));
  diagnostic.source_line = std::string{rest.substr(0, offset_of(rest, kept))};
  diagnostic.source_column = first;
}

}  // namespace

Diagnostic diagnose(Severity severity, const SourceSpan& place, std::string message, std::string suggestion) {
  Diagnostic diagnostic{severity, std::move(message), {}, place.span, {}, std::move(suggestion)};
  if (place.text) {
    diagnostic.file = place.text->name;
    keep_line(place, diagnostic);
  }
  return diagnostic;
}

tl::expected<TomlValue, Diagnostic> parse_toml(std::string name, std::string text) {
  return parse_source(make_source(std::move(name), std::move(text)));
}

tl::expected<void, Diagnostic> apply_override(TomlValue& root, std::string_view key_and_value) {
  const auto refuse = [&](std::string message) {
    const SourceSpan place{make_source("--set", std::string{key_and_value}), {1, 1, 1}};
    return tl::unexpected(diagnose(Severity::error, place, std::move(message)));
  };
  const std::size_t equals = key_and_value.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return refuse("write --set KEY=VALUE, for example --set operators.hot.where=\"temperature > 30\"");
  if (key_and_value.find('\n') != std::string_view::npos) return refuse("a --set is one line");
  if (auto mistake = too_deep(make_source("--set", std::string{key_and_value.substr(0, equals)})))
    return tl::unexpected(std::move(*mistake));

  auto parsed = parse_toml("--set", std::string{key_and_value});
  if (!parsed) {
    const std::string key{key_and_value.substr(0, equals)};
    parsed = parse_toml("--set", key + "=" + quoted(key_and_value.substr(equals + 1)));
  }
  if (!parsed || parsed->members.size() != 1)
    return refuse("\"" + std::string{key_and_value.substr(0, equals)} + "\" is no key such as operators.hot.where");
  const SourceSpan place = parsed->members.front().key_place;
  if (!merge(root, std::move(*parsed))) {
    return tl::unexpected(diagnose(Severity::error, place, "this key leads through a value that is no table"));
  }
  return {};
}

}  // namespace dataflow
