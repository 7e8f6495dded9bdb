#pragma once
// Speaking to an operator of a job that runs in another process of this machine, from any program:
//
//     df::ActorRef fraud{"fraud", "small_then_large"};
//     fraud.send("set_limit", SetLimit{900});
//     auto small = fraud.ask<double>("small", std::string{"4711"});
//
// What `dfnode send` and `dfnode ask` do. The program links dataflow::cli, which dataflow_add_program does.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataflow/record.hpp"

namespace dataflow {

/// Names an operator of a running job; holds no connection, so that it outlives the job and finds its successor.
/// Calls wait for the answer, at most `timeout`.
/// Errors of all calls: not_found when no such job runs here, or it has no such operator, message or state; io when it
/// does not answer in time; what the operator answers.
class ActorRef {
 public:
  /// `job` is its name, or name-pid when several of that name run.
  ActorRef(std::string job, std::string node, Duration timeout = std::chrono::seconds{10})
      : job_{std::move(job)}, node_{std::move(node)}, timeout_{timeout} {}

  /// To every subtask, between two batches; their answers as JSON, in the subtasks' order.
  template <class M>
  Result<std::vector<std::string>> send(std::string_view message, const M& record) const {
    return send_json(message, record_to_json(record));
  }
  /// Only to the subtask that owns `key`; its answer as JSON.
  template <class K, class M>
  Result<std::string> send_to(const K& key, std::string_view message, const M& record) const {
    auto answers = send_json(message, record_to_json(record), record_to_json(key));
    if (!answers) return fail(answers.error());
    return answers->empty() ? std::string{"null"} : std::move(answers->front());
  }
  /// The ValueState<V>, or another state whose content is one V, of a key; nothing when the key has none.
  template <class V, class K>
  Result<std::optional<V>> ask(std::string_view state, const K& key) const {
    const auto json = ask_json(state, record_to_json(key));
    if (!json) return fail(json.error());
    return state_from_json<V>(*json);
  }

  /// The same of a function without key: what each subtask has, in their order.
  template <class V>
  Result<std::vector<std::optional<V>>> ask(std::string_view state) const {
    const auto answers = ask_subtasks_json(state);
    if (!answers) return fail(answers.error());
    std::vector<std::optional<V>> values;
    for (const std::string& json : *answers) {
      auto value = state_from_json<V>(json);
      if (!value) return fail(value.error());
      values.push_back(std::move(*value));
    }
    return values;
  }

  /// Without types: messages, keys and answers are JSON. An empty key is every subtask.
  [[nodiscard]] Result<std::vector<std::string>> send_json(std::string_view message, std::string_view json,
                                                           std::string_view key_json = {}) const;
  [[nodiscard]] Result<std::string> ask_json(std::string_view state, std::string_view key_json) const;
  [[nodiscard]] Result<std::vector<std::string>> ask_subtasks_json(std::string_view state) const;

 private:
  template <class V>
  static Result<std::optional<V>> state_from_json(const std::string& json) {
    if (json == "null") return std::optional<V>{};
    V value{};
    if (auto status = record_from_json(json, value); !status) return fail(status.error());
    return std::optional<V>{std::move(value)};
  }

  std::string job_;
  std::string node_;
  Duration timeout_;
};

}  // namespace dataflow
