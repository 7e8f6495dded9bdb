#include "libdataflow/sinks/output_folder.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "libdataflow/sinks/part_file.hpp"

namespace dataflow {

namespace fs = std::filesystem;

namespace {

std::string hidden_prefix(const SinkIdentity& sink) {
  return ".part." + owner_name(sink) + ".";
}

std::string replaced_list(const std::string& folder, const SinkIdentity& sink) {
  return folder + "/.replaced." + owner_name(sink);
}

/// `part-0-12.json`: what may be replaced.
bool is_part_name(std::string_view name) {
  if (!name.starts_with("part-")) return false;
  name.remove_prefix(5);
  for (int i = 0; i < 2; ++i) {
    std::size_t digits = 0;
    while (digits < name.size() && name[digits] >= '0' && name[digits] <= '9') ++digits;
    if (digits == 0 || digits == name.size() || name[digits] != (i == 0 ? '-' : '.')) return false;
    name.remove_prefix(digits + 1);
  }
  return true;
}

tl::unexpected<Error> cannot(std::string_view what, const std::string& path, const std::string& reason) {
  return fail(ErrorCode::io, "cannot " + std::string{what} + " " + path + ": " + reason +
                                 "; check the sink's path and its permissions");
}

/// A file as it was: another one that has taken its name since is not it.
std::string identity(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  std::ostringstream text;
  text << info.st_ino << ' ' << info.st_mtim.tv_sec << ' ' << info.st_mtim.tv_nsec << ' ' << path.native();
  return text.str();
}

tl::unexpected<Error> refuse_existing(const std::string& folder, const std::vector<fs::path>& files) {
  std::string names;
  for (std::size_t i = 0; i < files.size() && i < 3; ++i) {
    names += (i == 0 ? "" : ", ") + files[i].lexically_relative(folder).native();
  }
  if (files.size() > 3) names += ", ...";
  return fail(ErrorCode::invalid_argument,
              "the folder " + folder + " already has " + std::to_string(files.size()) +
                  (files.size() == 1 ? " file (" : " files (") + names +
                  "); set on_existing = \"append\" to add to them or \"replace\" to replace the parts of earlier runs "
                  "once this job has succeeded, or choose another path");
}

Status write_replaced_list(const std::string& path, const std::vector<fs::path>& files) {
  ::unlink(path.c_str());
  Result<PartFile> list = PartFile::create(system_part_files(), path, OutputCompression::none);
  if (!list) return fail(list.error());
  for (const fs::path& file : files) {
    if (!is_part_name(file.filename().native())) continue;
    if (Status written = list->append(identity(file) + '\n'); !written) return written;
  }
  return list->finish();
}

}  // namespace

std::string hidden_part_name(const SinkIdentity& sink, std::uint32_t subtask, std::uint32_t attempt, std::uint64_t n) {
  return hidden_prefix(sink) + std::to_string(subtask) + "." + std::to_string(attempt) + "." + std::to_string(n);
}

namespace {

Status remove_all(PartFiles& files, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (Status removed = files.remove(path); !removed) {
      return fail(removed.error().within("what an earlier run left"));
    }
  }
  return {};
}

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Result<std::vector<std::string>> hidden_parts(PartFiles& files, const std::string& folder, const SinkIdentity& sink) {
  auto paths = files.list(folder);
  if (!paths) return fail(paths.error());
  const std::string prefix = hidden_prefix(sink);
  std::erase_if(*paths, [&](const std::string& path) { return !name_of(path).starts_with(prefix); });
  return paths;
}

/// A folder's files, as they concern one of its writers.
struct Contents {
  std::vector<fs::path> visible;
  std::map<std::string, std::vector<std::string>, std::less<>> hidden;  ///< by owner, without those of this writer
};

Result<Contents> look_into(const std::string& folder, const SinkIdentity& self) {
  Contents contents;
  const std::string own = owner_name(self);
  const auto paths = system_part_files()->list(folder);
  if (!paths) return fail(paths.error());
  for (const std::string& path : *paths) {
    const std::string name = name_of(path);
    if (!name.starts_with('.')) {
      contents.visible.emplace_back(path);
      continue;
    }
    const auto owner = owner_in(name);
    if (owner && *owner != own) contents.hidden[std::string{*owner}].push_back(path);
  }
  std::sort(contents.visible.begin(), contents.visible.end());
  return contents;
}

bool is_mark(const std::string& path) {
  return name_of(path).starts_with(".lock.");
}

OwnerState state_of(const std::string& folder, const std::string& owner, const std::vector<std::string>& files) {
  const auto mark = std::find_if(files.begin(), files.end(), is_mark);
  return mark != files.end() ? owner_state(*mark) : owner_state(fs::path{folder}, owner);
}

/// Removes what dead jobs left; gives the living owners.
Result<std::vector<std::string>> clean_up(const std::string& folder, Contents& contents) {
  std::vector<std::string> living;
  for (auto& [owner, files] : contents.hidden) {
    switch (state_of(folder, owner, files)) {
      case OwnerState::living: living.push_back(owner); break;
      case OwnerState::resumable: break;
      case OwnerState::dead:
        // The mark last: as long as something is left, it says whose it was.
        std::stable_partition(files.begin(), files.end(), std::not_fn(is_mark));
        if (Status removed = remove_all(*system_part_files(), files); !removed) return fail(removed.error());
    }
  }
  return living;
}

tl::unexpected<Error> refuse_company(const std::string& folder, std::string_view owner) {
  return fail(ErrorCode::io,
              "another job (" + std::string{owner.substr(0, owner.find('.'))} + ") is writing to the folder " + folder +
                  "; wait for its end, choose another path, or set on_existing = \"append\" to add to the same folder");
}

/// A sink's claim on its folder for as long as its job runs.
class FolderClaim final : public JobGuard {
 public:
  FolderClaim(std::string folder, SinkIdentity sink, OwnerMark mark, bool resumable)
      : folder_{std::move(folder)}, sink_{std::move(sink)}, mark_{std::move(mark)}, resumable_{resumable} {}

