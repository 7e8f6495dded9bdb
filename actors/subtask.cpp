#include "actors/subtask.hpp"

#include <algorithm>

#include <caf/all.hpp>

#include "actors/clock.hpp"
#include "libdataflow/runtime/local_executor.hpp"

namespace dataflow {

Subtask::Subtask(caf::actor_config& config, caf::actor supervisor, caf::actor slot, JobGraphPtr graph,
                 Task::Identity identity, caf::group slot_group)
    : caf::event_based_actor{config},
      supervisor_{std::move(supervisor)},
      slot_{std::move(slot)},
      graph_{std::move(graph)},
      id_{identity.vertex, identity.subtask},
      attempt_{identity.attempt},
      task_{std::make_unique<Task>(graph_, std::move(identity), *this)} {
  join(slot_group);
}

caf::behavior Subtask::make_behavior() {
  // Handlers do not throw for what a user can cause; what gets here is a bug, and still must not be silent.
  set_exception_handler([this](std::exception_ptr& thrown) -> caf::error {
    std::string what = "unknown exception";
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
    }
    anon_send(slot_, msg::SubtaskFailed{attempt_, id_, Error{ErrorCode::internal, std::move(what)}});
    return caf::make_error(caf::sec::runtime_error);
  });
  return {
      [this](const msg::Deliver& m) {
        task_->receive(m.channel, m.envelope);
        if (!run_again_sent_) run();
      },
      [this](const msg::Credit& m) {
        task_->credit(m.channel, m.bytes);
        if (!run_again_sent_) run();
      },
      [this](msg::RunAgain) {
        run_again_sent_ = false;
        run();
      },
      [this](msg::WakeUp) {
        wake_at_.reset();
        if (!run_again_sent_) run();
      },
      [this](const msg::Open& peers) { open(peers); },
      [this](msg::Start) {
        started_ = true;
        run();
      },
      [this](const msg::AssignSplit& m) {
        task_->assign_split(m.split);
        run();
      },
      [this](msg::NoMoreSplits) {
        task_->no_more_splits();
        run();
      },
      [this](const msg::Stop& m) {
        task_->stop(m.how);
        run();
      },
      [this](const msg::Commit& m) { commit(m.epoch); },
      [this](msg::CancelSubtask) { quit(caf::exit_reason::user_shutdown); },
      [this](msg::GetReport) { return report(); },
      [this](const msg::OperatorMessage& m) {
        auto answer = m.is_query ? task_->ask(m.node, m.name, m.json) : task_->send(m.node, m.name, m.json);
        return msg::Answer{std::move(answer)};
      },
  };
}

void Subtask::on_exit() {
  if (!finished_) task_->abort();
  // Peers hold each other; let go, so that none keeps the others alive.
  task_.reset();
  receivers_.clear();
  senders_.clear();
  supervisor_ = nullptr;
  slot_ = nullptr;
}

void Subtask::open(const msg::Open& peers) {
  receivers_ = peers.receivers;
  senders_ = peers.senders;
  if (auto opened = task_->open(wall_clock_now()); !opened) return fail_with(opened.error());
  anon_send(supervisor_, msg::Opened{attempt_, id_});
}

void Subtask::run() {
  // Before Start the receiver of a message might not be open yet; after the last run there is nothing left to do.
  if (!started_ || prepared_sent_) return;
  auto progress = task_->run(wall_clock_now());
  if (!progress) return fail_with(progress.error());
  using Kind = Task::Progress::Kind;
  switch (progress->kind) {
    case Kind::more:
      run_again_sent_ = true;
      anon_send(this, msg::RunAgain{});
      return;
    case Kind::blocked:
      if (progress->wake_at) schedule_wake(*progress->wake_at);
      return;
    case Kind::prepared: prepared_sent_ = true; anon_send(supervisor_, msg::Prepared{report()});
  }
}

void Subtask::schedule_wake(Timestamp at) {
  if (wake_at_ && *wake_at_ <= at) return;
  wake_at_ = at;
  const Duration delay = std::max(Duration{0}, at - wall_clock_now());
  delayed_anon_send(this, delay, msg::WakeUp{});
}

void Subtask::commit(std::uint64_t epoch) {
  if (auto committed = task_->commit(epoch); !committed) return fail_with(committed.error());
  finished_ = true;
  anon_send(supervisor_, msg::Finished{attempt_, id_});
  quit();
}

void Subtask::fail_with(const TaskFailure& failure) {
  started_ = false;
  anon_send(supervisor_, report());
  anon_send(slot_, msg::SubtaskFailed{attempt_, id_,
                                      to_error(failure, id_.subtask, graph_->vertices[id_.vertex].parallelism)});
  quit(caf::make_error(caf::sec::runtime_error));
}

msg::SubtaskReport Subtask::report() const {
  return {attempt_, id_, task_->metrics(), task_->time_use(wall_clock_now())};
}

std::optional<Timestamp> Subtask::clock_now() const {
  return wall_clock_now();
}

void Subtask::send(std::size_t channel, EncodedEnvelopePtr envelope) {
  const msg::Peer& peer = receivers_[channel];
  anon_send(peer.actor, msg::Deliver{peer.channel, std::move(envelope)});
}

void Subtask::grant(std::size_t channel, std::size_t bytes) {
  const msg::Peer& peer = senders_[channel];
  anon_send(peer.actor, msg::Credit{peer.channel, bytes});
}

void Subtask::request_split() {
  anon_send(supervisor_, msg::RequestSplit{attempt_, id_});
}

}  // namespace dataflow
