#include "actors/cluster/crash_report.hpp"

#include <sys/syscall.h>

#include <cxxabi.h>
#include <execinfo.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <sstream>
#include <string_view>

#include "libdataflow/runtime/crash_site.hpp"

namespace dataflow {

namespace {

constexpr std::string_view header_start = "=== crash of process ";
constexpr std::string_view footer = "=== end of crash";
constexpr std::array<int, 5> crash_signals{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr std::size_t max_frames = 64;
/// Behind the user's code come the engine and its threads, which are always the same.
constexpr int frames_for_person = 16;
constexpr std::size_t handler_stack_bytes = 64 * 1024;
/// For the thread that is stuck.
constexpr timespec time_to_report{.tv_sec = 0, .tv_nsec = 100'000'000};
/// The report takes milliseconds; one that waits for a lock that the crash holds ends here.
constexpr unsigned handler_seconds = 3;
constexpr std::uintmax_t max_tail_bytes = 256 * 1024;

// ---- In the process that crashes ------------------------------------------------------------------------------------

/// Made at the start: when it is needed there is no memory to make it.
std::array<char, 128> memory_reason{};
std::atomic<bool> reporting{false};
/// Whether another process has asked where this one is stuck.
std::atomic<bool> asked_where{false};
/// Whether a person reads the report, and no parent.
std::atomic<bool> for_person{false};
/// Why the process is about to abort, where that is known. Written by the thread that does, before it does.
std::array<char, 512> abort_reason{};

/// What is being said; written at once, since other threads may go on to log into the same file. Only one thread
/// reports.
std::array<char, 2048> words{};
std::size_t words_size = 0;

void put(std::string_view text) {
  const std::size_t size = std::min(text.size(), words.size() - words_size);
  std::memcpy(words.data() + words_size, text.data(), size);
  words_size += size;
}

void write_out() {
  std::string_view text{words.data(), words_size};
  words_size = 0;
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void put_number(std::uint64_t number, unsigned base = 10) {
  std::array<char, 20> digits{};
  std::size_t at = digits.size();
  do {
    digits[--at] = "0123456789abcdef"[number % base];
    number /= base;
  } while (number != 0);
  put({digits.data() + at, digits.size() - at});
}

void put_site(const CrashSite& site) {
  if (site.node == nullptr) return;
  put(" in \"");
  put(site.node);
  put("\" (subtask ");
  put_number(site.subtask + std::uint64_t{1});
  put(" of ");
  put_number(site.parallelism);
  put(", attempt ");
  put_number(site.attempt);
  put(")");
  if (site.records == 0) return;
  put(" after ");
  put_number(site.records);
  put(" records");
}

/// Sends SIGABRT to every other thread. With a buffer and system calls, since opendir() allocates.
void ask_all_threads() {
  struct Entry {  // linux_dirent64 of getdents64(2)
    std::uint64_t inode;
    std::int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[1];
  };
  const int folder = ::open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  alignas(Entry) static std::array<char, 4096> buffer;
  const auto self = static_cast<long>(::gettid());
  for (;;) {
    const long got = ::syscall(SYS_getdents64, folder, buffer.data(), buffer.size());
    if (got <= 0) break;
    for (long at = 0; at < got;) {
      const auto* const entry = reinterpret_cast<const Entry*>(buffer.data() + at);
      long thread = 0;
      for (const char* digit = entry->name; *digit >= '0' && *digit <= '9'; ++digit)
        thread = thread * 10 + *digit - '0';
      if (thread != 0 && thread != self) ::syscall(SYS_tgkill, ::getpid(), thread, SIGABRT);
      at += entry->size;
    }
  }
  ::close(folder);
}

/// Whether the signal only asks this process where it is stuck, and this thread is not the one. A process that aborts
/// by itself sends the signal to its own thread.
bool is_not_meant(int number, const siginfo_t* info) {
  if (number != SIGABRT || for_person) return false;
  if (info->si_code == SI_USER && info->si_pid != ::getpid()) {
    asked_where.store(true);
    if (crash_site.node != nullptr) return false;
    ask_all_threads();
    // No thread is in an operator: whoever sent it means the process.
    ::nanosleep(&time_to_report, nullptr);
    return reporting;
  }
  return asked_where && crash_site.node == nullptr;
}

void write_report(int number, siginfo_t* info, void* /*context*/) {
  if (is_not_meant(number, info)) return;
  // One report: another thread that crashes meanwhile waits for the end that this one brings.
  if (reporting.exchange(true)) {
    for (;;) ::pause();
  }
  ::signal(SIGALRM, SIG_DFL);
  ::alarm(handler_seconds);
  put("\n");
  if (for_person) {
    put("error: the job crashed: SIG");
  } else {
    put(header_start);
    put_number(static_cast<std::uint64_t>(::getpid()));
    put(": SIG");
  }
  const char* const name = ::sigabbrev_np(number);
  put(name != nullptr ? name : "?");
  // One that another process has sent has no address.
  if ((number == SIGSEGV || number == SIGBUS) && info->si_code > 0) {
    put(" at 0x");
    put_number(reinterpret_cast<std::uintptr_t>(info->si_addr), 16);
  }
  put_site(crash_site);
  if (abort_reason[0] != '\0') {
    put(": ");
    put(abort_reason.data());
  }
  put("\n");
  write_out();
  std::array<void*, max_frames> frames{};
  const int count = ::backtrace(frames.data(), static_cast<int>(frames.size()));
  // An address to return to may be that of the next function already, when the call never returns. Not so where the
  // signal came from: that is behind this function and the way into it.
  constexpr int place_of_crash = 2;
  for (int i = 0; i < count; ++i) {
    if (i != place_of_crash) frames[i] = static_cast<char*>(frames[i]) - 1;
  }
  const int first = for_person ? std::min(place_of_crash, count) : 0;
  const int shown = for_person ? std::min(frames_for_person, count - first) : count;
  ::backtrace_symbols_fd(frames.data() + first, shown, STDERR_FILENO);
  if (!for_person) {
    put(footer);
    put("\n");
    write_out();
  }
  // The signal itself ends the process, as if nobody had looked.
  ::signal(number, SIG_DFL);
  ::raise(number);
}

/// On one line: the log has one for each event.
void note_abort_reason(std::string_view text) {
  const std::size_t size = std::min(text.size(), abort_reason.size() - 1);
  std::memcpy(abort_reason.data(), text.data(), size);
  std::replace(abort_reason.begin(), abort_reason.begin() + static_cast<std::ptrdiff_t>(size), '\n', ' ');
  abort_reason[size] = '\0';
}

[[noreturn]] void on_terminate() {
  std::string reason = "std::terminate was called";
  if (const std::exception_ptr thrown = std::current_exception()) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      reason = std::string{"an exception that nobody catches: "} + e.what();
    } catch (...) {
      reason = "something that is no std::exception, and that nobody catches, was thrown";
    }
  }
  note_abort_reason(reason);
  std::abort();
}

/// To go on would mean that whichever part of the process asks next fails, in whatever it was about to do.
void on_memory_exhausted() {
  note_abort_reason(memory_reason.data());
  std::abort();
}

/// The end that user code brings has an exit code like any other and leaves no word.
void note_exit() {
  if (crash_site.node == nullptr) return;
  put("\nerror: the process ends: exit() was called");
  put_site(crash_site);
  put("\n");
  write_out();
}

bool is_handled(int number) {
  struct sigaction present {};
  ::sigaction(number, nullptr, &present);
  return (present.sa_flags & SA_SIGINFO) != 0 || present.sa_handler != SIG_DFL;
}

/// What the handler must not do itself is done before: the first backtrace loads libgcc and allocates.
void prepare_backtrace() {
  std::array<void*, 1> frames{};
  ::backtrace(frames.data(), static_cast<int>(frames.size()));
}

void install_handler(int number) {
  struct sigaction action {};
  action.sa_sigaction = write_report;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigaction(number, &action, nullptr);
}

/// A thread's stack for the handler, for as long as the thread lives, if it has none.
class HandlerStack {
 public:
  HandlerStack() {
    stack_t present{};
    ::sigaltstack(nullptr, &present);
    if ((present.ss_flags & SS_DISABLE) == 0) return;
    memory_.reset(new char[handler_stack_bytes]);
    stack_t stack{};
    stack.ss_sp = memory_.get();
    stack.ss_size = handler_stack_bytes;
    ::sigaltstack(&stack, nullptr);
  }
  ~HandlerStack() {
    if (!memory_) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
  }
  HandlerStack(const HandlerStack&) = delete;
  HandlerStack& operator=(const HandlerStack&) = delete;

