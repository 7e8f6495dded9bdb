#include "libdataflow/topology/checked_settings.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>

#include "libdataflow/topology/did_you_mean.hpp"

namespace dataflow {

namespace {

using Kind = TomlValue::Kind;

std::string_view expectation(OptionKind kind) {
  switch (kind) {
    case OptionKind::text:
    case OptionKind::path:
    case OptionKind::choice: return "a text";
    case OptionKind::expression: return "a text with an expression";
    case OptionKind::integer: return "an integer";
    case OptionKind::number: return "a number";
    case OptionKind::flag: return "true or false";
    case OptionKind::duration: return "a duration such as \"10s\"";
    case OptionKind::size: return "a size such as \"64MiB\"";
    case OptionKind::text_list: return "a text or an array of texts";
    case OptionKind::text_table: return "a table of texts";
    case OptionKind::table: return "a table";
    case OptionKind::rows: return "an array of tables";
  }
  return "";
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i)
    out += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + ("\"" + names[i] + "\"");
  return out;
}

void append_json(const TomlValue& value, std::string& out) {
  switch (value.kind) {
    case Kind::table:
      out += '{';
      for (std::size_t i = 0; i < value.members.size(); ++i) {
        if (i > 0) out += ',';
        append_json_string(value.members[i].key, out);
        out += ':';
        append_json(value.members[i].value, out);
      }
      out += '}';
      break;
    case Kind::array:
      out += '[';
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out += ',';
        append_json(value.items[i], out);
      }
      out += ']';
      break;
    case Kind::integer: out += std::to_string(value.integer); break;
    case Kind::number: append_json_double(value.number, out); break;
    case Kind::boolean: out += value.boolean ? "true" : "false"; break;
    case Kind::text:
    case Kind::datetime: append_json_string(value.text, out); break;
  }
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::pair<std::string_view, std::uint64_t> units[] = {
      {"B", 1},        {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20},     {"GiB", 1ULL << 30},        {"TiB", 1ULL << 40},
      {"KB", 1000ULL}, {"MB", 1000'000ULL}, {"GB", 1000'000'000ULL}, {"TB", 1000'000'000'000ULL}};
  const auto refuse = [&] {
    return fail(ErrorCode::invalid_argument,
                "\"" + std::string{text} + "\" is no size: write a number and B, KiB, MiB, GiB or TiB, such as 64MiB");
  };
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const bool too_many_digits = error == std::errc::result_out_of_range;
  if ((error != std::errc{} && !too_many_digits) || !(number >= 0) || text.starts_with('-')) return refuse();
  std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const auto& [name, bytes] : units) {
    if (name != unit) continue;
    const double size = number * static_cast<double>(bytes);
    if (!too_many_digits && size < 9e18) return static_cast<std::uint64_t>(size);
    return fail(ErrorCode::invalid_argument, "the size \"" + std::string{text} + "\" is too large");
  }
  return refuse();
}

std::optional<Value> literal_value(const TomlValue& value) {
  switch (value.kind) {
    case Kind::text:
    case Kind::datetime: return Value{value.text};
    case Kind::integer: return Value{value.integer};
    case Kind::number: return Value{value.number};
    case Kind::boolean: return Value{value.boolean};
    case Kind::table:
    case Kind::array: break;
  }
  return std::nullopt;
}

bool CheckedSettings::has(std::string_view key) const {
  return values_.find(key) != values_.end();
}

template <class T>
const T& CheckedSettings::get(std::string_view key) const {
  const auto found = values_.find(key);
  assert(found != values_.end() && "an option is read that was not declared, or that is absent and has no default");
  return std::get<T>(found->second);
}

