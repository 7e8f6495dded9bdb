#include "dataflow/sink.hpp"

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
      open_transaction_ = context_->job_id() + "-" + context_->operator_name() + "-" +
                          std::to_string(context_->subtask()) + "-" + std::to_string(epoch_);
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

void UserSink::abort() {
  // The attempt is over already, so what an abort throws has nobody left to stop; the next attempt aborts again.
  const auto abort_one = [this](const std::string& transaction) {
    try {
      call_abort(transaction);
    } catch (...) {
      context_->counter("failed_aborts").add(1);
    }
  };
  for (const Pending& pending : pending_) abort_one(pending.transaction);
  if (open_transaction_) abort_one(*open_transaction_);
}

Status UserSink::close() {
  try {
    call_close();
  } catch (...) {
    return fail(error_of_current_exception("in close()"));
  }
  return {};
}

}  // namespace dataflow
