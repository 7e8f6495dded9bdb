#include "libdataflow/checkpoint/state_fit.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <set>
#include <utility>

#include "libdataflow/checkpoint/state_listing.hpp"
#include "libdataflow/operators/operator.hpp"
#include "libdataflow/sources/source.hpp"
#include "libdataflow/state/schema_evolution.hpp"

namespace dataflow {

namespace {

/// Where an operator that is only looked at runs.
class NoTask final : public OperatorContext {
 public:
  NoTask(const StreamNode& node, const JobGraph& graph) : node_{node}, graph_{graph} {}
  [[nodiscard]] const std::string& operator_name() const override { return node_.name; }
  [[nodiscard]] std::uint32_t subtask() const override { return 0; }
  [[nodiscard]] std::uint32_t parallelism() const override {
    return graph_.vertices[graph_.vertex_of_node[node_.id]].parallelism;
  }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return graph_.max_parallelism; }
  [[nodiscard]] std::uint32_t attempt() const override { return 0; }
  [[nodiscard]] const std::string& job_id() const override { return job_id_; }
  [[nodiscard]] Timestamp now() const override { return Timestamp{0}; }
  [[nodiscard]] Timestamp watermark() const override { return Timestamp::min(); }
  Counter& counter(std::string_view name) override { return counters_[std::string{name}]; }

 private:
  const StreamNode& node_;
  const JobGraph& graph_;
  std::string job_id_ = "plan";
  std::map<std::string, Counter> counters_;
};

/// "loses x, has new y, widens z"
std::string difference(const Schema& written, const Schema& wanted) {
  std::string out;
  const auto say = [&](const std::string& what) { out += (out.empty() ? "" : ", ") + what; };
  for (const Field& field : wanted.fields()) {
    const auto at = written.find(field.name);
    if (!at) {
      say("new " + field.name + " " + to_string(field.type) + " (NULL)");
    } else if (!(written[*at].type == field.type)) {
      say(field.name + " " + to_string(written[*at].type) + " becomes " + to_string(field.type));
    }
  }
  for (const Field& field : written.fields()) {
    if (!wanted.find(field.name)) say("loses " + field.name);
  }
  return out;
}

/// Notes what is asked for, and whether it can be given.
class RecordingReader final : public StateReader {
 public:
  explicit RecordingReader(std::unique_ptr<StateReader> from) : from_{std::move(from)} {}

  [[nodiscard]] const StateDescription* find(std::string_view name) const override { return from_->find(name); }
  [[nodiscard]] std::vector<const StateDescription*> states() const override { return from_->states(); }
  [[nodiscard]] KeyGroupRange key_groups() const override { return from_->key_groups(); }
  [[nodiscard]] bool same_parallelism() const override { return from_->same_parallelism(); }

  Status read(std::string_view name, const SchemaPtr& schema, const Visit& visit) override {
    const StateDescription* const written = from_->find(name);
    if (written == nullptr) return {};
    Asked& asked = asked_[std::string{name}];
    const auto evolution = SchemaEvolution::between(written->schema, schema);
    if (!evolution) {
      asked.error = evolution.error().message();
      return fail(evolution.error());
    }
    asked.difference = difference(*written->schema, *schema);
    if (written->kind == StateKind::keyed) return {};
    return from_->read(name, schema, visit);
  }

  struct Asked {
    std::string difference;
    std::string error;
  };
  [[nodiscard]] const std::map<std::string, Asked>& asked() const { return asked_; }

 private:
  std::unique_ptr<StateReader> from_;
  std::map<std::string, Asked> asked_;
};

Status guarded(const std::function<Status()>& call) {
  try {
    return call();
  } catch (const std::exception& e) {
    return fail(ErrorCode::user_code, std::string{"an exception was thrown: "} + e.what());
  }
}

bool is_engines_own(const std::string& state) {
  return state.starts_with('$');
}

class Fitting {
 public:
  Fitting(const RestoredCheckpoint& checkpoint, const JobGraph& graph) : checkpoint_{checkpoint}, graph_{graph} {
    for (OperatorSummary& op : list_state(checkpoint.metadata())) {
      const std::string uid = op.uid;
      summaries_.emplace(uid, std::move(op));
    }
  }

