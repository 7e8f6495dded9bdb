// ActorRef, which the public headers declare: the job is reached by its control socket.

#include <dataflow/actor_ref.hpp>

#include <nlohmann/json.hpp>

#include "actors/control_socket.hpp"

namespace dataflow {

namespace {

Result<std::vector<std::string>> elements(const std::string& answer) {
  const auto array = nlohmann::ordered_json::parse(answer, nullptr, false);
  if (!array.is_array()) return fail(ErrorCode::malformed_data, "the job answered no JSON array: " + answer);
  std::vector<std::string> all;
  for (const auto& one : array) all.push_back(one.dump());
  return all;
}

}  // namespace

Result<std::vector<std::string>> ActorRef::send_json(std::string_view message, std::string_view json,
                                                     std::string_view key_json) const {
  const auto answer = call_local_job(job_,
                                     {.kind = ControlRequest::Kind::send,
                                      .node = node_,
                                      .name = std::string{message},
                                      .json = std::string{json},
                                      .key_json = std::string{key_json}},
                                     timeout_);
  return answer ? elements(*answer) : fail(answer.error());
}

Result<std::string> ActorRef::ask_json(std::string_view state, std::string_view key_json) const {
  return call_local_job(job_,
                        {.kind = ControlRequest::Kind::ask,
                         .node = node_,
                         .name = std::string{state},
                         .json = {},
                         .key_json = std::string{key_json}},
                        timeout_);
}

Result<std::vector<std::string>> ActorRef::ask_subtasks_json(std::string_view state) const {
  const auto answer = ask_json(state, {});
  return answer ? elements(*answer) : fail(answer.error());
}

}  // namespace dataflow
