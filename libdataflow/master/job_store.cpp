#include "libdataflow/master/job_store.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

namespace dataflow {

namespace {

constexpr std::string_view jobs_folder = "jobs";
constexpr std::string_view artifacts_folder = "artifacts";
constexpr std::string_view leader_folder = "leader";
constexpr std::string_view cluster_file = "cluster";
constexpr std::string_view address_file = "address";
constexpr std::string_view record_suffix = ".job";
constexpr std::string_view unfinished_suffix = ".tmp";
constexpr std::string_view epoch_prefix = "epoch-";

bool is_id(std::string_view id) {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

/// The epoch that a file of that name stands for; 0 when it is none.
std::uint64_t epoch_of(const std::string& name) {
  if (name.rfind(epoch_prefix, 0) != 0) return 0;
  std::uint64_t epoch = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + epoch_prefix.size(), end, epoch);
  return error == std::errc{} && at == end ? epoch : 0;
}

/// All that the record refers to.
std::set<std::string> artifacts_of(const StoredJob& record) {
  std::set<std::string> all{record.artifact};
  for (const auto& [path, hash] : record.libraries) all.insert(hash);
  return all;
}

}  // namespace

std::string content_hash(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr);
  constexpr char digits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) {
    hex += digits[digest[i] >> 4];
    hex += digits[digest[i] & 15];
  }
  return hex;
}

Result<JobStore> JobStore::open(FileAccess& files, Settings settings) {
  JobStore store{files, std::move(settings)};
  for (const std::string_view name : {jobs_folder, artifacts_folder, leader_folder}) {
    if (Status made = files.make_folder(store.folder(name)); !made) return fail(made.error());
  }
  if (Status synced = files.sync_folder(store.settings_.folder); !synced) return fail(synced.error());
  if (Status ours = store.check_cluster(); !ours) return fail(ours.error());
  if (Status taken = store.take_epoch(); !taken) return fail(taken.error());
  if (Status loaded = store.load(); !loaded) return fail(loaded.error());
  if (Status forgotten = store.forget_oldest(); !forgotten) return fail(forgotten.error());
  if (Status collected = store.collect_artifacts(); !collected) return fail(collected.error());
  return store;
}

Status JobStore::check_cluster() {
  const auto name = files_->read(folder(cluster_file));
  if (!name && name.error().code() == ErrorCode::not_found)
    return replace(settings_.folder, std::string{cluster_file}, settings_.cluster);
  if (!name) return fail(name.error());
  if (*name == settings_.cluster) return {};
  return fail(ErrorCode::invalid_argument,
              settings_.folder + " belongs to the cluster \"" + *name + "\", not to \"" + settings_.cluster + "\"");
}

// ---- The leader -----------------------------------------------------------------------------------------------------

std::string JobStore::last_leader(FileAccess& files, const std::string& folder) {
  return files.read(folder + "/" + std::string{address_file}).value_or("");
}

Status JobStore::keep_address(const std::string& address) {
  if (Status leader = check_leader(); !leader) return leader;
  return replace(settings_.folder, std::string{address_file}, address);
}

Result<std::uint64_t> JobStore::newest_epoch() const {
  const auto names = files_->list(folder(leader_folder));
  if (!names) return fail(names.error());
  std::uint64_t newest = 0;
  for (const std::string& name : *names) newest = std::max(newest, epoch_of(name));
  return newest;
}

Status JobStore::take_epoch() {
  const std::string in = folder(leader_folder);
  const auto newest = newest_epoch();
  if (!newest) return fail(newest.error());
  epoch_ = *newest + 1;
  const std::string name = std::string{epoch_prefix} + std::to_string(epoch_);
  const std::string unfinished = in + "/" + name + std::string{unfinished_suffix};
  if (Status written = files_->write(unfinished, ""); !written) return written;
  const auto linked = files_->link(unfinished, in + "/" + name);
  if (!linked) return fail(linked.error());
  if (!*linked) {
    return fail(ErrorCode::unavailable, settings_.folder + ": another JobManager has taken leader epoch " +
                                            std::to_string(epoch_) + " at the same moment; is one running already?");
  }
  if (Status synced = files_->sync_folder(in); !synced) return synced;
  // Somebody may have come and gone on since the list was read, and cleared away the name that was just taken again.
  if (Status leader = check_leader(); !leader) return leader;
  const auto names = files_->list(in);
  if (!names) return fail(names.error());
  for (const std::string& other : *names) {
    const bool is_unfinished = other.ends_with(unfinished_suffix);
    const std::uint64_t of = epoch_of(is_unfinished ? other.substr(0, other.size() - unfinished_suffix.size()) : other);
    if (of == 0 || of > epoch_ || other == name) continue;
    if (Status removed = files_->remove(in + "/" + other); !removed) return removed;
  }
  return {};
}

Status JobStore::check_leader() const {
  const auto newest = newest_epoch();
  if (!newest) return fail(newest.error());
  if (*newest == epoch_) return {};
  return fail(ErrorCode::unavailable, settings_.folder + ": another JobManager leads since epoch " +
                                          std::to_string(*newest) + "; this one had " + std::to_string(epoch_));
}

// ---- Jobs -----------------------------------------------------------------------------------------------------------

