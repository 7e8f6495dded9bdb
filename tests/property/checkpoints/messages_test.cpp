// Messages to an operator, sent, taken, checkpointed and lost at random moments: each subtask has taken each message
// that is for it exactly once, in order, when nothing is owed any more.

#include <doctest/doctest.h>

#include <deque>
#include <memory>
#include <random>
#include <set>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/message_log.hpp"
#include "tests/support/seeds.hpp"

namespace dataflow {

namespace {

constexpr const char* op = "op";
constexpr const char* lineage = "job/run-000001";

std::uint32_t owner_of(const std::string&, const std::string& key, std::uint32_t parallelism) {
  return static_cast<std::uint32_t>(std::stoul(key)) % parallelism;
}

/// An operator's subtasks with their mailboxes, and a log in front of them whose process may die.
class Conversation {
 public:
  Conversation(std::uint64_t seed, std::uint32_t parallelism) : random_{seed}, subtasks_(parallelism) { start(); }

  void run() {
    for (int step = 0; step < 200; ++step) {
      switch (pick(10)) {
        case 0:
        case 1: send(); break;
        case 2:
        case 3:
        case 4: take(pick(subtasks_.size())); break;
        case 5: begin_checkpoint(); break;
        case 6:
        case 7: snapshot(pick(subtasks_.size())); break;
        case 8:
          if (pick(4) == 0) fail_attempt();
          break;
        default:
          if (pick(8) == 0) die();
      }
    }
    for (std::size_t i = 0; i < subtasks_.size(); ++i) {
      while (!subtasks_[i].mailbox.empty()) take(i);
    }
    for (std::size_t i = 0; i < subtasks_.size(); ++i) {
      INFO("subtask " << i);
      REQUIRE(subtasks_[i].taken == expected_[i]);
    }
    CHECK(log_->size() == storage_.list(std::string{lineage} + "/message-").value().size());
  }

  std::size_t redelivered = 0;

 private:
  struct Subtask {
    std::deque<OperatorMessage> mailbox;
    std::vector<std::uint64_t> taken;  ///< its state
    std::uint64_t newest = 0;
  };

  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random_); }

  void send() {
    OperatorMessage message{0, op, "set", "{}", pick(2) == 0 ? std::to_string(pick(100)) : std::string{}};
    REQUIRE(log_->add(message));
    // The process may die before it is stored (nobody knows of the message then), or before all have it.
    if (pick(30) == 0) return die();
    REQUIRE(storage_.put(message_key(lineage, message.number), encode_message(message)));
    for (std::uint32_t i = 0; i < subtasks_.size(); ++i) {
      if (is_for(message, i)) expected_[i].push_back(message.number);
    }
    if (pick(30) == 0) return die();
    for (std::uint32_t i = 0; i < subtasks_.size(); ++i) {
      if (is_for(message, i)) subtasks_[i].mailbox.push_back(message);
    }
  }
  bool is_for(const OperatorMessage& message, std::uint32_t subtask) const {
    const auto parallelism = static_cast<std::uint32_t>(subtasks_.size());
    return message.key_json.empty() || owner_of(op, message.key_json, parallelism) == subtask;
  }

  void take(std::size_t subtask) {
    Subtask& s = subtasks_[subtask];
    if (s.mailbox.empty()) return;
    s.newest = s.mailbox.front().number;
    s.taken.push_back(s.newest);
    s.mailbox.pop_front();
  }

  void begin_checkpoint() {
    if (pending_.empty()) {
      for (std::size_t i = 0; i < subtasks_.size(); ++i) pending_.insert(i);
      snapshots_.assign(subtasks_.size(), {});
    }
  }
  void snapshot(std::size_t subtask) {
    if (pending_.erase(subtask) == 0) return;
    snapshots_[subtask] = subtasks_[subtask];
    if (!pending_.empty()) return;
    completed_ = snapshots_;
    metadata_ = std::make_unique<CheckpointMetadata>();
    metadata_->operators.push_back({op, {}, std::nullopt});
    for (const Subtask& s : completed_) metadata_->operators[0].subtasks.push_back({{}, 0, s.newest});
    if (pick(10) == 0) return die();
    for (const std::uint64_t number : log_->on_completed(*metadata_)) {
      // One that cannot be removed in time is found again, and is known to be contained.
      if (pick(5) != 0)
        REQUIRE(storage_.remove(message_key(lineage, number)));
      else
        left_behind_ = true;
    }
    if (left_behind_) die();
    left_behind_ = false;
  }

