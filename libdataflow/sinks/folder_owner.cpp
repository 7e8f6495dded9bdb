#include "libdataflow/sinks/folder_owner.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace dataflow {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view mark_prefix = ".lock.";
constexpr std::string_view kinds[] = {mark_prefix, ".part.", ".replaced."};

constexpr std::string_view resumable_text = "dataflow owner 1 resumable\n";
constexpr std::string_view once_text = "dataflow owner 1 once\n";

/// Others hold a folder for as long as it takes to list it.
constexpr int enter_deadline_ms = 10'000;
/// Somebody who looks whether a mark is held holds it for an instant.
constexpr int mark_deadline_ms = 200;

tl::unexpected<Error> cannot_mark(const std::string& path, int reason) {
  return fail(ErrorCode::io, "cannot make the lock file " + path + ": " + std::strerror(reason) +
                                 "; check the sink's path and its permissions");
}

std::string read_all(int descriptor) {
  std::string text(256, '\0');
  const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

}  // namespace

std::string escape_name(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte != 0x7F && std::string_view{"\"#%'*/:=?\\{}[]^.|<>&;$`"}.find(c) == std::string_view::npos) {
      out += c;
      continue;
    }
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", byte);
    out += code;
  }
  return out;
}

std::string owner_name(const SinkIdentity& sink) {
  return escape_name(sink.job_id) + "." + escape_name(sink.sink);
}

std::optional<std::string_view> owner_in(std::string_view file_name) {
  for (const std::string_view kind : kinds) {
    if (!file_name.starts_with(kind)) continue;
    const std::string_view rest = file_name.substr(kind.size());
    const std::size_t job_end = rest.find('.');
    if (job_end == 0 || job_end == std::string_view::npos || job_end + 1 == rest.size()) return std::nullopt;
    return rest.substr(0, rest.find('.', job_end + 1));
  }
  return std::nullopt;
}

Flock::~Flock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Flock::Outcome Flock::take(int deadline_ms) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{deadline_ms};
  while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return Outcome::unsupported;
    if (std::chrono::steady_clock::now() >= deadline) return Outcome::held;
    ::usleep(2000);
  }
  return Outcome::taken;
}

Result<Flock> enter_folder(const std::string& folder) {
  Flock lock{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (lock.descriptor() < 0) {
    return fail(ErrorCode::io,
                "cannot list " + folder + ": " + std::strerror(errno) + "; check the sink's path and its permissions");
  }
  if (lock.take(enter_deadline_ms) == Flock::Outcome::held) {
    return fail(ErrorCode::io, "another job has been preparing the folder " + folder +
                                   " for ten seconds; see what it does, or write to another folder");
  }
  return lock;
}

Result<OwnerMark> OwnerMark::take(const std::string& folder, const SinkIdentity& sink, bool resumable) {
  OwnerMark mark;
  mark.path_ = folder + "/" + std::string{mark_prefix} + owner_name(sink);
  for (;;) {
    Flock lock{::open(mark.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)};
    if (lock.descriptor() < 0) return cannot_mark(mark.path_, errno);
    switch (lock.take(mark_deadline_ms)) {
      case Flock::Outcome::taken: break;
      case Flock::Outcome::unsupported: ::unlink(mark.path_.c_str()); return OwnerMark{};
      case Flock::Outcome::held:
        return fail(ErrorCode::io, "the job " + sink.job_id + " is running already and writes to " + folder +
                                       " (it holds " + mark.path_ + "); end it first");
    }
    // Whoever cleaned up may have removed the file between the two calls: then what is locked has no name.
    struct stat locked {};
    struct stat named {};
    if (::fstat(lock.descriptor(), &locked) != 0) return cannot_mark(mark.path_, errno);
    if (::stat(mark.path_.c_str(), &named) != 0 || named.st_ino != locked.st_ino) continue;
    const std::string_view text = resumable ? resumable_text : once_text;
    if (::ftruncate(lock.descriptor(), 0) != 0 ||
        ::pwrite(lock.descriptor(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
      const int reason = errno;
      ::unlink(mark.path_.c_str());
      return cannot_mark(mark.path_, reason);
    }
    mark.lock_ = std::move(lock);
    return mark;
  }
}

void OwnerMark::remove() {
  if (!held()) return;
  ::unlink(path_.c_str());
  lock_ = Flock{};
}

OwnerState owner_state(const fs::path& mark) {
  const Flock lock{::open(mark.c_str(), O_RDWR | O_CLOEXEC)};
  if (lock.descriptor() < 0) return errno == ENOENT ? OwnerState::dead : OwnerState::living;
  if (lock.take(0) != Flock::Outcome::taken) return OwnerState::living;
  // A mark that was never written to the end is of an owner that had not begun. One of a later version may mean more.
  const std::string text = read_all(lock.descriptor());
  return text == once_text || !text.ends_with('\n') ? OwnerState::dead : OwnerState::resumable;
}

OwnerState owner_state(const fs::path& folder, std::string_view owner) {
  std::string name{mark_prefix};
  name += owner;
  std::error_code error;
  for (fs::path at = fs::absolute(folder, error); !error; at = at.parent_path()) {
    if (fs::exists(at / name, error)) return owner_state(at / name);
    if (at == at.root_path() || at.empty()) break;
  }
  return OwnerState::dead;
}

}  // namespace dataflow
