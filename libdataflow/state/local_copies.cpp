#include "libdataflow/state/local_copies.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace dataflow {

namespace {

constexpr std::size_t kept_checkpoints = 3;

}  // namespace

LocalCopies::LocalCopies(std::filesystem::path folder) : folder_{std::move(folder)} {}

void LocalCopies::keep(const std::string& checkpoint, const StoreFile& file, const std::filesystem::path& at) {
  const std::string name = file.shared_name();
  const std::lock_guard lock{mutex_};
  auto of = std::find_if(checkpoints_.begin(), checkpoints_.end(),
                         [&](const Checkpoint& one) { return one.name == checkpoint; });
  if (of == checkpoints_.end()) {
    if (checkpoints_.size() == kept_checkpoints) forget_oldest();
    of = checkpoints_.insert(checkpoints_.end(), {checkpoint, {}});
  }
  of->files.insert(name);
  const std::filesystem::path copy = folder_ / name;
  if (::link(at.c_str(), copy.c_str()) == 0 || errno != ENOENT) return;
  std::error_code ignored;
  std::filesystem::create_directories(folder_, ignored);
  (void)!::link(at.c_str(), copy.c_str());
}

bool LocalCopies::give(const StoreFile& file, const std::filesystem::path& into) {
  const std::filesystem::path copy = folder_ / file.shared_name();
  const auto checksum = checksum_of_file(copy);
  if (!checksum) return false;
  // It may be changed by a disk, and the same file of the checkpoint be whole.
  if (*checksum != file.checksum) {
    ::unlink(copy.c_str());
    return false;
  }
  return ::link(copy.c_str(), into.c_str()) == 0;
}

/// With what a process before this one has left.
void LocalCopies::forget_oldest() {
  checkpoints_.pop_front();
  std::vector<std::filesystem::path> unused;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{folder_, ignored}) {
    if (!is_kept(entry.path().filename().native())) unused.push_back(entry.path());
  }
  for (const auto& file : unused) ::unlink(file.c_str());
}

bool LocalCopies::is_kept(const std::string& file) const {
  return std::any_of(checkpoints_.begin(), checkpoints_.end(),
                     [&](const Checkpoint& one) { return one.files.contains(file); });
}

}  // namespace dataflow
