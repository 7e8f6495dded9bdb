// Whatever bytes a peer sends, decode refuses them or gives an envelope whose every cell can be read and which can be
// sent on. The first byte chooses the channel's schema.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

#include "serialization/envelope.hpp"
#include "serialization/schema_codec.hpp"

using namespace dataflow;

namespace {

SchemaPtr schema_of(std::uint8_t choice) {
  static const SchemaPtr schemas[] = {
      make_schema({{"id", TypeKind::int64}, {"name", TypeKind::string}}),
      make_schema({{"flag", TypeKind::boolean}, {"small", TypeKind::int32}, {"at", TypeKind::timestamp}}),
      make_schema({{"real", TypeKind::float64}, {"price", DataType::decimal(10, 2)}, {"raw", TypeKind::bytes}}),
      make_schema({}),
  };
  return schemas[choice % std::size(schemas)];
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // Memory of exactly this size, so that a sanitizer sees a read of one byte too many.
  const std::shared_ptr<std::uint8_t[]> memory{new std::uint8_t[size - 1]};
  std::copy(data + 1, data + size, memory.get());
  const Buffer words{memory, std::as_bytes(std::span{memory.get(), size - 1})};
  const SchemaPtr schema = schema_of(data[0]);

  DecodeLimits limits;
  limits.max_bytes = 1U << 20;
  limits.max_rows = 1U << 16;
  const auto envelope = decode(words, schema, limits);
  if (envelope) {
    if (const auto* batch = std::get_if<BatchPtr>(&(*envelope)->envelope())) {
      std::string json;
      for (std::size_t row = 0; row < (*batch)->rows(); ++row) append_row_json(**batch, row, json);
    }
    const auto again = decode(to_flat_words(*encode((*envelope)->envelope())), schema);
    require(again.has_value());
  }
  if (const auto read = decode_schema(words)) {
    const auto again = decode_schema(encode_schema(**read));
    require(again.has_value() && **again == **read);
  }
  return 0;
}
