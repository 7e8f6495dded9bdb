#pragma once
// The shared disk of a simulated cluster: what was written is there for everybody at once, and survives the loss of a
// machine only once it was synced: the content of a file by sync_file, its name by sync_folder.
//
// Calls are made in the name of the process whose step runs. One that dies in the middle of a step does nothing more:
// all its calls fail.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/master/file_access.hpp"
#include "serialization/time.hpp"

namespace dataflow::simulation {

class World;

/// What goes wrong at a call.
enum class DiskFault : std::uint8_t {
  refuses,  ///< it fails and has done nothing
  unsure,   ///< it has done its work, and fails all the same
  tears,    ///< half is written, and it fails
  kills,    ///< the process dies before the call
  killed,   ///< the process dies after the call, and knows of nothing
  flips,    ///< a bit of what is read is another one
};
const char* name_of(DiskFault fault);

class Disk final : public FileAccess {
 public:
  explicit Disk(World& world) : world_{world} {}

  Status make_folder(const std::string& path) override;
  Status write(const std::string& path, std::string_view bytes) override;
  /// At the end of the file, which exists.
  Status append(const std::string& path, std::string_view bytes);
  Status sync_file(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  /// False when `to` exists, which then stays; atomic (renameat2 with RENAME_NOREPLACE).
  Result<bool> rename_to_new(const std::string& from, const std::string& to);
  Result<bool> link(const std::string& from, const std::string& to) override;
  Status sync_folder(const std::string& path) override;
  Status remove(const std::string& path) override;
  Result<std::string> read(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  /// Paths that begin with `prefix`, in order.
  Result<std::vector<std::string>> list_below(const std::string& prefix);
  [[nodiscard]] bool exists(const std::string& path) const { return names_.contains(path); }

  // From outside.
  /// While it exists, calls meet no fault and are nobody's.
  class Unwatched {
   public:
    explicit Unwatched(Disk& disk) : disk_{disk} { ++disk_.unwatched_; }
    ~Unwatched() { --disk_.unwatched_; }
    Unwatched(const Unwatched&) = delete;
    Unwatched& operator=(const Unwatched&) = delete;

   private:
    Disk& disk_;
  };
  /// The fault meets one of the next calls that it can meet, after `calls` of them.
  void arm(DiskFault fault, const std::string& machine, std::uint64_t calls) {
    armed_.push_back({fault, machine, calls});
  }
  /// Until then, nothing can be written from that machine.
  void fill(const std::string& machine, Timestamp until) { full_until_[machine] = until; }
  /// The machine has lost its power: what was not synced is gone, or half there.
  void lose_unsynced(const std::string& machine);
  /// Faults that have not met anything do not come any more.
  void disarm() { armed_.clear(); }
  /// What is there, by path; null when there is none.
  [[nodiscard]] const std::string* peek(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> paths(std::string_view prefix) const;

 private:
  enum class Call : std::uint8_t { write, sync, name, remove, read, list };
  struct File {
    std::string content;
    std::optional<std::string> synced;  ///< what a power cut leaves
    std::string writer;                 ///< machine
  };
  using FilePtr = std::shared_ptr<File>;
  struct Armed {
    DiskFault fault;
    std::string machine;
    std::uint64_t calls;
  };
  /// A name that was given or taken, and is not yet durable.
  struct Change {
    std::string machine;
    std::string folder;
    std::string path;
    FilePtr before;
    FilePtr after;
    std::uint64_t step;  ///< a rename changes two names in one
  };

  /// What becomes of a call; an error when nothing is done at all.
  Result<std::optional<DiskFault>> begin(Call call, const std::string& path);
  Status end(const std::optional<DiskFault>& fault, const std::string& path);
  void set(const std::string& path, const FilePtr& file, std::uint64_t step);
  void move(const std::string& from, const std::string& to);
  [[nodiscard]] const std::string& machine() const;

  World& world_;
  int unwatched_ = 0;
  std::map<std::string, FilePtr> names_;
  std::uint64_t steps_ = 0;
  std::vector<Change> unsynced_;
  std::vector<Armed> armed_;
  std::map<std::string, Timestamp> full_until_;
};

}  // namespace dataflow::simulation
