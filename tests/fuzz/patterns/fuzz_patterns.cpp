// Any text: it is a pattern or is refused with a place inside of it, and what is a pattern becomes a program whose
// instructions lead nowhere else, or is refused likewise.

#include <cstdlib>
#include <string>
#include <vector>

#include "libdataflow/patterns/program.hpp"

using namespace dataflow;
using namespace dataflow::patterns;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const ExpressionError& error, std::size_t text_size) {
  require(error.offset <= text_size && error.length <= text_size - error.offset);
  require(!error.message.empty());
}

void check(const Program& program, Variables named) {
  const std::size_t size = program.code.size();
  require(program.start < size);
  require((program.starts_with & ~named) == 0);
  for (const Instruction& instruction : program.code) {
    require((instruction.forbidden & ~named) == 0);
    switch (instruction.kind) {
      case Instruction::Kind::take:
        require(instruction.next < size && (only(instruction.variable) & named) != 0);
        require(instruction.wait == Wait::none || instruction.other < size);
        break;
      case Instruction::Kind::split: require(instruction.next < size && instruction.other < size); break;
      case Instruction::Kind::pass: require(instruction.next < size); break;
      default: break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::string> variables{"a", "b", "small", "large", "A"};
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto syntax = parse_pattern(text, variables);
  if (!syntax) {
    check(syntax.error(), size);
    return 0;
  }
  const Variables named = named_variables(*syntax);
  require(named != 0 && (named >> variables.size()) == 0);
  require((matched_variables(*syntax) & ~named) == 0);
  static_cast<void>(is_open_ended(*syntax));
  if (const auto program = compile_pattern(*syntax)) {
    require(!can_be_empty(*syntax));
    check(*program, named);
  } else {
    check(program.error(), size);
  }
  return 0;
}