std::string CheckedSettings::text(std::string_view key) const {
  return get<std::string>(key);
}
std::int64_t CheckedSettings::integer(std::string_view key) const {
  return get<std::int64_t>(key);
}
double CheckedSettings::number(std::string_view key) const {
  return get<double>(key);
}
bool CheckedSettings::flag(std::string_view key) const {
  return get<bool>(key);
}
Duration CheckedSettings::duration(std::string_view key) const {
  return get<Duration>(key);
}
std::uint64_t CheckedSettings::size(std::string_view key) const {
  return get<std::uint64_t>(key);
}
std::vector<std::string> CheckedSettings::text_list(std::string_view key) const {
  return get<std::vector<std::string>>(key);
}
std::vector<std::pair<std::string, std::string>> CheckedSettings::text_table(std::string_view key) const {
  return get<std::vector<std::pair<std::string, std::string>>>(key);
}
const Settings& CheckedSettings::table(std::string_view key) const {
  return *get<std::shared_ptr<const CheckedSettings>>(key);
}
const std::vector<RowLiteral>& CheckedSettings::rows(std::string_view key) const {
  return get<std::vector<RowLiteral>>(key);
}

/// One table's check.
class SettingsChecker {
 public:
  using OptionValue = CheckedSettings::OptionValue;

  SettingsChecker(const std::filesystem::path& base_folder, std::vector<Diagnostic>& diagnostics)
      : base_folder_{base_folder}, diagnostics_{diagnostics} {}

  SettingsCheck check(const TomlValue& table, const SourceSpan& key_place, const SettingsRules& rules) {
    SettingsCheck result;
    std::string extra = "{";
    for (const TomlMember& member : table.members) {
      const auto option = std::find_if(rules.options.begin(), rules.options.end(),
                                       [&](const Option* o) { return o->name == member.key; });
      if (option != rules.options.end()) {
        if (auto value = read(**option, member)) {
          result.settings.values_.insert_or_assign(member.key, std::move(*value));
        } else {
          result.ok = false;
        }
      } else if (std::count(rules.elsewhere.begin(), rules.elsewhere.end(), member.key) > 0) {
        continue;
      } else if (rules.extra_keys) {
        if (extra.size() > 1) extra += ',';
        append_json_string(member.key, extra);
        extra += ':';
        append_json(member.value, extra);
      } else {
        unknown_key(member, rules);
      }
    }
    result.settings.extra_ = extra + "}";
    if (!add_missing(table, key_place, rules, result.settings)) result.ok = false;
    return result;
  }

 private:
  void error(const SourceSpan& place, std::string message, std::string suggestion = {}) {
    diagnostics_.push_back(diagnose(Severity::error, place, std::move(message), std::move(suggestion)));
  }

  void unknown_key(const TomlMember& member, const SettingsRules& rules) {
    std::vector<std::string> known = rules.elsewhere;
    for (const Option* option : rules.options) known.push_back(option->name);
    misspelt_.push_back(nearest_name(member.key, known));
    std::string suggestion = did_you_mean(member.key, known);
    if (suggestion.empty()) {
      std::sort(known.begin(), known.end());
      suggestion = "it takes ";
      for (std::size_t i = 0; i < known.size(); ++i) suggestion += (i > 0 ? ", " : "") + known[i];
    }
    error(member.key_place, "unknown key \"" + member.key + "\" in " + rules.what, std::move(suggestion));
  }

  bool add_missing(const TomlValue& table, const SourceSpan& key_place, const SettingsRules& rules,
                   CheckedSettings& settings) {
    bool ok = true;
    for (const Option* option : rules.options) {
      if (table.find_member(option->name) != nullptr) continue;
      if (option->required) {
        // When an unknown key looks like this one, that has been said.
        if (std::count(misspelt_.begin(), misspelt_.end(), option->name) == 0)
          error(key_place, rules.what + " needs \"" + option->name + "\"",
                option->example.empty() ? std::string{} : "for example " + option->name + " = " + option->example);
        ok = false;
      } else if (!option->default_value.empty()) {
        settings.values_.insert_or_assign(option->name, default_of(*option));
      }
    }
    return ok;
  }

  /// A default is written by a programmer: one that does not parse is a bug.
  OptionValue default_of(const Option& option) const {
    const std::string& text = option.default_value;
    switch (option.kind) {
      case OptionKind::integer: return parse_number<std::int64_t>(text).value_or(0);
      case OptionKind::number: return parse_number<double>(text).value_or(0);
      case OptionKind::flag: return text == "true";
      case OptionKind::duration: return parse_duration(text).value();
      case OptionKind::size: return parse_size(text).value();
      case OptionKind::text_list: return std::vector<std::string>{text};
      case OptionKind::path: return absolute_path(text);
      default: return text;
    }
  }

