#pragma once
// A job on plain state machines and virtual time, run in a random order and killed at random moments: a subtask, or the
// whole process with its coordinator, of which only the storage and the outside world survive.

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/checkpoint/coordinator.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/runtime/local_executor.hpp"
#include "libdataflow/runtime/task.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow::testing_support {

class FragileCluster {
 public:
  /// Moments of the protocol that are not at the edges of one effect.
  enum class Moment : std::uint8_t {
    epoch_taken,       ///< a process leads the run and has done nothing yet
    some_opened,       ///< half of the subtasks have gone on from the checkpoint, and committed what it lists
    one_acknowledged,  ///< the first subtask's state is written
    all_acknowledged,  ///< the last one's is, and nobody knows
    some_told,         ///< half of the subtasks have committed
    name_removed,      ///< an old checkpoint has no name any more, and its files are there
  };

  struct Options {
    int subtask_kills = 3;  ///< at most
    int process_kills = 2;
    double kill_chance = 0.01;  ///< at each step
    double storage_failure_chance = 0;
    /// Kills the process the first times that an effect of this index in CheckpointEffect is to be carried out: before
    /// it, or when it has been done and nobody knows.
    std::optional<std::size_t> die_at{};
    bool die_after = false;
    std::optional<Moment> die_in{};  ///< the same for moments
    double decline_chance = 0;       ///< of a subtask's state to come to nothing
    int deaths = 0;
  };

  /// `graph(n)` is the job as the n-th process runs it; its parallelism may differ from process to process.
  FragileCluster(std::function<JobGraphPtr(int)> graph, std::shared_ptr<MemoryStorage> storage, std::mt19937_64& random,
                 Options options)
      : make_graph_{std::move(graph)}, storage_{std::move(storage)}, random_{random}, options_{std::move(options)} {
    storage_->decide_fates([this](MemoryStorage::Call call, const std::string&) {
      if (!unreliable_ || call == MemoryStorage::Call::get || !chance(options_.storage_failure_chance)) {
        return MemoryStorage::Fate::works;
      }
      return chance(0.5) ? MemoryStorage::Fate::lost : MemoryStorage::Fate::unsure;
    });
  }
  ~FragileCluster() { storage_->decide_fates(nullptr); }

  /// Until the job has finished, whatever happens to it. Errors: what should not have happened.
  Status run() {
    while (true) {
      auto finished = run_process();
      if (!finished) return fail(finished.error());
      if (*finished) return {};
      ++processes_;
    }
  }

  /// Where the n-th process keeps state; null: in memory.
  void keep_state(std::function<StateBackendPtr(int)> backend) { make_state_ = std::move(backend); }

  [[nodiscard]] int processes() const { return processes_; }
  [[nodiscard]] int attempts() const { return attempts_; }
  [[nodiscard]] std::uint64_t checkpoints() const { return checkpoints_; }
  [[nodiscard]] int restores() const { return restores_; }

 private:
  struct Peer {
    std::size_t host;
    std::size_t channel;
  };
  struct Written {
    std::uint64_t id;
    Duration alignment;
    CapturedStates states;
    std::string folder;
  };

  class Host final : public TaskHost {
   public:
    Host(FragileCluster& cluster, std::uint32_t vertex, std::uint32_t subtask, std::uint32_t attempt)
        : cluster_{cluster},
          vertex_{vertex},
          subtask_{subtask},
          task_{cluster.graph_, {"job", vertex, subtask, attempt}, *this} {}
    void send(std::size_t channel, EncodedEnvelopePtr envelope) override {
      cluster_.hosts_[receivers_[channel].host]->task_.receive(receivers_[channel].channel, std::move(envelope));
    }
    void grant(std::size_t channel, std::size_t bytes) override {
      cluster_.hosts_[senders_[channel].host]->task_.credit(senders_[channel].channel, bytes);
    }
    void request_split() override { wants_split_ = true; }
    void snapshot(TaskSnapshot snapshot) override {
      writes_.push_back(
          {snapshot.barrier.checkpoint_id, snapshot.alignment, std::move(snapshot.states), cluster_.current_folder_});
    }
    [[nodiscard]] StateBackendPtr state_backend() const override { return cluster_.state_; }
    void decline(std::uint64_t id, const Error& error) override {
      cluster_.take(cluster_.coordinator_->on_declined(id, error, cluster_.now_));
    }

