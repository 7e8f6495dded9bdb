// A C++ job whose nodes are in a topology file beside who submits it, which names a library of functions.
#include <dataflow/dataflow.hpp>

namespace df = dataflow;

void declare(df::Environment& env) {
  env.topology(env.args().get("part", "part.toml"));
}
DATAFLOW_JOB("embeds", declare)
