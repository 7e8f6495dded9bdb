#pragma once
// State as bytes: what a snapshot holds of a value. Little-endian numbers, lengths before text and lists, one byte
// before an optional; a record is its fields in order.

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "dataflow/record.hpp"

namespace dataflow {

/// Reads what a Codec wrote; after the first read beyond the end everything is zero and `ok` is false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_{bytes} {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return left_.empty(); }

  template <class V>
  V fixed() {
    V value{};
    const std::string_view bytes = take(sizeof(V));
    if (bytes.size() == sizeof(V)) std::memcpy(&value, bytes.data(), sizeof(V));
    return value;
  }
  std::string_view text() { return take(fixed<std::uint32_t>()); }
  std::string_view take(std::size_t count) {
    if (count > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  std::string_view rest() { return take(left_.size()); }
  void fail() { ok_ = false; }

 private:
  std::string_view left_;
  bool ok_ = true;
};

template <class V>
void put_fixed(std::string& out, V value) {
  char bytes[sizeof(V)];
  std::memcpy(bytes, &value, sizeof(V));
  out.append(bytes, sizeof(V));
}
inline void put_text(std::string& out, std::string_view text) {
  put_fixed(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

/// A record whose members are there for as long as it is, not only while their batch is.
template <class T>
constexpr bool is_owning_record() {
  if constexpr (RecordStruct<T>) {
    return fields_own<T>();
  } else {
    return false;
  }
}

/// Whether a T may be kept in state: it owns its bytes and can be written into a snapshot.
template <class T>
struct Codec {
  static constexpr bool known = is_owning_record<T>();
  static void encode(const T& value, std::string& out) {
    if constexpr (known) {
      for_each_field<T>(value, [&]<class M>(const M& field) { Codec<M>::encode(field, out); });
    }
  }
  static void decode(ByteReader& in, T& value) {
    if constexpr (known) {
      for_each_field<T>(value, [&]<class M>(M& field) { Codec<M>::decode(in, field); });
    }
  }
};

template <class T>
requires std::is_arithmetic_v<T> || std::is_same_v<T, Timestamp>
struct Codec<T> {
  static constexpr bool known = true;
  static void encode(const T& value, std::string& out) { put_fixed(out, value); }
  static void decode(ByteReader& in, T& value) { value = in.fixed<T>(); }
};

template <int P, int S>
struct Codec<Decimal<P, S>> {
  static constexpr bool known = true;
  static void encode(const Decimal<P, S>& value, std::string& out) { put_fixed(out, value.unscaled()); }
  static void decode(ByteReader& in, Decimal<P, S>& value) {
    value = Decimal<P, S>::from_unscaled(in.fixed<std::int64_t>());
  }
};

template <>
struct Codec<std::string> {
  static constexpr bool known = true;
  static void encode(const std::string& value, std::string& out) { put_text(out, value); }
  static void decode(ByteReader& in, std::string& value) { value = in.text(); }
};

template <>
struct Codec<Bytes> {
  static constexpr bool known = true;
  static void encode(const Bytes& value, std::string& out) { put_text(out, value.data); }
  static void decode(ByteReader& in, Bytes& value) { value.data = in.text(); }
};

template <NamedEnum E>
struct Codec<E> {
  static constexpr bool known = true;
  static void encode(E value, std::string& out) { put_text(out, enum_name(value)); }
  static void decode(ByteReader& in, E& value) {
    const std::string_view name = in.text();
    for (const auto& entry : dataflow_enum_names(static_cast<const E*>(nullptr))) {
      if (entry.name == name) {
        value = entry.value;
        return;
      }
    }
    in.fail();
  }
};

template <class T>
struct Codec<std::optional<T>> {
  static constexpr bool known = Codec<T>::known;
  static void encode(const std::optional<T>& value, std::string& out) {
    put_fixed(out, static_cast<std::uint8_t>(value.has_value()));
    if (value) Codec<T>::encode(*value, out);
  }
  static void decode(ByteReader& in, std::optional<T>& value) {
    value.reset();
    if (in.fixed<std::uint8_t>() != 0) Codec<T>::decode(in, value.emplace());
  }
};

template <class T>
struct Codec<std::vector<T>> {
  static constexpr bool known = Codec<T>::known;
  static void encode(const std::vector<T>& values, std::string& out) {
    put_fixed(out, static_cast<std::uint32_t>(values.size()));
    for (const T& value : values) Codec<T>::encode(value, out);
  }
  static void decode(ByteReader& in, std::vector<T>& values) {
    values.clear();
    for (std::uint32_t left = in.fixed<std::uint32_t>(); left != 0 && in.ok(); --left) {
      T value{};
      Codec<T>::decode(in, value);
      values.push_back(std::move(value));
    }
  }
};

template <class K, class V>
struct Codec<std::map<K, V>> {
  static constexpr bool known = Codec<K>::known && Codec<V>::known;
  static void encode(const std::map<K, V>& entries, std::string& out) {
    put_fixed(out, static_cast<std::uint32_t>(entries.size()));
    for (const auto& [key, value] : entries) {
      Codec<K>::encode(key, out);
      Codec<V>::encode(value, out);
    }
  }
  static void decode(ByteReader& in, std::map<K, V>& entries) {
    entries.clear();
    for (std::uint32_t left = in.fixed<std::uint32_t>(); left != 0 && in.ok(); --left) {
      K key{};
      Codec<K>::decode(in, key);
      Codec<V>::decode(in, entries[std::move(key)]);
    }
  }
};

template <class A, class B>
struct Codec<std::pair<A, B>> {
  static constexpr bool known = Codec<A>::known && Codec<B>::known;
  static void encode(const std::pair<A, B>& value, std::string& out) {
    Codec<A>::encode(value.first, out);
    Codec<B>::encode(value.second, out);
  }
  static void decode(ByteReader& in, std::pair<A, B>& value) {
    Codec<A>::decode(in, value.first);
    Codec<B>::decode(in, value.second);
  }
};

template <class A, class B>
struct Codec<std::variant<A, B>> {
  static constexpr bool known = Codec<A>::known && Codec<B>::known;
  static void encode(const std::variant<A, B>& value, std::string& out) {
    put_fixed(out, static_cast<std::uint8_t>(value.index()));
    if (const A* first = std::get_if<0>(&value)) {
      Codec<A>::encode(*first, out);
    } else {
      Codec<B>::encode(*std::get_if<1>(&value), out);
    }
  }
  static void decode(ByteReader& in, std::variant<A, B>& value) {
    switch (in.fixed<std::uint8_t>()) {
      case 0: return Codec<A>::decode(in, value.template emplace<0>());
      case 1: return Codec<B>::decode(in, value.template emplace<1>());
      default: in.fail();
    }
  }
};

/// What a Codec<T> writes, in words that are kept with a state, so that it can be read without the program: JSON, such
/// as "int64", {"list":"string"}, {"record":[["name","string"],["n",{"optional":"int32"}]]}. `null`: nobody else can.
template <class T>
struct StateType {
  static std::string text() {
    if constexpr (std::is_same_v<T, bool>) {
      return R"("bool")";
    } else if constexpr (std::is_floating_point_v<T>) {
      return "\"float" + std::to_string(8 * sizeof(T)) + "\"";
    } else if constexpr (std::is_integral_v<T>) {
      return (std::is_signed_v<T> ? "\"int" : "\"uint") + std::to_string(8 * sizeof(T)) + "\"";
    } else if constexpr (std::is_same_v<T, Timestamp>) {
      return R"("timestamp")";
    } else if constexpr (std::is_same_v<T, Bytes>) {
      return R"("bytes")";
    } else if constexpr (std::is_same_v<T, std::string> || std::is_enum_v<T>) {
      return R"("string")";
    } else if constexpr (RecordStruct<T>) {
      std::string fields;
      for_each_field_type<T>([&]<class M>(std::string_view name, const M*) {
        fields += fields.empty() ? "" : ",";
        (fields += "[\"").append(name) += "\"," + StateType<M>::text() + "]";
      });
      return "{\"record\":[" + fields + "]}";
    } else {
      return "null";
    }
  }
};
template <int P, int S>
struct StateType<Decimal<P, S>> {
  static std::string text() { return "{\"decimal\":[" + std::to_string(P) + "," + std::to_string(S) + "]}"; }
};
template <class T>
struct StateType<std::optional<T>> {
  static std::string text() { return "{\"optional\":" + StateType<T>::text() + "}"; }
};
template <class T>
struct StateType<std::vector<T>> {
  static std::string text() { return "{\"list\":" + StateType<T>::text() + "}"; }
};
template <class K, class V>
struct StateType<std::map<K, V>> {
  static std::string text() { return "{\"map\":[" + StateType<K>::text() + "," + StateType<V>::text() + "]}"; }
};
template <class A, class B>
struct StateType<std::pair<A, B>> {
  static std::string text() { return "{\"pair\":[" + StateType<A>::text() + "," + StateType<B>::text() + "]}"; }
};

/// Values as JSON, for those who ask a running operator.
template <class T>
std::string state_to_json(const T& value) {
  return record_to_json(value);
}
template <class T>
std::string state_to_json(const std::vector<T>& values) {
  std::string json = "[";
  for (const T& value : values) (json.size() > 1 ? json += "," : json) += state_to_json(value);
  return json += "]";
}
template <class K, class V>
std::string state_to_json(const std::map<K, V>& entries) {
  constexpr bool named = std::is_same_v<K, std::string> || std::is_enum_v<K>;
  std::string json{named ? "{" : "["};
  for (const auto& [key, value] : entries) {
    if (json.size() > 1) json += ",";
    json += named ? "" : "[";
    (json += state_to_json(key)) += named ? ":" : ",";
    (json += state_to_json(value)) += named ? "" : "]";
  }
  return json += named ? "}" : "]";
}

}  // namespace dataflow
