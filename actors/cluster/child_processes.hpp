#pragma once
// The processes that a JobManager or a TaskManager starts. All of it happens on the thread that calls run(), which has
// to be the main thread: a child that asks to die with its parent dies with the *thread* that forked it.

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "actors/cluster/control_settings.hpp"
#include "actors/cluster/endpoint.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// How a process ended, for people: "exit code 3", "killed by SIGSEGV".
std::string describe_exit(int wait_status);
/// Whether it ended by its own doing: a segmentation fault, an abort, an exit code that is not 0.
bool has_crashed(int wait_status);

/// Where the children of a process that listens at `parent` find it: at that host, or, when it listens at all of this
/// machine's, at localhost.
std::string host_for_children(const Endpoint& parent);

/// What a process that dfnode starts itself is told: of which kind it is, and where its parent is. What is secret goes
/// by its environment, which only this user can read.
std::vector<std::string> child_arguments(const std::string& kind, const Endpoint& parent,
                                         const ControlSettings& settings);
std::vector<std::pair<std::string, std::string>> child_environment(std::uint64_t token,
                                                                   const ControlSettings& settings);

class ChildProcesses {
 public:
  struct Start {
    std::vector<std::string> arguments;                            ///< of this very program, without its name
    std::vector<std::pair<std::string, std::string>> environment;  ///< beside this process's own
    std::filesystem::path log_file;  ///< standard output and error, appended; standard input is empty
    std::uint64_t memory_limit = 0;  ///< bytes that it may have for data, RLIMIT_DATA; 0: no limit
    bool expendable = false;         ///< when the machine's memory runs out it goes before this process
    std::function<void(Result<pid_t>)> started;
    std::function<void(int wait_status)> ended;  ///< not called when it could not be started
  };

  /// Call before any thread is made: blocks the signals that run() waits for in all threads.
  static void prepare_signals();

  ChildProcesses();
  ~ChildProcesses();
  ChildProcesses(const ChildProcesses&) = delete;
  ChildProcesses& operator=(const ChildProcesses&) = delete;

  // From any thread; the callbacks are called by the thread of run().
  /// The child gets SIGKILL when this process ends, however it ends.
  void start(Start start);
  /// Does nothing once the child has ended.
  void kill(pid_t child, int signal_number);
  /// Makes run() return.
  void stop(int exit_code = 0);

  /// Until stop(), SIGTERM or SIGINT.
  void run();
  /// After run(): as stop() had it, 0 for the signals.
  [[nodiscard]] int exit_code() {
    const std::lock_guard lock{mutex_};
    return exit_code_;
  }
  /// After run(): drops the callbacks and what they hold.
  void forget();

 private:
  struct Kill {
    pid_t child;
    int signal_number;
  };

  void wake();
  void serve_requests();
  void launch(Start start);
  void reap();

  int wake_;
  int signals_;
  pid_t parent_;
  std::mutex mutex_;
  std::deque<Start> starts_;
  std::deque<Kill> kills_;
  bool stopping_ = false;
  int exit_code_ = 0;
  std::map<pid_t, std::function<void(int)>> running_;  ///< only the thread of run()
};

}  // namespace dataflow
