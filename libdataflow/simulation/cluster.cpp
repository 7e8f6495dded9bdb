#include "libdataflow/simulation/cluster.hpp"

#include <algorithm>
#include <utility>

#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/savepoint.hpp"
#include "libdataflow/simulation/storage.hpp"

namespace dataflow::simulation {

namespace {

constexpr const char* storage_folder = "checkpoints";
constexpr const char* savepoint_folder = "savepoints";
constexpr Duration keep_up_interval{15'000};
constexpr Duration client_interval{10'000};
/// After the job's end: those that stand still go on, and may do no more harm.
constexpr Duration aftermath{1'500'000};
/// A job that has failed is started again so often by whoever looks after it.
constexpr std::uint32_t most_failures = 40;

}  // namespace

std::string tap_name(const StreamNode& node, std::size_t output) {
  return output == 0 ? node.name : node.name + "." + node.outputs[output].name;
}

Cluster::Cluster(const StreamGraph& job, RunSettings settings)
    : job_{job},
      settings_{std::move(settings)},
      world_{settings_.seed, draw_tuning(settings_.seed, !settings_.faults.empty()), settings_.traced,
             settings_.defect},
      chances_{Random{settings_.seed ^ 0x62756767ULL}, !settings_.faults.empty() || settings_.seed != 0, world_.met},
      watch_{world_, storage_folder},
      storage_{make_disk_storage(world_.disk, storage_folder)},
      savepoints_{make_disk_storage(world_.disk, savepoint_folder)},
      layout_{settings_.layout} {
  world_.state = settings_.state;
  Random random{settings_.seed ^ 0x636c7573ULL};
  checkpoint_interval_ = std::max(Duration{2000}, settings_.checkpoint_interval);
  checkpoint_timeout_ = std::max(Duration{400'000}, checkpoint_interval_ * 10);
  buffer_timeout_ = random.chance(0.3) ? Duration{0} : random.between(Duration{50}, Duration{5000});
  const std::uint32_t needed = graph(0)->slots_needed() + 1;  // a rescaled job may need one more
  slots_per_node_ = (needed + settings_.nodes - 1) / settings_.nodes + (random.chance(0.5) ? 1 : 0);
  for (std::uint32_t i = 1; i <= settings_.nodes; ++i) nodes_.push_back("node-" + std::to_string(i));
}

Cluster::~Cluster() {
  world_.forget();
}

Tuning Cluster::draw_tuning(std::uint64_t seed, bool faulty) {
  Random random{seed ^ 0x74756e65ULL};
  Tuning tuning;
  if (!faulty && seed == 0) return tuning;
  tuning.least_latency = random.between(Duration{10}, Duration{100});
  tuning.most_latency = tuning.least_latency + random.between(Duration{10}, Duration{2000});
  tuning.step = random.between(Duration{20}, Duration{150});
  tuning.disk = random.between(Duration{100}, Duration{3000});
  constexpr std::uint32_t sizes[] = {1, 4, 16, 64, 64, 64};
  tuning.most_rows = sizes[random.below(6)];
  tuning.window = std::size_t{1} << random.between(10, 19);
  tuning.silence = random.between(Duration{200'000}, Duration{600'000});
  tuning.yield = random.between(Duration{5}, Duration{200});
  return tuning;
}

// ---- The job --------------------------------------------------------------------------------------------------------

StreamGraph Cluster::with_sinks(std::uint32_t layout) {
  StreamGraph graph = job_;
  Random random{settings_.seed ^ (0x6c61796fULL + layout)};
  const std::size_t nodes = graph.nodes.size();
  for (std::size_t i = 0; i < nodes; ++i) {
    StreamNode& node = graph.nodes[i];
    // What the job says of a node's parallelism stays: its result may depend on it.
    if (layout > 0 && !node.parallelism && (!node.max_parallelism || *node.max_parallelism > 1)) {
      node.parallelism = static_cast<std::uint32_t>(random.between(1, settings_.parallelism + 1));
    }
    if (node.is_sink()) {
      const StreamEdge& input = node.inputs.front();
      node.factory =
          make_sink({&world_, &watch_}, node.name, graph.nodes[input.from].outputs[input.output].schema, random);
    }
    if (!settings_.taps) continue;
    for (std::size_t output = 0; output < graph.nodes[i].outputs.size(); ++output) {
      StreamNode tap;
      tap.id = static_cast<NodeId>(graph.nodes.size());
      tap.name = tap.uid = "tap of " + tap_name(graph.nodes[i], output);
      tap.type = "tap";
      tap.inputs.push_back({.from = graph.nodes[i].id, .output = output, .partitioning = {}, .key_fields = {}});
      tap.factory = make_sink({&world_, &watch_}, tap.name, graph.nodes[i].outputs[output].schema, random);
      graph.nodes.push_back(std::move(tap));
    }
  }
  graph.settings.parallelism = graph.settings.parallelism.value_or(settings_.parallelism);
  graph.settings.buffer_timeout = buffer_timeout_;
  graph.settings.restart = RestartSettings{.initial_delay = Duration{5000}, .max_delay = Duration{100'000}};
  CheckpointSettings checkpoint = graph.settings.checkpoint.value_or(CheckpointSettings{});
  checkpoint.interval = checkpoint_interval_;
  checkpoint.timeout = checkpoint_timeout_;
  checkpoint.min_pause = Duration{0};
  checkpoint.tolerable_failures.reset();
  checkpoint.retain = 1 + static_cast<std::uint32_t>(random.below(3));
  graph.settings.checkpoint = checkpoint;
  graph.settings.state.backend = StateBackendKind::heap;
  return graph;
}

JobGraphPtr Cluster::graph(std::uint32_t layout) {
  JobGraphPtr& graph = graphs_[layout];
  if (graph != nullptr) return graph;
  auto built = build_job_graph(std::make_shared<const StreamGraph>(with_sinks(layout)), settings_.parallelism);
  if (built) {
    graph = std::make_shared<const JobGraph>(std::move(*built));
  } else {
    // The job itself has been built: another layout of it can be, too, but for what a parallelism may be at most.
    graph = graphs_.at(0);
  }
  return graph;
}

std::shared_ptr<JobManager> Cluster::job_manager() const {
  if (job_managers_.empty() || job_managers_.back()->gone()) return nullptr;
  return job_managers_.back();
}

std::shared_ptr<Worker> Cluster::worker(const std::string& name) const {
  const auto at = workers_.find(name);
  return at == workers_.end() || at->second->gone() ? nullptr : at->second;
}

void Cluster::add_worker(const std::shared_ptr<Worker>& worker) {
  workers_[worker->job().name] = worker;
  actors_.push_back(worker);
}

// ---- Whoever looks after the cluster --------------------------------------------------------------------------------

void Cluster::start_job_manager(const std::string& machine) {
  const auto process = world_.start("jobmanager-" + std::to_string(job_managers_.size() + 1), machine);
  const auto manager = std::make_shared<JobManager>(world_, process, *this);
  job_managers_.push_back(manager);
  manager->begin();
}

void Cluster::start_node(const std::string& machine) {
  const auto process = world_.start(machine + "/taskmanager", machine);
  const auto manager = std::make_shared<TaskManager>(world_, process, *this, slots_per_node_);
  task_managers_[machine] = manager;
  actors_.push_back(manager);
  manager->begin();
}

void Cluster::keep_up() {
  if (!finished_) world_.loop.after(keep_up_interval, nullptr, [this] { keep_up(); });
  const Timestamp now = world_.loop.now();
  const auto may_start = [&](const std::string& machine) {
    const auto down = down_until_.find(machine);
    return down == down_until_.end() || down->second <= now;
  };
  if (job_manager() == nullptr && may_start(master_machine)) start_job_manager(master_machine);
  for (const std::string& node : nodes_) {
    const auto at = task_managers_.find(node);
    const bool runs = at != task_managers_.end() && !at->second->gone();
    if (!runs && may_start(node)) start_node(node);
  }
}

/// The one who wants the job done: submits it, looks after it, and starts it again when it has failed.
void Cluster::client() {
  if (finished_) return;
  world_.loop.after(client_interval, nullptr, [this] { client(); });
  const auto manager = job_manager();
  if (manager == nullptr || manager->process()->stopped) return;
  if (const StoredJob* const ended = manager->ended_job(); ended != nullptr && manager->job_count() == jobs_wanted_) {
    job_ended(*ended);
  }
  if (finished_ || manager->job_count() >= jobs_wanted_) return;
  // Through the manager's mailbox, like any request.
  manager->post("submit", [this, at = manager.get()] {
    if (at->job_count() < jobs_wanted_) at->submit(layout_, resume_, start_from_);
  });
}

void Cluster::job_ended(const StoredJob& job) {
  resume_ = true;
  start_from_.clear();
  if (job.state == JobState::finished && !std::exchange(rescaling_, false)) {
    finished_ = true;
    return;
  }
  ++jobs_wanted_;
  if (job.state == JobState::finished) {
    ++layout_;
    ++world_.counts.rescales;
    if (through_savepoint_) start_from_ = savepoint_to_go_on_from();
    resume_ = start_from_.empty();
    return;
  }
  ++world_.counts.resubmitted;
  const std::string reason = job.error ? job.error->message() : std::string{to_string(job.state)};
  if (world_.loop.now() > calm_at_ + settings_.time_limit / 2 || ++failures_ > most_failures ||
      settings_.faults.empty()) {
    failed_for_good_ = "the job fails though nothing goes wrong any more: " + reason;
  }
}

/// The savepoint that the job was stopped with, if it is what the job ended with: one that was at its end when it was
/// asked for takes none, and one that had to begin again after it has gone further.
std::string Cluster::savepoint_to_go_on_from() {
  if (savepoints_taken_.size() == savepoints_before_) return {};
  const Disk::Unwatched outside{world_.disk};
  const TakenSavepoint& newest = savepoints_taken_.back();
  const auto completed = list_completed(*storage_, newest.lineage);
  const bool is_last = completed && !completed->empty() && completed->back().id == newest.checkpoint;
  if (is_last) world_.note([&] { return "the job is to go on from " + newest.location; });
  return is_last ? newest.location : std::string{};
}

RunResult Cluster::run() {
  const Chances::Scope scope{chances_};
  calm_at_ = Timestamp{};
  for (const Fault& fault : settings_.faults) {
    world_.loop.after(Duration{fault.at.micros}, nullptr, [this, fault] { inject(fault); });
    calm_at_ = std::max(calm_at_, fault.at);
  }
  keep_up();
  client();
  RunResult result;
  const auto overdue = [&] { return world_.loop.now() > calm_at_ + settings_.time_limit; };
  while (!finished_ && !failed_for_good_ && !overdue() && world_.loop.run_next()) {
  }
  result.took = world_.loop.now() - Timestamp{};
  if (failed_for_good_) {
    result.problem = failed_for_good_;
  } else if (!finished_) {
    const auto manager = job_manager();
    const auto master = manager ? manager->master() : nullptr;
    result.problem = "the job did not come to its end within " + to_string(settings_.time_limit) +
                     " after the last fault" + (master ? ": it is " + master->describe_state() : std::string{});
  } else {
    world_.disk.disarm();
    for (const std::string& node : nodes_) world_.go_on(node);
    for (const char* machine : {master_machine, standby_machine}) world_.go_on(machine);
    const Timestamp until = world_.loop.now() + aftermath;
    while (world_.loop.now() < until && world_.loop.run_next()) {
    }
    check(result);
  }
  if (!world_.violations.empty()) result.problem = world_.violations.front();
  result.counts = world_.counts;
  result.events = world_.loop.events();
  result.met = world_.met;
  result.trace = std::move(world_.trace());
  return result;
}

/// Each that somebody was told of is whole, whatever has happened since.
void Cluster::check_savepoints() {
  const Disk::Unwatched outside{world_.disk};
  for (const TakenSavepoint& savepoint : savepoints_taken_) {
    MemoryStorage copy;
    const auto copied = export_savepoint(*savepoints_, savepoint.folder, copy);  // looks at every checksum
    if (!copied) world_.violation("a savepoint cannot be read: " + copied.error().message());
  }
}

void Cluster::check(RunResult& result) {
  check_savepoints();
  for (const StreamNode& node : graph(0)->stream->nodes) {
    if (node.is_sink()) result.rows[node.name] = visible_rows(world_.disk, node.name);
  }
  check_leftovers();
}

/// What nobody disturbed leaves nothing behind. A fault may leave what could not be removed, or whose owner was gone:
/// no more than a file, a checkpoint or the parts of one attempt for each subtask that it may have met.
void Cluster::check_leftovers() {
  std::set<std::string> left;
  for (const StreamNode& node : graph(0)->stream->nodes) {
    if (!node.is_sink()) continue;
    for (const std::string& part : hidden_parts(world_.disk, node.name)) {
      const std::string name = part.substr(part.rfind('/') + 1);  // .part.JOB.SINK.SUBTASK.ATTEMPT.N.json
      left.insert(name.substr(0, name.rfind('.', name.rfind('.') - 1)));
    }
  }
  std::map<std::string, std::set<std::string>> checkpoints;  // by run
  for (const std::string& path : world_.disk.paths("")) {
    if (path.find("/.writing.") != std::string::npos) left.insert(path);
    const std::size_t checkpoint = path.find("/chk-");
    if (checkpoint == std::string::npos) continue;
    checkpoints[path.substr(0, checkpoint)].insert(path.substr(0, path.find('/', checkpoint + 1)));
  }
  const std::uint32_t retain = graph(layout_)->stream->settings.checkpoint->retain;
  for (const auto& [run, folders] : checkpoints) {
    auto folder = folders.begin();
    for (std::size_t left_over = folders.size(); left_over > retain; --left_over) left.insert(*folder++);
  }
  std::uint64_t faults = 0;
  for (const auto& [kind, count] : world_.counts.faults) faults += count;
  std::uint64_t subtasks = 0;
  for (const JobVertex& vertex : graph(layout_)->vertices) subtasks += vertex.parallelism;
  if (left.size() > faults * subtasks) {
    world_.violation(std::to_string(left.size()) + " files and checkpoints were left behind after " +
                     std::to_string(faults) + " faults: " + *left.begin() + (left.size() > 1 ? ", ..." : ""));
  }
}

}  // namespace dataflow::simulation
