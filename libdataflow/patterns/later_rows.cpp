#include "libdataflow/patterns/later_rows.hpp"

#include "libdataflow/state/store_key.hpp"

namespace dataflow::patterns {

namespace {

constexpr std::size_t rows_taken = 4096;

void put_position(Position position, std::string& key) {
  key.clear();
  put_ordered_signed(key, position.time);
  put_ordered(key, position.sequence);
}

}  // namespace

Position LaterRows::position(std::string_view key) {
  return {get_ordered_signed(key), get_ordered<std::uint64_t>(key.substr(sizeof(std::int64_t)))};
}

std::int64_t LaterRows::first_time() const {
  return get_ordered_signed(entries_.horizon());
}

Status LaterRows::set_horizon(Position position) {
  put_position(position, key_);
  return entries_.set_horizon(key_);
}

bool LaterRows::put(const Batch& batch, std::uint32_t row, Position position) {
  put_position(position, key_);
  put_ordered(key_, ++number_);
  if (!entries_.takes(key_)) return false;
  value_.clear();
  codec_.append(batch, row, value_);
  entries_.put(key_, value_);
  return true;
}

Result<LaterRows::Taken> LaterRows::take() {
  Taken taken;
  BatchBuilder rows{input_};
  const Status walked = entries_.take(rows_taken, [&](std::string_view key, std::string_view value) {
    const Position at = position(key);
    codec_.restore(value, rows);
    rows.end_row(Timestamp{at.time});
    taken.sequences.push_back(at.sequence);
  });
  if (!walked) return fail(walked.error());
  if (!rows.empty()) taken.batch = rows.finish();
  return taken;
}

}  // namespace dataflow::patterns
