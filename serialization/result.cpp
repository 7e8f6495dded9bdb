#include "serialization/result.hpp"

namespace dataflow {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::io: return "io";
    case ErrorCode::malformed_data: return "malformed_data";
    case ErrorCode::arithmetic: return "arithmetic";
    case ErrorCode::user_code: return "user_code";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::internal: return "internal";
  }
  return "unknown";
}

Error Error::within(std::string_view where) const {
  std::string text{where};
  text += ": ";
  text += message_;
  return Error{code_, std::move(text)};
}

}  // namespace dataflow
