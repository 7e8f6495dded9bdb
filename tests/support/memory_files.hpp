#pragma once
// Files in memory that forget in a crash what was not synced: contents not synced by sync_file, names not synced by
// sync_folder. A test stops them before any step, crashes, and goes on with what is left.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/master/file_access.hpp"

namespace dataflow::testing_support {

class MemoryFiles final : public FileAccess {
 public:
  /// What becomes of that which was not synced; all of these happen.
  enum class Unsynced { lost, torn, kept };

  /// The steps done so far, for example "rename jobs/a.job".
  [[nodiscard]] const std::vector<std::string>& steps() const { return steps_; }
  /// The step of that number, counted from now, and all after it fail.
  void stop_before(std::size_t step) { stop_ = steps_.size() + step; }
  /// The power comes back.
  void crash(Unsynced contents, Unsynced names) {
    stop_.reset();
    steps_.clear();
    if (names != Unsynced::kept) names_ = durable_names_;
    for (auto& [path, file] : names_) {
      if (contents == Unsynced::lost) file->content = file->durable;
      if (contents == Unsynced::torn && file->content != file->durable) file->content.resize(file->content.size() / 2);
      file->durable = file->content;
    }
    durable_names_ = names_;
  }
  [[nodiscard]] bool exists(const std::string& path) const { return names_.count(path) != 0; }
  std::string& content(const std::string& path) { return names_.at(path)->content; }

  Status make_folder(const std::string&) override { return {}; }
  Status write(const std::string& path, std::string_view bytes) override {
    if (Status s = step("write " + path); !s) return s;
    auto& file = names_[path];
    if (!file) file = std::make_shared<File>();
    file->content = bytes;
    return {};
  }
  Status sync_file(const std::string& path) override {
    if (Status s = step("sync " + path); !s) return s;
    names_.at(path)->durable = names_.at(path)->content;
    return {};
  }
  Status rename(const std::string& from, const std::string& to) override {
    if (Status s = step("rename " + to); !s) return s;
    names_[to] = names_.at(from);
    names_.erase(from);
    return {};
  }
  Result<bool> link(const std::string& from, const std::string& to) override {
    if (Status s = step("link " + to); !s) return fail(s.error());
    return names_.emplace(to, names_.at(from)).second;
  }
  Status sync_folder(const std::string& path) override {
    if (Status s = step("sync folder " + path); !s) return s;
    const auto inside = [&](const std::string& name) {
      return name.rfind(path + "/", 0) == 0 && name.find('/', path.size() + 1) == std::string::npos;
    };
    std::erase_if(durable_names_, [&](const auto& entry) { return inside(entry.first); });
    for (const auto& [name, file] : names_) {
      if (inside(name)) durable_names_[name] = file;
    }
    return {};
  }
  Status remove(const std::string& path) override {
    if (Status s = step("remove " + path); !s) return s;
    names_.erase(path);
    return {};
  }
  Result<std::string> read(const std::string& path) override {
    const auto at = names_.find(path);
    if (at == names_.end()) return fail(ErrorCode::not_found, path + ": no such file");
    return at->second->content;
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    std::vector<std::string> names;
    for (const auto& [name, file] : names_) {
      if (name.rfind(path + "/", 0) == 0) names.push_back(name.substr(path.size() + 1));
    }
    return names;
  }

 private:
  struct File {
    std::string content;
    std::string durable;
  };
  using Names = std::map<std::string, std::shared_ptr<File>>;

  Status step(std::string what) {
    if (stop_ && steps_.size() >= *stop_) return fail(ErrorCode::io, "power cut before: " + what);
    steps_.push_back(std::move(what));
    return {};
  }

  Names names_;
  Names durable_names_;
  std::vector<std::string> steps_;
  std::optional<std::size_t> stop_;
};

}  // namespace dataflow::testing_support
