#include "actors/local_run.hpp"

#include <algorithm>
#include <future>
#include <memory>
#include <thread>

#include <caf/all.hpp>
#include <nlohmann/json.hpp>

#include "actors/cluster/crash_report.hpp"
#include "actors/cluster/crash_stacks.hpp"
#include "actors/cluster/job_json.hpp"
#include "actors/job_supervisor.hpp"
#include "actors/local_slots.hpp"
#include "actors/state_home.hpp"
#include "actors/worker.hpp"
#include "libdataflow/master/job_id.hpp"

namespace dataflow {

namespace {

constexpr auto answer_deadline = std::chrono::seconds{10};
/// How often who waits for a savepoint looks.
constexpr auto look_interval = std::chrono::milliseconds{20};
/// Messages an actor may handle in a row: small, so that no subtask holds a thread from the others.
constexpr std::size_t max_throughput = 5;

class LocalConfig : public caf::actor_system_config {
 public:
  explicit LocalConfig(std::size_t threads) {
    // Work stealing's idle polling costs more than it brings at this number of actors.
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", threads);
    set("scheduler.max-throughput", max_throughput);
    set("logger.verbosity", caf::atom("quiet"));
    add_thread_hook<CrashStacks>();
  }
};

/// Asks the JobSupervisor once for the job's end and fulfils the promise, with how the supervisor died if it did;
/// whoever waits for the end, however often, waits for that.
class EndWatcher final : public caf::event_based_actor {
 public:
  EndWatcher(caf::actor_config& config, caf::actor supervisor, std::shared_ptr<std::promise<std::string>> end)
      : caf::event_based_actor{config}, supervisor_{std::move(supervisor)}, end_{std::move(end)} {}

  caf::behavior make_behavior() override {
    request(std::exchange(supervisor_, nullptr), caf::infinite, msg::AwaitEnd{})
        .then([this](msg::Ended) { end_->set_value({}); },
              [this](const caf::error& e) { end_->set_value(system().render(e)); });
    return {};
  }

 private:
  caf::actor supervisor_;
  std::shared_ptr<std::promise<std::string>> end_;
};

}  // namespace

struct LocalJob::Impl {
  Impl(JobGraphPtr job_graph, StartPoint start, std::uint32_t slots, std::size_t threads, StateBackendPtr state)
      : graph{std::move(job_graph)}, config{threads}, system{config} {
    home = system.spawn<LocalSlots>(slots);
    const std::string job_id = random_job_id();
    SupervisionSettings settings;
    settings.start_from = std::move(start);
    supervisor = system.spawn<JobSupervisor, caf::detached>(home, job_id, graph, settings);
    WorkerJob work;
    work.supervisor = supervisor;
    work.graph = graph;
    work.job_id = job_id;
    work.state = std::move(state);
    worker = system.spawn<Worker, caf::detached>(std::move(work));
    caf::anon_send(home, msg::UseWorker{worker});
    watch_for_end();
  }

  void watch_for_end() {
    auto promise = std::make_shared<std::promise<std::string>>();
    end = promise->get_future().share();
    system.spawn<EndWatcher>(supervisor, std::move(promise));
  }

  ~Impl() {
    for (caf::actor* actor : {&supervisor, &worker, &home}) {
      if (*actor) caf::anon_send_exit(*actor, caf::exit_reason::user_shutdown);
      *actor = nullptr;
    }
  }

  Result<msg::JobViewPtr> view() {
    caf::scoped_actor self{system};
    Result<msg::JobViewPtr> result = fail(ErrorCode::io, "the job does not answer");
    self->request(supervisor, answer_deadline, msg::GetJob{})
        .receive(
            [&](const msg::JobViewPtr& v) { result = v; },
            [&](const caf::error& e) { result = fail(ErrorCode::io, "the job does not answer: " + system.render(e)); });
    return result;
  }

  Result<std::string> ask_operator(msg::AskOperator question) {
    caf::scoped_actor self{system};
    Result<std::string> result = fail(ErrorCode::io, "no answer");
    self->request(supervisor, answer_deadline, std::move(question))
        .receive([&](const msg::Answer& answer) { result = answer.result(); },
                 [&](const caf::error& e) { result = fail(ErrorCode::io, "no answer: " + system.render(e)); });
    return result;
  }

