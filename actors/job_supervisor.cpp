#include "actors/job_supervisor.hpp"

#include <algorithm>
#include <map>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>

#include "actors/clock.hpp"
#include "libdataflow/process/key_owner.hpp"

namespace dataflow {

namespace {

constexpr auto report_interval = std::chrono::milliseconds{200};
constexpr auto answer_deadline = std::chrono::seconds{5};

}  // namespace

JobSupervisor::JobSupervisor(caf::actor_config& config, caf::actor job_manager, std::string job_id, JobGraphPtr graph)
    : caf::event_based_actor{config},
      job_manager_{std::move(job_manager)},
      job_id_{std::move(job_id)},
      graph_{std::move(graph)},
      execution_{graph_},
      subtask_ids_{execution_.subtasks()},
      subtasks_(subtask_ids_.size()),
      reports_(subtask_ids_.size()) {
  for (std::size_t i = 0; i < reports_.size(); ++i) reports_[i].id = subtask_ids_[i];
}

caf::behavior JobSupervisor::make_behavior() {
  start();
  return {
      [this](const msg::SlotsGranted& m) { deploy(m); },
      [this](const msg::SlotsRefused& m) {
        if (m.attempt == execution_.attempt()) fail_attempt(Error{ErrorCode::invalid_argument, m.reason});
      },
      [this](const msg::SlotDeployed& m) { take_deployed(m); },
      [this](const msg::Opened& m) { apply(execution_.on_opened(m.attempt, m.id)); },
      [this](const msg::Prepared& m) {
        take_report(m.report);
        apply(execution_.on_prepared(m.report.attempt, m.report.id));
      },
      [this](const msg::Finished& m) { apply(execution_.on_finished(m.attempt, m.id)); },
      [this](const msg::SubtaskFailed& m) { apply(execution_.on_failed(m.attempt, m.id, m.error, wall_clock_now())); },
      [this](const msg::SubtaskGone& m) {
        if (m.attempt == execution_.attempt()) subtasks_[index(m.id)] = nullptr;
        apply(execution_.on_gone(m.attempt, m.id));
      },
      [this](const msg::SlotLost& m) { take_slot_lost(m); },
      [this](const msg::RequestSplit& m) { answer_split_request(m); },
      [this](const msg::SubtaskReport& m) { take_report(m); },
      [this](msg::RestartDue) { apply(execution_.on_restart_due()); },
      [this](msg::RetrySplits) { retry_split_requests(); },
      [this](msg::CollectReports) {
        for (const caf::actor& subtask : subtasks_) {
          if (subtask) send(subtask, msg::GetReport{});
        }
        if (!is_terminal(execution_.state())) delayed_send(this, report_interval, msg::CollectReports{});
      },
      [this](const msg::StopJob& m) { apply(execution_.stop(m.how)); },
      [this](msg::CancelJob) { apply(execution_.cancel()); },
      [this](msg::GetJob) { return view(); },
      [this](msg::AwaitEnd) -> caf::result<msg::Ended> {
        if (is_terminal(execution_.state())) return msg::Ended{};
        auto promise = make_response_promise<msg::Ended>();
        waiting_for_end_.push_back(promise);
        return promise;
      },
      [this](const msg::AskOperator& m) { return ask_operator(m); },
      [](const msg::Answer&) {},  // too late to be of interest: its request has timed out
  };
}

void JobSupervisor::on_exit() {
  job_manager_ = nullptr;
  subtasks_.clear();
  slots_.clear();
}

std::size_t JobSupervisor::index(SubtaskId id) const {
  return static_cast<std::size_t>(std::lower_bound(subtask_ids_.begin(), subtask_ids_.end(), id) -
                                  subtask_ids_.begin());
}

void JobSupervisor::apply(const std::vector<Effect>& effects) {
  for (const Effect& effect : effects) {
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
}

void JobSupervisor::start() {
  delayed_send(this, report_interval, msg::CollectReports{});
  const auto effects = execution_.start(wall_clock_now());
  for (const StreamNode& node : graph_->stream->nodes) {
    if (node.is_source()) continue;
    if (auto status = node.factory->before_job(job_id_); !status) {
      return fail_attempt(status.error().within("\"" + node.name + "\""));
    }
  }
  apply(effects);
}

Status JobSupervisor::prepare_attempt(std::uint32_t attempt) {
  for (const StreamNode& node : graph_->stream->nodes) {
    if (node.is_source()) continue;
    if (auto status = node.factory->before_attempt(job_id_, attempt, nullptr); !status) {
      return fail(status.error().within("\"" + node.name + "\""));
    }
  }
  enumerators_.clear();
  waiting_for_splits_.clear();
  for (const JobVertex& vertex : graph_->vertices) {
    const StreamNode& head = graph_->node(vertex.chain.front());
    if (!head.is_source()) continue;
    auto enumerator = head.source->factory->create_enumerator();
    if (auto status = enumerator->open(vertex.parallelism); !status) {
      return fail(status.error().within("\"" + head.name + "\""));
    }
    enumerators_.emplace(vertex.id, std::move(enumerator));
  }
  return {};
}

void JobSupervisor::carry_out(const DeployTasks& effect) {
  std::fill(subtasks_.begin(), subtasks_.end(), nullptr);
  slots_.clear();
  if (auto status = prepare_attempt(effect.attempt); !status) return fail_attempt(status.error());
  send(job_manager_, msg::RequestSlots{job_id_, effect.attempt, graph_->slots_needed()});
}

/// Nothing of the attempt exists that could answer: its subtasks are reported gone in its place.
void JobSupervisor::fail_attempt(const Error& error) {
  const std::uint32_t attempt = execution_.attempt();
  apply(execution_.on_failed(attempt, std::nullopt, error, wall_clock_now()));
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    if (!subtasks_[i]) apply(execution_.on_gone(attempt, subtask_ids_[i]));
  }
}

void JobSupervisor::deploy(const msg::SlotsGranted& granted) {
  if (granted.attempt != execution_.attempt()) return;
  if (execution_.state() != JobState::running) {
    for (const SubtaskId id : subtask_ids_) apply(execution_.on_gone(granted.attempt, id));
    return;
  }
  for (std::uint32_t slot = 0; slot < granted.task_managers.size(); ++slot) {
    send(granted.task_managers[slot],
         msg::DeploySlot{caf::actor_cast<caf::actor>(this), graph_, job_id_, granted.attempt, slot});
  }
}

void JobSupervisor::take_deployed(const msg::SlotDeployed& deployed) {
  if (deployed.attempt != execution_.attempt()) {
    send(deployed.slot, msg::CancelSlot{});
    return;
  }
  slots_.push_back(deployed.slot);
  for (const msg::DeployedSubtask& subtask : deployed.subtasks) subtasks_[index(subtask.id)] = subtask.actor;
  for (const msg::DeployedSubtask& subtask : deployed.subtasks) {
    apply(execution_.on_deployed(deployed.attempt, subtask.id));
  }
}

/// Its subtasks were linked to it and are gone too.
void JobSupervisor::take_slot_lost(const msg::SlotLost& lost) {
  const Error error{ErrorCode::internal, "slot " + std::to_string(lost.slot) + " was lost: " + lost.reason};
  apply(execution_.on_failed(lost.attempt, std::nullopt, error, wall_clock_now()));
  for (const SubtaskId id : subtask_ids_) {
    if (id.subtask == lost.slot) apply(execution_.on_gone(lost.attempt, id));
  }
}

void JobSupervisor::carry_out(const OpenTasks&) {
  std::map<ChannelId, msg::Peer> receiving;
  std::map<ChannelId, msg::Peer> sending;
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    const SubtaskId id = subtask_ids_[i];
    const auto inputs = input_channels(*graph_, id.vertex, id.subtask);
    for (std::size_t c = 0; c < inputs.size(); ++c) receiving[inputs[c]] = {subtasks_[i], c};
    const auto outputs = output_channels(*graph_, id.vertex, id.subtask);
    for (std::size_t c = 0; c < outputs.size(); ++c) sending[outputs[c]] = {subtasks_[i], c};
  }
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    const SubtaskId id = subtask_ids_[i];
    msg::Open open;
    for (const ChannelId& c : output_channels(*graph_, id.vertex, id.subtask))
      open.receivers.push_back(receiving.at(c));
    for (const ChannelId& c : input_channels(*graph_, id.vertex, id.subtask)) open.senders.push_back(sending.at(c));
    send(subtasks_[i], std::move(open));
  }
}

