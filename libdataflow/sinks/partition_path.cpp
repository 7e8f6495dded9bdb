#include "libdataflow/sinks/partition_path.hpp"

#include <xxhash.h>

#include <cstdio>

#include "libdataflow/sinks/output_folder.hpp"
#include "serialization/time.hpp"
#include "serialization/value.hpp"

namespace dataflow {

namespace {

/// No filesystem has names of more bytes.
constexpr std::size_t longest_name = 255;
constexpr std::size_t kept_of_longer_name = 200;

/// Of a name too long the beginning, as far as it has whole characters and whole escapes, and a hash that tells it from
/// others of that beginning. Rows find their folder again in the next run: neither may ever change.
void append_name(const std::string& name, std::string& out) {
  if (name.size() <= longest_name) {
    out += name;
    return;
  }
  std::size_t end = kept_of_longer_name;
  while ((static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  if (name[end - 1] == '%') end -= 1;
  if (name[end - 2] == '%') end -= 2;
  char hash[18];
  std::snprintf(hash, sizeof hash, "-%016llx", static_cast<unsigned long long>(XXH3_64bits(name.data(), name.size())));
  out.append(name, 0, end).append(hash);
}

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
  std::string name;
  for (std::uint32_t row = 0; row < batch.rows(); ++row) {
    path.clear();
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (i != 0) path += '/';
      name = names[i];
      append_value(batch.column(fields[i]), row, name);
      append_name(name, path);
    }
    partitions[path].push_back(row);
  }
  return partitions;
}

}  // namespace dataflow
