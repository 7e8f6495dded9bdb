#include "libdataflow/runtime/local_executor.hpp"

#include <algorithm>
#include <deque>

namespace dataflow {

namespace {

constexpr const char* local_job_id = "local";

/// While sources without end are always ready nothing waits for a time, and virtual time would stand still. So much of
/// their records takes a part of the time that there is until the job is stopped.
constexpr std::uint64_t records_of_a_part = 32 * 1024;
constexpr std::int64_t parts_of_time = 32;

}  // namespace

/// One subtask with its pipes: what it sends lands at the receiving task at once.
class LocalExecutor::Host final : public TaskHost {
 public:
  Host(const JobGraphPtr& graph, std::uint32_t vertex, std::uint32_t subtask)
      : vertex_{vertex}, subtask_{subtask}, task_{graph, {local_job_id, vertex, subtask, 0}, *this} {}

  struct Peer {
    Host* host;
    std::size_t channel;
  };

  void send(std::size_t channel, EncodedEnvelopePtr envelope) override {
    receivers_[channel].host->task_.receive(receivers_[channel].channel, std::move(envelope));
  }
  void grant(std::size_t channel, std::size_t bytes) override {
    senders_[channel].host->task_.credit(senders_[channel].channel, bytes);
  }
  void request_split() override { wants_split_ = true; }

