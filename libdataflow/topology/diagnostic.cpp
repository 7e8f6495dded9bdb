#include "libdataflow/topology/diagnostic.hpp"

#include <algorithm>
#include <cstdio>

#include "libdataflow/topology/text_position.hpp"

namespace dataflow {

namespace {

/// Of a longer line only the part around the mistake is shown, in characters.
constexpr std::uint32_t widest_line = 160;
constexpr std::uint32_t before_mistake = 60;

struct ShownLine {
  std::string text;
  std::uint32_t column = 1;  ///< of the mistake within `text`, 1-based
  std::uint32_t length = 1;
};

/// Control characters would move the caret; each is one column in the file and one here.
std::string without_control_characters(std::string_view line) {
  std::string plain{line};
  for (char& c : plain)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return plain;
}

/// As JSON writes them: a message names what is in the file, and that may have anything in it.
std::string with_visible_control_characters(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7f) || c == '\n') {
      out += c;
      continue;
    }
    char code[7];
    std::snprintf(code, sizeof code, "\\u%04x", byte);
    out += code;
  }
  return out;
}

ShownLine shown_line(const Diagnostic& diagnostic) {
  const std::string line = without_control_characters(diagnostic.source_line);
  const auto characters = static_cast<std::uint32_t>(character_count(line));
  const std::uint32_t column =
      std::max(diagnostic.span.column, diagnostic.source_column) - diagnostic.source_column + 1;
  ShownLine shown{line, column, std::max(1U, diagnostic.span.length)};
  if (characters > widest_line) {
    const std::uint32_t first = shown.column > before_mistake ? shown.column - before_mistake : 1;
    const std::size_t from = byte_offset(line, first - 1);
    const std::size_t to = byte_offset(line, first - 1 + widest_line);
    shown.text = (first > 1 ? "..." : "") + line.substr(from, to - from) + (to < line.size() ? "..." : "");
    shown.column = shown.column - first + 1 + (first > 1 ? 3 : 0);
  }
  // The carets stay under the line; one may stand just behind its end.
  const auto width = static_cast<std::uint32_t>(character_count(shown.text));
  shown.column = std::min(shown.column, width + 1);
  shown.length = std::clamp(shown.length, 1U, std::max(1U, width + 1 - shown.column));
  return shown;
}

}  // namespace

std::string_view to_string(Severity severity) {
  return severity == Severity::error ? "error" : "warning";
}

std::string render(const Diagnostic& diagnostic) {
  std::string out{to_string(diagnostic.severity)};
  const std::string file = with_visible_control_characters(diagnostic.file);
  const std::string suggestion = with_visible_control_characters(diagnostic.suggestion);
  out += ": " + with_visible_control_characters(diagnostic.message) + "\n";
  if (diagnostic.span.line == 0) {
    if (!file.empty()) out += "  --> " + file + "\n";
    if (!suggestion.empty()) out += "   = " + suggestion + "\n";
    return out;
  }
  const std::string number = std::to_string(diagnostic.span.line);
  const std::string gutter(number.size(), ' ');
  const ShownLine shown = shown_line(diagnostic);
  out += gutter + "--> " + file + ":" + number + ":" + std::to_string(diagnostic.span.column) + "\n";
  out += gutter + " |\n";
  out += number + " | " + shown.text + "\n";
  out += gutter + " | " + std::string(shown.column - 1, ' ') + std::string(shown.length, '^');
  if (!suggestion.empty()) out += " " + suggestion;
  return out + "\n";
}

std::string to_json(const std::vector<Diagnostic>& diagnostics) {
  std::string out = "[";
  for (const Diagnostic& d : diagnostics) {
    if (out.size() > 1) out += ",";
    out += "{\"severity\":";
    append_json_string(to_string(d.severity), out);
    out += ",\"message\":";
    append_json_string(d.message, out);
    out += ",\"file\":";
    append_json_string(d.file, out);
    out += ",\"line\":" + std::to_string(d.span.line) + ",\"column\":" + std::to_string(d.span.column) +
           ",\"length\":" + std::to_string(d.span.length) + ",\"suggestion\":";
    append_json_string(d.suggestion, out);
    out += "}";
  }
  return out + "]";
}

bool has_errors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Severity::error; });
}

}  // namespace dataflow
