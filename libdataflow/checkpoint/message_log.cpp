#include "libdataflow/checkpoint/message_log.hpp"

#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace dataflow {

namespace {

constexpr int format_version = 1;
constexpr std::string_view message_prefix = "message-";

bool is_for(const OperatorMessage& message, std::uint32_t subtask, std::uint32_t parallelism, const KeyOwner& owner) {
  return message.key_json.empty() || owner(message.op, message.key_json, parallelism) == subtask;
}

}  // namespace

std::vector<std::uint64_t> MessageLog::load(std::vector<OperatorMessage> left, const CheckpointMetadata* from) {
  messages_.clear();
  std::vector<std::uint64_t> gone;
  for (OperatorMessage& message : left) {
    next_ = std::max(next_, message.number + 1);
    if (contained(message, from)) {
      gone.push_back(message.number);
    } else {
      messages_.push_back(std::move(message));
    }
  }
  if (from == nullptr) return gone;
  for (const auto& op : from->operators) {
    for (const auto& subtask : op.subtasks) next_ = std::max(next_, subtask.messages + 1);
  }
  return gone;
}

bool MessageLog::add(OperatorMessage& message) {
  if (messages_.size() >= most_messages) return false;
  message.number = next_++;
  messages_.push_back(message);
  return true;
}

void MessageLog::forget(std::uint64_t number) {
  std::erase_if(messages_, [&](const OperatorMessage& message) { return message.number == number; });
}

bool MessageLog::contained(const OperatorMessage& message, const CheckpointMetadata* checkpoint) const {
  const auto* op = checkpoint == nullptr ? nullptr : checkpoint->find(message.op);
  if (op == nullptr) return false;
  const auto parallelism = static_cast<std::uint32_t>(op->subtasks.size());
  for (std::uint32_t subtask = 0; subtask < parallelism; ++subtask) {
    if (is_for(message, subtask, parallelism, owner_) && op->subtasks[subtask].messages < message.number) return false;
  }
  return true;
}

std::vector<std::uint64_t> MessageLog::on_completed(const CheckpointMetadata& checkpoint) {
  std::vector<std::uint64_t> gone;
  std::erase_if(messages_, [&](const OperatorMessage& message) {
    if (!contained(message, &checkpoint)) return false;
    gone.push_back(message.number);
    return true;
  });
  return gone;
}

std::vector<OperatorMessage> MessageLog::owed(const std::string& op, std::uint32_t subtask, std::uint32_t parallelism,
                                              const CheckpointMetadata* from) const {
  const auto* before = from == nullptr ? nullptr : from->find(op);
  const bool same = before != nullptr && before->subtasks.size() == parallelism;
  std::vector<OperatorMessage> owed;
  for (const OperatorMessage& message : messages_) {
    if (message.op != op || !is_for(message, subtask, parallelism, owner_)) continue;
    if (same ? before->subtasks[subtask].messages >= message.number : contained(message, from)) continue;
    owed.push_back(message);
  }
  return owed;
}

std::string message_key(const std::string& lineage, std::uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "%010llu", static_cast<unsigned long long>(number));
  return lineage + "/" + std::string{message_prefix} + text;
}

std::string encode_message(const OperatorMessage& message) {
  const nlohmann::ordered_json json{{"version", format_version}, {"number", message.number}, {"operator", message.op},
                                    {"name", message.name},      {"json", message.json},     {"key", message.key_json}};
  const std::string text = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return std::to_string(block_hash(text)) + "\n" + text;
}

Result<OperatorMessage> decode_message(std::string_view bytes, std::string_view file) {
  const auto refuse = [&] {
    return fail(ErrorCode::malformed_data,
                std::string{file} + " cannot be used: it is damaged, or no message of this version of the program");
  };
  const std::size_t line = bytes.find('\n');
  if (line == std::string_view::npos) return refuse();
  const std::string_view text = bytes.substr(line + 1);
  if (bytes.substr(0, line) != std::to_string(block_hash(text))) return refuse();
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || json.value("version", 0) != format_version) return refuse();
  return OperatorMessage{json.value("number", std::uint64_t{0}), json.value("operator", ""), json.value("name", ""),
                         json.value("json", ""), json.value("key", "")};
}

Result<std::vector<OperatorMessage>> list_messages(CheckpointStorage& storage, const std::string& lineage) {
  const auto keys = storage.list(lineage + "/" + std::string{message_prefix});
  if (!keys) return fail(keys.error());
  std::vector<OperatorMessage> messages;
  for (const std::string& key : *keys) {
    const auto bytes = storage.get(key);
    if (!bytes) return fail(bytes.error());
    auto message = decode_message(*bytes, storage.describe(key));
    if (!message) return fail(message.error());
    messages.push_back(std::move(*message));
  }
  return messages;
}

}  // namespace dataflow