void JobSupervisor::carry_out(const StartTasks&) {
  for (const caf::actor& subtask : subtasks_) send(subtask, msg::Start{});
}

void JobSupervisor::carry_out(const CommitTasks& effect) {
  for (const caf::actor& subtask : subtasks_) send(subtask, msg::Commit{effect.epoch});
}

void JobSupervisor::carry_out(const CancelTasks&) {
  for (const caf::actor& slot : slots_) send(slot, msg::CancelSlot{});
}

void JobSupervisor::carry_out(const StopSources& effect) {
  for (const caf::actor& subtask : subtasks_) send(subtask, msg::Stop{effect.how});
}

void JobSupervisor::carry_out(const ScheduleRestart& effect) {
  delayed_send(this, effect.delay, msg::RestartDue{});
}

void JobSupervisor::carry_out(const EndJob& effect) {
  send(job_manager_, msg::JobEnded{job_id_, effect.state});
  for (caf::response_promise& promise : waiting_for_end_) promise.deliver(msg::Ended{});
  waiting_for_end_.clear();
}

void JobSupervisor::take_report(const msg::SubtaskReport& report) {
  if (report.attempt == execution_.attempt()) reports_[index(report.id)] = report;
}

void JobSupervisor::answer_split_request(const msg::RequestSplit& request) {
  if (request.attempt != execution_.attempt() || !subtasks_[index(request.id)]) return;
  const Timestamp now = wall_clock_now();
  auto next = enumerators_.at(request.id.vertex)->next(request.id.subtask, now);
  if (!next) {
    const StreamNode& source = graph_->node(graph_->vertices[request.id.vertex].chain.front());
    return apply(
        execution_.on_failed(request.attempt, std::nullopt, next.error().within("\"" + source.name + "\""), now));
  }
  const caf::actor& subtask = subtasks_[index(request.id)];
  switch (next->kind) {
    case SplitEnumerator::Next::Kind::split: send(subtask, msg::AssignSplit{std::move(next->split)}); return;
    case SplitEnumerator::Next::Kind::done: send(subtask, msg::NoMoreSplits{}); return;
    case SplitEnumerator::Next::Kind::wait:
      if (waiting_for_splits_.empty()) delayed_send(this, std::max(Duration{0}, next->until - now), msg::RetrySplits{});
      waiting_for_splits_.push_back(request);
  }
}