  std::uint32_t vertex_;
  std::uint32_t subtask_;
  std::vector<Peer> receivers_;  // by output channel
  std::vector<Peer> senders_;    // by input channel
  bool wants_split_ = false;
  Task task_;
};

struct LocalExecutor::Enumerator {
  std::uint32_t vertex;
  std::unique_ptr<SplitEnumerator> enumerator;
};

LocalExecutor::LocalExecutor(JobGraphPtr graph, Options options) : graph_{std::move(graph)}, now_{options.start} {
  std::map<ChannelId, Host::Peer> receiving;
  std::map<ChannelId, Host::Peer> sending;
  for (const JobVertex& vertex : graph_->vertices) {
    for (std::uint32_t subtask = 0; subtask < vertex.parallelism; ++subtask) {
      hosts_.push_back(std::make_unique<Host>(graph_, vertex.id, subtask));
      Host* host = hosts_.back().get();
      const auto inputs = input_channels(*graph_, vertex.id, subtask);
      for (std::size_t i = 0; i < inputs.size(); ++i) receiving[inputs[i]] = {host, i};
      const auto outputs = output_channels(*graph_, vertex.id, subtask);
      for (std::size_t i = 0; i < outputs.size(); ++i) sending[outputs[i]] = {host, i};
    }
    const StreamNode& head = graph_->node(vertex.chain.front());
    if (head.is_source()) {
      enumerators_.push_back(
          std::make_unique<Enumerator>(Enumerator{vertex.id, head.source->factory->create_enumerator()}));
    }
  }
  for (const auto& host : hosts_) {
    for (const ChannelId& id : output_channels(*graph_, host->vertex_, host->subtask_)) {
      host->receivers_.push_back(receiving.at(id));
    }
    for (const ChannelId& id : input_channels(*graph_, host->vertex_, host->subtask_)) {
      host->senders_.push_back(sending.at(id));
    }
  }
}

LocalExecutor::~LocalExecutor() = default;

Result<std::unique_ptr<LocalExecutor>> LocalExecutor::create(StreamGraph graph, Options options) {
  graph.settings.checkpoint.reset();  // nothing is restarted here
  auto job =
      build_job_graph(std::make_shared<const StreamGraph>(std::move(graph)), options.parallelism, options.chaining);
  if (!job) return fail(job.error());
  return std::unique_ptr<LocalExecutor>(new LocalExecutor(std::make_shared<const JobGraph>(std::move(*job)), options));
}

Status LocalExecutor::open() {
  for (const StreamNode& node : graph_->stream->nodes) {
    if (node.is_source()) continue;
    auto guard = node.factory->before_job({.id = local_job_id});
    if (!guard) return fail(guard.error().within(node.name));
    if (*guard) guards_.push_back(std::move(*guard));
  }
  for (const auto& source : enumerators_) {
    const JobVertex& vertex = graph_->vertices[source->vertex];
    if (auto status = source->enumerator->open(vertex.parallelism); !status) {
      return fail(status.error().within(graph_->node(vertex.chain.front()).name));
    }
  }
  for (const auto& host : hosts_) {
    if (auto opened = host->task_.open(now_); !opened) {
      return fail(to_error(opened.error(), host->subtask_, graph_->vertices[host->vertex_].parallelism));
    }
  }
  return {};
}

Status LocalExecutor::run(std::optional<Timestamp> until) {
  Status ended = run_to_end(until);
  for (const auto& guard : guards_) guard->job_ended();
  guards_.clear();
  return ended;
}

Status LocalExecutor::run_to_end(std::optional<Timestamp> until) {
  if (auto status = open(); !status) return status;
  const Duration part = until ? std::max(Duration{1}, (*until - now_) / parts_of_time) : Duration{0};
  Timestamp waited_at = now_;
  std::uint64_t given_then = 0;
  while (true) {
    bool progressed = false;
    bool all_prepared = true;
    std::optional<Timestamp> wake_at;
    if (auto status = step_all(progressed, all_prepared, wake_at); !status) {
      for (const auto& host : hosts_) host->task_.abort();
      return status;
    }
    if (all_prepared) return commit();
    if (progressed) {
      if (!until) continue;
      const std::uint64_t given = records_of_endless_sources() - given_then;
      const Timestamp reached = waited_at + part * static_cast<std::int64_t>(given / records_of_a_part);
      if (reached <= now_) continue;
      if (!wake_at || *wake_at <= now_ || reached < *wake_at) wake_at = reached;
    }
    if (!wake_at) return fail(ErrorCode::internal, "no task can go on, and none waits for a time");
    if (until && *wake_at >= *until) {
      now_ = *until;
      for (const auto& host : hosts_) host->task_.stop(EndOfData{.drain = true});
      until.reset();
    } else {
      now_ = std::max(now_, *wake_at);
    }
    if (!progressed) {
      waited_at = now_;
      given_then = records_of_endless_sources();
    }
  }
}

std::uint64_t LocalExecutor::records_of_endless_sources() const {
  std::uint64_t records = 0;
  for (const auto& host : hosts_) {
    const StreamNode& head = graph_->node(graph_->vertices[host->vertex_].chain.front());
    if (!head.is_source() || head.source->factory->bounded()) continue;
    records += host->task_.metrics().front().records_out;
  }
  return records;
}

Status LocalExecutor::step_all(bool& progressed, bool& all_prepared, std::optional<Timestamp>& wake_at) {
  const auto consider = [&](std::optional<Timestamp> at) {
    if (at && (!wake_at || *at < *wake_at)) wake_at = at;
  };
  // Receivers before senders, so that what is under way is consumed before more is made.
  for (auto host = hosts_.rbegin(); host != hosts_.rend(); ++host) {
    auto result = (*host)->task_.run(now_);
    if (!result) {
      return fail(to_error(result.error(), (*host)->subtask_, graph_->vertices[(*host)->vertex_].parallelism));
    }
    using Kind = Task::Progress::Kind;
    progressed |= result->kind == Kind::more;
    all_prepared &= result->kind == Kind::prepared;
    consider(result->wake_at);
    if (result->wake_at && *result->wake_at <= now_) progressed = true;
  }
  // A task that was blocked may have been given something by one that ran after it.
  for (const auto& host : hosts_) progressed |= host->task_.has_received();
  return answer_split_requests(progressed, wake_at);
}

Status LocalExecutor::answer_split_requests(bool& progressed, std::optional<Timestamp>& wake_at) {
  for (const auto& host : hosts_) {
    if (!host->wants_split_) continue;
    const auto source = std::find_if(enumerators_.begin(), enumerators_.end(),
                                     [&](const auto& e) { return e->vertex == host->vertex_; });
    auto next = (*source)->enumerator->next(host->subtask_, now_);
    if (!next) return fail(next.error().within(graph_->node(graph_->vertices[host->vertex_].chain.front()).name));
    switch (next->kind) {
      case SplitEnumerator::Next::Kind::split: host->task_.assign_split(std::move(next->split)); break;
      case SplitEnumerator::Next::Kind::done: host->task_.no_more_splits(); break;
      case SplitEnumerator::Next::Kind::wait:
        if (!wake_at || next->until < *wake_at) wake_at = next->until;
        continue;
    }
    host->wants_split_ = false;
    progressed = true;
  }
  return {};
}

Status LocalExecutor::commit() {
  for (const auto& host : hosts_) {
    if (auto done = host->task_.commit(final_epoch); !done) {
      return fail(to_error(done.error(), host->subtask_, graph_->vertices[host->vertex_].parallelism));
    }
  }
  return {};
}

std::map<std::string, NodeMetrics> LocalExecutor::metrics() const {
  std::map<std::string, NodeMetrics> all;
  for (const auto& host : hosts_) {
    for (const NodeMetrics& m : host->task_.metrics()) {
      const auto [at, added] = all.emplace(graph_->node(m.node).name, m);
      if (!added) at->second.add(m);
    }
  }
  return all;
}

Error to_error(const TaskFailure& failure, std::uint32_t subtask, std::uint32_t parallelism) {
  std::string where = "\"" + failure.node + "\"";
  if (parallelism > 1) where += " (subtask " + std::to_string(subtask + 1) + " of " + std::to_string(parallelism) + ")";
  if (!failure.position.empty()) where += ", " + failure.position;
  return failure.error.within(where);
}

}  // namespace dataflow
