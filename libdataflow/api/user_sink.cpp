#include "dataflow/sink.hpp"

#include <algorithm>

#include "serialization/builder.hpp"

namespace dataflow {

Status UserSink::open(OperatorContext& context) {
  context_ = &context;
  try {
    call_open(context);
  } catch (...) {
    return fail(error_of_current_exception("in open()"));
  }
  return {};
}

Result<Step> UserSink::process(std::size_t, const BatchPtr& batch, OperatorOutput&) {
  if (auto status = bind(*batch); !status) return fail(status.error());
  std::uint32_t row = 0;
  try {
    if (!open_transaction_) {
      const std::string name = transaction_name(context_->subtask(), epoch_);
      if (restored_) call_abort(name);
      open_transaction_ = name;
      call_begin(*open_transaction_);
    }
    write_rows(*batch, row);
  } catch (...) {
    return fail(error_of_current_exception(*batch, row));
  }
  return Step::done;
}

Result<Step> UserSink::end_of_data(OperatorOutput&) {
  try {
    call_flush();
  } catch (...) {
    return fail(error_of_current_exception("in flush()"));
  }
  return Step::done;
}

Status UserSink::pre_commit(std::uint64_t epoch) {
  try {
    call_flush();
    abort_left_over(epoch);
    if (open_transaction_) {
      call_pre_commit(*open_transaction_);
      pending_.push_back({epoch, std::move(*open_transaction_)});
      open_transaction_.reset();
    }
  } catch (...) {
    return fail(error_of_current_exception("before the commit of epoch " + std::to_string(epoch)));
  }
  epoch_ = epoch + 1;
  return {};
}

Status UserSink::commit(std::uint64_t epoch) {
  try {
    while (!pending_.empty() && pending_.front().epoch <= epoch) {
      call_commit(pending_.front().transaction);
      pending_.erase(pending_.begin());
    }
  } catch (...) {
    return fail(error_of_current_exception("in commit()"));
  }
  return {};
}

/// An attempt before this one may have pre-committed for checkpoints that were given up one after the other, which
/// none tells of: what it has begun is aborted as this one gets to the same numbers. A process that leads the job on
/// has passed them all before its first checkpoint.
void UserSink::abort_left_over(std::uint64_t until) {
  if (!restored_) return;
  for (std::uint64_t epoch = epoch_; epoch <= until; ++epoch) {
    for (const std::uint32_t subtask : inherited_) {
      const std::string name = transaction_name(subtask, epoch);
      if (open_transaction_ != name) call_abort(name);
    }
  }
}

std::string UserSink::transaction_name(std::uint32_t subtask, std::uint64_t epoch) const {
  return context_->job_id() + "-" + context_->operator_name() + "-" + std::to_string(subtask) + "-" +
         std::to_string(epoch);
}

namespace {

constexpr const char* transactions_table = "transactions";
constexpr const char* epoch_table = "epoch";
/// At the end of a job this many numbers beyond its last are looked at, for want of later checkpoints.
constexpr std::uint64_t given_up_in_a_row = 16;

const SchemaPtr& transactions_schema() {
  static const SchemaPtr schema = make_schema({{"epoch", TypeKind::int64}, {"transaction", TypeKind::string}});
  return schema;
}
const SchemaPtr& epoch_schema() {
  static const SchemaPtr schema = make_schema({{"subtask", TypeKind::int64}, {"epoch", TypeKind::int64}});
  return schema;
}

}  // namespace

Result<CapturedStatePtr> UserSink::snapshot() {
  auto state = std::make_unique<CopiedState>();
  state->begin({transactions_table, StateKind::list, 1, transactions_schema()});
  BatchBuilder transactions{transactions_schema()};
  for (const Pending& pending : pending_) {
    transactions.column(0).append_int64(static_cast<std::int64_t>(pending.epoch));
    transactions.column(1).append_text(pending.transaction);
    transactions.end_row();
    last_listed_ = pending.epoch;
  }
  if (!transactions.empty()) state->add(transactions.finish());
  BatchBuilder epoch{epoch_schema()};
  epoch.column(0).append_int64(context_->subtask());
  epoch.column(1).append_int64(static_cast<std::int64_t>(epoch_));
  epoch.end_row();
  state->begin({epoch_table, StateKind::union_all, 1, epoch_schema()});
  state->add(epoch.finish());
  return state;
}

/// Commits what the checkpoint lists, aborts what was begun after it: also for subtasks that exist no more, each of
/// which belongs to one that does.
Status UserSink::restore(StateReader& state) {
  restored_ = true;
  try {
    Status committed =
        state.read(transactions_table, transactions_schema(), [this](std::uint32_t, const BatchPtr& rows) -> Status {
          for (std::uint32_t row = 0; row < rows->rows(); ++row) {
            call_commit(std::string{rows->column(1).text(row)});
          }
          return {};
        });
    if (!committed) return committed;
    return state.read(epoch_table, epoch_schema(), [this](std::uint32_t, const BatchPtr& rows) -> Status {
      for (std::uint32_t row = 0; row < rows->rows(); ++row) {
        const auto subtask = static_cast<std::uint32_t>(rows->column(0).as<std::int64_t>()[row]);
        const auto epoch = static_cast<std::uint64_t>(rows->column(1).as<std::int64_t>()[row]);
        epoch_ = std::max(epoch_, epoch);
        if (subtask % context_->parallelism() != context_->subtask()) continue;
        inherited_.push_back(subtask);
        call_abort(transaction_name(subtask, epoch));
      }
      return {};
    });
  } catch (...) {
    return fail(error_of_current_exception("going on from a checkpoint"));
  }
}

void UserSink::abort() {
  // The attempt is over already, so what an abort throws has nobody left to stop; the next attempt aborts again.
  const auto abort_one = [this](const std::string& transaction) {
    try {
      call_abort(transaction);
    } catch (...) {
      context_->counter("failed_aborts").add(1);
    }
  };
  for (const Pending& pending : pending_) {
    if (pending.epoch > last_listed_) abort_one(pending.transaction);
  }
  if (open_transaction_) abort_one(*open_transaction_);
}

Status UserSink::close() {
  try {
    abort_left_over(epoch_ + given_up_in_a_row);
    call_close();
  } catch (...) {
    return fail(error_of_current_exception("in close()"));
  }
  return {};
}

}  // namespace dataflow