  void job_ended() override {
    PartFiles& files = *system_part_files();
    const auto parts = hidden_parts(files, folder_, sink_);
    if (resumable_ && !(parts && parts->empty())) return;
    // What cannot be removed is left to the next job that starts in the folder, which says so if it cannot either.
    if (!parts || !remove_all(files, *parts)) return;
    ::unlink(replaced_list(folder_, sink_).c_str());
    mark_.remove();
  }

 private:
  std::string folder_;
  SinkIdentity sink_;
  OwnerMark mark_;
  bool resumable_;
};

}  // namespace

Result<std::unique_ptr<JobGuard>> claim_folder(const std::string& folder, OnExisting on_existing,
                                               std::string_view sink_name, const JobStart& job) {
  const SinkIdentity sink{job.id, std::string{sink_name}};
  if (Status made = system_part_files()->make_folder(folder); !made) return fail(made.error());
  if (::access(folder.c_str(), W_OK | X_OK) != 0) return cannot("write to", folder, std::strerror(errno));
  const auto entered = enter_folder(folder);
  if (!entered) return fail(entered.error());
  auto mark = OwnerMark::take(folder, sink, job.resumable);
  if (!mark) return fail(mark.error());
  const bool locks_work = mark->held();
  auto claim = std::make_unique<FolderClaim>(folder, sink, std::move(*mark), job.resumable);
  const auto refuse = [&](Error error) {
    claim->job_ended();
    return fail(std::move(error));
  };

  auto contents = look_into(folder, sink);
  if (!contents) return refuse(contents.error());
  if (locks_work) {
    const auto living = clean_up(folder, *contents);
    if (!living) return refuse(living.error());
    const std::string own_job = escape_name(sink.job_id) + ".";
    for (const std::string& owner : *living) {
      // Sinks of one job may share a folder: they were written by one person at one time.
      if (on_existing != OnExisting::append && !job.goes_on && !owner.starts_with(own_job)) {
        return refuse(refuse_company(folder, owner).value());
      }
    }
  }
  if (job.goes_on) return claim;
  if (on_existing == OnExisting::error && !contents->visible.empty()) {
    return refuse(refuse_existing(folder, contents->visible).value());
  }
  if (on_existing == OnExisting::replace && !contents->visible.empty()) {
    if (Status written = write_replaced_list(replaced_list(folder, sink), contents->visible); !written) {
      return refuse(written.error());
    }
  }
  return claim;
}

Status remove_hidden_parts(PartFiles& files, const std::string& folder, const SinkIdentity& sink,
                           const std::set<std::string>& keep) {
  auto left = hidden_parts(files, folder, sink);
  if (!left) return fail(left.error());
  std::erase_if(*left, [&](const std::string& path) { return keep.contains(path); });
  return remove_all(files, *left);
}

Status PartPublisher::remove_replaced() {
  // Whoever renames the list is the one that carries it out.
  const std::string list = replaced_list(folder_, sink_);
  const std::string mine = list + "." + std::to_string(subtask_);
  if (::rename(list.c_str(), mine.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return cannot("rename", list, std::strerror(errno));
  }
  std::ifstream lines{mine};
  for (std::string line; std::getline(lines, line);) {
    std::size_t path_at = 0;
    for (int i = 0; i < 3 && path_at != std::string::npos; ++i) path_at = line.find(' ', path_at) + 1;
    const fs::path path = line.substr(path_at);
    if (identity(path) != line) continue;
    if (::unlink(path.c_str()) != 0) return cannot("replace", path.native(), std::strerror(errno));
    // A partition without parts goes too; one with files stays.
    if (path.parent_path() != fs::path{folder_}) ::rmdir(path.parent_path().c_str());
  }
  ::unlink(mine.c_str());
  return {};
}

Status PartPublisher::publish(const std::string& hidden_path, std::string_view extension) {
  const std::string folder = fs::path{hidden_path}.parent_path().native();
  std::uint64_t& number = next_[folder];
  for (;; ++number) {
    std::string visible = folder + "/part-" + std::to_string(subtask_) + "-" + std::to_string(number);
    visible += extension;
    const auto renamed = files_->rename_to_new(hidden_path, visible);
    if (!renamed) return fail(renamed.error());
    if (!*renamed) continue;
    ++number;
    return {};
  }
}

}  // namespace dataflow
