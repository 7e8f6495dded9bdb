#include "serialization/data_type.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <numeric>

namespace dataflow {
namespace {

/// Position is the kind's number.
constexpr std::string_view kind_names[] = {"bool",  "int32",     "int64", "float64", "decimal", "string",
                                           "bytes", "timestamp", "array", "map",     "row"};

/// A recursion that text drives must end; as deep as schema_codec.cpp reads.
constexpr int deepest_nesting = 16;

/// Levenshtein's distance; type names are short, so a row of the table suffices.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

/// What people of other systems write, for the hint only.
std::string_view nearest_type(std::string_view word) {
  constexpr std::pair<std::string_view, std::string_view> familiar[] = {
      {"boolean", "bool"},    {"int", "int64"},     {"integer", "int32"},      {"bigint", "int64"},
      {"long", "int64"},      {"float", "float64"}, {"double", "float64"},     {"real", "float64"},
      {"numeric", "decimal"}, {"text", "string"},   {"varchar", "string"},     {"char", "string"},
      {"binary", "bytes"},    {"blob", "bytes"},    {"datetime", "timestamp"}, {"date", "timestamp"},
      {"list", "array"},      {"struct", "row"},
  };
  for (const auto& [theirs, ours] : familiar)
    if (theirs == word) return ours;
  return *std::min_element(std::begin(kind_names), std::end(kind_names),
                           [&](auto a, auto b) { return edit_distance(word, a) < edit_distance(word, b); });
}

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Recursive descent over `bool | decimal(p,s) | array<T> | map<K,V> | row<name T, ...>`.
class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : text_{text}, rest_{text} {}

  Result<DataType> parse_all() {
    Result<DataType> type = parse_type(0);
    if (type && (skip_spaces(), !rest_.empty())) return wrong("has '" + std::string{rest_} + "' after its end");
    return type;
  }

 private:
  Result<DataType> parse_type(int depth) {
    if (depth > deepest_nesting) return wrong("is nested too deeply");
    const std::string word = take_word();
    const auto* name = std::find(std::begin(kind_names), std::end(kind_names), word);
    if (name == std::end(kind_names)) {
      return wrong(word.empty() ? "is no type: write one such as int64 or string"
                                : "names no type: did you mean " + std::string{nearest_type(word)} + "?");
    }
    const auto kind = static_cast<TypeKind>(name - std::begin(kind_names));
    switch (kind) {
      case TypeKind::decimal: return parse_decimal();
      case TypeKind::array: return parse_children(kind, {"element"}, depth);
      case TypeKind::map: return parse_children(kind, {"key", "value"}, depth);
      case TypeKind::row: return parse_row(depth);
      default: return DataType{kind};
    }
  }

  Result<DataType> parse_decimal() {
    unsigned precision = 0;
    unsigned scale = 0;
    if (!take('(') || !take_number(precision)) return wrong("needs its precision and scale: decimal(10,2)");
    if (take(',') && !take_number(scale)) return wrong("needs a number as its scale: decimal(10,2)");
    if (!take(')')) return wrong("lacks a closing parenthesis: decimal(10,2)");
    if (precision == 0 || precision > 18) return wrong("has a precision outside of 1 to 18");
    if (scale > precision) return wrong("has a scale larger than its precision");
    return DataType::decimal(static_cast<std::uint8_t>(precision), static_cast<std::uint8_t>(scale));
  }

  Result<DataType> parse_children(TypeKind kind, std::initializer_list<const char*> names, int depth) {
    std::vector<Field> children;
    for (const char* name : names) {
      if (!take(children.empty() ? '<' : ','))
        return wrong("lacks the types it holds: array<string>, map<string,int64>");
      Result<DataType> child = parse_type(depth + 1);
      if (!child) return child;
      children.push_back({name, *child});
    }
    if (!take('>')) return wrong("lacks a closing '>'");
    return DataType::nested(kind, std::move(children));
  }

  Result<DataType> parse_row(int depth) {
    std::vector<Field> children;
    do {
      if (children.empty() && !take('<')) return wrong("lacks its fields: row<name string, size int64>");
      std::string name = take_word();
      if (name.empty()) return wrong("has a field without a name: row<name string, size int64>");
      for (const Field& other : children)
        if (other.name == name) return wrong("names the field '" + name + "' twice");
      Result<DataType> child = parse_type(depth + 1);
      if (!child) return child;
      children.push_back({std::move(name), *child});
    } while (take(','));
    if (!take('>')) return wrong("lacks a closing '>'");
    return DataType::nested(TypeKind::row, std::move(children));
  }

  void skip_spaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  bool take(char c) {
    skip_spaces();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string take_word() {
    skip_spaces();
    std::size_t length = 0;
    while (length < rest_.size() && is_word_character(rest_[length])) ++length;
    std::string word{rest_.substr(0, length)};
    rest_.remove_prefix(length);
    return word;
  }
  bool take_number(unsigned& out) {
    skip_spaces();
    const auto [end, problem] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return problem == std::errc{};
  }
  [[nodiscard]] tl::unexpected<Error> wrong(const std::string& what) const {
    return fail(ErrorCode::invalid_argument, "the type '" + std::string{text_} + "' " + what);
  }

  std::string_view text_;
  std::string_view rest_;
};

}  // namespace

DataType DataType::decimal(std::uint8_t precision, std::uint8_t scale) {
  assert(precision >= 1 && precision <= 18 && scale <= precision);
  DataType type{TypeKind::decimal};
  type.precision_ = precision;
  type.scale_ = scale;
  return type;
}

DataType DataType::nested(TypeKind kind, std::vector<Field> children) {
  DataType type{kind};
  assert(type.is_nested());
  assert(kind == TypeKind::row || children.size() == (kind == TypeKind::map ? 2U : 1U));
  type.children_ = std::make_shared<const std::vector<Field>>(std::move(children));
  return type;
}

const std::vector<Field>& DataType::children() const {
  static const std::vector<Field> none;
  return children_ ? *children_ : none;
}

std::size_t DataType::width() const {
  switch (kind_) {
    case TypeKind::boolean: return 1;
    case TypeKind::int32: return 4;
    case TypeKind::int64:
    case TypeKind::float64:
    case TypeKind::decimal:
    case TypeKind::timestamp: return 8;
    default: return 0;
  }
}

bool operator==(const DataType& a, const DataType& b) {
  return a.kind_ == b.kind_ && a.precision_ == b.precision_ && a.scale_ == b.scale_ &&
         (a.children_ == b.children_ || a.children() == b.children());
}

std::string to_string(const DataType& type) {
  std::string text{kind_names[static_cast<std::size_t>(type.kind())]};
  if (type.kind() == TypeKind::decimal)
    text += '(' + std::to_string(type.precision()) + ',' + std::to_string(type.scale()) + ')';
  if (!type.is_nested()) return text;
  text += '<';
  for (std::size_t i = 0; i < type.children().size(); ++i) {
    if (i != 0) text += type.kind() == TypeKind::row ? ", " : ",";
    if (type.kind() == TypeKind::row) text += type.children()[i].name + ' ';
    text += to_string(type.children()[i].type);
  }
  return text += '>';
}

Result<DataType> parse_data_type(std::string_view text) {
  return TypeParser{text}.parse_all();
}

}  // namespace dataflow
