#include "libdataflow/artifact/job_files.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string_view>

#include "libdataflow/artifact/child_answer.hpp"
#include "libdataflow/artifact/job_library.hpp"

namespace dataflow {

namespace {

constexpr std::chrono::seconds names_deadline{30};
constexpr std::size_t most_bytes_of_names = 1 << 20;
/// Neither a path nor a variable has a byte 0 in it. A variable's name has no "=".
constexpr char end_of_entry = '\0';
constexpr char file_entry = 'f';
constexpr char variable_entry = 'v';

/// The process's.
struct State {
  std::mutex mutex;
  JobFiles files;
  JobNeeds named;
};

State& state() {
  static State state;
  return state;
}

JobNeeds all_named() {
  const std::lock_guard lock{state().mutex};
  return state().named;
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
  state().named.files.insert(path);
}

std::set<std::string> named_job_files() {
  const std::lock_guard lock{state().mutex};
  return state().named.files;
}

std::optional<std::string> job_variable(const std::string& name) {
  const std::lock_guard lock{state().mutex};
  if (const auto& given = state().files.environment) {
    const auto found = given->find(name);
    return found == given->end() ? std::nullopt : std::optional{found->second};
  }
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  state().named.environment[name] = value;
  return value;
}

JobNeeds needs_of_job(const std::string& library, const std::vector<std::string>& arguments) {
  const auto name_them = [&](int answer) {
    // Whether it has mistakes is not asked here.
    static_cast<void>(load_job_library(library, arguments));
    const JobNeeds named = all_named();
    std::string text;
    for (const std::string& file : named.files) text += file_entry + file + end_of_entry;
    for (const auto& [name, value] : named.environment) text += variable_entry + name + "=" + value + end_of_entry;
    write_all(answer, text + end_of_entry);
  };
  const auto answer = ask_child(name_them, names_deadline, most_bytes_of_names);
  // An empty entry says that these are all.
  if (!answer || !answer->ended || !answer->said.ends_with(end_of_entry)) return {};
  JobNeeds needs;
  std::string_view rest = answer->said;
  while (!rest.empty()) {
    const std::string_view entry = rest.substr(0, rest.find(end_of_entry));
    rest.remove_prefix(entry.size() + 1);
    if (entry.starts_with(file_entry)) needs.files.emplace(entry.substr(1));
    if (!entry.starts_with(variable_entry)) continue;
    const std::size_t equals = entry.find('=');
    needs.environment.emplace(entry.substr(1, equals - 1), entry.substr(equals + 1));
  }
  return needs;
}

}  // namespace dataflow