 private:
  std::unique_ptr<char[]> memory_;
};

// ---- In its parent -------------------------------------------------------------------------------------------------

std::string read_tail(const std::filesystem::path& file) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  std::ifstream in{file, std::ios::binary};
  if (error || !in) return {};
  in.seekg(static_cast<std::streamoff>(size > max_tail_bytes ? size - max_tail_bytes : 0));
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

std::string demangled(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name{abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                                    &std::free};
  return status == 0 && name ? name.get() : symbol;
}

/// Of "/path/libmine.so(_ZN6Enrich7processEv+0x12)[0x7f0012345678]" what does not differ from run to run.
std::string readable_frame(const std::string& line) {
  const std::size_t open = line.find('(');
  const std::size_t close = line.find(')', open);
  if (close == std::string::npos) return line;
  std::string library = line.substr(0, open);
  library = library.substr(library.rfind('/') + 1);
  const std::string inside = line.substr(open + 1, close - open - 1);
  const std::size_t plus = inside.rfind('+');
  const std::string symbol = inside.substr(0, plus);
  const std::string offset = plus == std::string::npos ? "" : " " + inside.substr(plus);
  return (symbol.empty() ? "?" : demangled(symbol)) + offset + " (" + library + ")";
}

/// The first frames are the handler's own, the way into it, and what abort() does: they say nothing about the crash.
void drop_frames_of_handler(std::vector<std::string>& lines) {
  constexpr std::size_t at_most = 6;
  const auto drop_through = [&](std::string_view part) {
    const auto end = lines.begin() + static_cast<std::ptrdiff_t>(std::min(at_most, lines.size()));
    const auto at =
        std::find_if(lines.begin(), end, [&](const std::string& line) { return line.find(part) != std::string::npos; });
    if (at != end) lines.erase(lines.begin(), at + 1);
  };
  drop_through("libc.so.6(+");  // where the kernel lets the handler begin
  drop_through("(abort+");
}

}  // namespace

void report_crashes(std::uint64_t memory_limit) {
  std::string reason = "memory ran out";
  if (memory_limit != 0) {
    reason += ": a worker of this node may have " + std::to_string(memory_limit >> 20) + " MiB (--worker-memory)";
  }
  reason.copy(memory_reason.data(), memory_reason.size() - 1);
  prepare_backtrace();
  std::set_terminate(on_terminate);
  std::set_new_handler(on_memory_exhausted);
  for (const int number : crash_signals) install_handler(number);
  prepare_thread_for_crashes();
}

void report_crashes_to_person() {
  static const bool installed = [] {
    for_person = true;
    prepare_backtrace();
    if (std::get_terminate() == __gnu_cxx::__verbose_terminate_handler) std::set_terminate(on_terminate);
    for (const int number : crash_signals) {
      if (!is_handled(number)) install_handler(number);
    }
    std::atexit(note_exit);
    return true;
  }();
  static_cast<void>(installed);
  prepare_thread_for_crashes();
}

void prepare_thread_for_crashes() {
  static thread_local const HandlerStack stack;
}

std::optional<CrashReport> read_crash_report(const std::filesystem::path& log_file, pid_t pid) {
  const std::string text = read_tail(log_file);
  const std::string start = "\n" + std::string{header_start} + std::to_string(pid) + ": ";
  const std::size_t at = text.rfind(start);
  if (at == std::string::npos) return std::nullopt;
  std::istringstream lines{text.substr(at + start.size())};
  CrashReport report;
  std::getline(lines, report.what);
  std::vector<std::string> frames;
  for (std::string line; std::getline(lines, line) && line != footer;) {
    // What another thread has logged meanwhile stands between them.
    if (!line.empty() && line.back() == ']' && line.find('(') != std::string::npos) frames.push_back(std::move(line));
  }
  drop_frames_of_handler(frames);
  std::transform(frames.begin(), frames.end(), std::back_inserter(report.frames), readable_frame);
  return report;
}

void name_artifacts(CrashReport& report, const std::map<std::string, std::string>& names) {
  for (std::string& frame : report.frames) {
    for (const auto& [hash, name] : names) {
      if (const std::size_t at = frame.find(hash); at != std::string::npos) frame.replace(at, hash.size(), name);
    }
  }
}

std::string to_text(const CrashReport& report) {
  std::string text = report.what;
  for (std::size_t i = 0; i < report.frames.size(); ++i) {
    text += "\n  #" + std::to_string(i) + " " + report.frames[i];
  }
  return text;
}

}  // namespace dataflow
