// A program with a main of its own, whose job gives its arguments.
#include <dataflow/dataflow.hpp>

namespace df = dataflow;

int main(int argc, char** argv) {
  df::Environment env{argc, argv};
  env.from_collection<std::string>(env.args().all()).print();
  return env.execute("own_main");
}