  void fail_attempt() {
    pending_.clear();
    for (std::uint32_t i = 0; i < subtasks_.size(); ++i) {
      subtasks_[i] = completed_.empty() ? Subtask{} : completed_[i];
      subtasks_[i].mailbox.clear();
      for (const OperatorMessage& message :
           log_->owed(op, i, static_cast<std::uint32_t>(subtasks_.size()), metadata_.get())) {
        subtasks_[i].mailbox.push_back(message);
        ++redelivered;
      }
    }
  }
  void start() {
    if (expected_.empty()) expected_.resize(subtasks_.size());
    log_ = std::make_unique<MessageLog>(owner_of);
    auto left = list_messages(storage_, lineage);
    REQUIRE(left);
    for (const std::uint64_t number : log_->load(std::move(*left), metadata_.get())) {
      REQUIRE(storage_.remove(message_key(lineage, number)));
    }
  }
  void die() {
    start();
    fail_attempt();
  }

  std::mt19937_64 random_;
  MemoryStorage storage_;
  std::unique_ptr<MessageLog> log_;
  std::vector<Subtask> subtasks_;
  std::vector<std::vector<std::uint64_t>> expected_;
  std::set<std::size_t> pending_;
  std::vector<Subtask> snapshots_;
  std::vector<Subtask> completed_;
  std::unique_ptr<CheckpointMetadata> metadata_;
  bool left_behind_ = false;
};

}  // namespace

TEST_CASE("a message to an operator is taken exactly once, whatever dies") {
  std::size_t redelivered = 0;
  for (const std::uint64_t seed : testing_support::seeds(2000)) {
    CAPTURE(seed);
    Conversation conversation{seed, 1 + static_cast<std::uint32_t>(seed % 3)};
    conversation.run();
    redelivered += conversation.redelivered;
  }
  CHECK(redelivered > 1000);
}

TEST_CASE("a message that some subtasks had taken comes to all when there are others now") {
  MessageLog log{owner_of};
  OperatorMessage to_all{0, op, "set", "{}", ""};
  OperatorMessage to_one{0, op, "set", "{}", "3"};
  REQUIRE(log.add(to_all));
  REQUIRE(log.add(to_one));
  CheckpointMetadata checkpoint;
  checkpoint.operators.push_back({op, {}, std::nullopt});
  checkpoint.operators[0].subtasks.push_back({{}, 0, 1});
  checkpoint.operators[0].subtasks.push_back({{}, 0, 0});
  CHECK(log.owed(op, 0, 2, &checkpoint).empty());
  CHECK(log.owed(op, 1, 2, &checkpoint) == std::vector{to_all, to_one});
  CHECK(log.owed(op, 0, 3, &checkpoint) == std::vector{to_all, to_one});
  CHECK(log.owed(op, 2, 3, &checkpoint) == std::vector{to_all});
  checkpoint.operators[0].subtasks[1].messages = 2;
  CHECK(log.on_completed(checkpoint) == std::vector<std::uint64_t>{1, 2});
  CHECK(log.size() == 0);
}

TEST_CASE("a stored message that is damaged is named") {
  const OperatorMessage message{7, op, "set", R"({"limit": 3})", "\"k\""};
  std::string bytes = encode_message(message);
  CHECK(decode_message(bytes, "file").value() == message);
  bytes.back() = ' ';
  const auto damaged = decode_message(bytes, "the file");
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().message().find("the file") == 0);
}

}  // namespace dataflow
