#pragma once
// The settings file, dfnode.toml: a table of options for each command. CLI11 reads one by itself, but as it likes: what
// it does not understand is passed over, and so would be a misspelt `slots`.

#include <CLI/CLI.hpp>

#include <istream>
#include <memory>
#include <string>
#include <vector>

#include "libdataflow/topology/document.hpp"

namespace dataflow::cli {

class SettingsFile final : public CLI::Config {
 public:
  /// Of `app`, whose commands and options say what may stand in the file.
  explicit SettingsFile(const CLI::App& app) : app_{app} {}

  /// What is wrong in the file, for a person; empty when nothing is, or it was not read. An exception out of
  /// from_config would come before `--help` is looked at.
  [[nodiscard]] const std::string& mistakes() const { return mistakes_; }

  /// Nothing is written.
  std::string to_config(const CLI::App* app, bool defaults, bool descriptions, std::string prefix) const override;
  /// CLI11 calls it with the open file. Nothing of a file with mistakes.
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;

 private:
  void read_table(const TomlValue& table, const CLI::App& command, const std::vector<std::string>& parents,
                  std::vector<CLI::ConfigItem>& found) const;
  void refuse(const SourceSpan& place, std::string message, std::string suggestion) const;

  const CLI::App& app_;
  mutable std::string mistakes_;
};

}  // namespace dataflow::cli
