#pragma once
// Private to this folder. The gate of a process's control port, and the way through those of others.
//
// Whoever connects says in one line what it speaks and which cluster it belongs to, under mutual TLS when the process
// has certificates, and is let through to BASP only then: "dataflow-control VERSION CLUSTER", answered by "welcome" or
// "refused WHY". So nothing of what a stranger sends reaches CAF (decision 021).

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "actors/cluster/control_settings.hpp"
#include "actors/cluster/control_tunnel.hpp"
#include "actors/cluster/endpoint.hpp"
#include "actors/exchange/refusal_log.hpp"

namespace dataflow {

class ControlGate {
 public:
  /// Errors: invalid_argument for TLS files that cannot be used.
  static Result<std::shared_ptr<ControlGate>> make(ControlSettings settings);
  ~ControlGate();
  ControlGate(const ControlGate&) = delete;
  ControlGate& operator=(const ControlGate&) = delete;

  /// Listens at `at`, once; returns a listening socket inside of this process, which connections arrive at that were
  /// let through, and sets at.port. Errors: io; invalid_argument for an address that others reach, without
  /// certificates.
  Result<Descriptor> listen(Endpoint& at);

  /// Goes through another process's gate. Errors: io when it cannot be reached or shows no certificate for this host;
  /// invalid_argument with its reason when it refuses.
  Result<Descriptor> connect(const Endpoint& to);

 private:
  /// A connection with its thread, from its beginning on.
  struct Passage {
    std::thread thread;
    std::shared_ptr<ControlTunnel> tunnel;
    std::atomic<bool> introduced{false};
    std::atomic<bool> finished{false};
  };

  explicit ControlGate(ControlSettings settings) : settings_{std::move(settings)} {}

  void serve();
  void admit(Descriptor socket);
  Result<std::unique_ptr<ByteStream>> introduce(Descriptor socket);
  void pass(Passage& passage, std::unique_ptr<ByteStream> stream, Descriptor inside);
  void join_finished();
  void end_all();

  const ControlSettings settings_;
  std::shared_ptr<TlsContext> tls_;
  RefusalLog refusals_{"control port"};
  std::atomic<bool> closing_{false};
  ListeningSocket listening_;
  Descriptor wake_;
  std::string inside_name_;  ///< of the socket inside
  std::thread thread_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Passage>> passages_;
};

}  // namespace dataflow