void JobSupervisor::retry_split_requests() {
  const auto waiting = std::exchange(waiting_for_splits_, {});
  for (const msg::RequestSplit& request : waiting) answer_split_request(request);
}

msg::JobViewPtr JobSupervisor::view() const {
  auto view = std::make_shared<msg::JobView>();
  view->state = execution_.state();
  view->attempt = execution_.attempt();
  view->restarts = execution_.restarts();
  view->error = execution_.error();
  view->failures = execution_.failures();
  for (const SubtaskId id : subtask_ids_) view->executions.push_back(execution_.state(id));
  view->reports = reports_;
  return view;
}

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
  msg::OperatorMessage message = question.message;
  message.node = node->id;
  std::vector<caf::actor> asked;
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    const bool meant =
        subtask_ids_[i].vertex == graph_->vertex_of_node[node->id] && (!only || subtask_ids_[i].subtask == *only);
    if (meant && subtasks_[i]) asked.push_back(subtasks_[i]);
  }
  if (asked.empty())
    return msg::Answer{fail(ErrorCode::not_found, "\"" + node->name + "\" is not running at the moment")};
  auto gathering = std::make_shared<Gathering>();
  gathering->missing = asked.size();
  gathering->answers.resize(asked.size());
  auto promise = make_response_promise<msg::Answer>();
  const std::string name = node->name;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    request(asked[i], answer_deadline, message)
        .then(
            [gathering, promise, i, bare = only && message.is_query](const msg::Answer& answer) mutable {
              if (gathering->done) return;
              if (!answer.json) {
                gathering->done = true;
                promise.deliver(answer);
                return;
              }
              gathering->answers[i] = *answer.json;
              if (--gathering->missing != 0) return;
              gathering->done = true;
              if (bare) {
                promise.deliver(answer);
                return;
              }
              std::string all = "[";
              for (const std::string& one : gathering->answers) all += (all.size() > 1 ? "," : "") + one;
              promise.deliver(msg::Answer{all + "]"});
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