  std::string absolute_path(const std::string& text) const {
    return (base_folder_ / std::filesystem::path{text}).lexically_normal().string();
  }

  std::optional<OptionValue> wrong_kind(const Option& option, const TomlValue& value) {
    std::string suggestion;
    std::string found{describe(value.kind)};
    if (value.kind == Kind::number && option.kind == OptionKind::number)
      found = std::isnan(value.number) ? "nan" : "inf";
    if (value.kind == Kind::integer && option.kind == OptionKind::duration)
      suggestion = "write a unit: \"" + std::to_string(value.integer) + "s\"";
    else if (!option.example.empty())
      suggestion = "for example " + option.name + " = " + option.example;
    error(value.place,
          "\"" + option.name + "\" must be " + std::string{expectation(option.kind)} + ", not " + std::move(found),
          std::move(suggestion));
    return std::nullopt;
  }

  /// Of a text that says nothing, such as `${DATA:-}` where DATA is not set.
  std::optional<OptionValue> empty(const Option& option, const TomlValue& value) {
    error(value.place, "\"" + option.name + "\" is empty",
          option.example.empty() ? std::string{} : "for example " + option.name + " = " + option.example);
    return std::nullopt;
  }

  std::optional<OptionValue> read(const Option& option, const TomlMember& member) {
    const TomlValue& value = member.value;
    if (value.unresolved) return std::nullopt;
    switch (option.kind) {
      case OptionKind::text:
      case OptionKind::expression:
        if (value.kind != Kind::text) return wrong_kind(option, value);
        return value.text;
      case OptionKind::path:
        if (value.kind != Kind::text) return wrong_kind(option, value);
        // It would be the topology's own folder, which nobody means by that.
        if (value.text.empty()) return empty(option, value);
        return absolute_path(value.text);
      case OptionKind::choice: return read_choice(option, value);
      case OptionKind::integer:
      case OptionKind::number:
      case OptionKind::flag: return read_scalar(option, value);
      case OptionKind::duration:
      case OptionKind::size: return read_quantity(option, value);
      case OptionKind::text_list: return read_text_list(option, value);
      case OptionKind::text_table: return read_text_table(option, value);
      case OptionKind::table: return read_table(option, member);
      case OptionKind::rows: return read_rows(option, value);
    }
    return std::nullopt;
  }

  std::optional<OptionValue> read_choice(const Option& option, const TomlValue& value) {
    if (value.kind != Kind::text) return wrong_kind(option, value);
    if (std::count(option.choices.begin(), option.choices.end(), value.text) > 0) return value.text;
    const std::string shown = value.substituted ? value.written : value.text;
    error(place_within(value, 0, value.text.size()),
          "\"" + option.name + "\" is " + listed(option.choices) + ", not \"" + shown + "\"",
          value.substituted ? std::string{} : did_you_mean(value.text, option.choices));
    return std::nullopt;
  }

  /// Numbers and flags; a text is taken when it came out of a ${...}, which stands between quotes.
  std::optional<OptionValue> read_scalar(const Option& option, const TomlValue& value) {
    const bool put_in = value.kind == Kind::text && value.substituted;
    if (option.kind == OptionKind::flag) {
      if (value.kind == Kind::boolean) return value.boolean;
      if (put_in && (value.text == "true" || value.text == "false")) return value.text == "true";
    } else if (option.kind == OptionKind::integer) {
      if (value.kind == Kind::integer) return value.integer;
      if (const auto parsed = put_in ? parse_number<std::int64_t>(value.text) : std::nullopt) return *parsed;
    } else {
      if (value.kind == Kind::integer) return static_cast<double>(value.integer);
      if (value.kind == Kind::number && std::isfinite(value.number)) return value.number;
      const auto parsed = put_in ? parse_number<double>(value.text) : std::nullopt;
      if (parsed && std::isfinite(*parsed)) return *parsed;
    }
    return wrong_kind(option, value);
  }

