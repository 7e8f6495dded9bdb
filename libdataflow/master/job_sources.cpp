#include "libdataflow/master/job_sources.hpp"

#include <optional>

#include "libdataflow/master/execution_graph.hpp"

namespace dataflow {

Status JobSources::prepare(RegionAttempt of, const ExecutionGraph& execution, const std::string& job_id,
                           const RestoredCheckpoint* restored) {
  for (const JobVertex& vertex : graph_->vertices) {
    if (execution.region_of(vertex.id) != of.region) continue;
    for (const NodeId id : vertex.chain) {
      const StreamNode& node = graph_->node(id);
      if (node.is_source()) continue;
      const auto state = restored != nullptr ? restored->reader_of_all(node.state_id()) : nullptr;
      if (auto status = node.factory->before_attempt(job_id, of.attempt, state.get()); !status) {
        return fail(status.error().within("\"" + node.name + "\""));
      }
    }
    const StreamNode& source = head(vertex.id);
    if (!source.is_source()) continue;
    auto enumerator = source.source->factory->create_enumerator();
    if (auto status = enumerator->open(vertex.parallelism); !status) {
      return fail(status.error().within("\"" + source.name + "\""));
    }
    if (const auto saved = restored != nullptr ? restored->enumerator(source.state_id()) : std::nullopt) {
      if (auto status = enumerator->restore(*saved); !status) {
        return fail(status.error().within("going on from a checkpoint").within("\"" + source.name + "\""));
      }
    }
    enumerators_.insert_or_assign(vertex.id, std::move(enumerator));
  }
  return {};
}

Result<std::map<std::string, std::string>> JobSources::snapshot() const {
  std::map<std::string, std::string> snapshots;
  std::optional<Error> failed;
  for (const auto& [vertex, enumerator] : enumerators_) {
    auto snapshot = enumerator->snapshot();
    if (snapshot) {
      snapshots.emplace(head(vertex).state_id(), std::move(*snapshot));
    } else {
      failed = snapshot.error().within("\"" + head(vertex).name + "\"");
    }
  }
  if (failed) return fail(*failed);
  return snapshots;
}

Result<SplitEnumerator::Next> JobSources::next(SubtaskId id, Timestamp now) {
  auto next = enumerators_.at(id.vertex)->next(id.subtask, now);
  if (!next) return fail(next.error().within("\"" + head(id.vertex).name + "\""));
  return next;
}

}  // namespace dataflow
