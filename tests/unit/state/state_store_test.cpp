// What every state store must do.

#include <sys/mount.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>

#include "libdataflow/state/store_key.hpp"
#include "tests/support/stores.hpp"

namespace dataflow {

namespace {

using namespace testing_support;
namespace fs = std::filesystem;

#define FOR_EACH_STORE(kind) \
  for (const StoreKind& kind : store_kinds()) SUBCASE(kind.name)

StateStorePtr open(const StoreKind& kind, const fs::path& folder) {
  auto store = kind.open(folder);
  REQUIRE_MESSAGE(store.has_value(), (store ? "" : store.error().message()));
  return std::move(*store);
}

std::string text_of(int i) {
  std::string key;
  put_ordered(key, static_cast<std::uint32_t>(i));
  return key;
}

/// Keys `first` to `end` by `step`, each with `bytes` bytes that depend on `version`.
Content numbered(int first, int end, int step = 1, std::size_t bytes = 100, int version = 0) {
  Content entries;
  for (int i = first; i < end; i += step) {
    std::string value;
    for (std::uint64_t seed = static_cast<std::uint64_t>(i) * 31 + static_cast<std::uint64_t>(version);
         value.size() < bytes;) {
      seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
      put_ordered(value, seed);
    }
    entries.emplace(text_of(i), value);
  }
  return entries;
}

std::uint64_t bytes_of(const std::vector<StoreFile>& files, const std::vector<StoreFile>& without = {}) {
  std::set<std::string> old;
  for (const StoreFile& file : without) old.insert(file.shared_name());
  std::uint64_t bytes = 0;
  for (const StoreFile& file : files) bytes += file.shared && old.contains(file.shared_name()) ? 0 : file.bytes;
  return bytes;
}

}  // namespace

TEST_CASE("a store answers many keys at once, in the order of the questions") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    const auto store = open(kind, folder / "store");
    put(*store, {{"a", "1"}, {"b", ""}, {std::string{"c\0d", 3}, "4"}});
    const std::string_view keys[] = {std::string_view{"c\0d", 3}, "z", "a", "b", "c", "a"};
    StoreValues values;
    REQUIRE(store->multi_get(keys, values));
    REQUIRE(values.size() == 6);
    CHECK(values[0] == "4");
    CHECK_FALSE(values[1]);
    CHECK(values[2] == "1");
    CHECK(values[3] == "");
    CHECK_FALSE(values[4]);
    CHECK(values[5] == "1");
  }
}

TEST_CASE("the last of several changes to a key counts") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    const auto store = open(kind, folder / "store");
    StoreBatch batch;
    batch.put("a", "1");
    batch.erase("a");
    batch.put("b", "1");
    batch.put("b", "2");
    batch.erase("never there");
    REQUIRE(store->write(batch));
    CHECK(content_of(*store) == Content{{"b", "2"}});
  }
}

TEST_CASE("a scan walks its range in the order of the keys' bytes and sees nothing that is written later") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    const auto store = open(kind, folder / "store");
    put(*store, {{"\x7f", "1"}, {"\x80", "2"}, {"a", "3"}, {"ab", "4"}, {"b", "5"}});
    CHECK(content_of(*store, "a", "b") == Content{{"a", "3"}, {"ab", "4"}});
    CHECK(content_of(*store, "b", "a").empty());
    CHECK(content_of(*store, "\x7f").size() == 2);
    const auto scan = store->scan("a", "");
    put(*store, {{"aa", "new"}, {"ab", "new"}});
    scan->next();
    CHECK(scan->key() == "ab");
    CHECK(scan->value() == "4");
  }
}

TEST_CASE("a range is erased without its end") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    const auto store = open(kind, folder / "store");
    put(*store, numbered(0, 100));
    REQUIRE(store->erase_range(text_of(10), text_of(90)));
    REQUIRE(store->erase_range(text_of(5), text_of(5)));
    REQUIRE(store->erase_range(text_of(9), text_of(3)));
    auto expected = numbered(0, 10);
    expected.merge(numbered(90, 100));
    CHECK(content_of(*store) == expected);
    put(*store, numbered(50, 51));
    CHECK(content_of(*store).size() == 21);
  }
}

