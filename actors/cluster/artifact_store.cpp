#include "actors/cluster/artifact_store.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <tuple>

#include "libdataflow/master/job_store.hpp"

namespace dataflow {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t hash_digits = 64;
constexpr const char* partial_suffix = ".partial";
/// No job is larger; what claims to be is refused before a byte of it is kept.
constexpr std::uint64_t max_artifact_bytes = 1ULL << 30;

}  // namespace

std::vector<std::string> artifacts_of(const msg::JobSpec& job) {
  std::vector<std::string> all{job.artifact};
  for (const auto& [path, hash] : job.libraries) all.push_back(hash);
  return all;
}

std::map<std::string, std::string> file_names_of(const msg::JobSpec& job) {
  std::map<std::string, std::string> names{{job.artifact, job.file_name}};
  for (const auto& [path, hash] : job.libraries) names[hash] = fs::path{path}.filename();
  return names;
}

Result<fs::path> ArtifactStore::path_of(const std::string& hash) const {
  const bool good = hash.size() == hash_digits && hash.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!good) return fail(ErrorCode::invalid_argument, "\"" + hash + "\" is no artifact's hash");
  return folder_ / hash;
}

bool ArtifactStore::has(const std::string& hash) const {
  const auto path = path_of(hash);
  std::error_code error;
  return path && fs::exists(*path, error);
}

bool ArtifactStore::has_all(const std::vector<std::string>& hashes) const {
  return std::all_of(hashes.begin(), hashes.end(), [this](const std::string& hash) { return has(hash); });
}

std::map<std::string, std::string> ArtifactStore::libraries_of(const msg::JobSpec& job) const {
  std::map<std::string, std::string> places;
  for (const auto& [path, hash] : job.libraries) {
    if (const auto file = path_of(hash)) places.emplace(path, file->string());
  }
  return places;
}

Result<std::uint64_t> ArtifactStore::size(const std::string& hash) const {
  const auto path = path_of(hash);
  if (!path) return fail(path.error());
  std::error_code error;
  const std::uint64_t size = fs::file_size(*path, error);
  if (error) return fail(ErrorCode::not_found, "there is no artifact " + hash);
  return size;
}

Result<std::string> ArtifactStore::read(const std::string& hash, std::uint64_t offset) const {
  const auto path = path_of(hash);
  if (!path) return fail(path.error());
  std::ifstream in{*path, std::ios::binary};
  if (!in) return fail(ErrorCode::not_found, "there is no artifact " + hash);
  in.seekg(static_cast<std::streamoff>(offset));
  std::string bytes(artifact_piece_bytes, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

fs::path ArtifactStore::partial(const std::string& hash) const {
  return folder_ / (hash + partial_suffix);
}

void ArtifactStore::touch(const std::string& hash) const {
  const auto path = path_of(hash);
  std::error_code error;  // a file whose time cannot be set goes earlier than it should
  if (path) fs::last_write_time(*path, fs::file_time_type::clock::now(), error);
}

std::size_t ArtifactStore::trim(std::uint64_t bytes, const std::set<std::string>& in_use) const {
  struct File {
    fs::path path;
    std::uint64_t size;
    fs::file_time_type used;
  };
  std::vector<File> unused;
  std::uint64_t total = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator{folder_, error}) {
    std::error_code gone;
    const File file{entry.path(), entry.file_size(gone), entry.last_write_time(gone)};
    if (gone) continue;
    total += file.size;
    if (in_use.count(file.path.stem()) == 0) unused.push_back(file);
  }
  std::sort(unused.begin(), unused.end(),
            [](const File& a, const File& b) { return std::tie(a.used, a.path) < std::tie(b.used, b.path); });
  std::size_t removed = 0;
  for (const File& file : unused) {
    if (total <= bytes) break;
    if (!fs::remove(file.path, error)) continue;
    total -= file.size;
    ++removed;
  }
  return removed;
}

void ArtifactStore::clear_partial() const {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator{folder_, error}) {
    std::error_code gone;
    if (entry.path().extension() == partial_suffix) fs::remove(entry.path(), gone);
  }
}

Result<std::string> ArtifactStore::take(const std::string& hash) {
  const auto path = path_of(hash);
  if (!path) return fail(path.error());
  std::ifstream in{*path, std::ios::binary};
  std::ostringstream content;
  content << in.rdbuf();
  if (!in) return fail(ErrorCode::not_found, "there is no artifact " + hash);
  std::error_code error;
  fs::remove(*path, error);
  return std::move(content).str();
}

Result<std::uint64_t> ArtifactStore::append(const std::string& hash, std::uint64_t offset, std::uint64_t total,
                                            std::string_view bytes) {
  const auto path = path_of(hash);
  if (!path) return fail(path.error());
  if (has(hash)) return total;
  if (total > max_artifact_bytes) return fail(ErrorCode::invalid_argument, "the artifact is larger than a gibibyte");
  std::error_code error;
  fs::create_directories(folder_, error);
  const fs::path temporary = partial(hash);
  if (offset == 0) fs::remove(temporary, error);
  const std::uint64_t there = fs::exists(temporary, error) ? fs::file_size(temporary, error) : 0;
  if (there != offset || bytes.size() > total - offset) return there;
  {
    std::ofstream out{temporary, std::ios::binary | std::ios::app};
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.flush();
    if (!out) return fail(ErrorCode::io, "cannot write " + temporary.string() + ": " + std::strerror(errno));
  }
  if (offset + bytes.size() < total) return offset + bytes.size();
  std::ifstream in{temporary, std::ios::binary};
  std::ostringstream content;
  content << in.rdbuf();
  if (content_hash(content.view()) != hash) {
    fs::remove(temporary, error);
    return fail(ErrorCode::malformed_data, "the artifact that arrived is not the one that was announced");
  }
  fs::rename(temporary, *path, error);
  if (error) return fail(ErrorCode::io, "cannot rename to " + path->string() + ": " + error.message());
  return total;
}

}  // namespace dataflow
