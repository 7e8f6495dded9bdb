// dfnode state ls | show: what a savepoint, or a checkpoint, holds.

#include <CLI/CLI.hpp>

#include <functional>
#include <iostream>
#include <map>
#include <memory>

#include <nlohmann/json.hpp>

#include "libdataflow/checkpoint/savepoint.hpp"
#include "libdataflow/checkpoint/state_listing.hpp"
#include "libdataflow/process/value_json.hpp"
#include "libdataflow/windows/aggregate_json.hpp"
#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

namespace {

using nlohmann::ordered_json;

struct StateOptions {
  std::string savepoint;
  StateQuery query{.op = {}, .state = {}};
  bool json = false;
};

constexpr std::uint64_t default_limit = 100;

ordered_json listing(const CheckpointMetadata& metadata) {
  ordered_json operators = ordered_json::array();
  for (const OperatorSummary& op : list_state(metadata)) {
    ordered_json states = ordered_json::array();
    for (const StateSummary& state : op.states) {
      ordered_json one{{"name", state.description.name},
                       {"kind", to_string(state.description.kind)},
                       {"version", state.description.version},
                       {"schema", to_string(*state.description.schema)},
                       {"rows", state.rows},
                       {"bytes", state.bytes}};
      if (state.in_store) {
        one["in_store"] = true;
      } else if (state.description.kind == StateKind::keyed) {
        one["key_groups"] = state.key_groups;
      }
      states.push_back(std::move(one));
    }
    operators.push_back({{"operator", op.uid},
                         {"parallelism", op.parallelism},
                         {"bytes", op.bytes},
                         {"source_position", op.enumerator},
                         {"states", std::move(states)}});
  }
  return {{"job", metadata.job_name},
          {"job_id", metadata.job_id},
          {"checkpoint", metadata.id},
          {"savepoint", metadata.savepoint},
          {"completed", to_iso8601(metadata.completed)},
          {"max_parallelism", metadata.max_parallelism},
          {"bytes", metadata.size()},
          {"operators", std::move(operators)}};
}

std::string as_text(const ordered_json& all) {
  std::string out = (all.at("savepoint").get<bool>() ? "savepoint " : "checkpoint ") +
                    std::to_string(all.at("checkpoint").get<std::uint64_t>()) + " of " +
                    all.at("job").get<std::string>() + ", " + all.at("completed").get<std::string>() + ", " +
                    std::to_string(all.at("bytes").get<std::uint64_t>()) + " bytes, max_parallelism " +
                    std::to_string(all.at("max_parallelism").get<std::uint32_t>()) + "\n";
  for (const auto& op : all.at("operators")) {
    out += op.at("operator").get<std::string>() + "  parallelism " +
           std::to_string(op.at("parallelism").get<std::uint32_t>()) + ", " +
           std::to_string(op.at("bytes").get<std::uint64_t>()) + " bytes\n";
    if (op.at("source_position").get<bool>()) out += "  the position of the source\n";
    for (const auto& state : op.at("states")) {
      out += "  " + state.at("name").get<std::string>() + "  " + state.at("kind").get<std::string>() + ", " +
             (state.contains("in_store") ? "in a store"
                                         : std::to_string(state.at("rows").get<std::uint64_t>()) + " rows") +
             ", " + std::to_string(state.at("bytes").get<std::uint64_t>()) + " bytes";
      if (state.contains("key_groups"))
        out += ", " + std::to_string(state.at("key_groups").get<std::uint32_t>()) + " key groups";
      out += "\n    " + state.at("schema").get<std::string>() + "\n";
    }
  }
  return out;
}

/// A file that cannot be read or found is a matter of the command line; a damaged one has failed.
int show_problem(const Error& error, bool json) {
  const bool absent = error.code() == ErrorCode::not_found;
  return show_failure(absent ? Error{ErrorCode::invalid_argument, error.message()} : error, json);
}

int list(const StateOptions& options) {
  const auto savepoint = load_savepoint(options.savepoint);
  if (!savepoint) return show_problem(savepoint.error(), options.json);
  const ordered_json all = listing((*savepoint)->metadata());
  std::cout << (options.json ? all.dump() + "\n" : as_text(all));
  return exit_done;
}

/// The types of a process function's states, which lie beside them.
std::map<std::string, std::string, std::less<>> types_of_values(const RestoredCheckpoint& checkpoint,
                                                                const std::string& op) {
  std::map<std::string, std::string, std::less<>> types;
  if (checkpoint.metadata().find(op) == nullptr) return types;
  const auto reader = checkpoint.reader_of_all(op);
  const StateDescription* const table = reader->find("$types");
  if (table == nullptr) return types;
  // What cannot be read stays bytes.
  static_cast<void>(reader->read("$types", table->schema, [&](std::uint32_t, const BatchPtr& rows) -> Status {
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      types.emplace("state:" + std::string{rows->column(0).text(row)}, rows->column(1).text(row));
    }
    return {};
  }));
  return types;
}

