// `dfnode send` and `ask`: the JobSupervisor speaks to the subtasks of an operator, by the groups of their slots, and
// gathers their answers. A message is written down before anybody is given it, and given again to who starts from a
// state without it (MessageLog).

#include "actors/job_supervisor.hpp"

#include <algorithm>
#include <utility>

#include <caf/all.hpp>

#include "libdataflow/process/key_owner.hpp"

namespace dataflow {

namespace {

/// An operator answers between two batches.
constexpr auto answer_deadline = std::chrono::seconds{5};

const StreamNode* find_by_uid(const StreamGraph& graph, const std::string& uid) {
  const auto at =
      std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const StreamNode& n) { return n.state_id() == uid; });
  return at == graph.nodes.end() ? nullptr : &*at;
}

}  // namespace

caf::group JobSupervisor::slot_group_of(SubtaskId id) const {
  const Execution& execution = execution_.execution(id);
  const auto slot = slots_.find({execution.of.region, id.subtask});
  const bool there = execution.exists && slot != slots_.end() && slot->second.of == execution.of;
  return there ? slot->second.group : caf::group{};
}

std::uint32_t JobSupervisor::owner_of_key(const std::string& uid, const std::string& key_json,
                                          std::uint32_t parallelism) const {
  const StreamNode* const node = find_by_uid(*graph_->stream, uid);
  const auto owner =
      node == nullptr ? Result<std::uint32_t>{0} : subtask_of_key(*graph_, node->id, key_json, parallelism);
  return owner ? *owner : 0;  // it has been looked at before the message was taken
}

/// Every subtask of the node, or the one that owns the key, as far as they exist.
Result<std::vector<SubtaskId>> JobSupervisor::addressees(const StreamNode& node, const std::string& key_json) const {
  std::optional<std::uint32_t> only;
  if (!key_json.empty()) {
    const auto owner = subtask_of_key(*graph_, node.id, key_json);
    if (!owner) return fail(owner.error());
    only = *owner;
  }
  std::vector<SubtaskId> meant;
  for (const SubtaskId id : subtask_ids_) {
    const bool is_meant = id.vertex == graph_->vertex_of_node[node.id] && (!only || id.subtask == *only);
    if (is_meant && slot_group_of(id)) meant.push_back(id);
  }
  if (meant.empty()) return fail(ErrorCode::unavailable, "\"" + node.name + "\" is not running at the moment");
  return meant;
}

/// Asks every subtask of the node, or the one that owns the key. The answer to a message is a JSON array of what they
/// say, to a question about a key what its owner says; the first error is the answer.
caf::result<msg::Answer> JobSupervisor::ask_operator(const msg::AskOperator& question) {
  const StreamNode* const node = graph_->stream->find(question.node);
  if (node == nullptr) {
    return msg::Answer{fail(ErrorCode::not_found, "the job has no operator \"" + question.node + "\"")};
  }
  const auto meant = addressees(*node, question.key_json);
  if (!meant) return msg::Answer{fail(meant.error())};
  if (!question.is_query) return send_message(*node, question);
  auto promise = make_response_promise<msg::Answer>();
  call_operator(*node, question, 0, promise);
  return promise;
}

caf::result<msg::Answer> JobSupervisor::send_message(const StreamNode& node, const msg::AskOperator& message) {
  // Between two attempts it would come before those that are owed.
  if (!runs(execution_.region_of(graph_->vertex_of_node[node.id]))) {
    return msg::Answer{fail(ErrorCode::unavailable, "\"" + node.name + "\" is not running at the moment")};
  }
  OperatorMessage kept{0, node.state_id(), message.name, message.json, message.key_json};
  if (!messages_.add(kept)) {
    return msg::Answer{fail(ErrorCode::unavailable, std::to_string(MessageLog::most_messages) +
                                                        " messages wait for a checkpoint that contains them; send "
                                                        "this one once a checkpoint is complete")};
  }
  auto promise = make_response_promise<msg::Answer>();
  if (!checkpoints_) {
    call_operator(node, message, kept.number, promise);
    return promise;
  }
  unsent_.emplace(kept.number, UnsentMessage{message, promise});
  auto store = [self = caf::actor_cast<caf::actor>(this), storage = checkpoints_->storage(),
                key = message_key(checkpoints_->lineage(), kept.number), kept] {
    const auto put = storage->put(key, encode_message(kept));
    caf::anon_send(self, msg::MessageStored{kept.number, put ? Status{} : fail(put.error())});
  };
  anon_send(worker_, msg::BlockingWork{std::move(store)});
  return promise;
}

void JobSupervisor::take_stored(const msg::MessageStored& stored) {
  auto unsent = unsent_.extract(stored.number);
  if (unsent.empty()) return;
  auto& [message, promise] = unsent.mapped();
  if (!stored.status) {
    forget_message(stored.number);
    promise.deliver(msg::Answer{fail(stored.status.error().within("the message could not be kept"))});
    return;
  }
  call_operator(*graph_->stream->find(message.node), message, stored.number, promise);
}

void JobSupervisor::forget_message(std::uint64_t number) {
  messages_.forget(number);
  remove_messages({number});
}

