#pragma once
// Keys of groups as bytes that order as the keys do: what runs on disk and stores have instead of rows.

#include <cstdint>
#include <string>
#include <string_view>

#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::windows {

/// Appends the key's bytes: whether it is NULL, then a big-endian word, or a text in ordered form (see store_key.hpp).
/// No key's bytes are the beginning of another's.
void append_key_bytes(KeyForm form, const KeyRef& key, std::string& out);

/// What append_key_bytes wrote. A text that is not inline lies in `text`.
[[nodiscard]] KeyRef read_key_bytes(KeyForm form, std::string_view bytes, std::string& text);

/// The order of the bytes, without making them.
[[nodiscard]] bool key_before(KeyForm form, const KeyRef& a, const KeyRef& b);

/// Not above that of a key that comes later: what tells most keys apart without a look at where they lie.
[[nodiscard]] std::uint64_t key_prefix(KeyForm form, const KeyRef& key);

}  // namespace dataflow::windows