int show(const StateOptions& options) {
  const auto savepoint = load_savepoint(options.savepoint);
  if (!savepoint) return show_problem(savepoint.error(), options.json);
  StateQuery query = options.query;
  const auto types = types_of_values(**savepoint, query.op);
  query.read_bytes = [&types](std::string_view column, std::string_view bytes) -> std::optional<std::string> {
    const auto type = types.find(column);
    return type != types.end() ? value_to_json(type->second, bytes) : windows::saved_aggregate_to_json(column, bytes);
  };
  const Status shown = show_state(**savepoint, query, [](const std::string& row) { std::cout << row << "\n"; });
  return shown ? exit_done : show_problem(shown.error(), options.json);
}

CLI::App& add_state_command(CLI::App& state, const std::string& name, const std::string& help, StateOptions& options) {
  CLI::App& command = *state.add_subcommand(name, help);
  command.add_option("SAVEPOINT", options.savepoint, "The folder of a savepoint, or of a checkpoint")->required();
  command.add_flag("--json", options.json, "JSON instead of text, mistakes included");
  return command;
}

}  // namespace

void add_state(CLI::App& app, Action& action) {
  CLI::App& state = *app.add_subcommand("state", "What a savepoint or checkpoint holds");
  state.require_subcommand(1);
  auto listed = std::make_shared<StateOptions>();
  CLI::App& ls = add_state_command(state, "ls", "Its operators, their states, schemas and sizes", *listed);
  ls.footer("Example:\n  dfnode state ls /mnt/shared/savepoints/savepoint-payments-0000000042");
  ls.callback([listed, &action] { action = [listed] { return list(*listed); }; });

  auto shown = std::make_shared<StateOptions>();
  shown->query.limit = default_limit;
  CLI::App& command = add_state_command(state, "show", "Rows of a state, a JSON object a line", *shown);
  command.add_option("--operator", shown->query.op, "The operator's uid, by default its name")
      ->type_name("NAME")
      ->required();
  command.add_option("--state", shown->query.state, "As `dfnode state ls` lists it")->type_name("NAME")->required();
  command
      .add_option("--key", shown->query.key_json,
                  "Only rows of this key: a value of the first column, or an object of columns and values")
      ->type_name("JSON");
  command.add_option("--limit", shown->query.limit, "At most so many rows, default 100")->type_name("ROWS");
  command.footer(
      "Bytes, as which the values of C++ functions and aggregates are kept, are shown in base64.\n\n"
      "Examples:\n  dfnode state show savepoints/savepoint-payments-0000000042 --operator totals --state groups\n"
      "  dfnode state show savepoints/savepoint-payments-0000000042 --operator totals --state groups --key '\"4711\"'");
  command.callback([shown, &action] { action = [shown] { return show(*shown); }; });
}

}  // namespace dataflow::cli
