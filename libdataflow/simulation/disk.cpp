#include "libdataflow/simulation/disk.hpp"

#include <algorithm>

#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {

namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string{} : path.substr(0, slash);
}

/// What a file is for, by its name.
std::string kind_of(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  if (name.starts_with(".part.")) return "part";
  if (name.find(".a") != std::string::npos && path.find("/chk-") != std::string::npos) return "state";
  if (path.starts_with("jobs/")) return "jobs";
  std::erase_if(name, [](char c) { return (c >= '0' && c <= '9') || c == '-' || c == '.'; });
  return name;
}

tl::unexpected<Error> refused(const std::string& path, const std::string& why) {
  return fail(ErrorCode::io, "cannot use " + path + ": " + why);
}

tl::unexpected<Error> missing(const std::string& path) {
  return fail(ErrorCode::not_found, "cannot use " + path + ": no such file");
}

}  // namespace

const char* name_of(DiskFault fault) {
  switch (fault) {
    case DiskFault::refuses: return "refuses";
    case DiskFault::unsure: return "unsure";
    case DiskFault::tears: return "tears";
    case DiskFault::kills: return "kills before";
    case DiskFault::killed: return "kills after";
    case DiskFault::flips: return "flips";
  }
  return "";
}

const std::string& Disk::machine() const {
  static const std::string outside;
  return world_.loop.current() ? world_.loop.current()->machine : outside;
}

Result<std::optional<DiskFault>> Disk::begin(Call call, const std::string& path) {
  const ProcessPtr& process = world_.loop.current();
  if (!process || unwatched_ > 0) return std::optional<DiskFault>{};
  if (!process->alive) return refused(path, "the process has ended");
  const bool reads = call == Call::read || call == Call::list;
  if (const auto full = full_until_.find(process->machine);
      full != full_until_.end() && (call == Call::write || call == Call::sync) && world_.loop.now() < full->second) {
    if (call == Call::write) return std::optional{DiskFault::tears};
    return refused(path, "no space is left");
  }
  for (auto armed = armed_.begin(); armed != armed_.end(); ++armed) {
    const bool kills = armed->fault == DiskFault::kills || armed->fault == DiskFault::killed;
    const bool fits = armed->fault == DiskFault::flips   ? call == Call::read
                      : armed->fault == DiskFault::tears ? call == Call::write
                                                         : kills || !reads;
    if (armed->machine != process->machine || !fits) continue;
    if (armed->calls-- > 0) continue;
    const DiskFault fault = armed->fault;
    armed_.erase(armed);
    ++world_.counts.faults[kills ? "kill" : "disk"];
    ++world_.met[std::string{name_of(fault)} + " " + kind_of(path)];
    world_.note([&] { return "FAULT disk " + std::string{name_of(fault)} + " at " + path; });
    if (kills) {
      process->alive = false;
      world_.loop.after(Duration{0}, nullptr,
                        [this, dead = process] { world_.kill(dead, "killed in the middle of a step"); });
    }
    if (fault == DiskFault::refuses) return refused(path, "the disk does not work");
    if (fault == DiskFault::kills) return refused(path, "the process has ended");
    return std::optional{fault};
  }
  return std::optional<DiskFault>{};
}

Status Disk::end(const std::optional<DiskFault>& fault, const std::string& path) {
  if (!fault || *fault == DiskFault::flips) return {};
  return refused(path, *fault == DiskFault::killed ? "the process has ended" : "the disk does not work");
}

void Disk::set(const std::string& path, const FilePtr& file, std::uint64_t step) {
  const auto at = names_.find(path);
  const FilePtr before = at == names_.end() ? nullptr : at->second;
  unsynced_.push_back({machine(), folder_of(path), path, before, file, step});
  if (file == nullptr) {
    names_.erase(path);
  } else {
    names_[path] = file;
  }
}

void Disk::move(const std::string& from, const std::string& to) {
  const std::uint64_t step = ++steps_;
  set(to, names_.at(from), step);
  set(from, nullptr, step);
}

Status Disk::make_folder(const std::string& path) {
  const auto fault = begin(Call::list, path);
  return fault ? end(*fault, path) : fail(fault.error());
}

Status Disk::write(const std::string& path, std::string_view bytes) {
  const auto fault = begin(Call::write, path);
  if (!fault) return fail(fault.error());
  auto file = std::make_shared<File>();
  file->content = *fault == DiskFault::tears ? bytes.substr(0, bytes.size() / 2) : bytes;
  file->writer = machine();
  set(path, file, ++steps_);
  return end(*fault, path);
}

Status Disk::append(const std::string& path, std::string_view bytes) {
  const auto fault = begin(Call::write, path);
  if (!fault) return fail(fault.error());
  const auto at = names_.find(path);
  if (at == names_.end()) return missing(path);
  at->second->content += *fault == DiskFault::tears ? bytes.substr(0, bytes.size() / 2) : bytes;
  return end(*fault, path);
}

