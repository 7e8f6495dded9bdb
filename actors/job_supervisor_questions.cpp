// `dfnode send` and `ask`: the JobSupervisor speaks to the subtasks of an operator and gathers their answers.

#include "actors/job_supervisor.hpp"

#include <caf/all.hpp>

#include "libdataflow/process/key_owner.hpp"

namespace dataflow {

namespace {

/// More than the worker gives its operator: its answer says more than ours.
constexpr auto answer_deadline = std::chrono::seconds{7};

}  // namespace

/// Asks every subtask of the node, or the one that owns the key. The answer to a message is a JSON array of what they
/// say, to a question about a key what its owner says; the first error is the answer.
caf::result<msg::Answer> JobSupervisor::ask_operator(const msg::AskOperator& question) {
  const StreamNode* node = graph_->stream->find(question.node);
  if (node == nullptr) {
    return msg::Answer{fail(ErrorCode::not_found, "the job has no operator \"" + question.node + "\"")};
  }
  struct Gathering {
    std::vector<std::string> answers;
    std::size_t missing = 0;
    bool done = false;
  };
  std::optional<std::uint32_t> only;
  if (!question.key_json.empty()) {
    const auto owner = subtask_of_key(*graph_, node->id, question.key_json);
    if (!owner) return msg::Answer{fail(owner.error())};
    only = *owner;
  }
  std::vector<std::pair<caf::actor, msg::CallOperator>> calls;
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    const SubtaskId id = subtask_ids_[i];
    const bool meant = id.vertex == graph_->vertex_of_node[node->id] && (!only || id.subtask == *only);
    const WorkerState* const worker = meant && execution_.execution(id).exists ? worker_of(id) : nullptr;
    if (worker == nullptr) continue;
    calls.emplace_back(worker->actor,
                       msg::CallOperator{execution_.execution(id).of.attempt, id, node->id, question.name,
                                         question.is_query ? question.key_json : question.json, question.is_query});
  }
  if (calls.empty())
    return msg::Answer{fail(ErrorCode::not_found, "\"" + node->name + "\" is not running at the moment")};
  auto gathering = std::make_shared<Gathering>();
  gathering->missing = calls.size();
  gathering->answers.resize(calls.size());
  auto promise = make_response_promise<msg::Answer>();
  const std::string name = node->name;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    request(calls[i].first, answer_deadline, calls[i].second)
        .then(
            [gathering, promise, i, name, bare = only && question.is_query](const msg::Answer& answer) mutable {
              if (gathering->done) return;
              if (!answer.ok) {
                gathering->done = true;
                const bool late = answer.failure.code == ErrorCode::io;
                promise.deliver(late ? msg::Answer{fail(ErrorCode::io, "\"" + name + "\": " + answer.failure.message)}
                                     : answer);
                return;
              }
              gathering->answers[i] = answer.json;
              if (--gathering->missing != 0) return;
              gathering->done = true;
              if (bare) {
                promise.deliver(answer);
                return;
              }
              std::string all = "[";
              for (const std::string& one : gathering->answers) all += (all.size() > 1 ? "," : "") + one;
              promise.deliver(msg::Answer{Result<std::string>{all + "]"}});
            },
            [gathering, promise, name](const caf::error&) mutable {
              if (gathering->done) return;
              gathering->done = true;
              promise.deliver(msg::Answer{fail(ErrorCode::io, "\"" + name + "\" did not answer in time")});
            });
  }
  return promise;
}

}  // namespace dataflow