TEST_CASE("a checkpoint brings back what was there when it was made, and nothing else") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    std::vector<StoreFile> first;
    std::vector<StoreFile> second;
    {
      const auto store = open(kind, folder / "store");
      put(*store, numbered(0, 1000));
      first = checkpoint(*store, folder / "first");
      put(*store, numbered(500, 1500, 1, 50, 1));
      REQUIRE(store->erase_range(text_of(0), text_of(100)));
      second = checkpoint(*store, folder / "second");
      put(*store, numbered(0, 2000, 1, 10, 2));
    }
    REQUIRE(restore_files(folder / "first", first, folder / "of_first"));
    CHECK(content_of(*open(kind, folder / "of_first")) == numbered(0, 1000));
    REQUIRE(restore_files(folder / "second", second, folder / "of_second"));
    const auto restored = open(kind, folder / "of_second");
    auto expected = numbered(100, 500);
    expected.merge(numbered(500, 1500, 1, 50, 1));
    CHECK(content_of(*restored) == expected);

    // And it goes on from there, whatever became of the checkpoint that it came from.
    fs::remove_all(folder / "second");
    put(*restored, numbered(0, 1, 1, 8));
    const auto third = checkpoint(*restored, folder / "third");
    REQUIRE(restore_files(folder / "third", third, folder / "of_third"));
    expected.merge(numbered(0, 1, 1, 8));
    CHECK(content_of(*open(kind, folder / "of_third")) == expected);
  }
}

TEST_CASE("a checkpoint after few changes shares nearly all of its bytes with the one before") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    const auto store = open(kind, folder / "store");
    put(*store, numbered(0, 20'000));
    const auto first = checkpoint(*store, folder / "first");
    put(*store, numbered(0, 20'000, 100, 100, 1));
    const auto second = checkpoint(*store, folder / "second");
    CHECK(bytes_of(second, first) * 20 < bytes_of(second));
    const auto unchanged = checkpoint(*store, folder / "third");
    CHECK(bytes_of(unchanged, second) < 4096);
  }
}

TEST_CASE("attempts that go on from one checkpoint never give different files one name") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    const auto files = [&] {
      const auto store = open(kind, folder / "store");
      put(*store, numbered(0, 100));
      return checkpoint(*store, folder / "first");
    }();
    std::set<std::string> names;
    std::size_t shared = 0;
    for (const int attempt : {1, 2}) {
      const auto name = "attempt" + std::to_string(attempt);
      REQUIRE(restore_files(folder / "first", files, folder / name));
      const auto store = open(kind, folder / name);
      put(*store, numbered(0, 10, 1, 100, attempt));
      for (const StoreFile& file : checkpoint(*store, folder / (name + "-checkpoint"))) {
        if (!file.shared) continue;
        ++shared;
        names.insert(file.shared_name());
      }
    }
    CHECK(shared == 4);
    CHECK(names.size() == 3);  // the common one, and one of each attempt
  }
}

