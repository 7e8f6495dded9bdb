// TLS 1.3 by OpenSSL, mutual. One thread reads while another writes, which an SSL object does not allow by itself: the
// socket does not block, calls into OpenSSL are made one at a time, and waiting for the socket happens outside of them.

#include <sys/socket.h>

#include <fcntl.h>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "actors/exchange/byte_stream.hpp"

namespace dataflow {

namespace {

using Clock = std::chrono::steady_clock;
/// Small parts are gathered up to this, a TLS record's size, before they are encrypted.
constexpr std::size_t record_bytes = 16 * 1024;

template <class T, void (*free_it)(T*)>
struct Freed {
  void operator()(T* it) const { free_it(it); }
};
using SslPtr = std::unique_ptr<SSL, Freed<SSL, SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, Freed<SSL_CTX, SSL_CTX_free>>;

/// What OpenSSL has to say, and forgets then.
std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown error" : reason;
}

// OpenSSL's own socket BIO writes in a way that raises SIGPIPE when the peer has gone.

int write_socket(BIO* bio, const char* bytes, int count) {
  BIO_clear_retry_flags(bio);
  int fd = -1;
  BIO_get_fd(bio, &fd);
  const ssize_t put = send(fd, bytes, static_cast<std::size_t>(count), MSG_NOSIGNAL);
  if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(put);
}

const BIO_METHOD* socket_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOCKET, "socket without signals");
    const BIO_METHOD* usual = BIO_s_socket();
    BIO_meth_set_write(made, write_socket);
    BIO_meth_set_read(made, BIO_meth_get_read(usual));
    BIO_meth_set_ctrl(made, BIO_meth_get_ctrl(usual));
    BIO_meth_set_create(made, BIO_meth_get_create(usual));
    BIO_meth_set_destroy(made, BIO_meth_get_destroy(usual));
    return made;
  }();
  return method;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

class TlsStream final : public ByteStream {
 public:
  TlsStream(Descriptor socket, SslPtr ssl) : socket_{std::move(socket)}, ssl_{std::move(ssl)} {
    fcntl(socket_.get(), F_SETFL, fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
    BIO* bio = BIO_new(socket_method());
    BIO_set_fd(bio, socket_.get(), BIO_NOCLOSE);
    SSL_set_bio(ssl_.get(), bio, bio);
    address_ = peer_address_of(socket_.get());
  }

  /// As who accepted or connected, whichever the SSL object was told.
  Status shake_hands(Duration deadline) {
    const auto shaken = repeat(deadline, "TLS", [this] { return SSL_do_handshake(ssl_.get()); });
    if (!shaken) return fail(shaken.error());
    if (*shaken == 0) return fail(ErrorCode::io, "it hung up during the TLS handshake");
    return {};
  }

  Result<std::size_t> read(std::span<std::byte> first, std::span<std::byte> second) override {
    const std::span<std::byte> to = first.empty() ? second : first;
    const auto got = repeat(read_timeout_, "nothing was heard of it", [&] {
      return SSL_read(ssl_.get(), to.data(), static_cast<int>(std::min<std::size_t>(to.size(), 1U << 30)));
    });
    if (!got) return fail(got.error());
    return static_cast<std::size_t>(*got);
  }

  Status write(std::span<const Bytes> parts) override {
    std::vector<std::byte> small;
    for (const Bytes part : parts) {
      if (part.size() < record_bytes) {
        if (small.size() + part.size() > record_bytes) {
          if (auto status = write_whole(small); !status) return status;
          small.clear();
        }
        small.insert(small.end(), part.begin(), part.end());
        continue;
      }
      if (auto status = write_whole(small); !status) return status;
      small.clear();
      if (auto status = write_whole(part); !status) return status;
    }
    return write_whole(small);
  }

  /// Encrypting takes long enough to be left to the writing thread.
  Result<std::size_t> write_now(std::span<const Bytes> /*parts*/) override { return 0; }

  void set_timeouts(Duration read, Duration write) override {
    read_timeout_ = read;
    write_timeout_ = write;
  }

  void end_writing() override {
    const std::lock_guard lock{mutex_};
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    shutdown(socket_.get(), SHUT_WR);
  }
  void shut_down() override { shutdown(socket_.get(), SHUT_RDWR); }
  [[nodiscard]] std::string peer_address() const override { return address_; }

 private:
  Status write_whole(Bytes bytes) {
    while (!bytes.empty()) {
      const auto put = repeat(write_timeout_, "it took nothing", [&] {
        return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 1U << 30)));
      });
      if (!put) return fail(put.error());
      if (*put == 0) return fail(ErrorCode::io, "it hung up");
      bytes = bytes.subspan(static_cast<std::size_t>(*put));
    }
    return {};
  }

  /// Calls `call` until it has done something: its result, or 0 at the end of the stream.
  template <class Call>
  Result<int> repeat(Duration timeout, const char* what_takes_long, const Call& call) {
    const auto deadline = Clock::now() + timeout;
    while (true) {
      int problem = SSL_ERROR_NONE;
      {
        const std::lock_guard lock{mutex_};
        ERR_clear_error();
        errno = 0;
        const int result = call();
        if (result > 0) return result;
        problem = SSL_get_error(ssl_.get(), result);
        if (problem != SSL_ERROR_WANT_READ && problem != SSL_ERROR_WANT_WRITE) return why_not(problem);
      }
      const auto left = std::chrono::duration_cast<Duration>(deadline - Clock::now());
      const auto readiness = problem == SSL_ERROR_WANT_READ ? Readiness::readable : Readiness::writable;
      if (left <= Duration{0} || !wait_for(socket_.get(), readiness, left)) {
        return fail(ErrorCode::io,
                    std::string{what_takes_long} + " for " + std::to_string(timeout.count() / 1000) + " ms");
      }
    }
  }

  Result<int> why_not(int problem) {
    if (problem == SSL_ERROR_ZERO_RETURN) return 0;
    if (const long verified = SSL_get_verify_result(ssl_.get());
        verified != X509_V_OK && !SSL_is_init_finished(ssl_.get())) {
      ERR_clear_error();
      return fail(ErrorCode::io, std::string{"its certificate is refused: "} + X509_verify_cert_error_string(verified));
    }
    if (problem == SSL_ERROR_SYSCALL && ERR_peek_error() == 0) {
      if (errno == 0) return 0;
      return fail(ErrorCode::io, std::strerror(errno));
    }
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
    if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      ERR_clear_error();
      return 0;  // whether that is a loss, goodbye decides
    }
