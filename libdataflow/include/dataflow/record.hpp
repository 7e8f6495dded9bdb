#pragma once
// Records: plain structs whose members are a stream's fields.
//
//     struct Payment { std::string card; double amount; df::Timestamp time; std::optional<std::string> note; };
//     DATAFLOW_RECORD(Payment, card, amount, time, note)
//
// The macro stands in the struct's namespace and is found by argument-dependent lookup. It only names the members;
// schema, reading and writing are compiled from their types. A plain field type (a string, a number) is a record with
// the single field "value".

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "dataflow/for_each_argument.hpp"
#include "dataflow/rows.hpp"
#include "dataflow/types.hpp"
#include "serialization/schema.hpp"

/// Declares the members of a struct as the fields of a record, at namespace scope beside the struct.
#define DATAFLOW_RECORD(Type, ...)                                                                \
  DATAFLOW_FOR_EACH_(DATAFLOW_CHECK_MEMBER_, Type, __VA_ARGS__)                                   \
  template <class DataflowVisitor>                                                                \
  [[gnu::always_inline]] constexpr void dataflow_visit_members([[maybe_unused]] const Type* type, \
                                                               DataflowVisitor&& visit) {         \
    DATAFLOW_FOR_EACH_(DATAFLOW_VISIT_MEMBER_, Type, __VA_ARGS__)                                 \
  }                                                                                               \
  [[maybe_unused]] constexpr std::string_view dataflow_record_name(const Type*) {                 \
    return #Type;                                                                                 \
  }

#define DATAFLOW_VISIT_MEMBER_(Type, member) visit(#member, &Type::member);
#define DATAFLOW_CHECK_MEMBER_(Type, member)                                                               \
  static_assert(::dataflow::is_field<decltype(Type::member)>,                                              \
                "the type of " #Type "::" #member                                                          \
                " cannot be a field of a record. Fields are bool, int32_t, int64_t, double, std::string, " \
                "std::string_view (for reading only), dataflow::Bytes, dataflow::Timestamp, "              \
                "dataflow::Decimal<P, S>, enums declared with DATAFLOW_ENUM, and std::optional of these (nullable)");

/// Names the enumerators of an enum (`DATAFLOW_ENUM(Color, red, green)`), at namespace scope beside it. Its values
/// travel as these names.
#define DATAFLOW_ENUM(Type, ...)                                                                                    \
  [[maybe_unused]] constexpr auto dataflow_enum_names(const Type*) {                                                \
    return std::to_array<::dataflow::EnumName<Type>>({DATAFLOW_FOR_EACH_(DATAFLOW_ENUM_NAME_, Type, __VA_ARGS__)}); \
  }
#define DATAFLOW_ENUM_NAME_(Type, enumerator) {Type::enumerator, #enumerator},

