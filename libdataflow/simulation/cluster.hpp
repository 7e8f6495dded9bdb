#pragma once
// One run of a job on a simulated cluster: starts the processes, lets the faults happen, and looks at what came out.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/simulation/chances.hpp"
#include "libdataflow/simulation/faults.hpp"
#include "libdataflow/simulation/job_manager.hpp"
#include "libdataflow/simulation/sink.hpp"
#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {

/// The machines of the JobManager and of the one that takes its place.
inline constexpr const char* master_machine = "master";
inline constexpr const char* standby_machine = "standby";

struct RunSettings {
  std::uint64_t seed = 0;
  std::uint32_t nodes = 3;
  std::uint32_t parallelism = 2;  ///< of nodes that say none
  std::uint32_t layout = 0;       ///< that the job begins with: others than 0 have a parallelism drawn for each node
  std::vector<Fault> faults;
  Duration checkpoint_interval{20'000};
  Duration time_limit{60'000'000};  ///< of virtual time, after the last fault is over
  bool traced = false;
  bool taps = false;  ///< what leaves each operator is kept, too
  Defect defect = Defect::none;
  std::shared_ptr<StateBackend> state{};  ///< without stores; null: there is none
};

struct RunResult {
  std::optional<std::string> problem;                    ///< it did not come to an end, or a promise was broken
  std::map<std::string, std::vector<std::string>> rows;  ///< by sink, sorted
  Counts counts;
  Duration took{0};  ///< of virtual time
  std::uint64_t events = 0;
  std::map<std::string, std::uint64_t> met;
  std::string trace;
};

/// The name of the sink that keeps what leaves an operator's output.
std::string tap_name(const StreamNode& node, std::size_t output);

class Cluster final : public Directory {
 public:
  /// `job` outlives it.
  Cluster(const StreamGraph& job, RunSettings settings);
  ~Cluster() override;

  RunResult run();

 private:
  // Directory.
  [[nodiscard]] std::shared_ptr<JobManager> job_manager() const override;
  [[nodiscard]] std::shared_ptr<Worker> worker(const std::string& name) const override;
  void add_worker(const std::shared_ptr<Worker>& worker) override;
  [[nodiscard]] JobGraphPtr graph(std::uint32_t layout) override;
  [[nodiscard]] CheckpointStoragePtr storage() const override { return storage_; }
  [[nodiscard]] CheckpointStoragePtr savepoints() const override { return savepoints_; }
  void savepoint_taken(const TakenSavepoint& savepoint) override { savepoints_taken_.push_back(savepoint); }

  static Tuning draw_tuning(std::uint64_t seed, bool faulty);
  StreamGraph with_sinks(std::uint32_t layout);
  void start_job_manager(const std::string& machine);
  void start_node(const std::string& machine);
  /// What an operating system does: it starts what has ended again.
  void keep_up();
  void client();
  void job_ended(const StoredJob& job);
  void inject(const Fault& fault);
  void kill(Random& random);
  void stop(Random& random);
  void cut(Random& random);
  void slow(Random& random);
  void break_disk(Random& random);
  void lose_power(const std::string& machine, Random& random);
  void set_clock(Random& random);
  void fail_over(Random& random);
  void rescale(Random& random);
  [[nodiscard]] std::shared_ptr<Master> running_master() const;
  void take_savepoint();
  [[nodiscard]] std::string savepoint_to_go_on_from();
  [[nodiscard]] std::string pick_machine(Random& random) const;
  void count(FaultKind kind, const std::string& what);
  void check(RunResult& result);
  void check_savepoints();
  void check_leftovers();

  const StreamGraph& job_;
  RunSettings settings_;
  World world_;
  Chances chances_;
  CommitWatch watch_;
  CheckpointStoragePtr storage_;
  CheckpointStoragePtr savepoints_;
  std::vector<TakenSavepoint> savepoints_taken_;
  Duration checkpoint_interval_;
  Duration checkpoint_timeout_;
  Duration buffer_timeout_;
  std::uint32_t slots_per_node_ = 1;
  std::vector<std::string> nodes_;
  std::map<std::string, std::shared_ptr<TaskManager>> task_managers_;  ///< the newest on each machine
  std::vector<std::shared_ptr<Actor>> actors_;  ///< all that there were: events may refer to them
  std::vector<std::shared_ptr<JobManager>> job_managers_;
  std::map<std::string, std::shared_ptr<Worker>> workers_;
  std::map<std::uint32_t, JobGraphPtr> graphs_;
  std::map<std::string, Timestamp> down_until_;  ///< machines without power, and processes that come later
  std::uint32_t layout_;
  std::optional<std::string> failed_for_good_;
  std::size_t jobs_wanted_ = 1;  ///< one after the other
  bool resume_ = false;
  bool rescaling_ = false;
  bool through_savepoint_ = false;     ///< rescaling
  std::size_t savepoints_before_ = 0;  ///< it was asked for
  std::string start_from_;             ///< a savepoint that the next job starts from
  bool finished_ = false;
  std::uint32_t failures_ = 0;
  Timestamp calm_at_{};  ///< from then on nothing goes wrong any more
};

}  // namespace dataflow::simulation
