#include "actors/print_relay.hpp"

#include <algorithm>
#include <cerrno>

namespace dataflow {

namespace {

constexpr std::uint64_t window_bytes = 1 << 20;

}  // namespace

std::FILE* PrintRelay::stream() {
  cookie_io_functions_t functions{};
  functions.write = write;
  std::FILE* const stream = fopencookie(this, "w", functions);
  if (stream != nullptr) std::setvbuf(stream, nullptr, _IONBF, 0);
  return stream;
}

ssize_t PrintRelay::write(void* self, const char* text, std::size_t size) {
  auto& relay = *static_cast<PrintRelay*>(self);
  std::unique_lock lock{relay.mutex_};
  relay.changed_.wait(lock, [&] { return relay.closed_ || relay.under_way_ < window_bytes; });
  if (relay.closed_) {
    errno = ECANCELED;
    return 0;  // what fopencookie calls an error
  }
  relay.under_way_ += size;
  relay.hand_over_(std::string{text, size});
  return static_cast<ssize_t>(size);
}

void PrintRelay::taken(std::uint64_t bytes) {
  const std::lock_guard lock{mutex_};
  under_way_ -= std::min(bytes, under_way_);
  changed_.notify_all();
}

void PrintRelay::close() {
  const std::lock_guard lock{mutex_};
  closed_ = true;
  changed_.notify_all();
}

void PrintRelay::open() {
  const std::lock_guard lock{mutex_};
  closed_ = false;
}

}  // namespace dataflow