TEST_CASE("a truncated, flipped or missing file of a checkpoint is named and refused") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    const auto store = open(kind, folder / "store");
    put(*store, numbered(0, 1000));
    const auto files = checkpoint(*store, folder / "made");
    // A copy has all checked, as a restore from other storage does.
    auto copied = files;
    for (StoreFile& file : copied) file.shared = false;
    for (std::size_t i = 0; i < files.size(); ++i) {
      const fs::path file = folder / "made" / files[i].name;
      const auto size = fs::file_size(file);
      const fs::path into = folder / ("into" + std::to_string(i));
      std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
      bytes.seekg(static_cast<std::streamoff>(size / 2));
      const auto before = static_cast<char>(bytes.get());
      bytes.seekp(static_cast<std::streamoff>(size / 2));
      bytes.put(static_cast<char>(before ^ 0x10)).flush();
      const auto flipped = restore_files(folder / "made", copied, into);
      bytes.seekp(static_cast<std::streamoff>(size / 2));
      bytes.put(before).flush();
      REQUIRE_FALSE(flipped);
      CHECK(flipped.error().code() == ErrorCode::malformed_data);
      CHECK(flipped.error().message().find(file.string()) != std::string::npos);

      const fs::path kept = folder / "kept";
      fs::copy_file(file, kept, fs::copy_options::overwrite_existing);
      fs::resize_file(file, size - 1);
      const auto cut = restore_files(folder / "made", files, into.string() + "-cut");
      REQUIRE_FALSE(cut);
      CHECK(cut.error().code() == ErrorCode::malformed_data);
      CHECK(cut.error().message().find(file.string()) != std::string::npos);
      fs::remove(file);
      const auto gone = restore_files(folder / "made", files, into.string() + "-gone");
      REQUIRE_FALSE(gone);
      CHECK(gone.error().code() == ErrorCode::io);
      CHECK(gone.error().message().find(file.string()) != std::string::npos);
      fs::copy_file(kept, file);
    }
  }
}

namespace {

/// Writes until the disk is full, makes room, and sees that what was written is there or its loss is said.
void fill_up(const StoreKind& kind, const fs::path& folder, const std::function<void()>& make_room) {
  const auto store = open(kind, folder / "store");
  Content expected;
  Error error{ErrorCode::internal, ""};
  for (int round = 0; round < 100 && error.message().empty(); ++round) {
    const auto entries = numbered(round * 1000, round * 1000 + 1000, 1, 100 + static_cast<std::size_t>(round) * 40);
    StoreBatch batch;
    for (const auto& [key, value] : entries) batch.put(key, value);
    if (const auto written = store->write(batch); !written) {
      error = written.error();
      break;
    }
    expected.insert(entries.begin(), entries.end());
    const auto made = store->checkpoint(folder / ("checkpoint" + std::to_string(round)));
    if (!made) error = made.error();
  }
  CHECK(error.code() == ErrorCode::io);
  CHECK_MESSAGE(error.message().find(folder.string()) != std::string::npos, error.message());
  CHECK_MESSAGE(error.message().find("No space left on device") != std::string::npos, error.message());
  CHECK_MESSAGE(error.message().find("make room") != std::string::npos, error.message());
  CHECK(content_of(*store) == expected);

  make_room();
  const auto more = numbered(1'000'000, 1'000'010);
  put(*store, more);
  expected.insert(more.begin(), more.end());
  CHECK(content_of(*store) == expected);
  const auto files = store->checkpoint(folder / "after");
  if (!files) {  // RocksDB cannot always go on, and must say so
    CHECK_MESSAGE(files.error().message().find("opened anew, on a checkpoint") != std::string::npos,
                  files.error().message());
    return;
  }
  REQUIRE(restore_files(folder / "after", *files, folder / "restored"));
  const Content restored = content_of(*open(kind, folder / "restored"));
  CHECK(restored.size() == expected.size());
  CHECK(restored == expected);
}

/// A small disk at a folder while it lives, where there is the right to mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const fs::path& at) : at_{at}, mounted_{::mount("none", at.c_str(), "tmpfs", 0, "size=8m") == 0} {}
  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }

 private:
  fs::path at_;
  bool mounted_;
};

}  // namespace

TEST_CASE("a full disk is said to be one, and no checkpoint that is made when there is room again lacks anything") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    const SmallDisk disk{folder.path()};
    if (!disk.mounted()) return;
    std::ofstream{folder / "ballast"} << std::string(4U << 20, 'x');
    fill_up(kind, folder.path(), [&] { fs::remove(folder / "ballast"); });
  }
}

