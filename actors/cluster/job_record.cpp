#include "actors/cluster/job_record.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

namespace dataflow {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int format_version = 1;

Status io_error(const std::string& what, const fs::path& path) {
  return fail(ErrorCode::io, what + " " + path.string() + ": " + std::strerror(errno));
}

/// The file has the old content or the new, whatever happens meanwhile.
Status write_file(const fs::path& path, const std::string& text) {
  const fs::path temporary = path.string() + ".new";
  // It may hold what a client's environment had: for this user's eyes only.
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return io_error("cannot open", temporary);
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  errno = error;
  if (!written) return io_error("cannot write", temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0) return io_error("cannot rename to", path);
  const int folder = open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && fsync(folder) == 0;
  if (folder >= 0) close(folder);
  return synced ? Status{} : io_error("cannot sync", path.parent_path());
}

Result<json> read_json(const fs::path& path) {
  std::ifstream in{path};
  std::ostringstream text;
  text << in.rdbuf();
  json value = json::parse(text.view(), nullptr, false);
  if (!value.is_object() || value.value("version", 0) != format_version) {
    return fail(ErrorCode::malformed_data,
                path.string() + " is no file of this version of dataflow; move it away to go on without it");
  }
  return value;
}

json to_json(const JobRecord& job) {
  return {{"version", format_version},
          {"id", job.spec.id},
          {"file_name", job.spec.file_name},
          {"artifact", job.spec.artifact},
          {"base_folder", job.spec.base_folder},
          {"overrides", job.spec.overrides},
          {"environment", job.spec.environment},
          {"arguments", job.spec.arguments},
          {"parallelism", job.spec.parallelism},
          {"followed", job.spec.followed},
          {"name", job.name},
          {"state", static_cast<int>(job.state)},
          {"submitted_us", job.submitted.micros},
          {"ended_us", job.ended ? json(job.ended->micros) : json(nullptr)},
          {"slots", job.slots},
          {"failure_code", static_cast<int>(job.failure.code)},
          {"failure", job.failure.message},
          {"json", job.json}};
}

JobRecord from_json(const json& value) {
  JobRecord job;
  value.at("id").get_to(job.spec.id);
  value.at("file_name").get_to(job.spec.file_name);
  value.at("artifact").get_to(job.spec.artifact);
  value.at("base_folder").get_to(job.spec.base_folder);
  value.at("overrides").get_to(job.spec.overrides);
  value.at("environment").get_to(job.spec.environment);
  value.at("arguments").get_to(job.spec.arguments);
  value.at("parallelism").get_to(job.spec.parallelism);
  value.at("followed").get_to(job.spec.followed);
  value.at("name").get_to(job.name);
  job.state = static_cast<JobState>(value.at("state").get<int>());
  job.submitted = Timestamp{value.at("submitted_us").get<std::int64_t>()};
  if (!value.at("ended_us").is_null()) job.ended = Timestamp{value.at("ended_us").get<std::int64_t>()};
  value.at("slots").get_to(job.slots);
  job.failure.code = static_cast<ErrorCode>(value.at("failure_code").get<int>());
  value.at("failure").get_to(job.failure.message);
  value.at("json").get_to(job.json);
  return job;
}

}  // namespace

Result<JobRecords> JobRecords::open(const fs::path& folder, const std::string& cluster) {
  JobRecords records;
  records.folder_ = folder / "jobs";
  std::error_code error;
  fs::create_directories(records.folder_, error);
  if (error) return fail(ErrorCode::io, "cannot make " + records.folder_.string() + ": " + error.message());
  const fs::path state_file = folder / "cluster.json";
  json state{{"version", format_version}, {"cluster", cluster}, {"epoch", 0}};
  if (fs::exists(state_file, error)) {
    auto read = read_json(state_file);
    if (!read) return fail(read.error());
    state = std::move(*read);
  }
  if (state.value("cluster", "") != cluster) {
    return fail(ErrorCode::invalid_argument, folder.string() + " belongs to the cluster \"" +
                                                 state.value("cluster", "") + "\", not to \"" + cluster + "\"");
  }
  records.epoch_ = state.value("epoch", std::uint64_t{0}) + 1;
  state["epoch"] = records.epoch_;
  if (auto status = write_file(state_file, state.dump()); !status) return fail(status.error());
  for (const auto& entry : fs::directory_iterator{records.folder_, error}) {
    if (entry.path().extension() != ".json") continue;
    auto value = read_json(entry.path());
    if (!value) return fail(value.error());
    try {
      JobRecord job = from_json(*value);
      records.jobs_.emplace(job.spec.id, std::move(job));
    } catch (const json::exception& e) {
      return fail(ErrorCode::malformed_data, entry.path().string() + ": " + e.what());
    }
  }
  return records;
}

JobRecord* JobRecords::find(const std::string& id) {
  const auto at = jobs_.find(id);
  return at == jobs_.end() ? nullptr : &at->second;
}

const JobRecord* JobRecords::find(const std::string& id) const {
  const auto at = jobs_.find(id);
  return at == jobs_.end() ? nullptr : &at->second;
}

Status JobRecords::add(JobRecord record) {
  const std::string id = record.spec.id;
  jobs_.insert_or_assign(id, std::move(record));
  return save(id);
}

Status JobRecords::save(const std::string& id) const {
  return write_file(folder_ / (id + ".json"),
                    to_json(jobs_.at(id)).dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace dataflow
