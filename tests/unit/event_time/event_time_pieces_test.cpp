// Where a batch is cut, so that what is late does not depend on where batches end.
#include "libdataflow/operators/event_time_pieces.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/support/batches.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

std::size_t pieces_of(const std::vector<std::int64_t>& times) {
  static const SchemaPtr schema = make_schema({{"n", TypeKind::int64}});
  std::vector<Row> rows(times.size(), Row{Value{std::int64_t{0}}});
  EventTimePieces pieces{Duration{0}};
  pieces.add(make_batch(schema, rows, times));
  std::size_t count = 0;
  for (; !pieces.empty(); ++count) pieces.take();
  return count;
}

}  // namespace

TEST_CASE("a batch in the order of time stays whole, and one old record cuts it, wherever it stands") {
  for (std::size_t size = 2; size < 14; ++size) {
    std::vector<std::int64_t> times(size);
    std::iota(times.begin(), times.end(), 100);
    CHECK(pieces_of(times) == 1);
    for (std::size_t old = 1; old < size; ++old) {
      std::vector<std::int64_t> disordered = times;
      disordered[old] = 5;
      CHECK(pieces_of(disordered) == 2);
    }
  }
}