namespace dataflow {

template <class E>
struct EnumName {
  E value;
  std::string_view name;
};

struct AnyVisitor {
  template <class... Args>
  constexpr void operator()(Args&&...) const {}
};

/// A struct declared with DATAFLOW_RECORD.
template <class T>
concept RecordStruct = requires(const T* type) {
  dataflow_visit_members(type, AnyVisitor{});
};

template <class T>
concept NamedEnum = std::is_enum_v<T> && requires(const T* type) {
  dataflow_enum_names(type);
};

/// How a member of type M is a field: its type, and how one row of it is read and written. Rows are written to a
/// RowBuffer or to what stands in for it in a loop.
template <class M>
struct FieldTraits {
  static constexpr bool known = false;
  static constexpr bool optional = false;
  static constexpr bool owning = true;
  static DataType type() { return TypeKind::bytes; }
  static void read(const ColumnView&, std::size_t, M&) {}
  template <class Rows>
  static void write(Rows&, std::byte* const*, std::size_t, std::uint32_t, const M&) {}
};

/// A field kept as one value of `Stored` in a column.
template <class M, class Stored, TypeKind Kind>
struct FixedField {
  static constexpr bool known = true;
  static constexpr bool optional = false;
  static constexpr bool owning = true;
  using stored_type = Stored;
  static DataType type() { return Kind; }
  static void read(const ColumnView& column, std::size_t row, M& out) {
    out = static_cast<M>(column.fixed<Stored>(row));
  }
  template <class Rows>
  static void write(Rows&, std::byte* const* at, std::size_t column, std::uint32_t row, const M& value) {
    reinterpret_cast<Stored*>(at[column])[row] = static_cast<Stored>(value);
  }
};

template <>
struct FieldTraits<bool> : FixedField<bool, std::uint8_t, TypeKind::boolean> {};
template <>
struct FieldTraits<std::int32_t> : FixedField<std::int32_t, std::int32_t, TypeKind::int32> {};
template <>
struct FieldTraits<long> : FixedField<long, std::int64_t, TypeKind::int64> {};
template <>
struct FieldTraits<long long> : FixedField<long long, std::int64_t, TypeKind::int64> {};
template <>
struct FieldTraits<double> : FixedField<double, double, TypeKind::float64> {};

template <>
struct FieldTraits<Timestamp> : FixedField<Timestamp, std::int64_t, TypeKind::timestamp> {
  template <class Rows>
  static void write(Rows&, std::byte* const* at, std::size_t column, std::uint32_t row, Timestamp value) {
    reinterpret_cast<std::int64_t*>(at[column])[row] = value.micros;
  }
};

template <int P, int S>
struct FieldTraits<Decimal<P, S>> : FixedField<Decimal<P, S>, std::int64_t, TypeKind::decimal> {
  static DataType type() { return DataType::decimal(P, S); }
  static void read(const ColumnView& column, std::size_t row, Decimal<P, S>& out) {
    out = Decimal<P, S>::from_unscaled(column.fixed<std::int64_t>(row));
  }
  template <class Rows>
  static void write(Rows&, std::byte* const* at, std::size_t column, std::uint32_t row, Decimal<P, S> value) {
    reinterpret_cast<std::int64_t*>(at[column])[row] = value.unscaled();
  }
};

template <>
struct FieldTraits<std::string> {
  static constexpr bool known = true;
  static constexpr bool optional = false;
  static constexpr bool owning = true;
  static DataType type() { return TypeKind::string; }
  static void read(const ColumnView& column, std::size_t row, std::string& out) {
    const std::string_view text = column.text(row);
    if (out.size() < text.size()) {
      out.assign(text);
      return;
    }
    // Without a call; for texts of one length, as keys often are, nothing but the bytes changes.
    if (out.size() > text.size()) [[unlikely]]
      out.resize(text.size());
    copy_text(out.data(), text.data(), text.size());
  }
  template <class Rows>
  [[gnu::always_inline]] static void write(Rows& rows, std::byte* const* at, std::size_t column, std::uint32_t row,
                                           std::string_view value) {
    reinterpret_cast<std::uint32_t*>(at[column])[row + 1] = rows.append_text(column, value);
  }
};

/// Reads without copying; valid while the record passes through.
template <>
struct FieldTraits<std::string_view> : FieldTraits<std::string> {
  static constexpr bool owning = false;
  static void read(const ColumnView& column, std::size_t row, std::string_view& out) { out = column.text(row); }
};

template <>
struct FieldTraits<Bytes> {
  static constexpr bool known = true;
  static constexpr bool optional = false;
  static constexpr bool owning = true;
  static DataType type() { return TypeKind::bytes; }
  static void read(const ColumnView& column, std::size_t row, Bytes& out) { out.data.assign(column.text(row)); }
  template <class Rows>
  static void write(Rows& rows, std::byte* const* at, std::size_t column, std::uint32_t row, const Bytes& value) {
    FieldTraits<std::string>::write(rows, at, column, row, value.data);
  }
};

/// Errors of names that no enumerator has: out of line, so that the loop stays small.
[[noreturn]] void throw_unknown_enumerator(std::string_view name);

template <NamedEnum E>
[[nodiscard]] constexpr std::string_view enum_name(E value) {
  for (const auto& entry : dataflow_enum_names(static_cast<const E*>(nullptr))) {
    if (entry.value == value) return entry.name;
  }
  return {};
}

template <NamedEnum E>
[[nodiscard]] constexpr E enum_value(std::string_view name) {
  for (const auto& entry : dataflow_enum_names(static_cast<const E*>(nullptr))) {
    if (entry.name == name) return entry.value;
  }
  throw_unknown_enumerator(name);
}

template <NamedEnum E>
struct FieldTraits<E> {
  static constexpr bool known = true;
  static constexpr bool optional = false;
  static constexpr bool owning = true;
  static DataType type() { return TypeKind::string; }
  static void read(const ColumnView& column, std::size_t row, E& out) { out = enum_value<E>(column.text(row)); }
  template <class Rows>
  static void write(Rows& rows, std::byte* const* at, std::size_t column, std::uint32_t row, E value) {
    FieldTraits<std::string>::write(rows, at, column, row, enum_name(value));
  }
};

template <class M>
struct FieldTraits<std::optional<M>> {
  static constexpr bool known = FieldTraits<M>::known && !FieldTraits<M>::optional;
  static constexpr bool optional = true;
  static constexpr bool owning = FieldTraits<M>::owning;
  static DataType type() { return FieldTraits<M>::type(); }
  static void read(const ColumnView& column, std::size_t row, std::optional<M>& out) {
    if (column.is_null(row)) {
      out.reset();
    } else {
      if (!out) out.emplace();
      FieldTraits<M>::read(column, row, *out);
    }
  }
  template <class Rows>
  [[gnu::always_inline]] static void write(Rows& rows, std::byte* const* at, std::size_t column, std::uint32_t row,
                                           const std::optional<M>& value) {
    if (value) {
      FieldTraits<M>::write(rows, at, column, row, *value);
    } else {
      rows.put_null(column, row);
    }
  }
};

template <class M>
inline constexpr bool is_field = FieldTraits<M>::known;

template <class T>
inline constexpr bool is_record = RecordStruct<T> || is_field<T>;

/// Calls `visit(name, static_cast<const M*>(nullptr))` for each field.
template <class T, class Visit>
constexpr void for_each_field_type(Visit&& visit) {
  if constexpr (RecordStruct<T>) {
    dataflow_visit_members(static_cast<const T*>(nullptr), [&]<class M>(std::string_view name, M T::*) {
      visit(name, static_cast<const M*>(nullptr));
    });
  } else {
    visit(std::string_view{"value"}, static_cast<const T*>(nullptr));
  }
}

/// Calls `visit(field)` with each field of a row, in order.
template <class T, class Row, class Visit>
[[gnu::always_inline]] constexpr void for_each_field(Row& row, Visit&& visit) {
  if constexpr (RecordStruct<T>) {
    dataflow_visit_members(
        static_cast<const T*>(nullptr), [&](std::string_view, auto member)
                                            __attribute__((always_inline)) { visit(row.*member); });
  } else {
    visit(row);
  }
}

template <class T>
constexpr std::size_t count_fields() {
  std::size_t n = 0;
  for_each_field_type<T>([&](std::string_view, auto*) { ++n; });
  return n;
}
template <class T>
inline constexpr std::size_t field_count = count_fields<T>();

/// Whether every field keeps its own bytes, so that a record may outlive its batch.
template <class T>
constexpr bool fields_own() {
  bool owning = true;
  for_each_field_type<T>([&]<class M>(std::string_view, const M*) { owning = owning && FieldTraits<M>::owning; });
  return owning;
}

template <class T>
constexpr std::string_view record_name() {
  if constexpr (RecordStruct<T>) {
    return dataflow_record_name(static_cast<const T*>(nullptr));
  } else {
    return "value";
  }
}

/// What is the same for all readers of T.
struct RecordInfo {
  std::string_view name;
  SchemaPtr schema;
  std::vector<MemberUse> fields;
};

template <class T>
constexpr void require_record() {
  static_assert(is_record<T>,
                "the records of a stream are structs declared with DATAFLOW_RECORD(Type, members...), in the "
                "namespace of the struct, or single values of a field's type");
  static_assert(std::is_default_constructible_v<T>, "a record must be default-constructible");
}

template <class T>
const RecordInfo& record_info() {
  require_record<T>();
  static const RecordInfo info = [] {
    RecordInfo made{record_name<T>(), nullptr, {}};
    std::vector<Field> fields;
    for_each_field_type<T>([&]<class M>(std::string_view name, const M*) {
      fields.push_back({std::string{name}, FieldTraits<M>::type()});
      made.fields.push_back({name, FieldTraits<M>::optional});
    });
    made.schema = make_schema(std::move(fields));
    return made;
  }();
  return info;
}

template <class T>
const SchemaPtr& schema_of() {
  return record_info<T>().schema;
}

/// The position of a member among the fields of its record; field_count when it is none of them.
template <class T, class M>
constexpr std::size_t member_index(M T::*member) {
  std::size_t found = field_count<T>;
  std::size_t i = 0;
  dataflow_visit_members(static_cast<const T*>(nullptr), [&]<class Other>(std::string_view, Other T::*other) {
    if constexpr (std::is_same_v<Other, M>) {
      if (other == member) found = i;
    }
    ++i;
  });
  return found;
}

/// Where the fields of a record lie in a stream's schema, which may have more of them and in another order.
/// Errors: invalid_argument naming the field that is missing or has another type.
Result<std::vector<std::uint16_t>> match_fields(const RecordInfo& record, const Schema& schema);

/// Reads rows of a batch as records. Bind it to each batch; a record read into again reuses its strings' memory.
template <class T>
class RowReader {
 public:
  /// For streams whose schema is the record's own.
  RowReader() : positions_(field_count<T>) {
    for (std::size_t i = 0; i < positions_.size(); ++i) positions_[i] = static_cast<std::uint16_t>(i);
  }
  /// With what match_fields found.
  explicit RowReader(std::vector<std::uint16_t> positions) : positions_{std::move(positions)} {}

