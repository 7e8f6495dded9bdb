#include "libdataflow/checkpoint/job_checkpoints.hpp"

namespace dataflow {

Result<std::unique_ptr<JobCheckpoints>> JobCheckpoints::open(JobGraphPtr graph, const std::string& job_id,
                                                             const StartPoint& start, CheckpointStoragePtr storage,
                                                             SavepointFinder find) {
  auto made = std::unique_ptr<JobCheckpoints>(new JobCheckpoints);
  if (storage == nullptr) {
    auto opened = open_checkpoint_storage(graph->stream->settings.checkpoint->storage);
    if (!opened) return fail(opened.error());
    storage = std::move(*opened);
  }
  made->graph_ = graph;
  made->storage_ = std::move(storage);
  made->find_ = std::move(find);
  made->unclaimed_ = start.unclaimed;
  Result<std::optional<Leadership>> leadership{std::nullopt};
  if (start.from != StartFrom::nothing) {
    const std::string begun_by = start.from == StartFrom::own_run ? job_id : "";
    leadership = resume_run(*made->storage_, graph->stream->name, begun_by);
  }
  if (!leadership) return fail(leadership.error());
  if (!*leadership) {
    // A master that stood still before it could begin may have been replaced by now.
    Status first = confirm_first(*made->storage_, graph->stream->name, job_id);
    if (!first) return fail(first.error());
    RunOrigin origin{start.savepoint, start.unclaimed == UnclaimedState::dropped};
    if (!origin.savepoint.empty()) {
      // Before there is a run that would be taken up again.
      const auto fits = made->load_origin(origin);
      if (!fits) return fail(fits.error());
    }
    auto begun = begin_run(*made->storage_, graph->stream->name, job_id, origin);
    if (!begun) return fail(begun.error());
    *leadership = std::move(*begun);
  }
  const Leadership& mine = **leadership;
  made->lineage_ = mine.lineage;
  made->job_id_ = mine.job_id;
  made->origin_ = mine.origin;
  if (Status cleaned = remove_leftovers(*made->storage_, mine); !cleaned) return fail(cleaned.error());
  made->coordinator_ = std::make_unique<CheckpointCoordinator>(std::move(graph), made->job_id_, mine);
  if (!mine.completed.empty()) {
    made->resumed_from_ = mine.completed.back().id;
  } else if (!made->origin_.savepoint.empty()) {
    const auto origin = made->load_origin(made->origin_);
    if (!origin) return fail(origin.error());
    made->resumed_from_ = origin->checkpoint->metadata().id;
  }
  return made;
}

Result<RestoredCheckpointPtr> JobCheckpoints::load(const CheckpointStoragePtr& storage, const std::string& folder,
                                                   UnclaimedState unclaimed) {
  // What is in a checkpoint's folder does not change; that its storage is there has been looked at.
  std::string place = storage->describe(folder);
  if (loaded_ != nullptr && loaded_from_ == place) return loaded_;
  auto read = RestoredCheckpoint::load(storage, folder);
  if (!read) return fail(read.error());
  if (Status fits = (*read)->check(*graph_, unclaimed); !fits) return fail(fits.error());
  loaded_ = std::move(*read);
  loaded_from_ = std::move(place);
  return loaded_;
}

Result<RestorePoint> JobCheckpoints::load_origin(const RunOrigin& origin) {
  auto place = find_(origin.savepoint);
  if (!place) return fail(place.error());
  const auto unclaimed = origin.drop_unclaimed ? UnclaimedState::dropped : unclaimed_;
  auto restored = load(place->storage, place->folder, unclaimed);
  if (!restored) {
    // What is wrong with a file names it.
    const bool fits = restored.error().code() != ErrorCode::invalid_argument;
    return fail(fits ? restored.error() : restored.error().within(origin.savepoint));
  }
  std::string parent = place->storage->describe({});
  return RestorePoint{std::move(*restored), std::move(parent), std::move(place->folder)};
}

Result<RestorePoint> JobCheckpoints::restore_point() {
  // A disk that is not there looks like one without checkpoints, and the job would begin from nothing.
  // Nor may one that has been overtaken: what it takes for left behind is what its successor is about to commit.
  if (Status leads = confirm_leadership(*storage_, lineage_, coordinator_->epoch()); !leads) return fail(leads.error());
  auto completed = list_completed(*storage_, lineage_);
  if (!completed) return fail(completed.error());
  coordinator_->reload(std::move(*completed));
  const CompletedCheckpoint* latest = coordinator_->latest();
  if (latest == nullptr) {
    if (origin_.savepoint.empty()) return RestorePoint{};
    auto from = load_origin(origin_);
    if (from) coordinator_->number_above(from->checkpoint->metadata().id);
    return from;
  }
  auto restored = load(storage_, latest->folder, unclaimed_);
  if (!restored && restored.error().code() != ErrorCode::invalid_argument) {  // that is one that does not fit the job
    return fail(Error{restored.error().code(),
                      restored.error().message() +
                          "; going on from an older checkpoint would write rows twice, so the job does not do it by "
                          "itself: --from FOLDER does"});
  }
  if (!restored) return fail(restored.error());
  return RestorePoint{std::move(*restored), {}, latest->folder};
}

}  // namespace dataflow
