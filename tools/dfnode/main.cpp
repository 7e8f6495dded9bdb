// dfnode: the one binary of dataflow.

#include "tools/dfnode/command.hpp"
#include "tools/dfnode/standard_streams.hpp"

int main(int argc, char** argv) {
  dataflow::cli::prepare_standard_streams();
  return dataflow::cli::finish_standard_output(dataflow::cli::run_command_line(argc, argv));
}
