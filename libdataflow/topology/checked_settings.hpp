#pragma once
// Checks a TOML table against the options that a node type declares, and keeps what it found as Settings. Every
// mistake in the table is reported, not only the first; keys with one are absent from the result.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libdataflow/topology/document.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// `"64MiB"`: a whole or decimal number and one of B KiB MiB GiB TiB KB MB GB TB. Errors: invalid_argument with the
/// accepted units.
Result<std::uint64_t> parse_size(std::string_view text);

class CheckedSettings final : public Settings {
 public:
  using OptionValue = std::variant<std::string, std::int64_t, double, bool, Duration, std::uint64_t,
                                   std::vector<std::string>, std::vector<std::pair<std::string, std::string>>,
                                   std::shared_ptr<const CheckedSettings>, std::vector<RowLiteral>>;

  [[nodiscard]] bool has(std::string_view key) const override;
  [[nodiscard]] std::string text(std::string_view key) const override;
  [[nodiscard]] std::int64_t integer(std::string_view key) const override;
  [[nodiscard]] double number(std::string_view key) const override;
  [[nodiscard]] bool flag(std::string_view key) const override;
  [[nodiscard]] Duration duration(std::string_view key) const override;
  [[nodiscard]] std::uint64_t size(std::string_view key) const override;
  [[nodiscard]] std::vector<std::string> text_list(std::string_view key) const override;
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> text_table(std::string_view key) const override;
  [[nodiscard]] const Settings& table(std::string_view key) const override;
  [[nodiscard]] const std::vector<RowLiteral>& rows(std::string_view key) const override;
  [[nodiscard]] std::string extra_keys_json() const override { return extra_; }

 private:
  friend class SettingsChecker;
  template <class T>
  const T& get(std::string_view key) const;

  std::map<std::string, OptionValue, std::less<>> values_;
  std::string extra_ = "{}";
};

/// What a table is checked against.
struct SettingsRules {
  std::vector<const Option*> options;  ///< of a node: the common ones, then the type's
  std::vector<std::string> elsewhere;  ///< keys that are read by somebody else: "type"
  std::string what;                    ///< for messages: `a filter`, `[restart]`
  bool extra_keys = false;             ///< unknown keys are kept as JSON
};

struct SettingsCheck {
  CheckedSettings settings;
  bool ok = true;  ///< every key that is declared has a good value or none; unknown ones are reported, and ignored
};

/// Checks `table`, appending mistakes to `diagnostics`. Paths become absolute against `base_folder`. A missing
/// required key is reported at `key_place`, the place of the table's name.
SettingsCheck check_settings(const TomlValue& table, const SourceSpan& key_place, const SettingsRules& rules,
                             const std::filesystem::path& base_folder, std::vector<Diagnostic>& diagnostics);

/// Whether `table` has a key that is none of `options`. That is reported where the table is checked, and what the table
/// seems to lack may only follow from it.
bool has_unknown_key(const TomlValue& table, const std::vector<Option>& options);

/// A scalar TOML value as a Value without a schema: dates become ISO texts. Nothing for tables and arrays.
std::optional<Value> literal_value(const TomlValue& value);

}  // namespace dataflow
