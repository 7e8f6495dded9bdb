#pragma once
// A TOML text as a tree that keeps what a good error message needs: members in the order of the file, and for every
// key and value the place where it stands. The grammar is toml++'s; values set on the command line (`--set`) are
// TOML texts too and merged into the tree with places of their own.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "libdataflow/topology/diagnostic.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// A text that was parsed: the topology file or one --set.
struct SourceText {
  std::string name;  ///< as shown in diagnostics
  std::string text;
  std::vector<std::size_t> line_starts{};  ///< byte offsets
  bool ascii = true;                       ///< each character is one byte

  /// The text of a 1-based line without its end; empty when there is no such line.
  [[nodiscard]] std::string_view line(std::uint32_t number) const;
};

struct SourceSpan {
  std::shared_ptr<const SourceText> text;
  FileSpan span;
};

struct TomlMember;

struct TomlValue {
  enum class Kind : std::uint8_t { table, array, text, integer, number, boolean, datetime };

  Kind kind = Kind::table;
  std::string text;  ///< of text; of datetime as written
  std::int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  std::vector<TomlMember> members;  ///< of a table, in file order
  std::vector<TomlValue> items;     ///< of an array
  SourceSpan place;
  std::size_t content = 0;  ///< of text: where its first byte stands in the source, behind the opening quotes
  /// Something was put in for a ${...}; `written` is the text before.
  bool substituted = false;
  std::string written;
  bool unresolved = false;  ///< it holds a ${...} that could not be put in, reported already

  [[nodiscard]] const TomlValue* find(std::string_view key) const;
  [[nodiscard]] TomlMember* find_member(std::string_view key);
  [[nodiscard]] const TomlMember* find_member(std::string_view key) const;
};

struct TomlMember {
  std::string key;
  SourceSpan key_place;
  TomlValue value;
};

/// `a text`, `a table`, for errors.
std::string_view describe(TomlValue::Kind kind);

/// The place of `length` bytes at `offset` into a text value, as far as they are on one line; the whole value when it
/// is not known, because the text has an escape or something put in before there.
SourceSpan place_within(const TomlValue& value, std::size_t offset, std::size_t length);

/// A diagnostic at a place.
Diagnostic diagnose(Severity severity, const SourceSpan& place, std::string message, std::string suggestion = {});

/// Parses a TOML text. Errors: the first mistake in its grammar.
tl::expected<TomlValue, Diagnostic> parse_toml(std::string name, std::string text);

/// Puts one `--set KEY=VALUE` into `root`: VALUE is TOML, or a plain text when it is none. Errors: no `=`, a key
/// that is none, a key that leads through a value that is no table.
tl::expected<void, Diagnostic> apply_override(TomlValue& root, std::string_view key_and_value);

}  // namespace dataflow
