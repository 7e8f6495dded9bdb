#pragma once
// What the actors of the cluster's processes say to themselves, and hear from the threads of their own process.

#include <sys/types.h>

#include <cstdint>
#include <string>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/cluster/endpoint.hpp"

namespace dataflow::msg {

/// This is where you have been published: begin.
struct UseEndpoint {
  Endpoint endpoint;
};

/// From the thread that starts processes. `pid` is 0 when there is none, because of `error`.
struct ChildStarted {
  std::string job_id;  ///< empty for a spare worker
  std::uint64_t token = 0;
  pid_t pid = 0;
  std::string error;
};
struct ChildEnded {
  std::string job_id;
  std::uint64_t token = 0;
  std::string how;
  bool crashed = false;
};

/// The regular look at who is silent, and beat of one's own.
struct LookAround {};
/// A spare worker is wanted.
struct SpareDue {};
/// A job's master is started again.
struct MasterDue {
  std::string job_id;
};
/// A stuck worker has had the time to say where it is.
struct KillDue {
  std::uint64_t token = 0;
};
/// Time to try again to reach the JobManager.
struct Reconnect {};
struct FollowDue {
  std::uint64_t request = 0;
};
struct LingerDue {};

}  // namespace dataflow::msg

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::UseEndpoint)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::ChildStarted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::ChildEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::LookAround)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SpareDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::MasterDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::KillDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Reconnect)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::FollowDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::LingerDue)