  JobGraphPtr graph;
  LocalConfig config;
  caf::actor_system system;
  caf::actor home;
  caf::actor supervisor;
  caf::actor worker;
  std::shared_future<std::string> end;  ///< empty when the job has ended; else how its supervisor died
};

LocalJob::LocalJob(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}

LocalJob::~LocalJob() {
  if (!impl_) return;
  const auto now = impl_->view();
  if (!now || is_terminal((*now)->state)) return;
  cancel();
  wait(answer_deadline);
}

Result<std::unique_ptr<LocalJob>> LocalJob::start(StreamGraph graph, LocalRunOptions options) {
  report_crashes_to_person();
  const std::uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::uint32_t parallelism = options.slots != 0 ? options.slots : cores;
  const bool goes_on = options.start.from != StartFrom::nothing || !options.start.savepoint.empty();
  if (goes_on && !graph.settings.checkpoint) {
    return fail(ErrorCode::invalid_argument,
                "there is nothing to go on from: the job takes no checkpoints; give it "
                "[checkpoint] interval = \"10s\", storage = \"file:///FOLDER\"");
  }
  auto built = build_job_graph(std::make_shared<const StreamGraph>(std::move(graph)), parallelism, options.chaining);
  if (!built) return fail(built.error());
  auto job = std::make_shared<const JobGraph>(std::move(*built));
  const std::uint32_t slots = options.slots != 0 ? options.slots : std::max(cores, job->slots_needed());
  auto state = open_state_backend(*job->stream);
  if (!state) return fail(state.error());
  auto impl = std::make_unique<Impl>(std::move(job), std::move(options.start), slots, cores, std::move(*state));
  return std::unique_ptr<LocalJob>(new LocalJob(std::move(impl)));
}

const JobGraphPtr& LocalJob::graph() const {
  return impl_->graph;
}

void LocalJob::stop(EndOfData how) {
  caf::anon_send(impl_->supervisor, msg::StopJob{how});
}

void LocalJob::cancel() {
  caf::anon_send(impl_->supervisor, msg::CancelJob{});
}

Result<std::string> LocalJob::take_savepoint(const std::string& target, std::optional<EndOfData> stop) {
  caf::scoped_actor self{impl_->system};
  Result<std::string> asked = fail(ErrorCode::io, "the job does not answer");
  self->request(impl_->supervisor, answer_deadline,
                msg::TakeSavepoint{target, stop.has_value(), stop.value_or(EndOfData{})})
      .receive([&](const msg::Answer& answer) { asked = answer.result(); },
               [&](const caf::error& e) {
                 asked = fail(ErrorCode::io, "the job does not answer: " + impl_->system.render(e));
               });
  if (!asked) return asked;
  const std::uint64_t request = nlohmann::json::parse(*asked).at("request");
  while (true) {
    const auto now = status();
    if (!now) return fail(now.error());
    const auto& all = now->checkpoints.savepoints;
    const auto mine =
        std::find_if(all.begin(), all.end(), [&](const SavepointRecord& one) { return one.request == request; });
    if (mine == all.end()) return fail(ErrorCode::internal, "nobody knows of the savepoint any more");
    if (mine->state == SavepointRecord::State::completed) return mine->location;
    if (mine->state == SavepointRecord::State::failed) return fail(ErrorCode::io, mine->failure);
    std::this_thread::sleep_for(look_interval);
  }
}

Result<JobStatus> LocalJob::status() {
  const auto view = impl_->view();
  if (!view) return fail(view.error());
  JobStatus status{.state = (*view)->state,
                   .restarts = (*view)->restarts,
                   .error = (*view)->error,
                   .failures = (*view)->failures,
                   .checkpoints = (*view)->checkpoints,
                   .nodes = {}};
  for (const msg::SubtaskView& subtask : (*view)->subtasks) {
    for (const NodeMetrics& m : subtask.report.nodes) {
      const auto [at, added] = status.nodes.emplace(impl_->graph->node(m.node).name, m);
      if (!added) at->second.add(m);
    }
  }
  return status;
}

Result<std::string> LocalJob::show(const Secrets& secrets) {
  const auto view = impl_->view();
  if (!view) return fail(view.error());
  return job_as_json(impl_->graph->stream->name, *impl_->graph, **view, secrets);
}

std::optional<JobStatus> LocalJob::wait(Duration timeout) {
  if (impl_->end.wait_for(timeout) == std::future_status::timeout) return std::nullopt;
  if (const std::string lost = impl_->end.get(); !lost.empty()) {
    JobStatus status;
    status.state = JobState::failed;
    status.error.emplace(ErrorCode::internal, "the job's supervisor died: " + lost);
    return status;
  }
  auto now = status();
  return now ? std::optional{std::move(*now)} : std::nullopt;
}

Result<std::string> LocalJob::send(std::string_view node, std::string_view message, std::string_view json,
                                   std::string_view key_json) {
  return impl_->ask_operator({.node = std::string{node},
                              .name = std::string{message},
                              .json = std::string{json},
                              .key_json = std::string{key_json},
                              .is_query = false});
}

Result<std::string> LocalJob::ask(std::string_view node, std::string_view state, std::string_view key_json) {
  return impl_->ask_operator({.node = std::string{node},
                              .name = std::string{state},
                              .json = {},
                              .key_json = std::string{key_json},
                              .is_query = true});
}

}  // namespace dataflow
