#include <doctest/doctest.h>

#include <cerrno>
#include <future>
#include <mutex>

#include "actors/print_relay.hpp"

using namespace dataflow;

namespace {

constexpr std::size_t window = 1 << 20;

struct Relay {
  std::mutex mutex;
  std::string taken;
  PrintRelay relay{[this](const std::string& text) {
    const std::lock_guard lock{mutex};
    taken += text;
  }};
  std::FILE* stream = relay.stream();

  ~Relay() { std::fclose(stream); }
  bool print(const std::string& text) {
    std::clearerr(stream);
    errno = 0;
    return std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  }
};

}  // namespace

TEST_CASE("who prints more than a window waits until it is taken") {
  Relay relay;
  const std::string full(window, 'x');
  CHECK(relay.print(full));
  auto waiting = std::async(std::launch::async, [&] { return relay.print("more"); });
  relay.relay.taken(window);
  CHECK(waiting.get());
  CHECK(relay.taken == full + "more");
}

TEST_CASE("who waits when the printer is closed fails, and so does who comes, until it is opened again") {
  Relay relay;
  CHECK(relay.print(std::string(window, 'x')));
  auto waiting = std::async(std::launch::async, [&] { return relay.print("lost"); });
  relay.relay.close();
  CHECK_FALSE(waiting.get());
  CHECK_FALSE(relay.print("lost"));
  CHECK(errno == ECANCELED);
  relay.relay.taken(window);
  relay.relay.open();
  CHECK(relay.print("again"));
  CHECK(relay.taken == std::string(window, 'x') + "again");
}
