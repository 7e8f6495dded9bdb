#include <sys/stat.h>

#include <fstream>

#include "actors/exchange/certificates.hpp"
#include "tests/unit/exchange/workers.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

/// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "dataflow-certs-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

Validity days(int from, int until) {
  const auto now = std::chrono::system_clock::now();
  return {now + std::chrono::days{from}, now + std::chrono::days{until}};
}

/// An authority with nodes.
struct Cluster {
  Cluster() { REQUIRE(make_authority(authority, "test cluster", days(-1, 10)).has_value()); }

  TlsSettings node(const std::string& name, const std::vector<std::string>& hosts = {"127.0.0.1", "localhost"},
                   const Validity& validity = days(-1, 10)) {
    const CertificateFiles files = node_files(folder.path(), name);
    const auto made = make_node_certificate(files, authority, name, hosts, validity);
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message()));
    return {authority.certificate, files.certificate, files.key};
  }

  Folder folder;
  CertificateFiles authority = authority_files(folder.path());
};

auto with(const TlsSettings& tls) {
  return [tls](ExchangeSettings& settings) { settings.tls = tls; };
}

}  // namespace

TEST_CASE("under TLS envelopes and credit travel both ways at the same time") {
  Cluster cluster;
  Worker a{"a", with(cluster.node("a"))};
  Worker b{"b", with(cluster.node("b"))};
  const auto connected = a.connect(b);
  REQUIRE_MESSAGE(connected.has_value(), (connected ? "" : connected.error().message()));
  REQUIRE(b.connect(a, "localhost").has_value());

  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor sender{system};
  Receiver receiver{system};
  const auto in = *b.exchange->open_incoming(channel_number(0), "a", numbers_schema(), receiver.actor(), 0);
  const auto out =
      *a.exchange->open_outgoing(channel_number(0), "b", numbers_schema(), caf::actor_cast<caf::actor>(sender), 0);
  std::int64_t next = 0;
  for (std::int64_t i = 0; i < 200; ++i) {
    out->send(encode(numbers(i * 2000, 2000, i % 5 * 20)));
    const auto m = receiver.next();
    REQUIRE(m.has_value());
    for (const auto n : std::get<BatchPtr>(m->envelope->envelope())->column(0).as<std::int64_t>()) REQUIRE(n == next++);
    in->grant(m->envelope->wire_size());
    const auto credit = next_message<msg::Credit>(sender);
    REQUIRE(credit.has_value());
    CHECK(credit->bytes == m->envelope->wire_size());
  }
  CHECK(next == 400'000);
  CHECK(a.lost->empty());
  CHECK(b.lost->empty());
}

TEST_CASE("who cannot show a certificate of the cluster is refused on either side, and nobody is disturbed") {
  Cluster cluster;
  Cluster rogue;
  Worker b{"b", with(cluster.node("b"))};
  Worker a{"a", with(cluster.node("a"))};
  REQUIRE(a.connect(b).has_value());
  const auto message = [](const Status& status) {
    return status ? std::string{"connected"} : status.error().message();
  };

  SUBCASE("a certificate of another authority") {
    Worker x{"x", with(rogue.node("x"))};
    CHECK(message(x.connect(b)) ==
          "worker b: its certificate is refused: self-signed certificate in certificate chain");
    CHECK(message(b.connect(x)) ==
          "worker x: its certificate is refused: self-signed certificate in certificate chain");
    CHECK(x.lost->empty());
  }
  SUBCASE("a certificate of another authority, by somebody who trusts this one") {
    TlsSettings tls = rogue.node("x");
    tls.ca = cluster.authority.certificate;
    Worker x{"x", with(tls)};
    CHECK(message(x.connect(b)) != "connected");
    CHECK(message(b.connect(x)) == "worker x: its certificate is refused: unable to get local issuer certificate");
  }
  SUBCASE("an expired certificate") {
    Worker x{"x", with(cluster.node("x", {"127.0.0.1"}, days(-5, -1)))};
    CHECK(message(x.connect(b)) != "connected");
    CHECK(message(b.connect(x)) == "worker x: its certificate is refused: certificate has expired");
  }
  SUBCASE("a certificate that is not good yet") {
    Worker x{"x", with(cluster.node("x", {"127.0.0.1"}, days(1, 5)))};
    CHECK(message(b.connect(x)) == "worker x: its certificate is refused: certificate is not yet valid");
  }
  SUBCASE("a certificate for another host") {
    Worker x{"x", with(cluster.node("x", {"10.0.0.1", "example.org"}))};
    CHECK(message(b.connect(x)) == "worker x: its certificate is refused: IP address mismatch");
    CHECK(message(b.connect("x", x.exchange->port(), "localhost")) ==
          "worker x: its certificate is refused: hostname mismatch");
  }
  SUBCASE("no TLS at all") {
    Worker x{"x"};
    CHECK(message(x.connect(b)) != "connected");
    HandmadePeer garbage{b.exchange->port()};
    garbage.write(std::string(200, 'x'));
    CHECK(garbage.is_cut_off());
  }
  SUBCASE("TLS where there is none") {
    Worker x{"x", [](ExchangeSettings& s) { s.handshake_timeout = std::chrono::milliseconds{500}; }};
    CHECK(message(b.connect(x)) != "connected");
    CHECK(x.exchange->stats().refused == 1);
  }
  CHECK(b.lost->empty());
  CHECK(a.lost->empty());
  CHECK(a.connect(b).has_value());
  CHECK(b.exchange->stats().connections == 1);
}

TEST_CASE("with certificates an exchange listens beyond this machine") {
  Cluster cluster;
  Worker a{"a", [tls = cluster.node("a")](ExchangeSettings& settings) {
             settings.tls = tls;
             settings.listen_host = "0.0.0.0";
           }};
  CHECK(a.exchange->port() != 0);
}

TEST_CASE("files that cannot be used are named") {
  Cluster cluster;
  const TlsSettings good = cluster.node("a");
  const auto message = [&](const TlsSettings& tls) {
    ExchangeSettings settings;
    settings.identity = identity_of("a");
    settings.tls = tls;
    const auto listening = listen_exchange(settings);
    return listening ? std::string{"listens"} : listening.error().message();
  };
  CHECK(message(good) == "listens");
  CHECK(message({"nothing.pem", good.certificate, good.key}).find("nothing.pem") != std::string::npos);
  CHECK(message({good.ca, good.key, good.key}).find("the certificate " + good.key.string()) != std::string::npos);
  const TlsSettings other = cluster.node("b");
  CHECK(message({good.ca, good.certificate, other.key}).find("the private key " + other.key.string()) !=
        std::string::npos);
}

TEST_CASE("certificate files are for their owner only and are never overwritten") {
  Cluster cluster;
  const TlsSettings tls = cluster.node("a");
  for (const auto& file : {tls.ca, tls.certificate, tls.key, cluster.authority.key}) {
    struct stat info {};
    REQUIRE(stat(file.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600U);
  }
  const auto again = make_authority(cluster.authority, "other", days(-1, 1));
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().message() == tls.ca.string() + " is there already; it is not made anew");
}

TEST_CASE("a host's name cannot smuggle another one into a certificate") {
  Cluster cluster;
  for (const char* host : {"", "a,DNS:evil.org", "a b", "127.0.0.1/8", "host\n"}) {
    const auto made =
        make_node_certificate(node_files(cluster.folder.path(), "n"), cluster.authority, "n", {host}, days(-1, 1));
    REQUIRE_FALSE(made.has_value());
    CHECK(made.error().code() == ErrorCode::invalid_argument);
  }
  CHECK_FALSE(std::filesystem::exists(node_files(cluster.folder.path(), "n").key));
}