Status Disk::sync_file(const std::string& path) {
  const auto fault = begin(Call::sync, path);
  if (!fault) return fail(fault.error());
  const auto at = names_.find(path);
  if (at == names_.end()) return missing(path);
  at->second->synced = at->second->content;
  return end(*fault, path);
}

Status Disk::rename(const std::string& from, const std::string& to) {
  const auto fault = begin(Call::name, to);
  if (!fault) return fail(fault.error());
  const auto at = names_.find(from);
  if (at == names_.end()) return missing(from);
  move(from, to);
  return end(*fault, to);
}

Result<bool> Disk::rename_to_new(const std::string& from, const std::string& to) {
  const auto fault = begin(Call::name, to);
  if (!fault) return fail(fault.error());
  const auto at = names_.find(from);
  if (at == names_.end()) return missing(from);
  if (names_.contains(to)) return false;
  move(from, to);
  if (Status done = end(*fault, to); !done) return fail(done.error());
  return true;
}

Result<bool> Disk::link(const std::string& from, const std::string& to) {
  const auto fault = begin(Call::name, to);
  if (!fault) return fail(fault.error());
  const auto at = names_.find(from);
  if (at == names_.end()) return missing(from);
  if (names_.contains(to)) return false;
  set(to, at->second, ++steps_);
  if (Status done = end(*fault, to); !done) return fail(done.error());
  return true;
}

Status Disk::sync_folder(const std::string& path) {
  const auto fault = begin(Call::sync, path);
  if (!fault) return fail(fault.error());
  std::erase_if(unsynced_, [&](const Change& change) { return change.folder == path; });
  return end(*fault, path);
}

Status Disk::remove(const std::string& path) {
  const auto fault = begin(Call::remove, path);
  if (!fault) return fail(fault.error());
  if (names_.contains(path)) set(path, nullptr, ++steps_);
  return end(*fault, path);
}

Result<std::string> Disk::read(const std::string& path) {
  const auto fault = begin(Call::read, path);
  if (!fault) return fail(fault.error());
  const auto at = names_.find(path);
  if (at == names_.end()) return missing(path);
  std::string bytes = at->second->content;
  if (*fault == DiskFault::flips && !bytes.empty()) {
    const std::uint64_t bit = world_.random.below(bytes.size() * 8);
    bytes[bit / 8] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ (1U << (bit % 8)));
  }
  if (Status done = end(*fault, path); !done) return fail(done.error());
  return bytes;
}

Result<std::vector<std::string>> Disk::list(const std::string& path) {
  auto below = list_below(path + "/");
  if (!below) return fail(below.error());
  std::vector<std::string> names;
  for (const std::string& one : *below) {
    std::string name = one.substr(path.size() + 1);
    if (name.find('/') == std::string::npos) names.push_back(std::move(name));
  }
  return names;
}

Result<std::vector<std::string>> Disk::list_below(const std::string& prefix) {
  const auto fault = begin(Call::list, prefix);
  if (!fault) return fail(fault.error());
  if (Status done = end(*fault, prefix); !done) return fail(done.error());
  return paths(prefix);
}

std::vector<std::string> Disk::paths(std::string_view prefix) const {
  std::vector<std::string> found;
  for (auto at = names_.lower_bound(std::string{prefix}); at != names_.end() && at->first.starts_with(prefix); ++at) {
    found.push_back(at->first);
  }
  return found;
}

const std::string* Disk::peek(const std::string& path) const {
  const auto at = names_.find(path);
  return at == names_.end() ? nullptr : &at->second->content;
}

/// Names in the reverse of their order, each with a chance of its own: a disk writes them down when it likes, but a
/// rename as one, so that a file has one of its names. What somebody else has changed since stays as it is now.
void Disk::lose_unsynced(const std::string& machine) {
  std::map<std::uint64_t, bool> stays;  // by step
  for (auto change = unsynced_.rbegin(); change != unsynced_.rend(); ++change) {
    if (change->machine != machine) continue;
    const auto [fate, is_new] = stays.try_emplace(change->step, false);
    if (is_new) fate->second = world_.random.chance(0.3);
    if (fate->second) continue;
    const auto at = names_.find(change->path);
    const FilePtr there = at == names_.end() ? nullptr : at->second;
    if (there != change->after) continue;
    if (change->before == nullptr) {
      names_.erase(change->path);
    } else {
      names_[change->path] = change->before;
    }
  }
  std::erase_if(unsynced_, [&](const Change& change) { return change.machine == machine; });
  for (const auto& [path, file] : names_) {
    if (file->writer != machine || file->synced == file->content) continue;
    const std::size_t kept = file->synced ? file->synced->size() : 0;
    const std::size_t rest = file->content.size() - std::min(kept, file->content.size());
    std::string torn = file->synced.value_or("") + file->content.substr(file->content.size() - rest);
    torn.resize(kept + world_.random.below(rest + 1));
    file->content = std::move(torn);
    file->synced = file->content;
  }
}

}  // namespace dataflow::simulation
