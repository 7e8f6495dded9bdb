#pragma once
// Calls that take their time (a lookup in a database, a request to a service), many of them under way at once, as
// Flink's asynchronous I/O
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/asyncio/):
//
//     payments.async_map([client](const Payment& p) { return client->country_of(p.card); },   // a std::future
//                        {.timeout = 5s, .capacity = 50})
//         .named("country");
//     payments.async_map<Country>([client](const Payment& p, df::Completion<Country> done) {
//       client->ask(p.card, [done](const Answer& a) { done.complete({a.country}); });
//     }).named("country");
//
// What has been asked and not answered is in checkpoints, and asked again after a failure: calls are made at least
// once.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "serialization/time.hpp"

namespace dataflow {

enum class AsyncOrder : std::uint8_t {
  ordered,    ///< results in the order of their records
  unordered,  ///< as they come, but none overtakes a watermark
};

/// How calls are made.
struct AsyncOptions {
  /// From a record's first call to its answer, over all attempts. What takes longer fails the job, or gives what
  /// `otherwise` says.
  Duration timeout = std::chrono::seconds{10};
  std::size_t capacity = 100;  ///< records of a subtask that are under way, or have an answer that waits for its turn
  AsyncOrder order = AsyncOrder::ordered;
  std::uint32_t attempts = 1;                             ///< calls for a record in all, when they fail
  Duration retry_delay = std::chrono::milliseconds{100};  ///< before each further one
};

/// What a call has come to. Written by whoever answers, read by the operator, on any threads.
template <class R>
class AsyncCall {
 public:
  enum class State : std::uint8_t { pending, answering, answered, failed };

  [[nodiscard]] State state() const { return state_.load(std::memory_order_acquire); }
  /// Of an answered call.
  [[nodiscard]] std::vector<R>& results() { return results_; }
  /// Of a failed one.
  [[nodiscard]] const std::exception_ptr& failure() const { return failure_; }

  /// The first answer counts.
  void answer(std::vector<R> results) {
    if (!begin()) return;
    results_ = std::move(results);
    state_.store(State::answered, std::memory_order_release);
  }
  void fail(std::exception_ptr failure) {
    if (!begin()) return;
    failure_ = std::move(failure);
    state_.store(State::failed, std::memory_order_release);
  }

 private:
  bool begin() {
    State expected = State::pending;
    return state_.compare_exchange_strong(expected, State::answering, std::memory_order_acquire);
  }

  std::atomic<State> state_{State::pending};
  std::vector<R> results_;
  std::exception_ptr failure_;
};

/// Gives the answer of one call, from any thread, at any time: one that comes too late is of no effect.
template <class R>
class Completion {
 public:
  explicit Completion(std::shared_ptr<AsyncCall<R>> call) : call_{std::move(call)} {}
  void complete(R result) const {
    std::vector<R> results;
    results.push_back(std::move(result));
    call_->answer(std::move(results));
  }
  /// None, or several.
  void complete_all(std::vector<R> results) const { call_->answer(std::move(results)); }
  void fail(std::exception_ptr failure) const { call_->fail(std::move(failure)); }
  void fail(const std::string& message) const { call_->fail(std::make_exception_ptr(std::runtime_error{message})); }

 private:
  std::shared_ptr<AsyncCall<R>> call_;
};

/// What a future gives: a result, or several.
template <class X>
struct AnswerOf {
  using type = X;
};
template <class R>
struct AnswerOf<std::vector<R>> {
  using type = R;
};
template <class X>
struct FutureAnswer {
  static constexpr bool known = false;
  using type = X;
};
template <class X>
struct FutureAnswer<std::future<X>> {
  static constexpr bool known = true;
  using type = typename AnswerOf<X>::type;
};

/// The records that F gives for a T: those that the user has named, or what its future is of.
template <class Named, class F, class T>
struct AsyncResult {
  static_assert(std::is_invocable_v<F&, const T&, Completion<Named>> || std::is_invocable_v<F&, const T&>,
                "async_map<R> takes a function of (const T&, dataflow::Completion<R>), or one that returns a "
                "std::future<R>");
  using type = Named;
};
template <class F, class T>
struct AsyncResult<void, F, T> {
  static_assert(std::is_invocable_v<F&, const T&>,
                "async_map takes a function of (const T&) that returns a std::future; one that takes a "
                "dataflow::Completion<R>, too, is given to async_map<R>");
  using Answer = FutureAnswer<std::invoke_result_t<F&, const T&>>;
  static_assert(Answer::known, "the function of async_map returns a std::future, of a record or a vector of them");
  using type = typename Answer::type;
};

/// In place of what to do with a record whose call timed out: the job fails.
struct FailOnTimeout {};

}  // namespace dataflow
