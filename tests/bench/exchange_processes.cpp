// The data plane between two processes: its throughput beside plain blocking TCP in the same run, how long a record
// takes through it, and how long a control message takes over BASP while it is busy. Started by tools/bench, starts
// itself again as the sending process, prints one JSON object.
//
//   exchange_processes [--quick]
//   exchange_processes --kib N     only the throughput with batches of N KiB, which is one of 256, 64 and 16

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "actors/exchange/exchange.hpp"
#include "actors/exchange/socket.hpp"
#include "actors/messages.hpp"
#include "libdataflow/runtime/task_host.hpp"
#include "serialization/builder.hpp"

using namespace dataflow;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kibi = 1024;
constexpr std::int64_t records_per_second = 1000;

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << "exchange_processes: " << why << "\n";
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().message());
  return std::move(*result);
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

double percentile(std::vector<double>& values, double p) {
  if (values.empty()) give_up("nothing was measured");
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(static_cast<double>(values.size() - 1) * p)];
}

/// Eight columns of int64, `bytes` in all.
SchemaPtr wide_schema() {
  std::vector<Field> fields;
  for (int i = 0; i < 8; ++i) fields.push_back({"f" + std::to_string(i), TypeKind::int64});
  return make_schema(std::move(fields));
}

BatchPtr batch_of(std::size_t bytes) {
  const std::size_t rows = bytes / 64;
  BatchBuilder builder{wide_schema(), rows};
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < 8; ++i) builder.column(i).append_int64(static_cast<std::int64_t>(row * i));
    builder.end_row();
  }
  return builder.finish();
}

SchemaPtr stamp_schema() {
  return make_schema({{"sent_ns", TypeKind::int64}});
}

WireChannel channel_number() {
  return must(wire_channel(1, {.edge = 0, .from_subtask = 0, .to_subtask = 0}));
}

ExchangeSettings settings_of(const WorkerId& worker) {
  ExchangeSettings settings;
  settings.identity = {.cluster = "bench", .worker = worker, .leader_epoch = 1, .attempt_token = 1};
  settings.on_peer_lost = [](const PeerLost& lost) { give_up(lost.reason.message()); };
  return settings;
}

struct Config : caf::actor_system_config {
  Config() {
    set("scheduler.policy", caf::atom("sharing"));
    set("middleman.workers", 0);
    load<caf::io::middleman>();
  }
};

using Begin = caf::atom_constant<caf::atom("begin")>;

/// The cores that this program could use when it was started.
const cpu_set_t& all_cores() {
  static const cpu_set_t cores = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof(set), &set);
    return set;
  }();
  return cores;
}
/// The calling thread, and those that it starts from now on, run on the `nth` of them, or on any when that is negative.
/// The two processes of a measurement share no core, as if they were on two hosts: left to the scheduler, a sender and
/// a receiver that happen to share one are three times as fast as two that do not, whatever they are made of.
void run_on_core(int nth) {
  cpu_set_t cores = all_cores();
  if (nth >= 0 && CPU_COUNT(&cores) > 1) {
    int core = 0;
    for (int before = 0; !CPU_ISSET(core, &cores) || before++ < nth;) ++core;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
  }
  sched_setaffinity(0, sizeof(cores), &cores);
}

bool has_one_core() {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  return sched_getaffinity(0, sizeof(mine), &mine) == 0 && CPU_COUNT(&mine) == 1;
}

/// Set once, waited for.
class Moment {
 public:
  void come() {
    const std::lock_guard lock{mutex_};
    came_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, std::chrono::seconds{60}, [this] { return came_; }))
      give_up("nothing came in a minute");
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool came_ = false;
};

// ---- The sending process --------------------------------------------------------------------------------------------

/// Sends the same batch again and again within its credit, as a source's Subtask would.
class SendingActor final : public caf::event_based_actor {
 public:
  /// Takes what is in `channel` when it is told to begin: the channel can be opened only once the actor is there.
  SendingActor(caf::actor_config& config, std::size_t bytes, std::uint64_t count, Moment* finished,
               std::unique_ptr<OutgoingChannel>* channel)
      : caf::event_based_actor{config}, batch_{batch_of(bytes)}, left_{count}, channel_{channel}, finished_{finished} {}

  caf::behavior make_behavior() override {
    return {
        [this](Begin) {
          out_ = std::move(*channel_);
          pump();
        },
        [this](const msg::Credit& m) {
          in_flight_ -= m.bytes;
          pump();
        },
    };
  }
  void on_exit() override { out_.reset(); }

