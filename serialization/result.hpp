#pragma once
// Errors are values: whatever a user or the world can cause comes back as a Result<T> whose Error says
// where, what and what to do. Exceptions stop at the user-code boundary.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace dataflow {

/// What kind of failure an Error is; decides a process's exit code and whether a restart can help.
enum class ErrorCode : std::uint8_t {
  invalid_argument,  ///< the file, command line or plan is wrong: exit 2
  not_found,         ///< a file, column, job or operator that does not exist
  io,                ///< the operating system refused: disk full, permission, broken connection
  malformed_data,    ///< a record or a message that does not decode
  arithmetic,        ///< integer overflow, division by zero, a failed cast
  user_code,         ///< an exception out of a user's function
  unsupported,       ///< valid, but this version cannot do it
  cancelled,         ///< somebody asked for the end
  unavailable,       ///< a process, node or connection is gone or does not answer: another attempt may do
  internal,          ///< a broken promise of ours: a bug
};

/// The code's name in snake_case, as it appears in `--json` output.
std::string_view to_string(ErrorCode code);

/// A failure: its kind and one message for a person. Context is added in front as it goes up.
class Error {
 public:
  Error(ErrorCode code, std::string message) : code_{code}, message_{std::move(message)} {}

  [[nodiscard]] ErrorCode code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }

  /// Returns the same error with `where` and a colon in front of its message.
  [[nodiscard]] Error within(std::string_view where) const;

  friend bool operator==(const Error&, const Error&) = default;

 private:
  ErrorCode code_;
  std::string message_;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = tl::expected<void, Error>;

/// `return fail(ErrorCode::io, "...")` from any function that returns a Result or a Status.
inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
/// Bytes are not what they have to be; `what` is a sentence about them: "it is empty".
inline tl::unexpected<Error> malformed(std::string what) {
  return fail(ErrorCode::malformed_data, std::move(what));
}

}  // namespace dataflow
