#include "libdataflow/expressions/choose.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "libdataflow/expressions/rowwise.hpp"

namespace dataflow::expr {

namespace {

/// Which of the sources a row takes.
using Choices = std::vector<std::uint16_t>;
constexpr std::uint16_t undecided = std::numeric_limits<std::uint16_t>::max();
constexpr std::uint16_t poisoned = undecided - 1;

/// The values to choose from; those that no row chose have no column.
struct Sources {
  Type type;
  std::vector<Vector> vectors;
};

template <class T>
void blend_fixed(const Sources& sources, const Choices& choices, GrowingBuffer& out) {
  const auto rows = static_cast<std::uint32_t>(choices.size());
  out.resize(rows * sizeof(T));
  auto* values = out.as<T>();
  std::fill_n(values, rows, T{});
  for (std::size_t source = 0; source < sources.vectors.size(); ++source) {
    if (!sources.vectors[source].column) continue;
    const Reader<T> from{sources.vectors[source]};
    for (std::uint32_t row = 0; row < rows; ++row) {
      if (choices[row] == source) values[row] = from[row];
    }
  }
}

void blend_text(const Sources& sources, const Choices& choices, Column& column) {
  std::vector<std::optional<Reader<std::string_view>>> readers(sources.vectors.size());
  for (std::size_t i = 0; i < readers.size(); ++i) {
    if (sources.vectors[i].column) readers[i].emplace(sources.vectors[i]);
  }
  GrowingBuffer bytes;
  GrowingBuffer offsets{(choices.size() + 1) * sizeof(std::uint32_t)};
  offsets.push(std::uint32_t{0});
  for (std::uint32_t row = 0; row < choices.size(); ++row) {
    if (choices[row] < readers.size() && !sources.vectors[choices[row]].is_null(row)) {
      const std::string_view text = (*readers[choices[row]])[row];
      bytes.append(text.data(), text.size());
    }
    offsets.push(static_cast<std::uint32_t>(bytes.size()));
  }
  column.values = bytes.freeze();
  column.offsets = offsets.freeze();
}

/// Each row from its source; poisoned and undecided rows are NULL. Adds the errors of what was chosen to `errors`.
Vector blend(const Sources& sources, const Choices& choices, std::vector<RowError> errors) {
  Column column;
  column.type = storage_type(sources.type);
  column.rows = static_cast<std::uint32_t>(choices.size());
  GrowingBuffer values;
  switch (column.type.width()) {
    case 1: blend_fixed<std::uint8_t>(sources, choices, values); break;
    case 4: blend_fixed<std::int32_t>(sources, choices, values); break;
    case 8: blend_fixed<std::int64_t>(sources, choices, values); break;  // copies the bits of doubles
    default: blend_text(sources, choices, column);
  }
  if (column.type.width() != 0) column.values = values.freeze();
  GrowingBuffer valid = full_bitmap(choices.size(), true);
  bool nulls = false;
  for (std::uint32_t row = 0; row < choices.size(); ++row) {
    if (choices[row] >= sources.vectors.size() || sources.vectors[choices[row]].is_null(row)) {
      clear_bit(valid.as<std::uint8_t>(), row);
      nulls = true;
    }
  }
  if (nulls) column.validity = valid.freeze();
  for (std::uint32_t source = 0; source < sources.vectors.size(); ++source) {
    std::vector<RowError> chosen = sources.vectors[source].errors;
    std::erase_if(chosen, [&](const RowError& e) { return choices[e.row] != source; });
    errors = merge_errors(std::move(errors), std::move(chosen));
  }
  return {std::make_shared<const Column>(std::move(column)), false, std::move(errors)};
}

bool chosen(const Choices& choices, std::uint16_t source) {
  return std::find(choices.begin(), choices.end(), source) != choices.end();
}

/// The rows that take this source, as a bitmap; empty when nearly all do, and leaving the others out costs more.
Buffer rows_of(const Choices& choices, std::uint16_t source) {
  const auto count = static_cast<std::size_t>(std::count(choices.begin(), choices.end(), source));
  if (count * 8 > choices.size() * 7) return {};
  GrowingBuffer bits;
  bits.resize(bitmap_bytes(choices.size()));
  auto* bytes = bits.as<std::uint8_t>();
  std::memset(bytes, 0, bits.size());
  for (std::size_t row = 0; row < choices.size(); ++row) {
    bytes[row >> 3] |= static_cast<std::uint8_t>((choices[row] == source ? 1U : 0U) << (row & 7));
  }
  return bits.freeze();
}

}  // namespace

Vector CaseNode::evaluate(Frame& frame) const {
  Choices choices(frame.rows, undecided);
  std::vector<RowError> errors;
  std::size_t open = frame.rows;
  std::uint16_t branch = 0;
  for (; branch < branches_.size() && open != 0; ++branch) {
    Vector when = branches_[branch].when->evaluate(frame);
    std::erase_if(when.errors, [&](const RowError& e) { return choices[e.row] != undecided; });
    for (const RowError& error : when.errors) choices[error.row] = poisoned;
    open -= when.errors.size();
    errors = merge_errors(std::move(errors), std::move(when.errors));
    const Reader<bool> condition{when};
    for (std::uint32_t row = 0; row < frame.rows; ++row) {
      if (choices[row] == undecided && condition[row] && !when.is_null(row)) {
        choices[row] = branch;
        --open;
      }
    }
  }
  const auto last = static_cast<std::uint16_t>(branches_.size());
  std::replace(choices.begin(), choices.end(), undecided, last);
  Sources sources{type(), std::vector<Vector>(branches_.size() + 1)};
  for (std::uint16_t i = 0; i <= last; ++i) {
    if (!chosen(choices, i)) continue;
    const NodePtr& value = i == last ? otherwise_ : branches_[i].then;
    if (value->constant() != nullptr || value->field()) {
      sources.vectors[i] = value->evaluate(frame);
      continue;
    }
    // Only for the rows that take it: it may be a regular expression.
    const Buffer outer = std::exchange(frame.wanted, both_valid(frame.wanted, rows_of(choices, i), frame.rows));
    sources.vectors[i] = value->evaluate(frame);
    frame.wanted = outer;
  }
  return blend(sources, choices, std::move(errors));
}

Vector CoalesceNode::evaluate(Frame& frame) const {
  Choices choices(frame.rows, undecided);
  Sources sources{type(), {}};
  for (std::uint32_t i = 0; i < arguments_.size(); ++i) {
    if (!chosen(choices, undecided)) break;
    sources.vectors.push_back(arguments_[i]->evaluate(frame));
    const Vector& value = sources.vectors.back();
    if (i == 0 && (value.constant ? !value.is_null_constant() : !value.column->has_nulls())) {
      return std::move(sources.vectors.front());
    }
    for (const RowError& error : value.errors) {
      if (choices[error.row] == undecided) choices[error.row] = i;
    }
    for (std::uint32_t row = 0; row < frame.rows; ++row) {
      if (choices[row] == undecided && !value.is_null(row)) choices[row] = i;
    }
  }
  return blend(sources, choices, {});
}

Vector LetNode::evaluate(Frame& frame) const {
  frame.locals.push_back(value_->evaluate(frame));
  Vector result = body_->evaluate(frame);
  frame.locals.pop_back();
  return result;
}

}  // namespace dataflow::expr
