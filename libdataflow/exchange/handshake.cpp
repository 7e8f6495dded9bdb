#include "libdataflow/exchange/handshake.hpp"

#include <cassert>
#include <cstring>

namespace dataflow {

namespace {

void put_name(GrowingBuffer& to, const std::string& name) {
  assert(name.size() <= longest_exchange_name);
  to.push(static_cast<std::uint8_t>(name.size()));
  to.append(name.data(), name.size());
}

/// Takes from the front of a payload; false once there was too little.
class Taker {
 public:
  explicit Taker(std::span<const std::byte> bytes) : left_{bytes} {}

  std::uint64_t number() {
    std::uint64_t value = 0;
    if (!has(sizeof(value))) return 0;
    std::memcpy(&value, left_.data(), sizeof(value));
    left_ = left_.subspan(sizeof(value));
    return value;
  }
  std::string name() {
    if (!has(1)) return {};
    const auto size = static_cast<std::size_t>(left_[0]);
    if (!has(1 + size)) return {};
    std::string value{reinterpret_cast<const char*>(left_.data()) + 1, size};
    left_ = left_.subspan(1 + size);
    return value;
  }
  [[nodiscard]] bool took_all() const { return good_ && left_.empty(); }

 private:
  bool has(std::size_t bytes) {
    good_ = good_ && left_.size() >= bytes;
    return good_;
  }

  std::span<const std::byte> left_;
  bool good_ = true;
};

/// A name of a peer, fit for a log line.
std::string quoted(const std::string& name) {
  std::string out = "\"";
  for (const char c : name) out += c >= ' ' && c <= '~' ? c : '?';
  return out + "\"";
}

}  // namespace

Buffer encode_introduction(const Introduction& introduction) {
  GrowingBuffer out;
  out.push(introduction.identity.leader_epoch);
  out.push(introduction.identity.attempt_token);
  put_name(out, introduction.identity.cluster);
  put_name(out, introduction.identity.worker);
  put_name(out, introduction.to);
  return out.freeze();
}

Result<Introduction> decode_introduction(std::span<const std::byte> payload) {
  Taker taker{payload};
  Introduction introduction;
  introduction.identity.leader_epoch = taker.number();
  introduction.identity.attempt_token = taker.number();
  introduction.identity.cluster = taker.name();
  introduction.identity.worker = taker.name();
  introduction.to = taker.name();
  if (!taker.took_all()) return fail(ErrorCode::malformed_data, "an introduction is cut off or too long");
  return introduction;
}

Status check_introduction(const Introduction& introduction, const ExchangeIdentity& self) {
  const ExchangeIdentity& peer = introduction.identity;
  const auto refuse = [&](const std::string& why) {
    return fail(ErrorCode::invalid_argument, "worker " + quoted(peer.worker) + " " + why);
  };
  if (peer.cluster != self.cluster) {
    return refuse("belongs to the cluster " + quoted(peer.cluster) + ", this one to " + quoted(self.cluster));
  }
  if (introduction.to != self.worker) {
    return refuse("looks for " + quoted(introduction.to) + ", this one is " + quoted(self.worker));
  }
  if (peer.leader_epoch != self.leader_epoch) {
    return refuse("serves the leader of epoch " + std::to_string(peer.leader_epoch) + ", this one that of epoch " +
                  std::to_string(self.leader_epoch));
  }
  if (peer.attempt_token != self.attempt_token) return refuse("was not deployed for the same job");
  if (peer.worker.empty()) return refuse("has no name");
  return {};
}

}  // namespace dataflow
