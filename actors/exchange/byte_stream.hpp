#pragma once
// A connection's bytes, plain or under TLS. One thread reads and one writes at the same time; any thread may shut it
// down.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "actors/exchange/socket.hpp"
#include "actors/exchange/tls_settings.hpp"
#include "serialization/result.hpp"
#include "serialization/time.hpp"

namespace dataflow {

class ByteStream {
 public:
  using Bytes = std::span<const std::byte>;

  virtual ~ByteStream() = default;
  /// Reads into `first`, then into `second`: at least one byte, unless the peer has ended the stream: 0. Errors: io,
  /// also when nothing came within the read timeout.
  virtual Result<std::size_t> read(std::span<std::byte> first, std::span<std::byte> second) = 0;
  /// Writes all parts in order. Errors: io, also when the peer took nothing within the write timeout.
  virtual Status write(std::span<const Bytes> parts) = 0;
  /// Writes as much as goes without waiting: how many bytes. Errors: io. By one thread at a time, as write.
  virtual Result<std::size_t> write_now(std::span<const Bytes> parts) = 0;
  /// How long a read or a write may stand still.
  virtual void set_timeouts(Duration read, Duration write) = 0;
  /// Nothing more will be written; the peer reads the end of the stream. By the writing thread.
  virtual void end_writing() = 0;
  /// Ends both directions: reads and writes under way return. The descriptor stays until destruction.
  virtual void shut_down() = 0;
  /// The peer's address and port.
  [[nodiscard]] virtual std::string peer_address() const = 0;
};

/// The socket is blocking.
std::unique_ptr<ByteStream> make_plain_stream(Descriptor socket);

/// The settings of TLS with the files read; shared by all connections of a process.
class TlsContext {
 public:
  /// Errors: invalid_argument naming the file that cannot be used.
  static Result<std::shared_ptr<TlsContext>> load(const TlsSettings& settings);
  virtual ~TlsContext() = default;

  /// Whether this process's own certificate is for `host`, a name or an address, as those who connect want it.
  [[nodiscard]] virtual bool is_for(const std::string& host) const = 0;
  /// As who accepted the connection: asks for the peer's certificate. Blocks up to `deadline`.
  virtual Result<std::unique_ptr<ByteStream>> accept(Descriptor socket, Duration deadline) = 0;
  /// As who connected: the peer's certificate must be for `host`, a name or an address.
  virtual Result<std::unique_ptr<ByteStream>> connect(Descriptor socket, const std::string& host,
                                                      Duration deadline) = 0;
};

}  // namespace dataflow
