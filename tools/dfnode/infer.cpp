// dfnode infer: a schema to paste, from a CSV or JSON file.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>

#include "libdataflow/formats/infer.hpp"
#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

namespace {

struct InferOptions {
  std::string data;
  bool json = false;
  bool quiet = false;
};

/// A TOML key: bare where it can be.
std::string key(const std::string& name) {
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (bare) return name;
  std::string quoted;
  append_json_string(name, quoted);  // TOML's basic strings have JSON's escapes
  return quoted;
}

std::string as_topology(const InferredSchema& inferred, const std::string& path) {
  std::string quoted_path;
  append_json_string(path, quoted_path);
  std::string out = "[sources.data]\ntype   = \"file\"\npath   = " + quoted_path + "\nformat = \"" +
                    std::string{to_string(inferred.format)} + "\"\n";
  if (inferred.format == TextFormat::csv && inferred.delimiter != ',') {
    out += "delimiter = ";
    append_json_string(std::string_view{&inferred.delimiter, 1}, out);
    out += "\n";
  }
  out += "schema = { ";
  for (std::size_t i = 0; i < inferred.fields.size(); ++i) {
    const SourceField& field = inferred.fields[i];
    out += (i > 0 ? ", " : "") + key(field.field.name) + " = \"" + schema_type_name(field) + "\"";
  }
  out += " }\n";
  if (inferred.event_time) {
    std::string name;
    append_json_string(inferred.fields[*inferred.event_time].field.name, name);
    out += "event_time = { field = " + name + " }\n";
  }
  return out;
}

std::string as_json(const InferredSchema& inferred) {
  std::string out = "{\"format\":\"" + std::string{to_string(inferred.format)} + "\",\"delimiter\":";
  append_json_string(std::string_view{&inferred.delimiter, 1}, out);
  out += ",\"rows\":" + std::to_string(inferred.rows) + ",\"event_time\":";
  if (inferred.event_time) {
    append_json_string(inferred.fields[*inferred.event_time].field.name, out);
  } else {
    out += "null";
  }
  out += ",\"schema\":{";
  for (std::size_t i = 0; i < inferred.fields.size(); ++i) {
    if (i > 0) out += ",";
    append_json_string(inferred.fields[i].field.name, out);
    out += ":\"" + schema_type_name(inferred.fields[i]) + "\"";
  }
  return out + "}}";
}

int infer(const InferOptions& options) {
  const auto inferred = infer_schema(options.data);
  if (!inferred) {
    if (options.json) {
      show_failure(inferred.error(), true);
    } else {
      std::cerr << "error: " << inferred.error().message() << "\n";
    }
    return exit_wrong;  // the file is wrong, whatever is wrong with it
  }
  if (options.json) {
    std::cout << as_json(*inferred) << "\n";
    return exit_done;
  }
  std::cout << as_topology(*inferred, options.data);
  if (!options.quiet)
    std::cerr << "# from " << inferred->rows << (inferred->rows == 1 ? " record" : " records") << " of " << options.data
              << "; look the types over before you trust them\n";
  return exit_done;
}

}  // namespace

void add_infer(CLI::App& app, Action& action) {
  auto options = std::make_shared<InferOptions>();
  CLI::App& command = *app.add_subcommand("infer", "Propose a source with its schema from a CSV or JSON file");
  command.add_option("DATA", options->data, "A file of CSV with a header, or of JSON with an object a line")
      ->required();
  command.add_flag("--json", options->json, "Print a JSON object instead of TOML");
  command.add_flag("--quiet,-q", options->quiet, "No remark on standard error");
  command.footer("Examples:\n  dfnode infer readings.csv\n  dfnode infer events.jsonl.gz >> job.toml");
  command.callback([options, &action] { action = [options] { return infer(*options); }; });
}

}  // namespace dataflow::cli
