// Exceptions stop here: what a user's code throws becomes an Error that names the exception and the record.

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <typeinfo>

#include "dataflow/record.hpp"
#include "dataflow/rows.hpp"

namespace dataflow {

std::string readable_name(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name{abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                    std::free};
  return status == 0 ? name.get() : type.name();
}

namespace {

/// Content is cut where it would fill a terminal.
std::string describe(const Batch& batch, std::uint32_t row) {
  constexpr std::size_t longest = 300;
  std::string content;
  append_row_json(batch, row, content);
  if (content.size() > longest) content = content.substr(0, longest) + "...";
  std::string text = "at record " + content;
  if (batch.has_event_time()) text += " (event time " + to_iso8601(batch.timestamp(row)) + ")";
  return text;
}

Error error_of_current_exception_at(const std::string& where) {
  try {
    throw;
  } catch (const RecordError& error) {
    return {ErrorCode::malformed_data, std::string{error.what()} + ", " + where};
  } catch (const std::exception& error) {
    return {ErrorCode::user_code,
            "user code threw " + readable_name(typeid(error)) + ": " + error.what() + ", " + where};
  } catch (...) {
    const std::type_info* type = abi::__cxa_current_exception_type();
    return {ErrorCode::user_code,
            "user code threw a " + (type != nullptr ? readable_name(*type) : "foreign exception") + ", " + where};
  }
}

}  // namespace

Error error_of_current_exception(const Batch& batch, std::uint32_t row) {
  return error_of_current_exception_at(row < batch.rows() ? describe(batch, row) : "after the batch's last record");
}

Error error_of_current_exception(std::string_view where) {
  return error_of_current_exception_at(std::string{where});
}

void throw_unknown_enumerator(std::string_view name) {
  throw RecordError{"\"" + std::string{name} + "\" is no name of the enum that its member has"};
}

Result<std::vector<std::uint16_t>> match_fields(const RecordInfo& record, const Schema& schema) {
  std::vector<std::uint16_t> positions;
  for (const Field& field : record.schema->fields()) {
    const auto at = schema.find(field.name);
    const std::string what = "field \"" + field.name + "\" of " + std::string{record.name};
    if (!at) {
      return fail(ErrorCode::invalid_argument, what + " is not in the stream, which has " + to_string(schema));
    }
    if (!(schema[*at].type == field.type)) {
      return fail(ErrorCode::invalid_argument,
                  what + " is " + to_string(field.type) + ", but the stream has " + to_string(schema[*at].type));
    }
    positions.push_back(static_cast<std::uint16_t>(*at));
  }
  return positions;
}

}  // namespace dataflow