 private:
  void pump() {
    while (left_ > 0 && in_flight_ < channel_window_bytes) {
      const auto envelope = encode(batch_);
      in_flight_ += envelope->wire_size();
      out_->send(envelope);
      if (--left_ == 0) {
        out_->send(encode(EndOfData{}));
        finished_->come();
      }
    }
  }

  BatchPtr batch_;
  std::uint64_t left_;
  std::size_t in_flight_ = 0;
  std::unique_ptr<OutgoingChannel>* channel_;
  std::unique_ptr<OutgoingChannel> out_;
  Moment* finished_;
};

/// The exchange of the sending process, connected to the other.
std::unique_ptr<Exchange> connected_exchange(std::uint16_t port) {
  auto exchange = must(listen_exchange(settings_of("sender")));
  Moment connected;
  exchange->connect("receiver", "127.0.0.1", port, [&](const Status& status) {
    if (!status) give_up(status.error().message());
    connected.come();
  });
  connected.wait();
  return exchange;
}

/// Waits until the other process closes standard input: it has all that it wants.
void wait_for_release() {
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

int send_by_exchange(std::uint16_t port, std::size_t bytes, std::uint64_t count) {
  Config config;
  caf::actor_system system{config};
  auto exchange = connected_exchange(port);
  Moment finished;
  std::unique_ptr<OutgoingChannel> out;
  const auto actor = system.spawn<SendingActor>(bytes, count, &finished, &out);
  out = must(exchange->open_outgoing(channel_number(), "receiver", wide_schema(), actor, 0));
  caf::anon_send(actor, Begin::value);
  wait_for_release();
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  return 0;
}

int send_by_tcp(std::uint16_t port, std::size_t bytes, std::uint64_t count) {
  const Descriptor socket = must(connect_tcp("127.0.0.1", port, std::chrono::seconds{5}));
  const std::vector<std::byte> message(bytes, std::byte{1});
  for (std::uint64_t i = 0; i < count; ++i) {
    std::size_t done = 0;
    while (done < bytes) {
      const ssize_t put = send(socket.get(), message.data() + done, bytes - done, MSG_NOSIGNAL);
      if (put <= 0) give_up("send failed");
      done += static_cast<std::size_t>(put);
    }
  }
  return 0;
}

/// One record at a time, each with the moment at which it was made.
int send_stamps(std::uint16_t port, std::uint64_t count) {
  Config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  auto exchange = connected_exchange(port);
  const auto out =
      must(exchange->open_outgoing(channel_number(), "receiver", stamp_schema(), caf::actor_cast<caf::actor>(self), 0));
  auto next = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    next += std::chrono::microseconds{1'000'000 / records_per_second};
    std::this_thread::sleep_until(next);
    BatchBuilder builder{stamp_schema(), 1};
    builder.column(0).append_int64(now_ns());
    builder.end_row();
    out->send(encode(builder.finish()));
  }
  out->send(encode(EndOfData{}));
  wait_for_release();
  return 0;
}

class EchoActor final : public caf::event_based_actor {
 public:
  using caf::event_based_actor::event_based_actor;
  caf::behavior make_behavior() override {
    return {[](std::int64_t n) { return n; }};
  }
};

/// Batches as fast as they go, and an actor that answers over BASP; its port goes to standard output.
int send_beside_control(std::uint16_t port, std::size_t bytes) {
  Config config;
  caf::actor_system system{config};
  auto exchange = connected_exchange(port);
  Moment finished;
  std::unique_ptr<OutgoingChannel> out;
  const auto actor = system.spawn<SendingActor>(bytes, ~std::uint64_t{0}, &finished, &out);
  out = must(exchange->open_outgoing(channel_number(), "receiver", wide_schema(), actor, 0));
  const auto echo = system.spawn<EchoActor, caf::detached>();
  const auto published = system.middleman().publish(echo, 0, "127.0.0.1");
  if (!published) give_up("cannot publish an actor");
  caf::anon_send(actor, Begin::value);
  std::cout << *published << "\n" << std::flush;
  wait_for_release();
  std::_Exit(0);  // in the middle of it all; the receiver expects that
}

// ---- The receiving process ------------------------------------------------------------------------------------------

/// This program again, with other arguments. Ends when it is let go.
class Sender {
 public:
  explicit Sender(std::vector<std::string> arguments) {
    int in[2];
    int out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) give_up("no pipe");
    pid_ = fork();
    if (pid_ == 0) {
      if (has_one_core()) run_on_core(1);  // the receiver has the first
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      execv("/proc/self/exe", argv.data());
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_ = Descriptor{in[1]};
    from_ = Descriptor{out[0]};
  }
  ~Sender() {
    { const Descriptor closed = std::move(to_); }
    waitpid(pid_, nullptr, 0);
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  [[nodiscard]] long read_number() const {
    char line[32] = {};
    if (read(from_.get(), line, sizeof(line) - 1) <= 0) give_up("the sending process said nothing");
    return std::strtol(line, nullptr, 10);
  }

 private:
  pid_t pid_ = 0;
  Descriptor to_;
  Descriptor from_;
};

/// Grants in halves of the window, as a Task does, and notes when batches came.
class ReceivingActor final : public caf::event_based_actor {
 public:
  struct Seen {
    Clock::time_point first;
    Clock::time_point last;
    std::uint64_t bytes = 0;
    std::vector<double> latencies_us;
    Moment end;
  };