Status JobStore::load() {
  const std::string in = folder(jobs_folder);
  const auto names = files_->list(in);
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    const std::string path = in + "/" + name;
    if (name.ends_with(unfinished_suffix)) {
      if (Status removed = files_->remove(path); !removed) return removed;
    }
    if (!name.ends_with(record_suffix)) continue;
    const auto bytes = files_->read(path);
    auto record = bytes ? decode_stored_job(*bytes, path) : Result<StoredJob>{fail(bytes.error())};
    if (record && record->id + std::string{record_suffix} != name)
      record = fail(ErrorCode::malformed_data, path + ": is the record of another job, \"" + record->id + "\"");
    if (!record) {
      unreadable_.push_back(record.error());
      continue;
    }
    jobs_.insert_or_assign(record->id, std::move(*record));
  }
  return {};
}

Status JobStore::replace(const std::string& in_folder, const std::string& name, std::string_view bytes) {
  const std::string path = in_folder + "/" + name;
  const std::string unfinished = path + std::string{unfinished_suffix};
  if (Status written = files_->write(unfinished, bytes); !written) return written;
  if (Status synced = files_->sync_file(unfinished); !synced) return synced;
  if (Status renamed = files_->rename(unfinished, path); !renamed) return renamed;
  return files_->sync_folder(in_folder);
}

Status JobStore::put(const StoredJob& record) {
  if (!is_id(record.id)) {
    return fail(ErrorCode::invalid_argument,
                "\"" + record.id + "\" cannot be a job's id: it has letters, digits, \"_\" and \"-\" only");
  }
  if (Status leader = check_leader(); !leader) return leader;
  if (Status put = replace(folder(jobs_folder), record.id + std::string{record_suffix}, encode_stored_job(record));
      !put)
    return put;
  jobs_.insert_or_assign(record.id, record);
  for (const std::string& hash : artifacts_of(record)) claim(hash);
  return is_terminal(record.state) ? forget_oldest() : Status{};
}

Status JobStore::forget_oldest() {
  std::vector<const StoredJob*> ended;
  for (const auto& [id, record] : jobs_) {
    if (is_terminal(record.state)) ended.push_back(&record);
  }
  if (ended.size() <= settings_.finished_jobs) return {};
  std::stable_sort(ended.begin(), ended.end(),
                   [](const StoredJob* a, const StoredJob* b) { return a->ended_at < b->ended_at; });
  ended.resize(ended.size() - settings_.finished_jobs);
  for (const StoredJob* record : ended) {
    const std::string id = record->id;
    if (Status removed = files_->remove(folder(jobs_folder) + "/" + id + std::string{record_suffix}); !removed)
      return removed;
    jobs_.erase(id);
  }
  // The records first: an artifact goes when it is certain that no record will come back.
  if (Status synced = files_->sync_folder(folder(jobs_folder)); !synced) return synced;
  return collect_artifacts();
}

// ---- Artifacts ------------------------------------------------------------------------------------------------------

Result<std::string> JobStore::put_artifact(std::string_view bytes) {
  if (Status leader = check_leader(); !leader) return fail(leader.error());
  std::string hash = content_hash(bytes);
  const bool referred_to =
      std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& j) { return artifacts_of(j.second).count(hash) > 0; });
  const bool others_go = !referred_to && keep_unclaimed(hash);
  if (artifact(hash)) {
    // It may be there from a call that failed at its last step.
    if (Status synced = files_->sync_folder(folder(artifacts_folder)); !synced) return fail(synced.error());
    return hash;
  }
  if (Status put = replace(folder(artifacts_folder), hash, bytes); !put) return fail(put.error());
  if (others_go) {
    if (Status collected = collect_artifacts(); !collected) return fail(collected.error());
  }
  return hash;
}

void JobStore::claim(const std::string& artifact) {
  std::erase(fresh_artifacts_, artifact);
}

bool JobStore::keep_unclaimed(const std::string& artifact) {
  claim(artifact);
  fresh_artifacts_.push_back(artifact);
  if (fresh_artifacts_.size() <= settings_.unclaimed_artifacts) return false;
  fresh_artifacts_.erase(fresh_artifacts_.begin());
  return true;
}

bool JobStore::keep_artifact(const std::string& hash) {
  if (!is_id(hash) || !artifact(hash)) return false;
  keep_unclaimed(hash);
  return true;
}

Result<std::string> JobStore::artifact(const std::string& hash) const {
  if (!is_id(hash)) return fail(ErrorCode::not_found, "\"" + hash + "\" is no artifact");
  const std::string path = folder(artifacts_folder) + "/" + hash;
  auto bytes = files_->read(path);
  if (bytes && content_hash(*bytes) != hash)
    return fail(ErrorCode::malformed_data, path + ": is damaged: its content has another hash");
  return bytes;
}

Status JobStore::collect_artifacts() {
  if (!unreadable_.empty()) return {};
  std::set<std::string> wanted{fresh_artifacts_.begin(), fresh_artifacts_.end()};
  for (const auto& [id, record] : jobs_) wanted.merge(artifacts_of(record));
  const auto names = files_->list(folder(artifacts_folder));
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    if (wanted.count(name) != 0) continue;
    if (Status removed = files_->remove(folder(artifacts_folder) + "/" + name); !removed) return removed;
  }
  return {};
}

}  // namespace dataflow
