#include "libdataflow/artifact/job_files.hpp"

#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <sstream>

#include "libdataflow/artifact/child_answer.hpp"
#include "libdataflow/artifact/job_library.hpp"

namespace dataflow {

namespace {

constexpr std::chrono::seconds names_deadline{30};
constexpr std::size_t most_bytes_of_names = 1 << 20;

/// The process's.
struct State {
  std::mutex mutex;
  JobFiles files;
  std::set<std::string> named;
};

State& state() {
  static State state;
  return state;
}

void write_all(int descriptor, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t written = ::write(descriptor, text.data() + at, text.size() - at);
    if (written <= 0) return;
    at += static_cast<std::size_t>(written);
  }
}

}  // namespace

void set_job_files(JobFiles files) {
  const std::lock_guard lock{state().mutex};
  state().files = std::move(files);
}

std::string absolute_job_file(const std::string& path) {
  const std::lock_guard lock{state().mutex};
  std::error_code error;  // without a current folder a relative path stays one, and is not found
  const std::filesystem::path folder = state().files.folder;
  const auto absolute = std::filesystem::absolute(folder / path, error);
  return error ? path : absolute.lexically_normal().string();
}

std::string place_of_job_file(const std::string& path) {
  const std::lock_guard lock{state().mutex};
  const auto found = state().files.places.find(path);
  return found == state().files.places.end() ? path : found->second;
}

void note_job_file(const std::string& path) {
  const std::lock_guard lock{state().mutex};
  state().named.insert(path);
}

std::set<std::string> named_job_files() {
  const std::lock_guard lock{state().mutex};
  return state().named;
}

std::set<std::string> files_named_by_job(const std::string& library, const std::vector<std::string>& arguments) {
  // No path has a line's end in it, or it does not travel.
  const auto name_them = [&](int answer) {
    if (!load_job_library(library, arguments)) return;
    std::string names;
    for (const std::string& name : named_job_files()) names += name + "\n";
    write_all(answer, names + "\n");
  };
  const auto answer = ask_child(name_them, names_deadline, most_bytes_of_names);
  // An empty line says that these are all.
  if (!answer || !answer->ended || !answer->said.ends_with('\n')) return {};
  std::set<std::string> names;
  std::istringstream lines{answer->said};
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) names.insert(line);
  }
  return names;
}

}  // namespace dataflow
