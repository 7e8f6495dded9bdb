// A program speaks to the operators of a job that is busy.
#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "actors/control_socket.hpp"
#include "actors/local_run.hpp"
#include "libdataflow/process/key_owner.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;

namespace {

struct Limit {
  std::int64_t value = 0;
};
DATAFLOW_RECORD(Limit, value)
struct Nothing {
  std::optional<bool> unused;
};
DATAFLOW_RECORD(Nothing, unused)

/// Remembers the newest number of each key, which a message may not change, and a limit, which it may.
class Remember : public df::KeyedProcess<std::int64_t, Limit, Limit> {
 public:
  void process(const Limit& record, Context&, df::Output<Limit>&) override { newest_ = record; }
  void receives(df::Receiver& on) override {
    on("set_limit", [this](const Limit& m) {
      if (m.value < 0) throw std::invalid_argument{"a limit is not negative"};
      limit_ = m.value;
      return Limit{limit_};
    });
    on("limit", [this](const Nothing&) { return Limit{limit_}; });
    on("forget", [this](const Nothing&) { limit_ = 0; });
  }

 private:
  std::int64_t limit_ = 500;
  df::ValueState<Limit> newest_{this, "newest"};
};

/// Remembers its subtask's newest number.
class RememberAll : public df::Process<Limit, Limit> {
 public:
  void process(const Limit& record, Context&, df::Output<Limit>&) override { newest_ = record; }

 private:
  df::ValueState<Limit> newest_{this, "newest"};
};

/// A job over numbers without end, and the socket that `dfnode run` opens for it.
class BusyJob {
 public:
  BusyJob() {
    runtime_ = std::filesystem::temp_directory_path() / ("dataflow-actor-ref-" + std::to_string(getpid()));
    std::filesystem::create_directories(runtime_);
    setenv("XDG_RUNTIME_DIR", runtime_.c_str(), 1);
    df::Environment env;
    auto numbers = env.generate(-1, [](std::int64_t n) { return Limit{n % 10}; });
    numbers.rebalance().process<RememberAll>().named("remember_all").parallelism(2).discard();
    numbers.key_by(&Limit::value).process<Remember>().named("remember").parallelism(2).discard();
    auto graph = env.build("busy");
    REQUIRE(graph);
    auto job = df::LocalJob::start(std::move(*graph), {.slots = 2});
    REQUIRE(job);
    job_ = std::move(*job);
    auto socket = df::ControlSocket::listen("busy", [this](const df::ControlRequest& request) {
      return request.kind == df::ControlRequest::Kind::ask
                 ? job_->ask(request.node, request.name, request.key_json)
                 : job_->send(request.node, request.name, request.json, request.key_json);
    });
    REQUIRE(socket);
    socket_ = std::move(*socket);
    while (df::ActorRef{"busy", "remember"}.ask<Limit>("newest", std::int64_t{9}).value_or(std::nullopt) ==
           std::nullopt) {
    }
  }
  ~BusyJob() {
    socket_.reset();
    std::filesystem::remove_all(runtime_);
  }
  [[nodiscard]] const df::LocalJob& job() const { return *job_; }

 private:
  std::filesystem::path runtime_;
  std::unique_ptr<df::LocalJob> job_;
  std::unique_ptr<df::ControlSocket> socket_;
};

using Answers = std::vector<std::string>;

TEST_CASE("an ActorRef speaks to every subtask of a busy operator, to a key's owner, and asks for its state") {
  const BusyJob busy;
  const df::ActorRef remember{"busy", "remember"};
  const auto everywhere = remember.send("set_limit", Limit{900});
  REQUIRE(everywhere);
  CHECK(*everywhere == Answers{R"({"value":900})", R"({"value":900})"});

  const auto owner = remember.send_to(std::int64_t{7}, "set_limit", Limit{100});
  REQUIRE(owner);
  CHECK(*owner == R"({"value":100})");
  const auto limits = remember.send("limit", Nothing{});
  REQUIRE(limits);
  const df::StreamNode* node = busy.job().graph()->stream->find("remember");
  REQUIRE(node != nullptr);
  const auto subtask = df::subtask_of_key(*busy.job().graph(), node->id, "7");
  REQUIRE(subtask);
  Answers expected{2, R"({"value":900})"};
  expected[*subtask] = R"({"value":100})";
  CHECK(*limits == expected);

  CHECK(remember.send("forget", Nothing{}) == Answers{"null", "null"});
  const auto newest = remember.ask<Limit>("newest", std::int64_t{7});
  REQUIRE(newest);
  REQUIRE(*newest);
  CHECK((*newest)->value == 7);
  const auto nothing = remember.ask<Limit>("newest", std::int64_t{70});
  REQUIRE(nothing);
  CHECK(!*nothing);
}

TEST_CASE("the state of a function without key is each subtask's") {
  const BusyJob busy;
  const df::ActorRef all{"busy", "remember_all"};
  for (bool both = false; !both;) {
    const auto newest = all.ask<Limit>("newest");
    REQUIRE(newest);
    REQUIRE(newest->size() == 2);
    both = (*newest)[0].has_value() && (*newest)[1].has_value();
  }
}

TEST_CASE("what an ActorRef cannot do is an Error of its kind, and the job goes on") {
  const BusyJob busy;
  const df::ActorRef remember{"busy", "remember"};
  const auto refused = [](const auto& result, df::ErrorCode code, std::string_view part) {
    REQUIRE(!result);
    CHECK(result.error().code() == code);
    CHECK_MESSAGE(result.error().message().find(part) != std::string::npos, result.error().message());
  };
  using enum df::ErrorCode;
  refused(df::ActorRef("idle", "remember").send("limit", Nothing{}), not_found, "no job \"idle\" runs");
  refused(df::ActorRef("busy", "forget").send("limit", Nothing{}), not_found, "no operator \"forget\"");
  refused(remember.send("limits", Nothing{}), not_found, "no message \"limits\", but \"forget\"");
  refused(remember.ask<Limit>("limit", std::int64_t{7}), not_found, "no state \"limit\", but \"newest\"");
  refused(remember.send_json("set_limit", R"({"value":"x"})"), invalid_argument, "value");
  refused(remember.ask<Limit>("newest", std::string{"seven"}), invalid_argument, "the key");
  refused(remember.ask<Limit>("newest"), invalid_argument, "\"newest\" is kept for each key; say which with --key");
  const df::ActorRef all{"busy", "remember_all"};
  refused(all.ask<Limit>("newest", std::int64_t{7}), invalid_argument, "\"remember_all\" has no key; leave --key out");
  refused(all.ask<Limit>("oldest"), not_found, "no state \"oldest\", but \"newest\"");
  refused(remember.send("set_limit", Limit{-1}), user_code, "std::invalid_argument: a limit is not negative");
  CHECK(remember.send("limit", Nothing{}) == Answers{R"({"value":500})", R"({"value":500})"});
}

}  // namespace
