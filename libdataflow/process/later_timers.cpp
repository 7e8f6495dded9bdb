#include "libdataflow/process/later_timers.hpp"

#include "dataflow/codec.hpp"
#include "libdataflow/state/store_key.hpp"

namespace dataflow {

LaterTimer LaterTimer::read(std::string_view key, std::string_view value) {
  LaterTimer timer;
  timer.time = Timestamp{get_ordered_signed(key)};
  ByteReader in{value};
  timer.key_group = in.fixed<std::uint16_t>();
  timer.integer = in.fixed<std::int64_t>();
  timer.text = in.text();
  timer.name = in.rest();
  return timer;
}

/// In the order in which timers fire: by time, key, name.
void LaterTimers::encode(Timestamp time, std::uint32_t slot, std::string_view name) {
  key_.clear();
  put_ordered_signed(key_, time.micros);
  if (shape_ == KeyShape::integer) {
    put_ordered_signed(key_, keys_.integer(slot));
  } else {
    put_ordered_text(key_, keys_.text(slot));
  }
  key_ += name;
}

bool LaterTimers::takes(Timestamp time, std::uint32_t slot, std::string_view name) {
  if (!any()) return false;
  if (const Timestamp first{get_ordered_signed(entries_.horizon())}; time != first) return time > first;
  encode(time, slot, name);
  return entries_.takes(key_);
}

void LaterTimers::put(Timestamp time, std::uint32_t slot, std::uint16_t key_group, std::string_view name) {
  encode(time, slot, name);
  value_.clear();
  put_fixed(value_, key_group);
  const bool integer = shape_ == KeyShape::integer;
  put_fixed(value_, integer ? keys_.integer(slot) : std::int64_t{0});
  put_text(value_, integer ? std::string_view{} : keys_.text(slot));
  value_ += name;
  entries_.put(key_, value_);
}

void LaterTimers::erase(Timestamp time, std::uint32_t slot, std::string_view name) {
  encode(time, slot, name);
  entries_.erase(key_);
}

Status LaterTimers::set_horizon(Timestamp time, std::uint32_t slot, std::string_view name) {
  encode(time, slot, name);
  return entries_.set_horizon(key_);
}

}  // namespace dataflow
