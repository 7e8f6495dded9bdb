// bench_data csv|json BYTES PATH: writes payments for the whole-process benchmark, the same for every run.
//
// One row a few hundred microseconds, in order but for one in a hundred, which is up to a second behind; 10,000 users.

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

/// xorshift64*: seeded, the same on every machine.
class Random {
 public:
  std::uint64_t below(std::uint64_t limit) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return (state_ * 0x2545F4914F6CDD1DULL >> 32) % limit;
  }

 private:
  std::uint64_t state_ = 4711;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 || (std::strcmp(argv[1], "csv") != 0 && std::strcmp(argv[1], "json") != 0)) {
    std::fprintf(stderr, "usage: bench_data csv|json BYTES PATH\n");
    return 2;
  }
  const bool csv = std::strcmp(argv[1], "csv") == 0;
  const std::uint64_t bytes = std::strtoull(argv[2], nullptr, 10);
  std::FILE* file = std::fopen(argv[3], "wb");
  if (file == nullptr) {
    std::perror(argv[3]);
    return 1;
  }
  std::setvbuf(file, nullptr, _IOFBF, std::size_t{1} << 20);
  static constexpr const char* channels[] = {"web", "app", "shop", "phone"};
  const char* format = csv ? "%" PRId64 ",%" PRIu64 ",%" PRIu64 ",checkout-%s-%" PRIu64 "\n"
                           : "{\"time\":%" PRId64 ",\"user\":%" PRIu64 ",\"amount\":%" PRIu64
                             ",\"note\":\"checkout-%s-%" PRIu64 "\"}\n";
  std::uint64_t written = csv ? static_cast<std::uint64_t>(std::fprintf(file, "time,user,amount,note\n")) : 0;
  Random random;
  for (std::uint64_t row = 0; written < bytes; ++row) {
    std::int64_t time_ms = 1'700'000'000'000 + static_cast<std::int64_t>(row * 2 / 5);
    if (random.below(100) == 0) time_ms -= static_cast<std::int64_t>(random.below(1000));
    const std::uint64_t user = random.below(10'000);
    const std::uint64_t amount = random.below(10'000);
    const char* channel = channels[random.below(4)];
    written +=
        static_cast<std::uint64_t>(std::fprintf(file, format, time_ms, user, amount, channel, random.below(100)));
  }
  if (std::fclose(file) != 0) {
    std::perror(argv[3]);
    return 1;
  }
  return 0;
}
