#include "actors/cluster/child_processes.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "actors/exchange/socket.hpp"

namespace dataflow {

namespace {

constexpr const char* this_program = "/proc/self/exe";
constexpr char expendable_score[] = "500";  // NOLINT(*-avoid-c-arrays): written as it is

sigset_t awaited_signals() {
  sigset_t set{};
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&set, number);
  return set;
}

/// Runs in the child between fork and exec, where only async-signal-safe calls are allowed. Never returns.
[[noreturn]] void become(char* const* argv, char* const* envp, int log_fd, pid_t parent, std::uint64_t memory_limit,
                         bool expendable) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it has gone already
  sigset_t none{};
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int empty = open("/dev/null", O_RDONLY);
  dup2(empty, STDIN_FILENO);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  close_range(STDERR_FILENO + 1, ~0U, 0);
  if (memory_limit != 0) {
    const rlimit limit{memory_limit, memory_limit};
    setrlimit(RLIMIT_DATA, &limit);
  }
  if (expendable) {
    const int score = open("/proc/self/oom_score_adj", O_WRONLY);
    [[maybe_unused]] const ssize_t written = write(score, expendable_score, sizeof(expendable_score) - 1);
    close(score);
  }
  // A process group of its own: Ctrl-C at a terminal is for the parent.
  setpgid(0, 0);
  execve(this_program, argv, envp);
  _exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

std::string describe_exit(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const char* const name = sigabbrev_np(WTERMSIG(wait_status));
    return std::string{"killed by "} +
           (name != nullptr ? std::string{"SIG"} + name : "signal " + std::to_string(WTERMSIG(wait_status)));
  }
  return "exit code " + std::to_string(WEXITSTATUS(wait_status));
}

bool has_crashed(int wait_status) {
  if (!WIFSIGNALED(wait_status)) return WEXITSTATUS(wait_status) != 0;
  const int number = WTERMSIG(wait_status);
  return number != SIGKILL && number != SIGTERM && number != SIGINT && number != SIGHUP;
}

std::string host_for_children(const Endpoint& parent) {
  return is_any_address(parent.host) ? "localhost" : parent.host;
}

std::vector<std::string> child_arguments(const std::string& kind, const Endpoint& parent,
                                         const ControlSettings& settings) {
  const Endpoint at{host_for_children(parent), parent.port};
  std::vector<std::string> arguments{kind, "--parent", at.text(), "--cluster", settings.cluster};
  if (settings.insecure) arguments.emplace_back("--insecure");
  return arguments;
}

std::vector<std::pair<std::string, std::string>> child_environment(std::uint64_t token,
                                                                   const ControlSettings& settings) {
  std::vector<std::pair<std::string, std::string>> variables{{"DATAFLOW_CHILD_TOKEN", std::to_string(token)}};
  if (!settings.tls) return variables;
  variables.emplace_back("DATAFLOW_TLS_CA", std::filesystem::absolute(settings.tls->ca).string());
  variables.emplace_back("DATAFLOW_TLS_CERT", std::filesystem::absolute(settings.tls->certificate).string());
  variables.emplace_back("DATAFLOW_TLS_KEY", std::filesystem::absolute(settings.tls->key).string());
  return variables;
}

void ChildProcesses::prepare_signals() {
  const sigset_t set = awaited_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

ChildProcesses::ChildProcesses() : wake_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}, parent_{getpid()} {
  const sigset_t set = awaited_signals();
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

ChildProcesses::~ChildProcesses() {
  close(wake_);
  close(signals_);
}

void ChildProcesses::start(Start start) {
  {
    const std::lock_guard lock{mutex_};
    starts_.push_back(std::move(start));
  }
  wake();
}

void ChildProcesses::kill(pid_t child, int signal_number) {
  {
    const std::lock_guard lock{mutex_};
    kills_.push_back({child, signal_number});
  }
  wake();
}

void ChildProcesses::stop(int exit_code) {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    exit_code_ = exit_code;
  }
  wake();
}

void ChildProcesses::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
}

void ChildProcesses::run() {
  for (;;) {
    std::array<pollfd, 2> watched{pollfd{wake_, POLLIN, 0}, pollfd{signals_, POLLIN, 0}};
    poll(watched.data(), watched.size(), -1);
    std::uint64_t wakes = 0;
    [[maybe_unused]] const ssize_t woken = read(wake_, &wakes, sizeof(wakes));
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo != SIGCHLD) return;
    }
    reap();
    serve_requests();
    const std::lock_guard lock{mutex_};
    if (stopping_) return;
  }
}

void ChildProcesses::forget() {
  running_.clear();
  const std::lock_guard lock{mutex_};
  starts_.clear();
}

void ChildProcesses::serve_requests() {
  std::deque<Start> starts;
  std::deque<Kill> kills;
  {
    const std::lock_guard lock{mutex_};
    starts.swap(starts_);
    kills.swap(kills_);
  }
  for (Start& start : starts) launch(std::move(start));
  for (const Kill& request : kills) {
    if (running_.count(request.child) > 0) ::kill(request.child, request.signal_number);
  }
}

void ChildProcesses::launch(Start start) {
  std::vector<std::string> arguments{"dfnode"};
  for (std::string& argument : start.arguments) arguments.push_back(std::move(argument));
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  for (const auto& [name, value] : start.environment) environment.push_back(name + "=" + value);
  const auto argv = pointers(arguments);
  const auto envp = pointers(environment);
  const int log_fd = open(start.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) {
    return start.started(fail(ErrorCode::io, "cannot open " + start.log_file.string() + ": " + std::strerror(errno)));
  }
  const pid_t child = fork();
  if (child == 0) become(argv.data(), envp.data(), log_fd, parent_, start.memory_limit, start.expendable);
  const int error = errno;
  close(log_fd);
  if (child < 0) {
    return start.started(fail(ErrorCode::io, std::string{"cannot start a process: "} + std::strerror(error)));
  }
  running_.emplace(child, std::move(start.ended));
  start.started(child);
}

void ChildProcesses::reap() {
  int status = 0;
  for (pid_t child = 0; (child = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto at = running_.find(child);
    if (at == running_.end()) continue;
    const auto ended = std::move(at->second);
    running_.erase(at);
    ended(status);
  }
}

}  // namespace dataflow
