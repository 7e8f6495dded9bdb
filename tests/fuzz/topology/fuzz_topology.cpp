// Any text is a topology or a list of mistakes, never a crash; what is shown of it can be shown.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "libdataflow/topology/topology.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dataflow::LoadOptions options;
  options.environment = [](const std::string& name) -> std::optional<std::string> {
    return name == "SET" ? std::optional<std::string>{"value"} : std::nullopt;
  };
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto loaded = dataflow::parse_topology(text, "fuzz.toml", "/nonexistent", options);
  for (const auto& diagnostic : loaded.diagnostics) dataflow::render(diagnostic);
  if (loaded.topology.has_value() == dataflow::has_errors(loaded.diagnostics)) __builtin_trap();
  return 0;
}