  Status bind(const Batch& batch) {
    const RecordInfo& info = record_info<T>();
    return bind_columns(batch, info.fields, info.name, positions_, views_.data());
  }
  void read(std::uint32_t row, T& out) const { read_row(views_.data(), row, out); }
  /// The columns of the batch, to be kept in registers by a loop.
  [[nodiscard]] const std::array<ColumnView, field_count<T>>& views() const { return views_; }

  [[gnu::always_inline]] static void read_row(const ColumnView* views, std::size_t row, T& out) {
    std::size_t i = 0;
    for_each_field<T>(
        out, [&]<class M>(M & field) __attribute__((always_inline)) { FieldTraits<M>::read(views[i++], row, field); });
  }

 private:
  std::vector<std::uint16_t> positions_;
  std::array<ColumnView, field_count<T>> views_{};
};

/// Writes the fields of `record` as row `row` of `rows`, which has room for it.
template <class T>
void write_row(RowBuffer& rows, std::byte* const* at, std::uint32_t row, const T& record) {
  std::size_t i = 0;
  for_each_field<T>(record, [&]<class M>(const M& field) { FieldTraits<M>::write(rows, at, i++, row, field); });
}

/// Appends one record without ending its row.
template <class T>
void put_record(RowBuffer& rows, const T& record) {
  rows.begin_row();
  write_row(rows, rows.pointers(), rows.rows(), record);
}

/// The records as batches without event time, each of at most max_batch_rows.
template <class T>
std::vector<BatchPtr> to_batches(const std::vector<T>& records) {
  std::vector<BatchPtr> batches;
  RowBuffer rows{schema_of<T>()};
  for (const T& record : records) {
    put_record(rows, record);
    rows.end_row();
    if (rows.full()) batches.push_back(rows.finish());
  }
  if (!rows.empty()) batches.push_back(rows.finish());
  return batches;
}

/// Appends the rows of a batch as records. Errors: as bind_columns and match_fields.
template <class T>
Status append_records(const Batch& batch, std::vector<T>& out) {
  auto positions = match_fields(record_info<T>(), *batch.schema());
  if (!positions) return fail(positions.error());
  RowReader<T> reader{std::move(*positions)};
  if (auto status = reader.bind(batch); !status) return status;
  for (std::uint32_t row = 0; row < batch.rows(); ++row) reader.read(row, out.emplace_back());
  return {};
}

/// The record as a JSON object; a plain value as it is.
template <class T>
std::string record_to_json(const T& record) {
  RowBuffer rows{schema_of<T>()};
  put_record(rows, record);
  rows.end_row();
  const BatchPtr batch = rows.finish();
  std::string json;
  if constexpr (RecordStruct<T>) {
    append_row_json(*batch, 0, json);
  } else {
    append_json(batch->column(0).type, batch->column(0).value(0), json);
  }
  return json;
}

/// Errors: invalid_argument naming the member that does not fit or is not there.
template <class T>
Status record_from_json(std::string_view json, T& out) {
  static_assert(fields_own<T>(),
                "what is read from JSON (a message, or its answer) owns its bytes: std::string, not "
                "std::string_view");
  auto batch = row_from_json(schema_of<T>(), json);
  if (!batch) return fail(batch.error());
  const RecordInfo& info = record_info<T>();
  if (auto status = require_members(**batch, info.fields, info.name); !status) return status;
  RowReader<T> reader;
  if (auto status = reader.bind(**batch); !status) return status;
  try {
    reader.read(0, out);
  } catch (...) {
    return fail(error_of_current_exception(**batch, 0));
  }
  return {};
}

}  // namespace dataflow
