#pragma once
// Which subfolder a row belongs to: `city=Basel/day=2024-01-01`, as Hive lays tables out.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "serialization/batch.hpp"

namespace dataflow {

/// The rows of a batch by subfolder, ordered by name. Values are escaped as in escape_name; a NULL is
/// `__HIVE_DEFAULT_PARTITION__`. A folder's name of more than 255 bytes is its first 200 or a few less, `-` and a hash
/// of the whole. With no fields, all rows belong to "".
std::map<std::string, std::vector<std::uint32_t>> rows_by_partition(const Batch& batch,
                                                                    const std::vector<std::size_t>& fields);

}  // namespace dataflow
