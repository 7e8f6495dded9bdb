#pragma once
// `${NAME}`, `${NAME:-default}` and `${file:PATH}` in a topology's texts. They are put in after the file has been
// parsed, so that a value can never change the file's structure, and what was put in is shown nowhere: plans, logs
// and errors have `${NAME}` in its place. `$$` is a dollar.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/topology/document.hpp"

namespace dataflow {

/// The value of an environment variable, or nothing when it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string&)>;

/// The environment of this process.
EnvironmentLookup process_environment();

/// What has been put in for the `${...}` of one file, and how to hide it again.
class Secrets {
 public:
  /// `value` was put in for `placeholder`. `given` is false when it is the default that the file itself shows.
  void add(std::string value, std::string placeholder, bool given = true);

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  /// `text` with every value that came from outside the file replaced by its placeholder. Values of up to three
  /// characters are replaced only where they stand alone: they would tear other words apart.
  [[nodiscard]] std::string redact(std::string text) const;
  /// As redact, and defaults too: for a text that is known to have been made with these values.
  [[nodiscard]] std::string redact_all(std::string text) const;
  /// As redact_all for a message about `text`, in which the parser may quote a piece of a value: quoted pieces, and
  /// words of more than three characters, that occur in a value but not in `written`, the text before.
  [[nodiscard]] std::string redact_pieces(std::string message, std::string_view written) const;

 private:
  struct Entry {
    std::string value;
    std::string placeholder;
    bool given = true;
  };
  [[nodiscard]] const Entry* holder_of(std::string_view piece) const;
  [[nodiscard]] std::string redact_if(std::string text, bool defaults) const;

  std::vector<Entry> entries_;  ///< longest values first
};

/// Puts values into every text of `root` and remembers them in `secrets`. Mistakes (an unset variable, a file that
/// cannot be read, a `${` without end) are appended to `diagnostics`; such a text keeps its `${...}`.
void substitute(TomlValue& root, const EnvironmentLookup& environment, const std::filesystem::path& base_folder,
                Secrets& secrets, std::vector<Diagnostic>& diagnostics);

}  // namespace dataflow