    FragileCluster& cluster_;
    std::uint32_t vertex_;
    std::uint32_t subtask_;
    std::vector<Peer> receivers_;
    std::vector<Peer> senders_;
    bool wants_split_ = false;
    bool drained_ = false;
    std::deque<Written> writes_;  ///< asynchronous parts
    UploadedFiles uploaded_;
    Task task_;
  };

  static constexpr const char* job_name = "job";
  enum class Outcome : std::uint8_t { finished, attempt_over, process_over };

  bool strikes(Moment moment) {
    if (options_.die_in != moment || options_.deaths == 0) return false;
    --options_.deaths;
    return true;
  }
  bool chance(double p) { return std::uniform_real_distribution<double>{0, 1}(random_) < p; }
  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random_); }

  void take(std::vector<CheckpointEffect> effects) {
    for (CheckpointEffect& effect : effects) effects_.push_back(std::move(effect));
  }

  /// True when the job has finished, false when the process was killed.
  Result<bool> run_process() {
    unreliable_ = finished_ = failed_ = false;
    graph_ = make_graph_(processes_);
    state_ = make_state_ ? make_state_(processes_) : nullptr;
    effects_.clear();
    auto leadership = resume_run(*storage_, job_name);
    if (!leadership) return fail(leadership.error());
    Leadership mine;
    if (*leadership) {
      mine = std::move(**leadership);
    } else {
      auto begun = begin_run(*storage_, job_name, "job");
      if (!begun) return fail(begun.error());
      mine = std::move(*begun);
    }
    lineage_ = mine.lineage;
    if (strikes(Moment::epoch_taken)) return false;
    if (Status cleaned = remove_leftovers(*storage_, mine); !cleaned) return fail(cleaned.error());
    coordinator_ = std::make_unique<CheckpointCoordinator>(graph_, "job", mine);
    while (true) {
      auto outcome = run_attempt();
      // What the storage is still doing when an attempt ends is done before the next one starts.
      if (!outcome) return fail(outcome.error());
      if (*outcome == Outcome::finished) return true;
      if (*outcome == Outcome::process_over) return false;
      take(coordinator_->on_attempt_over(now_));
      hosts_.clear();
      while (!effects_.empty()) {
        if (Status done = carry_out_next(); !done) return fail(done.error());
        if (std::exchange(dying_, false)) return false;
      }
    }
  }

  Status start_attempt() {
    unreliable_ = false;
    ++attempts_;
    auto completed = list_completed(*storage_, lineage_);
    if (!completed) return fail(completed.error());
    coordinator_->reload(std::move(*completed));
    restored_.reset();
    if (const CompletedCheckpoint* latest = coordinator_->latest()) {
      auto loaded = RestoredCheckpoint::load(storage_, latest->folder);
      if (!loaded) return fail(loaded.error());
      restored_ = std::move(*loaded);
      ++restores_;
      if (Status fits = restored_->check(*graph_, UnclaimedState::refused); !fits) return fits;
    }
    for (const StreamNode& node : graph_->stream->nodes) {
      if (node.is_source()) continue;
      const auto state = restored_ ? restored_->reader_of_all(node.uid) : nullptr;
      if (Status ready = node.factory->before_attempt("job", static_cast<std::uint32_t>(attempts_), state.get());
          !ready)
        return ready;
    }
    if (Status opened = open_enumerators(); !opened) return opened;
    wire();
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (restored_ && i == (hosts_.size() + 1) / 2 && strikes(Moment::some_opened)) {
        dying_ = true;
        return {};
      }
      const auto& host = hosts_[i];
      if (auto opened = host->task_.open(now_, restored_.get()); !opened) {
        return fail(to_error(opened.error(), host->subtask_, 1));
      }
    }
    take(coordinator_->on_running(now_));
    unreliable_ = true;
    return {};
  }

  Status open_enumerators() {
    enumerators_.clear();
    for (const JobVertex& vertex : graph_->vertices) {
      const StreamNode& head = graph_->node(vertex.chain.front());
      if (!head.is_source()) continue;
      auto enumerator = head.source->factory->create_enumerator();
      if (Status opened = enumerator->open(vertex.parallelism); !opened) return opened;
      const auto saved = restored_ ? restored_->enumerator(head.uid) : std::nullopt;
      if (saved) {
        if (Status restored = enumerator->restore(*saved); !restored) return restored;
      }
      enumerators_.emplace(vertex.id, std::move(enumerator));
    }
    return {};
  }

  void wire() {
    hosts_.clear();
    std::map<ChannelId, Peer> receiving;
    std::map<ChannelId, Peer> sending;
    for (const JobVertex& vertex : graph_->vertices) {
      for (std::uint32_t subtask = 0; subtask < vertex.parallelism; ++subtask) {
        const std::size_t host = hosts_.size();
        hosts_.push_back(std::make_unique<Host>(*this, vertex.id, subtask, static_cast<std::uint32_t>(attempts_)));
        const auto inputs = input_channels(*graph_, vertex.id, subtask);
        for (std::size_t i = 0; i < inputs.size(); ++i) receiving[inputs[i]] = {host, i};
        const auto outputs = output_channels(*graph_, vertex.id, subtask);
        for (std::size_t i = 0; i < outputs.size(); ++i) sending[outputs[i]] = {host, i};
      }
    }
    for (const auto& host : hosts_) {
      for (const ChannelId& c : output_channels(*graph_, host->vertex_, host->subtask_))
        host->receivers_.push_back(receiving.at(c));
      for (const ChannelId& c : input_channels(*graph_, host->vertex_, host->subtask_))
        host->senders_.push_back(sending.at(c));
    }
  }

  Result<Outcome> run_attempt() {
    if (Status started = start_attempt(); !started) return fail(started.error());
    if (std::exchange(dying_, false)) return Outcome::process_over;
    for (int step = 0; step < 1'000'000; ++step) {
      if (chance(options_.kill_chance)) {
        if (chance(0.5) && options_.process_kills > 0) {
          --options_.process_kills;
          return Outcome::process_over;
        }
        if (options_.subtask_kills > 0) {
          --options_.subtask_kills;
          for (const auto& host : hosts_) host->task_.abort();
          return Outcome::attempt_over;
        }
      }
      if (chance(0.2)) now_ = now_ + Duration{static_cast<std::int64_t>(pick(2000))};
      auto outcome = step_something();
      if (!outcome) return fail(outcome.error());
      if (*outcome) return **outcome;
    }
    return fail(ErrorCode::internal, "the job does not come to an end");
  }

  Result<std::optional<Outcome>> step_something() {
    const std::size_t what = pick(hosts_.size() + 3);
    if (what >= hosts_.size()) {
      take(coordinator_->on_time(now_));
      if (!effects_.empty()) {
        if (Status done = carry_out_next(); !done) return fail(done.error());
        if (std::exchange(dying_, false)) return std::optional{Outcome::process_over};
      }
      if (finished_) return std::optional{Outcome::finished};
      if (failed_) {
        failed_ = false;
        for (const auto& host : hosts_) host->task_.abort();
        return std::optional{Outcome::attempt_over};
      }
      return std::optional<Outcome>{};
    }
    Host& host = *hosts_[what];
    if (!host.writes_.empty() && chance(0.5)) {
      write(host);
      if (std::exchange(dying_, false)) return std::optional{Outcome::process_over};
      return std::optional<Outcome>{};
    }
    auto progress = host.task_.run(now_);
    if (!progress) return fail(to_error(progress.error(), host.subtask_, 1));
    host.drained_ = progress->kind == Task::Progress::Kind::prepared;
    // The answer takes its time: a checkpoint may begin before it is there.
    if (host.wants_split_ && chance(0.3)) {
      if (Status answered = answer(host); !answered) return fail(answered.error());
    }
    const bool all = std::all_of(hosts_.begin(), hosts_.end(), [](const auto& h) { return h->drained_; });
    if (all) take(coordinator_->on_all_drained(now_));
    return std::optional<Outcome>{};
  }

  Status answer(Host& host) {
    auto next = enumerators_.at(host.vertex_)->next(host.subtask_, now_);
    if (!next) return fail(next.error());
    host.wants_split_ = false;
    if (next->kind == SplitEnumerator::Next::Kind::split) {
      host.task_.assign_split(std::move(next->split));
    } else {
      host.task_.no_more_splits();
    }
    return {};
  }

  void write(Host& host) {
    Written next = std::move(host.writes_.front());
    host.writes_.pop_front();
    const std::string name = std::to_string(host.vertex_) + "-" + std::to_string(host.subtask_);
    auto state = write_task_state(std::move(next.states), *storage_, next.folder, name, &host.uploaded_);
    if (state && chance(options_.decline_chance)) state = fail(ErrorCode::io, "the disk is full");
    if (!state) {
      take(coordinator_->on_declined(next.id, state.error(), now_));
      return;
    }
    const bool first = next.id != std::exchange(acknowledged_id_, next.id);
    acknowledged_ = first ? 1 : acknowledged_ + 1;
    if (acknowledged_ == hosts_.size() && strikes(Moment::all_acknowledged)) {
      dying_ = true;
      return;
    }
    dying_ = first && strikes(Moment::one_acknowledged);
    // Through the message that it is between nodes.
    auto arrived = decode_task_state(encode_task_state(*state));
    take(coordinator_->on_acknowledged(next.id, host.vertex_, host.subtask_, std::move(*arrived),
                                       {next.alignment, {}, {}}, now_));
  }

  Status carry_out_next() {
    const CheckpointEffect effect = std::move(effects_.front());
    effects_.pop_front();
    dying_ = options_.die_at == effect.index() && options_.deaths > 0;
    if (dying_) --options_.deaths;
    if (dying_ && !options_.die_after) return {};
    return std::visit([this](const auto& e) { return carry_out(e); }, effect);
  }
  Status carry_out(const BeginCheckpoint& effect) {
    current_folder_ = effect.folder;
    std::map<std::string, std::string> snapshots;
    for (const auto& [vertex, enumerator] : enumerators_) {
      auto snapshot = enumerator->snapshot();
      if (!snapshot) return fail(snapshot.error());
      snapshots[graph_->node(graph_->vertices[vertex].chain.front()).uid] = std::move(*snapshot);
    }
    for (const auto& host : hosts_) host->task_.trigger(effect.barrier);
    take(coordinator_->on_enumerators(effect.barrier.checkpoint_id, std::move(snapshots), now_));
    return {};
  }
  Status carry_out(const WriteMetadata& effect) {
    const auto put = storage_->put(effect.key, effect.bytes);
    take(coordinator_->on_metadata_written(effect.id, put ? Status{} : fail(put.error()), now_));
    return {};
  }
  Status carry_out(const AdvanceLatest& effect) {
    CompletedCheckpoint checkpoint = effect.checkpoint;
    const auto advanced = advance_latest(*storage_, lineage_, checkpoint);
    take(coordinator_->on_advanced(checkpoint, advanced, now_));
    return {};
  }
  Status carry_out(const CompleteCheckpoint& effect) {
    ++checkpoints_;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      const auto& host = hosts_[i];
      if (i == (hosts_.size() + 1) / 2 && strikes(Moment::some_told)) {
        dying_ = true;
        return {};
      }
      // A process dies between any two of its notifications.
      if (options_.process_kills > 0 && chance(options_.kill_chance * 10)) return {};
      auto done = effect.last ? host->task_.commit(effect.id) : host->task_.complete_checkpoint(effect.id);
      if (!done) return fail(to_error(done.error(), host->subtask_, 1));
    }
    finished_ = effect.last;
    return {};
  }
  Status carry_out(const AbortCheckpoint& effect) {
    for (const auto& host : hosts_) host->task_.abort_checkpoint(effect.id);
    return {};
  }
  Status carry_out(const RemoveCheckpoint& effect) {
    if (effect.checkpoint.sequence != 0 && strikes(Moment::name_removed)) {
      dying_ = true;
      return storage_->remove(latest_key(lineage_, effect.checkpoint.sequence));
    }
    // What cannot be removed stays, and does no harm.
    static_cast<void>(remove_checkpoint(*storage_, effect.checkpoint, lineage_));
    return {};
  }
  Status carry_out(const ExportSavepoint& effect) {
    take(coordinator_->on_exported(effect.request, fail(ErrorCode::unsupported, "no savepoints here")));
    return {};
  }
  Status carry_out(const FailForCheckpoints&) {
    failed_ = true;
    return {};
  }

  std::function<JobGraphPtr(int)> make_graph_;
  std::function<StateBackendPtr(int)> make_state_;
  StateBackendPtr state_;
  std::shared_ptr<MemoryStorage> storage_;
  std::mt19937_64& random_;
  Options options_;

  JobGraphPtr graph_;
  std::string lineage_;
  std::unique_ptr<CheckpointCoordinator> coordinator_;
  std::deque<CheckpointEffect> effects_;
  RestoredCheckpointPtr restored_;
  std::map<std::uint32_t, std::unique_ptr<SplitEnumerator>> enumerators_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::string current_folder_;
  Timestamp now_{};
  bool unreliable_ = false;
  bool finished_ = false;
  bool failed_ = false;
  bool dying_ = false;
  std::uint64_t acknowledged_id_ = 0;  ///< of what the newest acknowledgement was
  std::size_t acknowledged_ = 0;       ///< how many there were of it
  int processes_ = 0;
  int attempts_ = 0;
  int restores_ = 0;
  std::uint64_t checkpoints_ = 0;
};

}  // namespace dataflow::testing_support
