#pragma once
// How `dfnode send`, `ask`, `stop`, `savepoint` and `checkpoints` reach a job that runs in another process on this
// machine: a Unix socket in a folder only its user may enter. One request and one answer per connection, each a line of
// JSON.

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "serialization/result.hpp"
#include "serialization/time.hpp"

namespace dataflow {

/// What a client asks of a running job.
struct ControlRequest {
  enum class Kind : std::uint8_t { send, ask, stop, savepoint, checkpoints, show };
  Kind kind = Kind::send;
  std::string node;      ///< the operator's name
  std::string name;      ///< of the message, or of the state
  std::string json;      ///< the message; of stop {"drain": bool}; of savepoint also {"dir": PATH or "", "stop": bool}
  std::string key_json;  ///< empty: every subtask
};

/// Where a running job listens: `<folder>/<job>-<pid>.sock`, with what is special in names as %XX. The folder is
/// $XDG_RUNTIME_DIR/dataflow, or /tmp/dataflow-<uid>.
std::filesystem::path control_socket_path(std::string_view job_name);

/// The listening side. One thread of its own; requests are answered one after the other.
class ControlSocket {
 public:
  using Handler = std::function<Result<std::string>(const ControlRequest&)>;

  /// Listens at control_socket_path(job_name). Errors: io with the path.
  static Result<std::unique_ptr<ControlSocket>> listen(std::string_view job_name, Handler handler);
  /// Stops listening and removes the socket.
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

 private:
  ControlSocket(int listening, int wake, std::filesystem::path path, Handler handler);
  void serve();
  void answer(int connection);

  int listening_;
  int wake_;  ///< an eventfd: written to when it is time to stop
  std::filesystem::path path_;
  Handler handler_;
  std::thread thread_;
};

/// Asks the running job named `job` (its name, or name-pid when several run). The answer is JSON.
/// Errors: not_found when no such job listens here, naming those that do; invalid_argument when several do; io;
/// whatever the job answers, and then `answered` is true.
Result<std::string> call_local_job(std::string_view job, const ControlRequest& request, Duration timeout,
                                   bool* answered = nullptr);

}  // namespace dataflow
