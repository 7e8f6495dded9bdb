#include "actors/exchange/exchange_core.hpp"

#include "libdataflow/runtime/task_host.hpp"

namespace dataflow {

IncomingPeer::IncomingPeer() : port{channel_window_bytes} {}

void ExchangeCore::with_peer(const WorkerId& worker,
                             const std::function<void(const std::shared_ptr<IncomingPeer>&)>& use) {
  const std::lock_guard lock{peers_mutex_};
  const auto at = peers_.try_emplace(worker).first;
  if (at->second == nullptr) at->second = std::make_shared<IncomingPeer>();
  const std::shared_ptr<IncomingPeer> peer = at->second;
  use(peer);
  const std::lock_guard peer_lock{peer->mutex};
  if (peer->idle()) peers_.erase(at);
}

void ExchangeCore::lost(const WorkerId& peer, const Error& reason) {
  if (closing || !settings.on_peer_lost) return;
  settings.on_peer_lost({peer, reason.within("connection with worker " + peer)});
}

}  // namespace dataflow