  ReceivingActor(caf::actor_config& config, Seen* seen, bool stamped, std::unique_ptr<IncomingChannel>* channel)
      : caf::event_based_actor{config}, seen_{seen}, stamped_{stamped}, channel_{channel} {}

  caf::behavior make_behavior() override {
    return {
        [this](Begin) { in_ = std::move(*channel_); },
        [this](const msg::Deliver& m) { take(*m.envelope); },
        [this](const msg::DeliverAll& m) {
          for (const msg::Deliver& each : m.deliveries) take(*each.envelope);
        },
    };
  }
  void on_exit() override { in_.reset(); }

 private:
  void take(const EncodedEnvelope& envelope) {
    const auto* batch = std::get_if<BatchPtr>(&envelope.envelope());
    if (batch == nullptr) {
      seen_->last = Clock::now();
      seen_->end.come();
      return;
    }
    if (seen_->bytes == 0) seen_->first = Clock::now();
    seen_->bytes += envelope.wire_size();
    to_grant_ += envelope.wire_size();
    if (to_grant_ >= channel_window_bytes / 2) in_->grant(std::exchange(to_grant_, 0));
    if (!stamped_) return;
    const std::int64_t now = now_ns();
    for (const std::int64_t sent : (*batch)->column(0).as<std::int64_t>()) {
      seen_->latencies_us.push_back(static_cast<double>(now - sent) / 1e3);
    }
  }

  Seen* seen_;
  bool stamped_;
  std::size_t to_grant_ = 0;
  std::unique_ptr<IncomingChannel>* channel_;
  std::unique_ptr<IncomingChannel> in_;
};

/// A receiving worker; `start` begins the sending process, `use` may do something before it ends.
template <class Start, class Use>
void receive(const SchemaPtr& schema, ReceivingActor::Seen& seen, const Start& start, const Use& use) {
  Config config;
  caf::actor_system system{config};
  auto settings = settings_of("receiver");
  settings.on_peer_lost = {};
  auto exchange = must(listen_exchange(std::move(settings)));
  std::unique_ptr<IncomingChannel> in;
  const auto actor = system.spawn<ReceivingActor>(&seen, schema->size() == 1, &in);
  in = must(exchange->open_incoming(channel_number(), "sender", schema, actor, 0));
  caf::anon_send(actor, Begin::value);
  {
    const Sender sender{start(exchange->port())};
    use(system, sender);
  }
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  exchange.reset();
}

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

/// GB/s.
double exchange_rate(std::size_t bytes, std::uint64_t count) {
  ReceivingActor::Seen seen;
  receive(
      wide_schema(), seen,
      [&](std::uint16_t port) {
        return std::vector<std::string>{"sender", "exchange", std::to_string(port), std::to_string(bytes),
                                        std::to_string(count)};
      },
      [&](caf::actor_system&, const Sender&) { seen.end.wait(); });
  if (seen.bytes < bytes * count) give_up("bytes are missing");
  return static_cast<double>(bytes * count) / seconds(seen.last - seen.first) / 1e9;
}

double tcp_rate(std::size_t bytes, std::uint64_t count) {
  const ListeningSocket listening = must(listen_tcp("127.0.0.1", 0));
  const Sender sender{{"sender", "tcp", std::to_string(listening.port), std::to_string(bytes), std::to_string(count)}};
  if (!wait_for(listening.socket.get(), Readiness::readable, std::chrono::seconds{10})) give_up("nobody connects");
  const Descriptor socket = must(accept_tcp(listening.socket));
  std::vector<std::byte> message(bytes);
  Clock::time_point first;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (recv(socket.get(), message.data(), bytes, MSG_WAITALL) != static_cast<ssize_t>(bytes)) give_up("recv failed");
    if (i == 0) first = Clock::now();
  }
  return static_cast<double>(bytes * count) / seconds(Clock::now() - first) / 1e9;
}