#endif
    return fail(ErrorCode::io, "TLS: " + openssl_error());
  }

  Descriptor socket_;
  std::mutex mutex_;  ///< calls that use ssl_
  SslPtr ssl_;
  std::string address_;
  Duration read_timeout_{};
  Duration write_timeout_{};
};

class OpenSslContext final : public TlsContext {
 public:
  explicit OpenSslContext(SslContextPtr context) : context_{std::move(context)} {}

  [[nodiscard]] bool is_for(const std::string& host) const override {
    X509* const own = SSL_CTX_get0_certificate(context_.get());
    const bool is = is_address(host) ? X509_check_ip_asc(own, host.c_str(), 0) == 1
                                     : X509_check_host(own, host.c_str(), host.size(), 0, nullptr) == 1;
    ERR_clear_error();
    return is;
  }

  Result<std::unique_ptr<ByteStream>> accept(Descriptor socket, Duration deadline) override {
    SslPtr ssl{SSL_new(context_.get())};
    if (!ssl) return fail(ErrorCode::io, "TLS: " + openssl_error());
    SSL_set_accept_state(ssl.get());
    return shake_hands(std::move(socket), std::move(ssl), deadline);
  }

  Result<std::unique_ptr<ByteStream>> connect(Descriptor socket, const std::string& host, Duration deadline) override {
    SslPtr ssl{SSL_new(context_.get())};
    if (!ssl) return fail(ErrorCode::io, "TLS: " + openssl_error());
    SSL_set_connect_state(ssl.get());
    const bool set = is_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) == 1
                                      : SSL_set1_host(ssl.get(), host.c_str()) == 1;
    if (!set) return fail(ErrorCode::invalid_argument, "TLS: the host " + host + " cannot be checked");
    return shake_hands(std::move(socket), std::move(ssl), deadline);
  }

 private:
  static Result<std::unique_ptr<ByteStream>> shake_hands(Descriptor socket, SslPtr ssl, Duration deadline) {
    auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(ssl));
    if (auto status = stream->shake_hands(deadline); !status) return fail(status.error());
    return stream;
  }

  SslContextPtr context_;
};

tl::unexpected<Error> unusable(const char* what, const std::filesystem::path& file) {
  // OpenSSL only says that the system did not like it.
  if (const Descriptor opened{::open(file.c_str(), O_RDONLY | O_CLOEXEC)}; !opened.valid()) {
    const int reason = errno;
    ERR_clear_error();
    return fail(ErrorCode::invalid_argument,
                std::string{"the "} + what + " " + file.string() + " cannot be read: " + std::strerror(reason));
  }
  return fail(ErrorCode::invalid_argument,
              std::string{"the "} + what + " " + file.string() + " cannot be used: " + openssl_error());
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::load(const TlsSettings& settings) {
  SslContextPtr context{SSL_CTX_new(TLS_method())};
  if (!context) return fail(ErrorCode::io, "TLS: " + openssl_error());
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  // A connection lives as long as its job: there is nothing to resume.
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  if (SSL_CTX_load_verify_file(context.get(), settings.ca.c_str()) != 1) {
    return unusable("certificate of the cluster's authority", settings.ca);
  }
  if (SSL_CTX_use_certificate_chain_file(context.get(), settings.certificate.c_str()) != 1) {
    return unusable("certificate", settings.certificate);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), settings.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return unusable("private key", settings.key);
  }
  return std::make_shared<OpenSslContext>(std::move(context));
}

}  // namespace dataflow
