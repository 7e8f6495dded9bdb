// A two-phase sink of a user's, driven as the engine drives it: no transaction stays behind, whatever was given up and
// whoever died.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "dataflow/sink.hpp"
#include "libdataflow/include/dataflow/testing.hpp"
#include "tests/support/batches.hpp"

namespace dataflow {
namespace {

struct Entry {
  std::int64_t n = 0;
};
DATAFLOW_RECORD(Entry, n)

/// What survives every process.
struct Bank {
  std::set<std::string> open;
  std::set<std::string> prepared;
  std::set<std::string> committed;
};

class BankSink final : public TwoPhaseSink<Entry> {
 public:
  explicit BankSink(std::shared_ptr<Bank> bank) : bank_{std::move(bank)} {}
  void begin(std::string_view name) override { REQUIRE(bank_->open.emplace(name).second); }
  void write(const Entry& /*entry*/) override {}
  void pre_commit(std::string_view name) override {
    REQUIRE(bank_->open.erase(std::string{name}) == 1);
    REQUIRE(bank_->prepared.emplace(name).second);
  }
  void commit(std::string_view name) override {
    if (bank_->prepared.erase(std::string{name}) != 0) bank_->committed.emplace(name);
  }
  void abort(std::string_view name) override {
    bank_->open.erase(std::string{name});
    bank_->prepared.erase(std::string{name});
  }

 private:
  std::shared_ptr<Bank> bank_;
};

class Context final : public OperatorContext {
 public:
  Context(std::uint32_t subtask, std::uint32_t parallelism) : subtask_{subtask}, parallelism_{parallelism} {}
  [[nodiscard]] const std::string& operator_name() const override { return name_; }
  [[nodiscard]] std::uint32_t subtask() const override { return subtask_; }
  [[nodiscard]] std::uint32_t parallelism() const override { return parallelism_; }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return 128; }
  [[nodiscard]] std::uint32_t attempt() const override { return 0; }
  [[nodiscard]] const std::string& job_id() const override { return name_; }
  [[nodiscard]] Timestamp now() const override { return {}; }
  [[nodiscard]] Timestamp watermark() const override { return {}; }
  Counter& counter(std::string_view name) override { return counters_[std::string{name}]; }

 private:
  std::string name_ = "bank";
  std::uint32_t subtask_;
  std::uint32_t parallelism_;
  std::map<std::string, Counter> counters_;
};

class NoOutput final : public OperatorOutput {
 public:
  void emit(BatchPtr /*batch*/, std::size_t /*output*/) override {}
  [[nodiscard]] bool full() const override { return false; }
};

/// One attempt of the only subtask. A process that dies does nothing more.
class Attempt {
 public:
  explicit Attempt(const std::shared_ptr<Bank>& bank) : sink_{{0}, {bank}} { REQUIRE(sink_.open(context_)); }
  Attempt(const std::shared_ptr<Bank>& bank, const std::string& from) : Attempt{bank} {
    testing::load_state(sink_, from);
  }
  void row() {
    const SchemaPtr schema = make_schema({{"n", TypeKind::int64}});
    REQUIRE(sink_.process(0, testing_support::make_batch(schema, {{1}}), out_));
  }
  /// The checkpoint's state, which may be given up or be completed.
  std::string checkpoint(std::uint64_t id) {
    REQUIRE(sink_.pre_commit(id));
    return testing::save_state(sink_);
  }
  void complete(std::uint64_t id) { REQUIRE(sink_.commit(id)); }
  void end() { REQUIRE(sink_.close()); }

 private:
  Context context_{0, 1};
  NoOutput out_;
  TypedSink<BankSink, std::shared_ptr<Bank>> sink_;
};

}  // namespace

TEST_CASE("transactions of several checkpoints that were given up in a row are aborted after a restart") {
  const auto bank = std::make_shared<Bank>();
  std::string completed;
  {
    Attempt dies{bank};
    dies.row();
    completed = dies.checkpoint(1);
    dies.complete(1);
    for (std::uint64_t given_up = 2; given_up <= 5; ++given_up) {
      dies.row();
      dies.checkpoint(given_up);
    }
    dies.row();
  }
  REQUIRE(bank->prepared.size() == 4);
  SUBCASE("by the process that led the job before, which goes on counting") {
    Attempt next{bank, completed};
    next.row();
    next.checkpoint(6);
    next.complete(6);
    next.end();
  }
  SUBCASE("by a new one, which uses the numbers again") {
    Attempt next{bank, completed};
    next.row();
    next.checkpoint(2);
    next.complete(2);
    next.checkpoint(3);  // without a record
    next.complete(3);
    next.end();
  }
  SUBCASE("by one that ends at once") {
    Attempt next{bank, completed};
    next.end();
  }
  CHECK(bank->open.empty());
  CHECK(bank->prepared.empty());
}

TEST_CASE("a transaction that a completed checkpoint lists is committed once more, and never aborted") {
  const auto bank = std::make_shared<Bank>();
  std::string completed;
  {
    Attempt dies{bank};
    dies.row();
    dies.checkpoint(1);  // given up
    dies.row();
    completed = dies.checkpoint(2);
    dies.row();
    dies.checkpoint(3);
  }
  Attempt next{bank, completed};
  CHECK(bank->committed.size() == 2);
  next.row();
  next.checkpoint(4);
  next.complete(4);
  next.end();
  CHECK(bank->committed.size() == 3);
  CHECK(bank->prepared.empty());
  CHECK(bank->open.empty());
}

}  // namespace dataflow
