#pragma once
// Messages to operators (`dfnode send`) that no completed checkpoint contains yet. A message changes an operator's
// state like a record does, but nobody can read it again from a source: so it is kept here, with the checkpoints, and
// what an attempt starts from without it is given it again. Plain state machine; the JobSupervisor carries messages.
//
// Messages are numbered, and a subtask takes them in the order of their numbers. With each checkpoint it says which was
// its newest. So a checkpoint contains a message when each subtask that it went to had come that far at its barrier,
// and a subtask that starts again from the checkpoint is given those behind: each exactly once, as it sees its records.
// When the operator's parallelism has changed meanwhile, a message that some of the old subtasks had taken and some had
// not comes to all of the new ones: then it may be taken twice.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libdataflow/checkpoint/storage.hpp"
#include "serialization/checkpoint_metadata.hpp"

namespace dataflow {

struct OperatorMessage {
  std::uint64_t number = 0;
  std::string op;        ///< uid
  std::string name;      ///< of the message
  std::string json;      ///< what it says
  std::string key_json;  ///< to the subtask that owns this key; empty: to all

  friend bool operator==(const OperatorMessage&, const OperatorMessage&) = default;
};

/// Which subtask of the operator owns a key, for a parallelism.
using KeyOwner =
    std::function<std::uint32_t(const std::string& op, const std::string& key_json, std::uint32_t parallelism)>;

class MessageLog {
 public:
  /// Messages that wait at most; who sends more is refused until a checkpoint is complete.
  static constexpr std::size_t most_messages = 10'000;

  explicit MessageLog(KeyOwner owner) : owner_{std::move(owner)} {}

  /// What an earlier process of the run has left, and the checkpoint that this one starts from, or null.
  /// Returns the numbers of those that it contains, which are not kept.
  std::vector<std::uint64_t> load(std::vector<OperatorMessage> left, const CheckpointMetadata* from);

  /// Takes a message and gives it the next number. False when there are too many.
  bool add(OperatorMessage& message);
  /// Nobody has taken it, and nobody shall: the operator does not know such a message.
  void forget(std::uint64_t number);
  /// A checkpoint is complete: the numbers of the messages that it contains, which are no longer kept.
  std::vector<std::uint64_t> on_completed(const CheckpointMetadata& checkpoint);

  /// What subtask `subtask` of `parallelism` of the operator has to be given, in order, before its first record, when
  /// it starts from `from` (null: from nothing).
  [[nodiscard]] std::vector<OperatorMessage> owed(const std::string& op, std::uint32_t subtask,
                                                  std::uint32_t parallelism, const CheckpointMetadata* from) const;

  [[nodiscard]] std::size_t size() const { return messages_.size(); }

 private:
  [[nodiscard]] bool contained(const OperatorMessage& message, const CheckpointMetadata* checkpoint) const;

  KeyOwner owner_;
  std::deque<OperatorMessage> messages_;  ///< by number
  std::uint64_t next_ = 1;
};

// Where they lie meanwhile: NAME/run-000001/message-0000000012, put there before the first subtask is given it.
std::string message_key(const std::string& lineage, std::uint64_t number);
std::string encode_message(const OperatorMessage& message);
/// Errors: malformed_data naming `file`.
Result<OperatorMessage> decode_message(std::string_view bytes, std::string_view file);
/// All of a run, by number. Errors: of the storage; malformed_data.
Result<std::vector<OperatorMessage>> list_messages(CheckpointStorage& storage, const std::string& lineage);

}  // namespace dataflow
