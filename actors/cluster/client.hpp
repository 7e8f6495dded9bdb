#pragma once
// A client of a JobManager: what the commands of dfnode that have --to are made of. It shows no CAF.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/cluster/control_settings.hpp"
#include "actors/cluster/endpoint.hpp"
#include "serialization/envelope.hpp"
#include "serialization/result.hpp"
#include "serialization/time.hpp"

namespace dataflow {

/// A job to be submitted.
struct Submission {
  std::filesystem::path file;       ///< a topology (.toml) or a C++ job (.so)
  std::set<std::string> libraries;  ///< absolute paths of what it names: libraries of functions, embedded topologies
  std::vector<std::string> overrides;
  std::map<std::string, std::string> environment;  ///< what the topology's ${NAME} stand for
  std::vector<std::string> arguments;
  std::uint32_t parallelism = 0;  ///< of nodes that say none; 0: the cluster's slots
  bool follow = false;            ///< the print sinks' output is wanted
  std::string from;               ///< the savepoint that it starts from; empty: none
  bool drop_unclaimed = false;    ///< state in it that no operator claims is left out
};

/// A call to a job.
struct JobCall {
  enum class Verb : std::uint8_t { show, cancel, stop, drain, send, ask, logs, savepoint };
  std::string job;  ///< its id, or its name
  Verb verb = Verb::show;
  std::string node{};  ///< for send and ask: the operator, the message or state, its JSON, and the key or nothing
  std::string name{};
  std::string json{};
  std::string key_json{};
};

/// News of a job that is followed.
struct JobNews {
  std::string output;  ///< of print sinks
  bool ended = false;
  std::string json;  ///< the job as `show` has it, or empty
};

class ClusterClient {
 public:
  /// Errors: io when nothing answers there within `timeout`; invalid_argument when it is refused.
  static Result<std::unique_ptr<ClusterClient>> connect(const Endpoint& job_manager, const ControlSettings& settings,
                                                        Duration timeout);
  ~ClusterClient();
  ClusterClient(const ClusterClient&) = delete;
  ClusterClient& operator=(const ClusterClient&) = delete;

  // All answers are JSON, but for logs, which are plain lines. Errors: io when no answer comes; whatever the JobManager
  // or the job says.
  /// Ships the file unless the JobManager has it. Returns {"id", "name"} once the job's graph is built.
  Result<std::string> submit(const Submission& submission);
  Result<std::string> list_jobs();
  Result<std::string> list_nodes();
  Result<std::string> call(const JobCall& call);
  /// A savepoint of the job below `folder`, or, when that is empty, below its checkpoints; with `stop` the job ends
  /// with it. Waits for at most `patience` until it is there; its path. Errors: why there is none.
  Result<std::string> take_savepoint(const std::string& job, const std::string& folder, std::optional<EndOfData> stop,
                                     Duration patience);
  /// Waits for at most a fraction of a second.
  Result<JobNews> follow(const std::string& job_id);
  /// Whether the last question had no answer: its error is not what the JobManager or the job says.
  [[nodiscard]] bool lost() const;

 private:
  struct Impl;
  explicit ClusterClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dataflow
