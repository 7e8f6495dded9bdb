// `dfnode send` and `ask`: the JobSupervisor speaks to the subtasks of an operator, by the groups of their slots, and
// gathers their answers.

#include "actors/job_supervisor.hpp"

#include <utility>

#include <caf/all.hpp>

#include "libdataflow/process/key_owner.hpp"

namespace dataflow {

namespace {

/// An operator answers between two batches.
constexpr auto answer_deadline = std::chrono::seconds{5};

}  // namespace

caf::group JobSupervisor::slot_group_of(SubtaskId id) const {
  const Execution& execution = execution_.execution(id);
  const auto slot = slots_.find({execution.of.region, id.subtask});
  const bool there = execution.exists && slot != slots_.end() && slot->second.of == execution.of;
  return there ? slot->second.group : caf::group{};
}

/// Asks every subtask of the node, or the one that owns the key. The answer to a message is a JSON array of what they
/// say, to a question about a key what its owner says; the first error is the answer.
caf::result<msg::Answer> JobSupervisor::ask_operator(const msg::AskOperator& question) {
  const StreamNode* node = graph_->stream->find(question.node);
  if (node == nullptr) {
    return msg::Answer{fail(ErrorCode::not_found, "the job has no operator \"" + question.node + "\"")};
  }
  std::optional<std::uint32_t> only;
  if (!question.key_json.empty()) {
    const auto owner = subtask_of_key(*graph_, node->id, question.key_json);
    if (!owner) return msg::Answer{fail(owner.error())};
    only = *owner;
  }
  OpenCall call;
  call.node = node->name;
  call.bare = only.has_value() && question.is_query;
  call.due = std::chrono::steady_clock::now() + answer_deadline;
  const std::uint64_t number = ++last_call_;
  for (const SubtaskId id : subtask_ids_) {
    if (id.vertex != graph_->vertex_of_node[node->id] || (only && id.subtask != *only)) continue;
    const caf::group slot = slot_group_of(id);
    if (!slot) continue;
    call.got.emplace(id, std::string{});
    send(slot, msg::CallOperator{number, execution_.execution(id).of.attempt, id, node->id, question.name,
                                 question.is_query ? question.key_json : question.json, question.is_query});
  }
  if (call.got.empty())
    return msg::Answer{fail(ErrorCode::not_found, "\"" + node->name + "\" is not running at the moment")};
  call.missing = call.got.size();
  call.promise = make_response_promise<msg::Answer>();
  auto promise = call.promise;
  calls_.emplace(number, std::move(call));
  return promise;
}

void JobSupervisor::take_answer(const msg::OperatorAnswered& answered) {
  const auto at = calls_.find(answered.call);
  if (at == calls_.end()) return;  // it has been given up
  OpenCall& call = at->second;
  if (!answered.answer.ok) {
    call.promise.deliver(answered.answer);
    calls_.erase(at);
    return;
  }
  const auto place = call.got.find(answered.id);
  if (place == call.got.end() || !place->second.empty()) return;
  place->second = answered.answer.json;
  if (--call.missing != 0) return;
  std::string all;
  for (const auto& [id, json] : call.got) all += (all.empty() ? "" : ",") + json;
  call.promise.deliver(msg::Answer{Result<std::string>{call.bare ? all : "[" + all + "]"}});
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
    const Error late{ErrorCode::io, "\"" + call.node + "\" did not answer in time"};
    call.promise.deliver(msg::Answer{fail(all ? *all : late)});
    at = calls_.erase(at);
  }
}

}  // namespace dataflow
