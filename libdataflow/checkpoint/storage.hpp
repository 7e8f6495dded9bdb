#pragma once
// Where checkpoints lie: put-if-absent, get, list, delete. Nothing is ever overwritten or renamed, so that an object
// store serves as well as a filesystem, and two writers of one name find out about each other.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/state/store_files.hpp"
#include "serialization/buffer.hpp"
#include "serialization/result.hpp"

namespace dataflow {

enum class PutOutcome : std::uint8_t {
  stored,  ///< durable: it survives a crash of this machine from now on
  exists,  ///< there is something of that name already, which was left alone
};

/// A file that is being written, piece by piece. Destroyed before `finish`, it leaves nothing.
class StoredFile {
 public:
  virtual ~StoredFile() = default;
  virtual Status append(std::string_view bytes) = 0;
  /// Makes it durable, whole, under its name. Errors: io; it may be there all the same.
  virtual Result<PutOutcome> finish() = 0;
};

/// Keys are relative paths: "pipeline/run-000001/chk-00000007.e1/_metadata". All calls may be made from any thread.
/// Errors: io, with where and what to do.
class CheckpointStorage {
 public:
  virtual ~CheckpointStorage() = default;
  virtual Result<std::unique_ptr<StoredFile>> create(const std::string& key) = 0;
  /// The whole file in one go.
  Result<PutOutcome> put(const std::string& key, std::string_view bytes);
  /// Errors: also not_found.
  virtual Result<std::string> get(const std::string& key) = 0;
  /// `length` bytes from `offset` on, in memory that columns may lie in. Errors: also not_found, and malformed_data
  /// when the file ends before that.
  virtual Result<Buffer> get_range(const std::string& key, std::uint64_t offset, std::uint64_t length) = 0;
  /// Every key that begins with `prefix`, in order.
  virtual Result<std::vector<std::string>> list(const std::string& prefix) = 0;
  /// Nothing happens when there is none.
  virtual Status remove(const std::string& key) = 0;
  /// Puts a file of a store's checkpoint, which lies at `at` and which nobody changes any more, and says how many bytes
  /// had to be written: none where the storage can take the file itself, or has it under the key `known` already
  /// (empty: it does not). Durable at the latest with the next file that is put into the same folder. Errors: io.
  virtual Result<std::uint64_t> put_file(const std::string& key, const StoreFile& file, const std::filesystem::path& at,
                                         const std::string& known);
  /// Gives the file `known` the name `key`, too; as durable as with put_file. False: the storage does not have that
  /// file any more, or no second names, and what is in it has to be put anew. Errors: io.
  virtual Result<bool> link(const std::string& key, const std::string& known);
  /// Brings a file of a store's checkpoint to `into`, which does not exist; see restore_file. Errors: io, not_found;
  /// malformed_data when it is not what was written.
  virtual Status fetch_file(const std::string& key, const StoreFile& file, const std::filesystem::path& into);
  /// The key as a person finds it: "/mnt/checkpoints/pipeline/...".
  [[nodiscard]] virtual std::string describe(const std::string& key) const = 0;
};
using CheckpointStoragePtr = std::shared_ptr<CheckpointStorage>;

/// By URI: `file:///mnt/shared/checkpoints`, or a plain path. Errors: invalid_argument naming the known schemes.
Result<CheckpointStoragePtr> open_checkpoint_storage(std::string_view uri);

/// A folder: a key is a file below it. Files are written under a hidden name, fsynced and linked to their own.
CheckpointStoragePtr make_local_storage(std::string folder);

/// Text as one component of a key: what is special in paths becomes %XX.
std::string escape_key(std::string_view text);

}  // namespace dataflow
