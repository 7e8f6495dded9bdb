#include "dataflow/testing.hpp"

#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/runtime/collect_sink.hpp"
#include "libdataflow/runtime/local_executor.hpp"
#include "libdataflow/simulation/simulation.hpp"
#include "libdataflow/sources/collection_source.hpp"

namespace dataflow::testing {

namespace {

Error about(std::string message) {
  return {ErrorCode::invalid_argument, std::move(message)};
}

void replace_sources(StreamGraph& graph, const Inputs& inputs) {
  for (const auto& [name, batches] : inputs.batches()) {
    StreamNode* source = nullptr;
    std::string sources;
    for (StreamNode& node : graph.nodes) {
      if (!node.is_source()) continue;
      if (node.name == name) source = &node;
      (sources += sources.empty() ? "" : ", ") += "\"" + node.name + "\"";
    }
    if (source == nullptr) throw Failure{about("the job has no source \"" + name + "\", but " + sources)};
    for (const BatchPtr& batch : batches) {
      if (!(*batch->schema() == *source->outputs[0].schema)) {
        throw Failure{about("the records for \"" + name + "\" are " + to_string(*batch->schema()) +
                            ", the source gives " + to_string(*source->outputs[0].schema))};
      }
    }
    source->source->factory = make_collection_source(batches);
  }
}

constexpr const char* harness_uid = "operator";

}  // namespace

std::string save_state(Operator& from) {
  auto captured = from.snapshot();
  if (!captured) throw Failure{captured.error()};
  CapturedStates states;
  states.emplace_back(harness_uid, std::move(*captured));
  auto state = collect_task_state(std::move(states));
  if (!state) throw Failure{state.error()};
  CheckpointMetadata metadata;
  metadata.max_parallelism = Bench{}.max_parallelism();
  metadata.files.push_back(std::move(state->file));
  metadata.operators.push_back({harness_uid, {{std::move(state->operators[0].tables), 0}}, std::nullopt});
  return encode_metadata(metadata);
}

void load_state(Operator& into, std::string_view saved) {
  auto metadata = decode_metadata(saved, "the snapshot");
  if (!metadata) throw Failure{metadata.error()};
  const auto checkpoint = RestoredCheckpoint::of(std::move(*metadata));
  const auto reader = checkpoint->reader(harness_uid, 0, 1);
  if (auto status = into.restore(*reader); !status) throw Failure{status.error()};
}

namespace {

StreamGraph graph_of(void (*job)(Environment&), const std::vector<std::string>& arguments, const Inputs& inputs) {
  auto graph = build_job("test", job, arguments);
  if (!graph) throw Failure{graph.error()};
  replace_sources(*graph, inputs);
  return *std::move(graph);
}

}  // namespace

Outputs run(void (*job)(Environment&), const Inputs& inputs, const RunOptions& options) {
  StreamGraph graph = graph_of(job, options.arguments, inputs);
  std::map<std::string, std::shared_ptr<Collected>> collected;
  for (StreamNode& node : graph.nodes) {
    if (!node.is_sink()) continue;
    const auto rows = std::make_shared<Collected>();
    node.factory = make_collect_sink(rows);
    collected[node.name] = rows;
    const StreamEdge& edge = node.inputs[0];
    const StreamNode& from = graph.nodes[edge.from];
    collected.emplace(edge.output == 0 ? from.name : from.name + "." + from.outputs[edge.output].name, rows);
  }
  auto executor = LocalExecutor::create(std::move(graph), {.parallelism = options.parallelism});
  if (!executor) throw Failure{executor.error()};
  if (auto status = (*executor)->run(options.until); !status) throw Failure{status.error()};

  std::map<std::string, std::vector<BatchPtr>> batches;
  for (const auto& [name, rows] : collected) batches[name] = rows->batches;
  return Outputs{std::move(batches)};
}

Simulated simulate(void (*job)(Environment&), const Inputs& inputs, Seeds seeds, const SimulateOptions& options) {
  const auto simulation = simulation::Simulation::prepare(graph_of(job, options.arguments, inputs),
                                                          {.nodes = options.nodes, .parallelism = options.parallelism});
  if (!simulation) throw Failure{simulation.error()};
  if (const auto& chance = simulation->not_deterministic()) throw Failure{about(describe(*chance))};
  Simulated sum;
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    const simulation::SeedResult result = simulation->run(seed);
    if (result.failure) throw Failure{about(describe(*result.failure))};
    for (const auto& [kind, count] : result.counts.faults) sum.faults += count;
    sum.restarts += result.counts.restarts;
    sum.checkpoints += result.counts.checkpoints_completed;
    sum.rescales += result.counts.rescales;
  }
  return sum;
}

const std::vector<BatchPtr>& Outputs::find(const std::string& name) const {
  const auto at = batches_.find(name);
  if (at != batches_.end()) return at->second;
  std::string known;
  for (const auto& [other, batches] : batches_) (known += known.empty() ? "" : ", ") += "\"" + other + "\"";
  throw std::out_of_range{"the job has no sink or node \"" + name + "\" whose rows are kept, but " + known};
}

std::string Outputs::json_of(const std::string& name) const {
  std::string lines;
  for (const BatchPtr& batch : find(name)) {
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      append_row_json(*batch, row, lines);
      lines += '\n';
    }
  }
  return lines;
}

}  // namespace dataflow::testing
