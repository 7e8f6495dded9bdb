#include "actors/job_checkpoints.hpp"

namespace dataflow {

Result<std::unique_ptr<JobCheckpoints>> JobCheckpoints::open(JobGraphPtr graph, const std::string& job_id,
                                                             StartFrom start) {
  auto made = std::unique_ptr<JobCheckpoints>(new JobCheckpoints);
  auto storage = open_checkpoint_storage(graph->stream->settings.checkpoint->storage);
  if (!storage) return fail(storage.error());
  made->graph_ = graph;
  made->storage_ = std::move(*storage);
  std::optional<Leadership> leadership;
  if (start != StartFrom::nothing) {
    const std::string begun_by = start == StartFrom::own_run ? job_id : "";
    auto resumed = resume_run(*made->storage_, graph->stream->name, begun_by);
    if (!resumed) return fail(resumed.error());
    leadership = std::move(*resumed);
  }
  if (!leadership) {
    auto begun = begin_run(*made->storage_, graph->stream->name, job_id);
    if (!begun) return fail(begun.error());
    leadership = std::move(*begun);
  }
  made->lineage_ = leadership->lineage;
  made->job_id_ = leadership->job_id;
  if (!leadership->completed.empty()) made->resumed_from_ = leadership->completed.back().id;
  if (Status cleaned = remove_leftovers(*made->storage_, *leadership); !cleaned) return fail(cleaned.error());
  made->coordinator_ = std::make_unique<CheckpointCoordinator>(std::move(graph), made->job_id_, *leadership);
  return made;
}

Result<RestoredCheckpointPtr> JobCheckpoints::restore_point() {
  auto completed = list_completed(*storage_, lineage_);
  if (!completed) return fail(completed.error());
  coordinator_->reload(std::move(*completed));
  const CompletedCheckpoint* latest = coordinator_->latest();
  if (latest == nullptr) return RestoredCheckpointPtr{};
  auto restored = RestoredCheckpoint::load(storage_, latest->folder);
  if (!restored) {
    return fail(Error{restored.error().code(),
                      restored.error().message() +
                          "; going on from an older checkpoint would write rows twice, so the job does not do it"});
  }
  if (Status fits = (*restored)->check(*graph_, UnclaimedState::refused); !fits) return fail(fits.error());
  return restored;
}

}  // namespace dataflow