  std::optional<OptionValue> read_quantity(const Option& option, const TomlValue& value) {
    if (option.kind == OptionKind::size && value.kind == Kind::integer && value.integer >= 0)
      return static_cast<std::uint64_t>(value.integer);
    if (value.kind != Kind::text) return wrong_kind(option, value);
    const auto refuse = [&](const Error& e) -> std::optional<OptionValue> {
      error(value.place, value.substituted ? "\"" + option.name + "\" must be " + std::string{expectation(option.kind)}
                                           : "\"" + option.name + "\": " + e.message());
      return std::nullopt;
    };
    if (option.kind == OptionKind::size) {
      const auto size = parse_size(value.text);
      if (!size) return refuse(size.error());
      return *size;
    }
    const auto duration = parse_duration(value.text);
    if (!duration) return refuse(duration.error());
    return *duration;
  }

  std::optional<OptionValue> read_text_list(const Option& option, const TomlValue& value) {
    std::vector<std::string> texts;
    if (value.kind == Kind::text) {
      texts.push_back(value.text);
      return texts;
    }
    if (value.kind != Kind::array) return wrong_kind(option, value);
    for (const TomlValue& item : value.items) {
      if (item.unresolved) return std::nullopt;
      if (item.kind != Kind::text) return wrong_kind(option, item);
      texts.push_back(item.text);
    }
    if (texts.empty()) {
      error(value.place, "\"" + option.name + "\" is empty");
      return std::nullopt;
    }
    return texts;
  }

  std::optional<OptionValue> read_text_table(const Option& option, const TomlValue& value) {
    if (value.kind != Kind::table) return wrong_kind(option, value);
    std::vector<std::pair<std::string, std::string>> texts;
    bool ok = true;
    for (const TomlMember& member : value.members) {
      texts.emplace_back(member.key, member.value.text);
      ok = ok && !member.value.unresolved;
      if (member.key.empty()) {
        error(member.key_place, "a name in \"" + option.name + "\" is empty");
        ok = false;
      }
      if (member.value.kind == Kind::text) continue;
      error(member.value.place,
            "\"" + member.key + "\" of \"" + option.name + "\" must be a text, not " +
                std::string{describe(member.value.kind)},
            "put it between quotes");
      ok = false;
    }
    if (!ok) return std::nullopt;
    return texts;
  }

  std::optional<OptionValue> read_table(const Option& option, const TomlMember& member) {
    if (member.value.kind != Kind::table) return wrong_kind(option, member.value);
    SettingsRules rules;
    for (const Option& nested : option.nested) rules.options.push_back(&nested);
    rules.what = "\"" + option.name + "\"";
    SettingsCheck nested = SettingsChecker{base_folder_, diagnostics_}.check(member.value, member.key_place, rules);
    if (!nested.ok) return std::nullopt;
    return std::make_shared<const CheckedSettings>(std::move(nested.settings));
  }

  std::optional<OptionValue> read_rows(const Option& option, const TomlValue& value) {
    if (value.kind != Kind::array) return wrong_kind(option, value);
    std::vector<RowLiteral> rows;
    bool ok = true;
    for (const TomlValue& item : value.items) {
      if (item.kind != Kind::table) return wrong_kind(option, item);
      RowLiteral row;
      row.span = item.place.span;
      for (const TomlMember& member : item.members) {
        auto literal = literal_value(member.value);
        if (!literal) {
          error(member.value.place,
                "\"" + member.key + "\" must be one value, not " + std::string{describe(member.value.kind)});
          ok = false;
          continue;
        }
        row.members.emplace_back(member.key, std::move(*literal));
      }
      rows.push_back(std::move(row));
    }
    if (!ok) return std::nullopt;
    return rows;
  }

  const std::filesystem::path& base_folder_;
  std::vector<Diagnostic>& diagnostics_;
  std::vector<std::string> misspelt_;  ///< what the unknown keys of the table at hand may have meant
};

SettingsCheck check_settings(const TomlValue& table, const SourceSpan& key_place, const SettingsRules& rules,
                             const std::filesystem::path& base_folder, std::vector<Diagnostic>& diagnostics) {
  return SettingsChecker{base_folder, diagnostics}.check(table, key_place, rules);
}

bool has_unknown_key(const TomlValue& table, const std::vector<Option>& options) {
  return std::any_of(table.members.begin(), table.members.end(), [&](const TomlMember& member) {
    return std::none_of(options.begin(), options.end(), [&](const Option& o) { return o.name == member.key; });
  });
}

}  // namespace dataflow
