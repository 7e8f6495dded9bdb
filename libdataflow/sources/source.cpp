#include "libdataflow/sources/source.hpp"

namespace dataflow {

Status SourceReader::open(OperatorContext&) {
  return {};
}
Status SourceReader::close() {
  return {};
}
RecordPlace SourceReader::place_of(std::uint32_t) {
  return {position()};
}

Result<std::string> SourceReader::split_position() const {
  return fail(ErrorCode::unsupported, "this source cannot say where it stands, so there are no checkpoints of it");
}
Status SourceReader::resume_split(const Split& split, std::string_view) {
  return fail(ErrorCode::unsupported, "this source cannot go on within \"" + split.id + "\"");
}

Result<std::string> SplitEnumerator::snapshot() const {
  return fail(ErrorCode::unsupported, "this source cannot say what is left of it, so there are no checkpoints of it");
}
Status SplitEnumerator::restore(std::string_view) {
  return fail(ErrorCode::unsupported, "this source cannot go on from a checkpoint");
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