/// With batches of each size, or only of `only` bytes when that is not 0.
std::string throughput(bool quick, std::size_t only) {
  std::string out;
  run_on_core(0);
  for (const std::size_t size : {256 * kibi, 64 * kibi, 16 * kibi}) {
    if (only != 0 && size != only) continue;
    const std::uint64_t count = (quick ? 20'000'000 : 1'000'000'000) / size;
    std::vector<double> tcp;
    std::vector<double> exchange;
    std::vector<double> ratios;
    for (int round = 0; round < (quick ? 1 : 7); ++round) {
      // Taking turns at being first, so that a machine that grows slower or faster favours none.
      if (round % 2 == 0) tcp.push_back(tcp_rate(size, count));
      exchange.push_back(exchange_rate(size, count));
      if (round % 2 == 1) tcp.push_back(tcp_rate(size, count));
      ratios.push_back(exchange.back() / tcp.back());
    }
    char line[256];
    std::snprintf(line, sizeof(line), R"(%s{"kib": %zu, "tcp_gb_s": %.3f, "exchange_gb_s": %.3f, "ratio": %.3f})",
                  out.empty() ? "" : ", ", size / kibi, percentile(tcp, 0.5), percentile(exchange, 0.5),
                  percentile(ratios, 0.5));
    out += line;
  }
  run_on_core(-1);
  return out;
}

std::string latency(bool quick) {
  const std::uint64_t count = quick ? 200 : 10'000;
  ReceivingActor::Seen seen;
  receive(
      stamp_schema(), seen,
      [&](std::uint16_t port) {
        return std::vector<std::string>{"sender", "stamps", std::to_string(port), "0", std::to_string(count)};
      },
      [&](caf::actor_system&, const Sender&) { seen.end.wait(); });
  auto& all = seen.latencies_us;
  char line[128];
  std::snprintf(line, sizeof(line), R"({"p50_ms": %.3f, "p99_ms": %.3f, "p99.9_ms": %.3f})", percentile(all, 0.5) / 1e3,
                percentile(all, 0.99) / 1e3, percentile(all, 0.999) / 1e3);
  return line;
}

/// Round trips over BASP, one at a time, every two milliseconds.
std::string control(bool quick) {
  ReceivingActor::Seen seen;
  std::vector<double> round_trips_ms;
  double rate = 0;
  receive(
      wide_schema(), seen,
      [&](std::uint16_t port) {
        return std::vector<std::string>{"sender", "control", std::to_string(port), std::to_string(1024 * kibi), "0"};
      },
      [&](caf::actor_system& system, const Sender& sender) {
        const auto port = static_cast<std::uint16_t>(sender.read_number());
        const auto echo = system.middleman().remote_actor("127.0.0.1", port);
        if (!echo) give_up("cannot reach the other process's actor");
        caf::scoped_actor self{system};
        const auto start = Clock::now();
        for (std::int64_t i = 0; i < (quick ? 50 : 3000); ++i) {
          const auto asked = Clock::now();
          self->request(*echo, std::chrono::seconds{10}, i)
              .receive([](std::int64_t) {}, [&](const caf::error&) { give_up("no answer in 10 s"); });
          round_trips_ms.push_back(seconds(Clock::now() - asked) * 1e3);
          std::this_thread::sleep_for(std::chrono::milliseconds{2});
        }
        rate = static_cast<double>(seen.bytes) / seconds(Clock::now() - start) / 1e9;
      });
  char line[160];
  std::snprintf(line, sizeof(line), R"({"p50_ms": %.3f, "p99_ms": %.3f, "p99.9_ms": %.3f, "gb_s": %.3f})",
                percentile(round_trips_ms, 0.5), percentile(round_trips_ms, 0.99), percentile(round_trips_ms, 0.999),
                rate);
  return line;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (std::strcmp(argv[0], "sender") == 0 && argc == 5) {
    const auto port = static_cast<std::uint16_t>(std::strtoul(argv[2], nullptr, 10));
    const std::size_t bytes = std::strtoull(argv[3], nullptr, 10);
    const std::uint64_t count = std::strtoull(argv[4], nullptr, 10);
    if (mode == "exchange") return send_by_exchange(port, bytes, count);
    if (mode == "tcp") return send_by_tcp(port, bytes, count);
    if (mode == "stamps") return send_stamps(port, count);
    if (mode == "control") return send_beside_control(port, bytes);
  }
  const bool quick = mode == "--quick";
  all_cores();
  if (mode == "--kib" && argc > 2) {
    std::cout << throughput(false, std::strtoull(argv[2], nullptr, 10) * kibi) << "\n";
    return 0;
  }
  const std::string rates = throughput(quick, 0);
  const std::string latencies = latency(quick);
  const std::string round_trips = control(quick);
  std::cout << R"({"throughput": [)" << rates << R"(], "latency": )" << latencies << R"(, "control": )" << round_trips
            << "}\n";
  return 0;
}
