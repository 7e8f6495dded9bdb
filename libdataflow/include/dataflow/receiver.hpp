#pragma once
// Messages from outside to a running operator: a record in, a record (or nothing) out, as JSON on the wire.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "dataflow/record.hpp"

namespace dataflow {

/// The argument and result of a lambda, function object or function with one argument.
template <class F>
struct CallableTraits : CallableTraits<decltype(&F::operator())> {};
template <class R, class C, class A>
struct CallableTraits<R (C::*)(A)> {
  using argument = std::remove_cvref_t<A>;
  using result = R;
};
template <class R, class C, class A>
struct CallableTraits<R (C::*)(A) const> : CallableTraits<R (C::*)(A)> {};
template <class R, class A>
struct CallableTraits<R (*)(A)> {
  using argument = std::remove_cvref_t<A>;
  using result = R;
};

/// Given to `receives`: which messages the operator understands. `on("set_limit", [this](const SetLimit& m) { ... })`.
class Receiver {
 public:
  using Handler = std::function<Result<std::string>(std::string_view)>;

  /// `handle` takes a record by const reference and returns a record, or nothing (answered with null).
  template <class F>
  void operator()(std::string message, F handle) {
    using Message = typename CallableTraits<F>::argument;
    static_assert(is_record<Message>, "a message is a record declared with DATAFLOW_RECORD");
    handlers_[std::move(message)] = [handle = std::move(handle)](std::string_view json) mutable -> Result<std::string> {
      Message received{};
      if (auto status = record_from_json(json, received); !status) return fail(status.error());
      if constexpr (std::is_void_v<typename CallableTraits<F>::result>) {
        handle(received);
        return std::string{"null"};
      } else {
        return record_to_json(handle(received));
      }
    };
  }

  /// Errors: not_found naming the messages there are; what the handler gives; user_code when it throws.
  Result<std::string> deliver(std::string_view message, std::string_view json) const;

 private:
  std::map<std::string, Handler, std::less<>> handlers_;
};

}  // namespace dataflow
