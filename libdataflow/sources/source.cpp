#include "libdataflow/sources/source.hpp"

namespace dataflow {

Status SourceReader::open(OperatorContext&) {
  return {};
}
Status SourceReader::close() {
  return {};
}

std::shared_ptr<const SourceFactory> SourceFactory::reading(const std::vector<bool>&) const {
  return nullptr;
}

SchemaPtr source_error_schema() {
  static const SchemaPtr schema =
      make_schema({{"raw", TypeKind::bytes}, {"error", TypeKind::string}, {"position", TypeKind::string}});
  return schema;
}

}  // namespace dataflow
