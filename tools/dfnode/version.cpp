#include "tools/dfnode/version.hpp"

namespace dataflow::cli {

std::string_view version() {
  return DATAFLOW_VERSION;
}

}  // namespace dataflow::cli
