// A shell that loses nodes, answers late, twice and out of order, or not at all, against the ExecutionGraph: every job
// ends once, commits at most once and only when everything has prepared, and what is over is never listened to.
#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "libdataflow/master/execution_graph.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

const std::vector<NodeInstance> two_nodes = {{"left", 1}, {"right", 1}};

JobGraphPtr some_job(std::mt19937_64& random) {
  GraphBuilder b;
  b.graph.settings.restart = {.strategy = RestartSettings::Strategy::fixed,
                              .attempts = static_cast<std::uint32_t>(random() % 6)};
  if (random() % 2 == 0) b.graph.settings.checkpoint.emplace();
  const std::uint64_t regions = 1 + random() % 3;
  for (std::uint64_t r = 0; r < regions; ++r) {
    const std::string name = "in" + std::to_string(r);
    b.source(name, make_schema({{"k", TypeKind::int64}}), std::make_shared<ScriptedSource>(std::vector<Script>{}));
    b.collect("out" + std::to_string(r), {name});
  }
  const Chaining chaining = random() % 2 == 0 ? Chaining::where_possible : Chaining::never;
  auto job = build_job_graph(std::make_shared<const StreamGraph>(b.graph), 2, chaining).value();
  return std::make_shared<const JobGraph>(std::move(job));
}

/// Answers effects some time later, in any order, and sometimes twice or with a failure instead.
class Shell {
 public:
  Shell(ExecutionGraph& graph, std::mt19937_64& random) : graph_{graph}, random_{random} {}

  void take(const Effects& effects) {
    for (const Effect& effect : effects) {
      REQUIRE_FALSE(ended_);  // nothing is asked for after the end
      std::visit([&](const auto& e) { carry_out(e); }, effect);
    }
  }

  /// Hands over one of the answers that are due; false when there is none.
  bool step() {
    if (answers_.empty()) return false;
    const std::size_t at = random_() % answers_.size();
    const auto answer = answers_[at];
    if (random_() % 10 != 0) answers_.erase(answers_.begin() + static_cast<std::ptrdiff_t>(at));  // else it comes twice
    take(answer());
    return true;
  }

  Effects fail_something() {
    const auto ids = graph_.subtasks();
    const SubtaskId id = ids[random_() % ids.size()];
    const Error lost{ErrorCode::unavailable, "lost"};
    switch (random_() % 4) {
      case 0: return graph_.on_node_lost(two_nodes[random_() % 2], lost, now_);
      case 1: return graph_.on_slot_lost(graph_.execution(id).of, id.subtask, lost, now_);
      case 2: return graph_.on_failed(graph_.execution(id).of.attempt, id, lost, now_);
      default: return graph_.on_region_failed(graph_.execution(id).of, lost, now_);
    }
  }

  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] bool committed() const { return committed_; }

 private:
  using Event = Effects (ExecutionGraph::*)(std::uint32_t, SubtaskId, Timestamp);

  void answer_for_all(RegionAttempt of, Event event) {
    for (const SubtaskId id : graph_.subtasks(of.region)) {
      if (random_() % 40 == 0) continue;  // never answers: the deadline has to see to it
      answers_.push_back([this, of, id, event] { return (graph_.*event)(of.attempt, id, now_); });
    }
  }

  void carry_out(const AcquireSlots& e) {
    answers_.push_back([this, e] { return graph_.on_slots(e.of, two_nodes, now_); });
  }
  void carry_out(const DeployTasks& e) {
    REQUIRE(e.of == graph_.current(e.of.region));
    REQUIRE(deployed_.insert(e.of).second);  // an attempt is deployed once
    answer_for_all(e.of, &ExecutionGraph::on_deployed);
  }
  void carry_out(const OpenTasks& e) { answer_for_all(e.of, &ExecutionGraph::on_opened); }
  void carry_out(const StartTasks& e) {
    for (const SubtaskId id : graph_.subtasks(e.of.region)) {
      answers_.push_back([this, e, id] { return graph_.on_prepared(e.of.attempt, id, now_); });
    }
  }
  void carry_out(const TakeLastCheckpoint&) {
    answers_.push_back([this] { return graph_.on_last_checkpoint(7); });
  }
  void carry_out(const CommitTasks&) {
    REQUIRE_FALSE(committed_);
    committed_ = true;
    for (const SubtaskId id : graph_.subtasks()) REQUIRE(graph_.state(id) == ExecutionState::prepared);
    for (std::uint32_t r = 0; r < graph_.region_count(); ++r)
      answer_for_all(graph_.current(r), &ExecutionGraph::on_finished);
  }
  void carry_out(const CancelTasks& e) { answer_for_all(e.of, &ExecutionGraph::on_gone); }
  void carry_out(const AbandonTasks& e) { REQUIRE_FALSE(e.subtasks.empty()); }
  void carry_out(const StopSources&) {}
  void carry_out(const ScheduleRestart& e) {
    for (const SubtaskId id : graph_.subtasks(e.of.region)) REQUIRE_FALSE(graph_.execution(id).exists);
    answers_.push_back([this, e] { return graph_.on_restart_due(e.of, now_); });
  }
  void carry_out(const ScheduleDeadline& e) {
    answers_.push_back([this, e] { return graph_.on_deadline(e.deadline, now_); });
  }
  void carry_out(const EndJob& e) {
    ended_ = true;
    REQUIRE(graph_.state() == e.state);
    if (e.state == JobState::failed) REQUIRE(graph_.error());
    for (const SubtaskId id : graph_.subtasks()) {
      if (e.state == JobState::finished) REQUIRE(graph_.state(id) == ExecutionState::finished);
    }
  }

  ExecutionGraph& graph_;
  std::mt19937_64& random_;
  Timestamp now_{};
  std::vector<std::function<Effects()>> answers_;
  std::set<RegionAttempt> deployed_;
  bool committed_ = false;
  bool ended_ = false;
};

}  // namespace

TEST_CASE("every job ends once, and commits at most once and only whole, whatever fails or does not answer") {
  std::map<JobState, int> ends;
  for (const std::uint64_t seed : seeds(2000)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    ExecutionGraph graph{some_job(random)};
    Shell shell{graph, random};
    shell.take(graph.start({}));
    const std::uint64_t failures = random() % 5;
    std::uint64_t failed = 0;
    for (int step = 0; step < 4000 && !shell.ended(); ++step) {
      const std::uint64_t dice = random() % 60;
      if (dice == 0 && failed++ < failures) {
        shell.take(shell.fail_something());
      } else if (dice == 1 && random() % 10 == 0) {
        shell.take(graph.cancel({}));
      } else if (dice == 2 && random() % 10 == 0) {
        shell.take(graph.stop({}, {}));
      } else if (!shell.step()) {
        break;
      }
    }
    REQUIRE(shell.ended());
    REQUIRE(is_terminal(graph.state()));
    if (graph.state() == JobState::finished) REQUIRE(shell.committed());
    if (graph.state() == JobState::canceled) REQUIRE_FALSE(shell.committed());
    ++ends[graph.state()];
    // What comes after the end changes nothing.
    for (int i = 0; i < 20; ++i) REQUIRE(shell.fail_something().empty());
    REQUIRE(graph.cancel({}).empty());
  }
  if (std::getenv("DATAFLOW_SEED") == nullptr) CHECK(ends.size() == 3);
}
