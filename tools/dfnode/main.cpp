// dfnode: the one binary of dataflow.

#include "tools/dfnode/command.hpp"

int main(int argc, char** argv) {
  return dataflow::cli::run_command_line(argc, argv);
}
