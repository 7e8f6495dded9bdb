#include "libdataflow/topology/job_settings.hpp"

#include <algorithm>
#include <map>

#include "libdataflow/topology/checked_settings.hpp"

namespace dataflow {

namespace {

constexpr std::int64_t most_key_groups = 32768;
constexpr std::uint64_t least_memory = 16ULL << 20;
constexpr std::uint64_t least_state_memory = 16ULL << 20;

Option checkpoint_option() {
  return {.name = "checkpoint",
          .kind = OptionKind::table,
          .help =
              "When state and positions are saved, so that the job goes on from there after a failure, and with "
              "`dfnode run --resume` after anything else. Without it a failed job begins again.",
          .example = "{ interval = \"10s\", storage = \"file:///var/lib/dataflow\" }",
          .nested = {{.name = "interval",
                      .kind = OptionKind::duration,
                      .help = "Time between two checkpoints.",
                      .example = "\"10s\"",
                      .required = true},
                     {.name = "storage",
                      .help = "The folder where they are kept: on a filesystem that all nodes share.",
                      .example = "\"file:///var/lib/dataflow\"",
                      .required = true},
                     {.name = "timeout",
                      .kind = OptionKind::duration,
                      .help = "One that takes longer is given up.",
                      .example = "\"10m\"",
                      .default_value = "10m"},
                     {.name = "min_pause",
                      .kind = OptionKind::duration,
                      .help = "Least time between the end of one and the start of the next.",
                      .example = "\"1s\"",
                      .default_value = "0s"},
                     {.name = "mode",
                      .kind = OptionKind::choice,
                      .help = "How barriers pass records: only \"aligned\" exists.",
                      .example = "\"aligned\"",
                      .default_value = "aligned",
                      .choices = {"aligned", "unaligned"}},
                     {.name = "tolerable_failures",
                      .kind = OptionKind::integer,
                      .help = "More failed checkpoints in a row fail the job; default: it goes on without.",
                      .example = "5"},
                     {.name = "retain",
                      .kind = OptionKind::integer,
                      .help = "How many completed ones are kept.",
                      .example = "3",
                      .default_value = "3"}}};
}

Option state_option() {
  return {.name = "state",
          .kind = OptionKind::table,
          .help = "Where keyed state lives while the job runs.",
          .example = "{ backend = \"rocksdb\", memory = \"256MiB\" }",
          .nested = {
              {.name = "backend",
               .kind = OptionKind::choice,
               .help = "heap: in memory; rocksdb: state of process functions, distinct, top and pattern on the "
                       "node's disk, with a cache in memory, so that it may be larger than memory and checkpoints "
                       "write only what has changed; windows, aggregate and joins that outgrow memory go there, too "
                       "(the table of a lookup stays in memory).",
               .example = "\"heap\"",
               .default_value = "heap",
               .choices = {"heap", "rocksdb"}},
              {.name = "memory",
               .kind = OptionKind::size,
               .help = "rocksdb: what it may use in each worker process, caches included; in a batch with the heap: "
                       "what windows, aggregate, top, distinct, pattern, functions and window joins may use before "
                       "they sort the rest on disk; default: half of the job's memory.",
               .example = "\"256MiB\""},
              {.name = "ttl",
               .kind = OptionKind::duration,
               .help = "What distinct, top and aggregate keep of a key that no row came of for so long, by the "
                       "clock, is forgotten, unless they have a `ttl` of their own; default: never. States of process "
                       "functions say their own; windows end by time.",
               .example = "\"7d\""}}};
}

Option restart_option() {
  return {.name = "restart",
          .kind = OptionKind::table,
          .help = "When and how often a failed job is started again.",
          .example = "{ strategy = \"fixed\", attempts = 3, delay = \"1s\" }",
          .nested = {{.name = "strategy",
                      .kind = OptionKind::choice,
                      .help = "exponential: at once, then after growing pauses; fixed: some attempts with equal "
                              "pauses; failure_rate: as long as failures are rare; none: never.",
                      .example = "\"fixed\"",
                      .default_value = "exponential",
                      .choices = {"exponential", "fixed", "failure_rate", "none"}},
                     {.name = "attempts",
                      .kind = OptionKind::integer,
                      .help = "fixed: restarts before the job fails.",
                      .example = "3",
                      .default_value = "3"},
                     {.name = "delay",
                      .kind = OptionKind::duration,
                      .help = "fixed, failure_rate: the pause before each restart.",
                      .example = "\"1s\"",
                      .default_value = "1s"},
                     {.name = "initial_delay",
                      .kind = OptionKind::duration,
                      .help = "exponential: the pause after the first restart, which comes at once.",
                      .example = "\"100ms\"",
                      .default_value = "100ms"},
                     {.name = "max_delay",
                      .kind = OptionKind::duration,
                      .help = "exponential: pauses double up to this.",
                      .example = "\"10s\"",
                      .default_value = "10s"},
                     {.name = "reset_after",
                      .kind = OptionKind::duration,
                      .help = "exponential: after so long without a failure, back to the start.",
                      .example = "\"1m\"",
                      .default_value = "1m"},
                     {.name = "max_failures",
                      .kind = OptionKind::integer,
                      .help = "failure_rate: more within `interval` fail the job.",
                      .example = "5",
                      .default_value = "5"},
                     {.name = "interval",
                      .kind = OptionKind::duration,
                      .help = "failure_rate: the time over which failures are counted.",
                      .example = "\"5m\"",
                      .default_value = "5m"}}};
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

class JobReader {
 public:
  JobReader(const TomlValue& root, const CheckedSettings& settings, std::vector<Diagnostic>& diagnostics)
      : root_{root}, settings_{settings}, diagnostics_{diagnostics} {}

  JobHeader read(const std::string& default_name) {
    JobHeader job{settings_.has("name") ? settings_.text("name") : default_name, {}};
    JobSettings& out = job.settings;
    if (settings_.has("name") && job.name.empty())
      error({"name"}, "\"name\" is empty", "without it the file's name is the job's");
    // They would change what a terminal shows, wherever the name is.
    if (has_control_character(job.name)) {
      if (settings_.has("name")) {
        error({"name"}, "\"name\" has a control character");
      } else {
        diagnostics_.push_back(diagnose(Severity::error, root_.place,
                                        "the file's name, which is the job's, has a control character",
                                        "write name = \"...\""));
      }
    }
    out.max_parallelism = in_range({"max_parallelism"}, settings_, 1, most_key_groups, 128);
    if (settings_.has("parallelism")) out.parallelism = in_range({"parallelism"}, settings_, 1, out.max_parallelism, 1);
    if (settings_.has("mode") && settings_.text("mode") == "streaming") out.mode = ExecutionMode::streaming;
    if (settings_.has("mode") && settings_.text("mode") == "batch") out.mode = ExecutionMode::batch;
    if (settings_.has("memory")) out.memory_bytes = settings_.size("memory");
    if (out.memory_bytes < least_memory) error({"memory"}, "\"memory\" must be at least 16MiB");
    if (settings_.has("buffer_timeout")) out.buffer_timeout = settings_.duration("buffer_timeout");
    if (out.buffer_timeout < Duration{0}) error({"buffer_timeout"}, "\"buffer_timeout\" must not be negative");
    if (settings_.has("restart")) out.restart = read_restart(settings_.table("restart"));
    if (settings_.has("checkpoint")) {
      const Settings& checkpoint = settings_.table("checkpoint");
      // What is missing has been reported; there is nothing to read then.
      if (checkpoint.has("interval") && checkpoint.has("storage")) out.checkpoint = read_checkpoint(checkpoint);
    }
    if (settings_.has("state")) out.state = read_state(settings_.table("state"));
    return job;
  }

 private:
  /// Where a key, or a key of a table, stands: its value, or the table's name when it has its default.
  SourceSpan place(std::initializer_list<std::string_view> path) const {
    const TomlValue* table = &root_;
    SourceSpan found;
    for (const std::string_view key : path) {
      const TomlMember* member = table->find_member(key);
      if (member == nullptr) break;
      found = member->value.kind == TomlValue::Kind::table ? member->key_place : member->value.place;
      table = &member->value;
    }
    return found;
  }

  void error(std::initializer_list<std::string_view> path, std::string message, std::string suggestion = {}) {
    diagnostics_.push_back(diagnose(Severity::error, place(path), std::move(message), std::move(suggestion)));
  }
  void warning(std::initializer_list<std::string_view> path, std::string message) {
    diagnostics_.push_back(diagnose(Severity::warning, place(path), std::move(message)));
  }

  std::uint32_t in_range(std::initializer_list<std::string_view> path, const Settings& settings, std::int64_t least,
                         std::int64_t most, std::uint32_t otherwise) {
    const std::string_view key = *(path.end() - 1);
    if (!settings.has(key)) return otherwise;
    const std::int64_t value = settings.integer(key);
    if (value >= least && value <= most) return static_cast<std::uint32_t>(value);
    error(path, "\"" + std::string{key} + "\" must be from " + std::to_string(least) + " to " + std::to_string(most) +
                    (key == "parallelism" ? " (max_parallelism)" : ""));
    return otherwise;
  }

  Duration positive(std::initializer_list<std::string_view> path, const Settings& settings) {
    const std::string_view key = *(path.end() - 1);
    const Duration value = settings.duration(key);
    if (value <= Duration{0}) error(path, "\"" + std::string{key} + "\" must be more than 0s");
    return value;
  }

  RestartSettings read_restart(const Settings& settings) {
    constexpr std::int64_t many = 1'000'000;
    RestartSettings out;
    const std::string strategy = settings.text("strategy");
    out.strategy = strategy == "fixed"          ? RestartSettings::Strategy::fixed
                   : strategy == "failure_rate" ? RestartSettings::Strategy::failure_rate
                   : strategy == "none"         ? RestartSettings::Strategy::none
                                                : RestartSettings::Strategy::exponential;
    refuse_keys_of_others(strategy);
    out.attempts = in_range({"restart", "attempts"}, settings, 0, many, out.attempts);
    out.delay = settings.duration("delay");
    if (out.delay < Duration{0}) error({"restart", "delay"}, "\"delay\" must not be negative");
    out.initial_delay = positive({"restart", "initial_delay"}, settings);
    out.max_delay = positive({"restart", "max_delay"}, settings);
    out.reset_after = positive({"restart", "reset_after"}, settings);
    out.max_failures = in_range({"restart", "max_failures"}, settings, 0, many, out.max_failures);
    out.interval = positive({"restart", "interval"}, settings);
    if (out.max_delay < out.initial_delay)
      error({"restart", "max_delay"}, "\"max_delay\" is shorter than \"initial_delay\"");
    return out;
  }

  /// What is written for another strategy would be read and have no effect.
  void refuse_keys_of_others(const std::string& strategy) {
    static const std::map<std::string, std::vector<std::string>, std::less<>> strategies_of_key = {
        {"attempts", {"fixed"}},        {"delay", {"fixed", "failure_rate"}}, {"initial_delay", {"exponential"}},
        {"max_delay", {"exponential"}}, {"reset_after", {"exponential"}},     {"max_failures", {"failure_rate"}},
        {"interval", {"failure_rate"}}};
    for (const TomlMember& member : root_.find("restart")->members) {
      const auto found = strategies_of_key.find(member.key);
      if (found == strategies_of_key.end()) continue;
      const std::vector<std::string>& strategies = found->second;
      if (std::count(strategies.begin(), strategies.end(), strategy) > 0) continue;
      std::string named;
      for (const std::string& one : strategies) named += (named.empty() ? "\"" : " or \"") + one + "\"";
      diagnostics_.push_back(
          diagnose(Severity::error, member.key_place,
                   "\"" + member.key + "\" is for the strategy " + named + ", and this is \"" + strategy + "\"",
                   "leave it out, or write strategy = \"" + strategies.front() + "\""));
    }
  }

  CheckpointSettings read_checkpoint(const Settings& settings) {
    CheckpointSettings out;
    out.interval = positive({"checkpoint", "interval"}, settings);
    out.timeout = positive({"checkpoint", "timeout"}, settings);
    out.min_pause = settings.duration("min_pause");
    if (out.min_pause < Duration{0}) error({"checkpoint", "min_pause"}, "\"min_pause\" must not be negative");
    out.retain = in_range({"checkpoint", "retain"}, settings, 1, 1000, 3);
    if (settings.has("tolerable_failures")) {
      out.tolerable_failures = in_range({"checkpoint", "tolerable_failures"}, settings, 0, 1'000'000, 0);
    }
    if (settings.text("mode") == "unaligned")
      error({"checkpoint", "mode"}, "unaligned checkpoints do not exist yet", "write \"aligned\"");
    out.storage = settings.text("storage");
    if (out.storage.rfind("file:///", 0) != 0)
      error({"checkpoint", "storage"}, "\"storage\" must be a folder as file:///path",
            "other storage does not exist yet");
    return out;
  }

  StateSettings read_state(const Settings& settings) {
    StateSettings out;
    if (settings.has("ttl")) {
      out.ttl = positive({"state", "ttl"}, settings);
    }
    if (settings.text("backend") == "rocksdb") out.backend = StateBackendKind::rocksdb;
    if (settings.has("memory")) {
      out.memory_bytes = settings.size("memory");
      if (*out.memory_bytes < least_state_memory) error({"state", "memory"}, "\"memory\" must be at least 16MiB");
      const bool batch = settings_.has("mode") && settings_.text("mode") == "batch";
      if (out.backend == StateBackendKind::heap && !batch) {
        warning({"state", "memory"},
                "\"memory\" is of the rocksdb backend and of batches: the heap has no limit of its own");
      }
    }
    return out;
  }

  const TomlValue& root_;
  const CheckedSettings& settings_;
  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace

const std::vector<Option>& job_options() {
  static const std::vector<Option> options = {
      {.name = "name", .help = "The job's name; default: the file's.", .example = "\"temperature-spikes\""},
      {.name = "parallelism",
       .kind = OptionKind::integer,
       .help = "Subtasks of each node; default: the number of slots, locally the number of cores.",
       .example = "4"},
      {.name = "max_parallelism",
       .kind = OptionKind::integer,
       .help = "Key groups: the most that parallelism can ever be.",
       .example = "128",
       .default_value = "128"},
      {.name = "mode",
       .kind = OptionKind::choice,
       .help =
           "batch: inputs have an end, and event time does not pass before: no record is late, windows, patterns and "
           "joins over time give their results at the end, and so do aggregate and top, without taking any back. "
           "auto is streaming.",
       .example = "\"streaming\"",
       .default_value = "auto",
       .choices = {"streaming", "batch", "auto"}},
      {.name = "memory",
       .kind = OptionKind::size,
       .help = "The one budget of a worker process: exchange, state, caches.",
       .example = "\"512MiB\"",
       .default_value = "512MiB"},
      {.name = "buffer_timeout",
       .kind = OptionKind::duration,
       .help = "Partial batches leave after this; 0s: each record at once.",
       .example = "\"5ms\"",
       .default_value = "5ms"},
      checkpoint_option(),
      state_option(),
      restart_option()};
  return options;
}

JobHeader read_job_settings(const TomlValue& root, const std::string& default_name,
                            const std::filesystem::path& base_folder, std::vector<Diagnostic>& diagnostics) {
  SettingsRules rules;
  for (const Option& option : job_options()) rules.options.push_back(&option);
  rules.elsewhere = {"sources", "operators", "sinks", "tests"};
  rules.what = "a topology";
  const SettingsCheck check = check_settings(root, root.place, rules, base_folder, diagnostics);
  return JobReader{root, check.settings, diagnostics}.read(default_name);
}

}  // namespace dataflow
