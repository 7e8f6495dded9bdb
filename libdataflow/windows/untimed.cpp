#include "libdataflow/windows/untimed.hpp"

namespace dataflow::windows {

std::unique_ptr<Operator> make_untimed(const WindowSpec& spec, const SchemaPtr& input) {
  return spec.kind == WindowKind::count ? make_count_windows(spec, input) : make_global_windows(spec, input);
}

}  // namespace dataflow::windows
