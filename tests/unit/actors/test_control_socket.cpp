#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "actors/control_socket.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

/// A folder of its own for the sockets of a test.
class RuntimeFolder {
 public:
  RuntimeFolder() {
    std::string path = "/tmp/dataflow-test-XXXXXX";
    REQUIRE(mkdtemp(path.data()) != nullptr);
    path_ = path;
    setenv("XDG_RUNTIME_DIR", path.c_str(), 1);
  }
  ~RuntimeFolder() {
    unsetenv("XDG_RUNTIME_DIR");
    std::filesystem::remove_all(path_);
  }
  RuntimeFolder(const RuntimeFolder&) = delete;
  RuntimeFolder& operator=(const RuntimeFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

const ControlRequest request{
    .kind = ControlRequest::Kind::send, .node = "hot", .name = "set", .json = "{\"x\":1}", .key_json = "\"k\""};

}  // namespace

TEST_CASE("a request reaches the job as it was asked, and its answer comes back") {
  const RuntimeFolder folder;
  auto socket = ControlSocket::listen("fraud", [](const ControlRequest& r) -> Result<std::string> {
    CHECK(r.node == "hot");
    CHECK(r.name == "set");
    CHECK(r.key_json == "\"k\"");
    return "[" + r.json + "]";
  });
  REQUIRE(socket);
  CHECK(call_local_job("fraud", request, 5s).value() == "[{\"x\":1}]");
}

TEST_CASE("what the job refuses is an error with its words") {
  const RuntimeFolder folder;
  auto socket = ControlSocket::listen("fraud", [](const ControlRequest&) -> Result<std::string> {
    return fail(ErrorCode::not_found, "no such operator");
  });
  REQUIRE(socket);
  const auto answer = call_local_job("fraud", request, 5s);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().message() == "no such operator");
}

TEST_CASE("a job's name may hold what is special in paths") {
  const RuntimeFolder folder;
  for (const std::string name : {"a/b", "/tmp", "../q", "two\nlines", "a-1"}) {
    CAPTURE(name);
    auto socket = ControlSocket::listen(name, [](const ControlRequest&) -> Result<std::string> { return "[]"; });
    REQUIRE(socket);
    CHECK(call_local_job(name, request, 5s).value() == "[]");
  }
}

TEST_CASE("a message that is no UTF-8 is refused before it is sent") {
  const RuntimeFolder folder;
  auto socket = ControlSocket::listen("fraud", [](const ControlRequest&) -> Result<std::string> { return "[]"; });
  REQUIRE(socket);
  ControlRequest broken = request;
  broken.json = "{\"where\":\"a>\xFF\"}";
  const auto answer = call_local_job("fraud", broken, 5s);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code() == ErrorCode::invalid_argument);
}

TEST_CASE("asking for a job that does not run names those that do") {
  const RuntimeFolder folder;
  auto socket = ControlSocket::listen("alerts", [](const ControlRequest&) -> Result<std::string> { return "[]"; });
  REQUIRE(socket);
  const auto answer = call_local_job("fraud", request, 5s);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().message() ==
        "no job \"fraud\" runs on this machine; these do: alerts-" + std::to_string(getpid()));
}

TEST_CASE("the socket is gone with the job, and one left behind by a killed process is removed") {
  const RuntimeFolder folder;
  const auto left_behind = folder.path() / "dataflow" / "dead-1.sock";
  {
    auto socket = ControlSocket::listen("fraud", [](const ControlRequest&) -> Result<std::string> { return "[]"; });
    REQUIRE(socket);
    std::filesystem::create_hard_link(control_socket_path("fraud"), left_behind);
  }
  CHECK_FALSE(std::filesystem::exists(control_socket_path("fraud")));
  const auto answer = call_local_job("dead", request, 5s);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().message() == "no job \"dead\" runs on this machine");
  CHECK_FALSE(std::filesystem::exists(left_behind));
}
