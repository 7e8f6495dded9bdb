#include "serialization/schema_codec.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <unordered_set>

#include "serialization/envelope.capnp.h"
#include "serialization/envelope.hpp"

namespace dataflow {
namespace {

constexpr unsigned most_fields = 65'536;
constexpr int deepest_nesting = 16;  // Cap'n Proto's own limit is 64 pointers, of which a level here takes four

void write_type(wire::DataType::Builder to, const DataType& type);

void write_fields(capnp::List<wire::Field>::Builder to, const std::vector<Field>& fields) {
  for (unsigned i = 0; i < to.size(); ++i) {
    to[i].setName(capnp::Text::Reader{fields[i].name.c_str(), fields[i].name.size()});
    write_type(to[i].initType(), fields[i].type);
  }
}

void write_type(wire::DataType::Builder to, const DataType& type) {
  to.setKind(static_cast<wire::TypeKind>(type.kind()));
  to.setPrecision(type.precision());
  to.setScale(type.scale());
  if (type.is_nested()) write_fields(to.initChildren(static_cast<unsigned>(type.children().size())), type.children());
}

tl::unexpected<Error> bad_schema(std::string what) {
  return malformed("schema: " + std::move(what));
}

Result<DataType> read_type(wire::DataType::Reader from, unsigned& fields_left, int depth);

Result<std::vector<Field>> read_fields(capnp::List<wire::Field>::Reader from, unsigned& fields_left, int depth) {
  if (depth > deepest_nesting) return bad_schema("its types are nested too deeply");
  if (from.size() > fields_left) return bad_schema("it has more than " + std::to_string(most_fields) + " fields");
  fields_left -= from.size();
  std::vector<Field> fields;
  std::unordered_set<std::string> names;
  fields.reserve(from.size());
  for (const auto field : from) {
    const auto text = field.getName();
    std::string name{text.begin(), text.size()};
    if (name.empty()) return bad_schema("a field has no name");
    if (!names.insert(name).second) return bad_schema("it names the field '" + name + "' twice");
    Result<DataType> type = read_type(field.getType(), fields_left, depth);
    if (!type) return fail(type.error());
    fields.push_back({std::move(name), std::move(*type)});
  }
  return fields;
}

Result<DataType> read_type(wire::DataType::Reader from, unsigned& fields_left, int depth) {
  const auto number = static_cast<unsigned>(from.getKind());
  if (number > static_cast<unsigned>(TypeKind::row)) return bad_schema("it has a type that this program does not know");
  const auto kind = static_cast<TypeKind>(number);
  if (kind == TypeKind::decimal) {
    if (from.getPrecision() < 1 || from.getPrecision() > 18 || from.getScale() > from.getPrecision())
      return bad_schema("a decimal's precision is not within 1 to 18, or its scale exceeds it");
    return DataType::decimal(from.getPrecision(), from.getScale());
  }
  if (!DataType{kind}.is_nested()) return DataType{kind};
  Result<std::vector<Field>> children = read_fields(from.getChildren(), fields_left, depth + 1);
  if (!children) return fail(children.error());
  const std::size_t due = kind == TypeKind::map ? 2 : 1;
  if (kind != TypeKind::row && children->size() != due) return bad_schema("an array or map has too many or few types");
  return DataType::nested(kind, std::move(*children));
}

}  // namespace

Buffer encode_schema(const Schema& schema) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::Schema>();
  root.setVersion(envelope_format_version);
  write_fields(root.initFields(static_cast<unsigned>(schema.size())), schema.fields());
  const auto words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  GrowingBuffer out;
  out.append(bytes.begin(), bytes.size());
  return out.freeze();
}

Result<SchemaPtr> decode_schema(const Buffer& words) {
  // A copy is aligned whatever the caller has, and a schema is small.
  GrowingBuffer copy;
  copy.append(words.data(), words.size());
  if (words.size() % sizeof(capnp::word) != 0) return bad_schema("its length is no multiple of 8 bytes");
  try {
    const kj::ArrayPtr<const capnp::word> array{copy.as<capnp::word>(), copy.size() / sizeof(capnp::word)};
    capnp::FlatArrayMessageReader reader{array};
    const auto root = reader.getRoot<wire::Schema>();
    if (root.getVersion() == 0 || root.getVersion() > envelope_format_version) {
      return bad_schema("its format version is " + std::to_string(root.getVersion()) + ", this program reads 1 to " +
                        std::to_string(envelope_format_version));
    }
    unsigned fields_left = most_fields;
    Result<std::vector<Field>> fields = read_fields(root.getFields(), fields_left, 0);
    if (!fields) return fail(fields.error());
    return make_schema(std::move(*fields));
  } catch (const kj::Exception& problem) {
    return bad_schema(problem.getDescription().cStr());
  }
}

}  // namespace dataflow