void JobSupervisor::remove_messages(const std::vector<std::uint64_t>& numbers) {
  if (!checkpoints_ || numbers.empty()) return;
  auto remove = [storage = checkpoints_->storage(), lineage = checkpoints_->lineage(), numbers] {
    // One that stays is found to be contained in the checkpoint by whoever reads it.
    for (const std::uint64_t number : numbers) static_cast<void>(storage->remove(message_key(lineage, number)));
  };
  anon_send(worker_, msg::BlockingWork{std::move(remove)});
}

void JobSupervisor::call_operator(const StreamNode& node, const msg::AskOperator& question, std::uint64_t number,
                                  const caf::response_promise& promise) {
  OpenCall call;
  call.promise = promise;
  const auto meant = addressees(node, question.key_json);
  // The region has failed since it was asked; a message is given to its next attempt.
  if (!meant) return call.promise.deliver(msg::Answer{fail(meant.error())});
  call.node = node.name;
  call.bare = question.is_query && !question.key_json.empty();
  call.missing = meant->size();
  call.message = number;
  call.due = std::chrono::steady_clock::now() + answer_deadline;
  const std::uint64_t name = ++last_call_;
  for (const SubtaskId id : *meant) {
    call.got.emplace(id, std::string{});
    send(slot_group_of(id),
         msg::CallOperator{name, execution_.execution(id).of.attempt, id, node.id, question.name,
                           question.is_query ? question.key_json : question.json, question.is_query, number});
  }
  calls_.emplace(name, std::move(call));
}

void JobSupervisor::take_answer(const msg::OperatorAnswered& answered) {
  const auto at = calls_.find(answered.call);
  if (at == calls_.end()) return;  // it has been given up
  OpenCall& call = at->second;
  const auto place = call.got.find(answered.id);
  if (place == call.got.end() || !place->second.empty()) return;
  place->second = answered.answer.ok ? answered.answer.json : "null";
  if (!answered.answer.ok) {
    ++call.refused;
    if (!std::exchange(call.answered, true)) {
      msg::Answer told = answered.answer;
      told.failure.message = "\"" + call.node + "\": " + told.failure.message;
      call.promise.deliver(std::move(told));
    }
  }
  if (--call.missing != 0) return;
  // What every operator refuses is no message for its next attempt either.
  if (call.message != 0 && call.refused == call.got.size()) forget_message(call.message);
  if (!call.answered) {
    std::string all;
    for (const auto& [id, json] : call.got) all += (all.empty() ? "" : ",") + json;
    call.promise.deliver(msg::Answer{Result<std::string>{call.bare ? all : "[" + all + "]"}});
  }
  calls_.erase(at);
}

void JobSupervisor::give_up_calls(std::optional<Error> all) {
  const auto now = std::chrono::steady_clock::now();
  for (auto at = calls_.begin(); at != calls_.end();) {
    OpenCall& call = at->second;
    if (!all && call.due > now) {
      ++at;
      continue;
    }
    const Error late{ErrorCode::unavailable, "\"" + call.node + "\" did not answer in time"};
    if (!call.answered) call.promise.deliver(msg::Answer{fail(all ? *all : late)});
    at = calls_.erase(at);
  }
}

/// Before the first record of an attempt: what it does not have of the messages. By the workers, which start the
/// subtasks after that; to the group of a slot there is another way, which may be the longer one. Nobody waits for the
/// answers.
void JobSupervisor::give_owed_messages(std::uint32_t region) {
  const auto from = restore_points_.find(region);
  const CheckpointMetadata* const metadata =
      from != restore_points_.end() && from->second.checkpoint ? &from->second.checkpoint->metadata() : nullptr;
  for (const StreamNode& node : graph_->stream->nodes) {
    const JobVertex& vertex = graph_->vertices[graph_->vertex_of_node[node.id]];
    if (execution_.region_of(vertex.id) != region) continue;
    for (std::uint32_t subtask = 0; subtask < vertex.parallelism; ++subtask) {
      const auto& worker = worker_of_slot_[subtask];
      if (!worker) continue;
      for (const OperatorMessage& message : messages_.owed(node.state_id(), subtask, vertex.parallelism, metadata)) {
        send(workers_[*worker].actor, msg::CallOperator{0,
                                                        execution_.current(region).attempt,
                                                        {vertex.id, subtask},
                                                        node.id,
                                                        message.name,
                                                        message.json,
                                                        false,
                                                        message.number});
      }
    }
  }
}

/// Those of processes before this one.
Status JobSupervisor::load_messages() {
  auto left = list_messages(*checkpoints_->storage(), checkpoints_->lineage());
  if (!left) return fail(left.error());
  const auto from = checkpoints_->restore_point();
  if (!from) return fail(from.error());
  remove_messages(messages_.load(std::move(*left), from->checkpoint ? &from->checkpoint->metadata() : nullptr));
  return {};
}

bool JobSupervisor::runs(std::uint32_t region) const {
  const auto ids = execution_.subtasks(region);
  return std::all_of(ids.begin(), ids.end(), [&](SubtaskId id) {
    const ExecutionState state = execution_.state(id);
    return state == ExecutionState::running || state == ExecutionState::prepared;
  });
}

}  // namespace dataflow
