#pragma once
// How two workers introduce themselves before anything else is said. Who connects says hello, with whom it takes the
// other for; who was connected to says welcome, or refuses and says why.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "serialization/buffer.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// A cluster's or a worker's name has at most so many bytes.
inline constexpr std::size_t longest_exchange_name = 255;

/// Names a worker process; another process never gets the same name again.
using WorkerId = std::string;

/// What two workers have to agree on before one listens to the other. A peer that says anything else is refused.
struct ExchangeIdentity {
  std::string cluster;  ///< the cluster's name
  WorkerId worker;      ///< this process
  std::uint64_t leader_epoch = 0;
  std::uint64_t attempt_token = 0;  ///< drawn by the JobManager for the workers of one job; others do not know it
};

/// The payload of a hello, or of the welcome that answers it.
struct Introduction {
  ExchangeIdentity identity;  ///< of who speaks
  WorkerId to;                ///< whom it takes the other for
};

/// Names are within their limits (asserted; listen_exchange checks them).
Buffer encode_introduction(const Introduction& introduction);
/// Errors: malformed_data.
Result<Introduction> decode_introduction(std::span<const std::byte> payload);

/// Whether `self` may deal with who introduced itself so. Errors: invalid_argument, naming what differs; the token,
/// which is a secret of the job, is never in the message.
Status check_introduction(const Introduction& introduction, const ExchangeIdentity& self);

}  // namespace dataflow
