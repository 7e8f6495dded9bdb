// dfnode docs: the reference of node types, job settings and functions.

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

#include "libdataflow/topology/did_you_mean.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/reference.hpp"

namespace dataflow::cli {

namespace {

struct DocsOptions {
  std::string name;
  bool markdown = false;
  bool json = false;
  bool json_schema = false;
};

int docs(const DocsOptions& options) {
  if (options.json_schema) {
    std::cout << topology_json_schema();
  } else if (options.name.empty()) {
    std::cout << (options.json       ? reference_as_json()
                  : options.markdown ? reference_as_markdown()
                                     : reference_overview());
  } else if (const auto text = options.json       ? reference_of_as_json(options.name)
                               : options.markdown ? reference_of_as_markdown(options.name)
                                                  : reference_of(options.name)) {
    std::cout << *text;
  } else {
    const std::string suggestion = did_you_mean(options.name, reference_names());
    std::cerr << "dfnode: no node type and no function \"" << options.name << "\""
              << (suggestion.empty() ? "; `dfnode docs` lists them" : "; " + suggestion) << "\n";
    return exit_wrong;
  }
  return exit_done;
}

}  // namespace

void add_docs(CLI::App& app, Action& action) {
  auto options = std::make_shared<DocsOptions>();
  CLI::App& command = *app.add_subcommand("docs", "Show node types, their keys, defaults and examples, and functions");
  auto* name =
      command.add_option("NAME", options->name, "A node type, a function, `job` or `functions`; all without one");
  auto* markdown = command.add_flag("--markdown", options->markdown, "As Markdown; without NAME the reference page");
  auto* json =
      command.add_flag("--json", options->json, "As one JSON object; without NAME everything")->excludes(markdown);
  command.add_flag("--json-schema", options->json_schema, "A JSON Schema of topology files, for editors")
      ->excludes(markdown)
      ->excludes(json)
      ->excludes(name);
  command.footer(
      "Examples:\n  dfnode docs window\n  dfnode docs regexp_extract\n  dfnode docs window --json | jq "
      "'.types[].options[].name'\n"
      "  dfnode docs --json-schema > topology.schema.json   # then: #:schema ./topology.schema.json");
  command.callback([options, &action] { action = [options] { return docs(*options); }; });
}

}  // namespace dataflow::cli
