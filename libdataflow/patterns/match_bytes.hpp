#pragma once
// Private to this folder.
//
// What there is of a key as bytes, for checkpoints and stores. They begin with a version. Then come its rows, its
// chains, in which each entry refers to a row and to an entry in front of it by their numbers, the attempts, and the
// rows for `prev`.

#include <cstddef>
#include <string>
#include <string_view>

#include "libdataflow/patterns/matcher.hpp"

namespace dataflow::patterns {

/// Appends them.
void save_matches(const KeyMatches& matches, const MatchBuffer& buffer, std::string& out);
/// Into empty matches; `places`: of the program. False when the bytes are damaged.
bool load_matches(std::string_view saved, std::size_t places, MatchBuffer& buffer, KeyMatches& matches);
/// Gives back all that a key uses.
void forget_matches(KeyMatches& matches, MatchBuffer& buffer);

}  // namespace dataflow::patterns