  std::vector<StateFit> all() {
    if (checkpoint_.metadata().max_parallelism != graph_.max_parallelism) {
      const Status refused = checkpoint_.check(graph_, UnclaimedState::dropped);
      add(StateFit::Outcome::unfit, "", "", 0, refused ? std::string{} : refused.error().message());
      return std::move(fits_);
    }
    std::set<std::string> uids;
    for (const StreamNode& node : graph_.stream->nodes) {
      uids.insert(node.state_id());
      const auto summary = summaries_.find(node.state_id());
      if (summary == summaries_.end()) {
        if (node.stateful) add(StateFit::Outcome::begins, node.state_id(), "", 0, "");
      } else {
        fit_node(node, summary->second);
      }
    }
    for (const auto& [uid, summary] : summaries_) {
      if (!uids.contains(uid)) drop(summary);
    }
    return std::move(fits_);
  }

 private:
  void add(StateFit::Outcome outcome, const std::string& op, const std::string& state, std::uint64_t rows,
           std::string detail) {
    fits_.push_back({outcome, op, state, rows, std::move(detail)});
  }

  void drop(const OperatorSummary& summary) {
    if (summary.enumerator) add(StateFit::Outcome::dropped, summary.uid, "position", 0, "the position of a source");
    for (const StateSummary& state : summary.states) {
      if (is_engines_own(state.description.name) || state.empty()) continue;
      add(StateFit::Outcome::dropped, summary.uid, state.description.name, state.rows,
          "the job has no such operator, so this takes --allow-dropped-state");
    }
  }

  void fit_node(const StreamNode& node, const OperatorSummary& summary) {
    if (node.is_source() || node.is_sink()) {
      if (node.is_source() && summary.enumerator) fit_enumerator(node);
      for (const StateSummary& state : summary.states) {
        if (is_engines_own(state.description.name) || state.empty()) continue;
        add(StateFit::Outcome::kept, summary.uid, state.description.name, state.rows, "");
      }
      return;
    }
    NoTask context{node, graph_};
    RecordingReader reader{checkpoint_.reader(node.state_id(), 0, context.parallelism())};
    const auto op = node.factory->create();
    const Status restored = guarded([&]() -> Status {
      if (Status opened = op->open(context); !opened) return opened;
      return op->restore(reader);
    });
    static_cast<void>(guarded([&]() -> Status {
      op->abort();
      return {};
    }));
    bool told = false;
    for (const StateSummary& state : summary.states) {
      const std::string& name = state.description.name;
      if (is_engines_own(name)) continue;
      const auto asked = reader.asked().find(name);
      if (asked == reader.asked().end()) {
        if (restored && !state.empty()) add(StateFit::Outcome::unused, summary.uid, name, state.rows, "");
      } else if (!asked->second.error.empty()) {
        add(StateFit::Outcome::unfit, summary.uid, name, state.rows, asked->second.error);
        told = true;
      } else {
        const bool same = asked->second.difference.empty();
        add(same ? StateFit::Outcome::kept : StateFit::Outcome::converted, summary.uid, name, state.rows,
            asked->second.difference);
      }
    }
    if (!restored && !told) add(StateFit::Outcome::unfit, summary.uid, "", 0, restored.error().message());
  }

  void fit_enumerator(const StreamNode& node) {
    const auto enumerator = node.source->factory->create_enumerator();
    const auto saved = checkpoint_.enumerator(node.state_id());
    const Status restored = guarded([&]() -> Status {
      const auto parallelism = graph_.vertices[graph_.vertex_of_node[node.id]].parallelism;
      if (Status opened = enumerator->open(parallelism); !opened) return opened;
      return enumerator->restore(*saved);
    });
    add(restored ? StateFit::Outcome::kept : StateFit::Outcome::unfit, node.state_id(), "position", 0,
        restored ? std::string{} : restored.error().message());
  }

  const RestoredCheckpoint& checkpoint_;
  const JobGraph& graph_;
  std::map<std::string, OperatorSummary> summaries_;
  std::vector<StateFit> fits_;
};

}  // namespace

std::string_view to_string(StateFit::Outcome outcome) {
  switch (outcome) {
    case StateFit::Outcome::kept: return "kept";
    case StateFit::Outcome::converted: return "converted";
    case StateFit::Outcome::dropped: return "dropped";
    case StateFit::Outcome::unused: return "unused";
    case StateFit::Outcome::begins: return "new";
    case StateFit::Outcome::unfit: return "does not fit";
  }
  return "unknown";
}

std::vector<StateFit> fit_state(const RestoredCheckpoint& checkpoint, const JobGraph& graph) {
  return Fitting{checkpoint, graph}.all();
}

bool fits(const std::vector<StateFit>& states, UnclaimedState unclaimed) {
  return std::none_of(states.begin(), states.end(), [&](const StateFit& state) {
    return state.outcome == StateFit::Outcome::unfit ||
           (state.outcome == StateFit::Outcome::dropped && unclaimed == UnclaimedState::refused);
  });
}

}  // namespace dataflow
