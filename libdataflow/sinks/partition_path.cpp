#include "libdataflow/sinks/partition_path.hpp"

#include "libdataflow/sinks/output_folder.hpp"
#include "serialization/time.hpp"
#include "serialization/value.hpp"

namespace dataflow {

namespace {

void append_value(const Column& column, std::uint32_t row, std::string& out) {
  if (column.is_null(row)) {
    out += "__HIVE_DEFAULT_PARTITION__";
  } else if (column.type.is_variable_width()) {
    out += escape_name(column.text(row));
  } else if (column.type.kind() == TypeKind::timestamp) {
    out += escape_name(to_iso8601(Timestamp{column.as<std::int64_t>()[row]}));
  } else {
    out += escape_name(to_json(column.type, column.value(row)));
  }
}

}  // namespace

std::map<std::string, std::vector<std::uint32_t>> rows_by_partition(const Batch& batch,
                                                                    const std::vector<std::size_t>& fields) {
  std::map<std::string, std::vector<std::uint32_t>> partitions;
  std::vector<std::string> names;
  for (const std::size_t field : fields) names.push_back(escape_name((*batch.schema())[field].name) + "=");
  std::string path;
  for (std::uint32_t row = 0; row < batch.rows(); ++row) {
    path.clear();
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (i != 0) path += '/';
      path += names[i];
      append_value(batch.column(fields[i]), row, path);
    }
    partitions[path].push_back(row);
  }
  return partitions;
}

}  // namespace dataflow
