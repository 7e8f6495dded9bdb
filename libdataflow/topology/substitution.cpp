#include "libdataflow/topology/substitution.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace dataflow {

namespace {

/// A secret is a password or a token, not a data file.
constexpr std::streamsize largest_secret = 1 << 20;

bool is_variable_name(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)); });
}

Result<std::string> read_secret(const std::filesystem::path& path) {
  const auto refused = [&](const std::string& reason) {
    return fail(ErrorCode::io, "cannot read the file " + path.lexically_normal().string() + ": " + reason);
  };
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::not_found) return refused("it does not exist");
  if (error) return refused(error.message());
  if (type != std::filesystem::file_type::regular) return refused("it is no regular file");
  std::ifstream file{path, std::ios::binary};
  if (!file) return refused(std::strerror(errno));
  std::string text(static_cast<std::size_t>(largest_secret) + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.gcount() > largest_secret) return refused("it is larger than 1 MiB, which no password or token is");
  text.resize(static_cast<std::size_t>(file.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

class Substituter {
 public:
  Substituter(const EnvironmentLookup& environment, const std::filesystem::path& base_folder, Secrets& secrets,
              std::vector<Diagnostic>& diagnostics)
      : environment_{environment}, base_folder_{base_folder}, secrets_{secrets}, diagnostics_{diagnostics} {}

  void visit(TomlValue& value) {
    for (TomlMember& member : value.members) visit(member.value);
    for (TomlValue& item : value.items) visit(item);
    if (value.kind == TomlValue::Kind::text && value.text.find('$') != std::string::npos) substitute_text(value);
  }

 private:
  void substitute_text(TomlValue& value) {
    const std::string written = value.text;
    std::string result;
    bool changed = false;
    for (std::size_t i = 0; i < written.size();) {
      const std::string_view rest = std::string_view{written}.substr(i);
      if (rest.substr(0, 2) == "$$") {
        result += '$';
        i += 2;
        changed = true;
      } else if (rest.substr(0, 2) == "${") {
        const std::size_t end = rest.find('}');
        if (end == std::string_view::npos)
          return mistake(value, i, 2, "\"${\" without its \"}\"", "\"$$\" is a dollar");
        const auto replacement = look_up(value, i, rest.substr(0, end + 1));
        if (!replacement) return;
        result += *replacement;
        i += end + 1;
        changed = true;
      } else {
        result += written[i++];
      }
    }
    if (!changed) return;
    value.substituted = true;
    value.written = written;
    value.text = std::move(result);
  }

  /// `placeholder` is the whole `${...}` at `offset` of the value's text.
  std::optional<std::string> look_up(TomlValue& value, std::size_t offset, std::string_view placeholder) {
    const std::string_view inside = placeholder.substr(2, placeholder.size() - 3);
    constexpr std::string_view file_prefix = "file:";
    if (inside.substr(0, file_prefix.size()) == file_prefix) {
      const std::filesystem::path path = base_folder_ / std::filesystem::path{inside.substr(file_prefix.size())};
      auto secret = read_secret(path);
      if (!secret) {
        mistake(value, offset, placeholder.size(), secret.error().message());
        return std::nullopt;
      }
      secrets_.add(*secret, std::string{placeholder});
      return std::move(*secret);
    }
    const std::size_t separator = inside.find(":-");
    const std::string name{inside.substr(0, separator)};
    if (!is_variable_name(name)) {
      mistake(value, offset, placeholder.size(), "\"" + name + "\" is no name of an environment variable",
              "\"$$\" is a dollar");
      return std::nullopt;
    }
    const std::string shown = "${" + name + "}";
    if (auto found = environment_(name)) {
      secrets_.add(*found, shown);
      return found;
    }
    if (separator != std::string_view::npos) {
      std::string fallback{inside.substr(separator + 2)};
      secrets_.add(fallback, shown, false);
      return fallback;
    }
    mistake(value, offset, placeholder.size(), "the environment variable " + name + " is not set",
            "set it, or give a default: ${" + name + ":-...}");
    return std::nullopt;
  }

  void mistake(TomlValue& value, std::size_t offset, std::size_t length, std::string message,
               std::string suggestion = {}) {
    value.unresolved = true;
    diagnostics_.push_back(
        diagnose(Severity::error, place_within(value, offset, length), std::move(message), std::move(suggestion)));
  }

  const EnvironmentLookup& environment_;
  const std::filesystem::path& base_folder_;
  Secrets& secrets_;
  std::vector<Diagnostic>& diagnostics_;
};

bool is_word(char c) {
  return c == '_' || std::isalnum(static_cast<unsigned char>(c));
}

}  // namespace

EnvironmentLookup process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>{value} : std::nullopt;
  };
}

void Secrets::add(std::string value, std::string placeholder, bool given) {
  if (value.empty()) return;
  const auto longer = [&](const Entry& entry) { return entry.value.size() < value.size(); };
  const auto at = std::find_if(entries_.begin(), entries_.end(), longer);
  entries_.insert(at, {std::move(value), std::move(placeholder), given});
}

std::string Secrets::redact(std::string text) const {
  return redact_if(std::move(text), false);
}
std::string Secrets::redact_all(std::string text) const {
  return redact_if(std::move(text), true);
}

const Secrets::Entry* Secrets::holder_of(std::string_view piece) const {
  for (const Entry& entry : entries_)
    if (entry.value.find(piece) != std::string::npos) return &entry;
  return nullptr;
}

std::string Secrets::redact_pieces(std::string message, std::string_view written) const {
  constexpr std::size_t longest_common_word = 3;
  // Shorter ones give nothing away, and are names of nodes and columns far more often.
  constexpr std::size_t shortest_quoted_piece = 3;
  message = redact_all(std::move(message));
  std::string out;
  for (std::size_t at = 0; at < message.size();) {
    if (message.compare(at, 2, "${") == 0) {  // a placeholder of before
      const std::size_t end = std::min(message.find('}', at), message.size() - 1) + 1;
      out.append(message, at, end - at);
      at = end;
      continue;
    }
    if (!is_word(message[at])) {
      out += message[at++];
      continue;
    }
    std::size_t end = at;
    while (end < message.size() && is_word(message[end])) ++end;
    const std::string_view word = std::string_view{message}.substr(at, end - at);
    const bool quoted = at > 0 && (message[at - 1] == '"' || message[at - 1] == '\'');
    const Entry* holder = word.size() > (quoted ? shortest_quoted_piece - 1 : longest_common_word) &&
                                  written.find(word) == std::string_view::npos
                              ? holder_of(word)
                              : nullptr;
    out += holder ? std::string_view{holder->placeholder} : word;
    at = end;
  }
  return out;
}

std::string Secrets::redact_if(std::string text, bool defaults) const {
  constexpr std::size_t shortest_anywhere = 4;
  for (const Entry& entry : entries_) {
    if (!entry.given && !defaults) continue;
    for (std::size_t at = 0; (at = text.find(entry.value, at)) != std::string::npos;) {
      const std::size_t end = at + entry.value.size();
      const bool alone = (at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]));
      if (entry.value.size() >= shortest_anywhere || alone) {
        text.replace(at, entry.value.size(), entry.placeholder);
        at += entry.placeholder.size();
      } else {
        at = end;
      }
    }
  }
  return text;
}

void substitute(TomlValue& root, const EnvironmentLookup& environment, const std::filesystem::path& base_folder,
                Secrets& secrets, std::vector<Diagnostic>& diagnostics) {
  Substituter{environment, base_folder, secrets, diagnostics}.visit(root);
}

}  // namespace dataflow
