#pragma once
// How often the engine's rarer ways (runtime/buggify.hpp) are taken in one run: each seed takes some of them, at rates
// of its own.

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "libdataflow/runtime/buggify.hpp"
#include "libdataflow/simulation/random.hpp"

namespace dataflow::simulation {

class Chances final : public Buggifier {
 public:
  /// `met` counts what has been taken, by name; it outlives this.
  Chances(Random random, bool any, std::map<std::string, std::uint64_t>& met);
  bool happens(Buggify place) override;

  static std::string_view name_of(Buggify place);

  /// The engine asks these chances as long as it lives.
  class Scope {
   public:
    explicit Scope(Chances& chances) : before_{buggifier} { buggifier = &chances; }
    ~Scope() { buggifier = before_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Buggifier* before_;
  };

 private:
  Random random_;
  std::array<double, buggify_count> rates_{};
  std::array<std::uint64_t*, buggify_count> taken_{};
};

}  // namespace dataflow::simulation
