#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "actors/cluster/artifact_store.hpp"
#include "libdataflow/master/job_store.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t size = 1000;

/// An artifact of `size` bytes that was of use `age` hours ago.
std::string add(ArtifactStore& store, char content, int age) {
  const std::string bytes(size, content);
  std::string hash = content_hash(bytes);
  REQUIRE(store.append(hash, 0, size, bytes) == Result<std::uint64_t>{size});
  fs::last_write_time(store.path_of(hash).value(), fs::file_time_type::clock::now() - std::chrono::hours{age});
  return hash;
}

}  // namespace

TEST_CASE("artifacts go when there are too many bytes, those first that were of use the longest time ago") {
  const TemporaryFolder folder;
  ArtifactStore store{folder.path()};
  const std::string old = add(store, 'a', 3);
  const std::string touched = add(store, 'b', 4);
  const std::string used = add(store, 'c', 5);
  const std::string recent = add(store, 'd', 1);
  store.touch(touched);
  CHECK(store.trim(4 * size, {}) == 0);
  CHECK(store.trim(4 * size - 1, {used}) == 1);
  CHECK_FALSE(store.has(old));
  CHECK(store.trim(2 * size, {used}) == 1);
  CHECK_FALSE(store.has(recent));
  CHECK(store.has_all({used, touched}));
  CHECK(store.trim(0, {used}) == 1);
  CHECK(store.has(used));
  CHECK(store.trim(0, {}) == 1);
}

TEST_CASE("half of an artifact counts and goes like a whole one, unless it is being fetched") {
  const TemporaryFolder folder;
  ArtifactStore store{folder.path()};
  const std::string bytes(size, 'x');
  const std::string hash = content_hash(bytes);
  REQUIRE(store.append(hash, 0, size, bytes.substr(0, 600)) == Result<std::uint64_t>{600});
  CHECK(store.trim(599, {hash}) == 0);
  REQUIRE(store.append(hash, 600, size, bytes.substr(600)) == Result<std::uint64_t>{size});
  CHECK(store.has(hash));
  CHECK(store.trim(0, {}) == 1);
  REQUIRE(store.append(hash, 0, size, bytes.substr(0, 600)) == Result<std::uint64_t>{600});
  CHECK(store.trim(599, {}) == 1);
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("of a folder that is not there nothing goes") {
  const ArtifactStore store{"/nonexistent/folder"};
  CHECK(store.trim(0, {}) == 0);
}