TEST_CASE("a subtask takes over the key groups that it owns as ranges") {
  FOR_EACH_STORE(kind) {
    const TemporaryFolder folder;
    const auto from = open(kind, folder / "from");
    Content entries;
    for (std::uint32_t group = 0; group < 128; ++group) {
      for (const std::string name : {"a", "b"}) {
        std::string key;
        put_key_group(key, group);
        entries.emplace(key + name, std::to_string(group));
      }
    }
    put(*from, entries);
    std::string first;
    std::string end;
    put_key_group(first, 31);
    put_key_group(end, 64);
    const auto into = open(kind, folder / "into");
    REQUIRE(copy_range(*from, *into, first, end));
    const Content taken = content_of(*into);
    CHECK(taken.size() == 2 * 33);
    CHECK(get_key_group(taken.begin()->first) == 31);
    CHECK(get_key_group(taken.rbegin()->first) == 63);
  }
}

TEST_CASE("a folder that cannot be used is refused by its name") {
  const TemporaryFolder folder;
  std::ofstream{folder / "file"} << "in the way";
  FOR_EACH_STORE(kind) {
    const auto refused = kind.open(folder / "file" / "store");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == ErrorCode::io);
    CHECK(refused.error().message().find((folder / "file" / "store").string()) != std::string::npos);
    const auto store = open(kind, folder / "store");
    fs::create_directory(folder / "taken");
    CHECK_FALSE(store->checkpoint(folder / "taken"));
    CHECK_FALSE(store->checkpoint(folder / "no" / "parent"));
  }
}

TEST_CASE("a store that another one has open is refused with what to do") {
  const TemporaryFolder folder;
  const auto memory = std::make_shared<RocksMemory>(16U << 20);
  const auto store = open_rocksdb_store(folder / "store", memory);
  REQUIRE(store);
  const auto second = open_rocksdb_store(folder / "store", memory);
  REQUIRE_FALSE(second);
  CHECK_MESSAGE(second.error().message().find("has it open") != std::string::npos, second.error().message());
}

TEST_CASE("a damaged store is refused as malformed") {
  const TemporaryFolder folder;
  const auto memory = std::make_shared<RocksMemory>(16U << 20);
  {
    const auto store = open_rocksdb_store(folder / "store", memory);
    REQUIRE(store);
    put(**store, numbered(0, 1000));
    checkpoint(**store, folder / "flushed");
  }
  for (const auto& entry : fs::directory_iterator{folder / "store"}) {
    if (entry.path().extension() == ".sst") fs::resize_file(entry.path(), 100);
  }
  const auto store = open_rocksdb_store(folder / "store", memory);
  Status read;
  if (store) {
    const auto scan = (*store)->scan("", "");
    while (scan->valid()) scan->next();
    read = scan->status();
  } else {
    read = fail(store.error());
  }
  REQUIRE_FALSE(read);
  CHECK(read.error().code() == ErrorCode::malformed_data);
  CHECK(read.error().message().find((folder / "store").string()) != std::string::npos);
}

TEST_CASE("RocksDB stores stay within the memory that they share") {
  const TemporaryFolder folder;
  const auto memory = std::make_shared<RocksMemory>(16U << 20);
  std::vector<StateStorePtr> stores;
  for (const char* name : {"one", "two"}) {
    auto store = open_rocksdb_store(folder / name, memory);
    REQUIRE(store);
    stores.push_back(std::move(*store));
  }
  std::uint64_t most = 0;
  StoreValues values;
  for (int round = 0; round < 40; ++round) {
    for (const auto& store : stores) {
      put(*store, numbered(round * 4000, round * 4000 + 4000, 1, 200));
      for (int i = 0; i < 1000; ++i) {
        const std::string key = text_of((i * 7919) % (round * 4000 + 1));
        const std::string_view keys[] = {key};
        REQUIRE(store->multi_get(keys, values));
        CHECK(values[0]);
      }
      most = std::max(most, memory->used_bytes());
    }
  }
  CHECK(most <= memory->budget_bytes() * 5 / 4);
}

}  // namespace dataflow
