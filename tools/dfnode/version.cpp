#include "tools/dfnode/version.hpp"

#include "dataflow/version.hpp"

namespace dataflow::cli {

std::string_view version() {
  return DATAFLOW_VERSION;
}

}  // namespace dataflow::cli
