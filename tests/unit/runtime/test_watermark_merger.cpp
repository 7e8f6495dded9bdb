#include <doctest/doctest.h>

#include "libdataflow/runtime/watermark_merger.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

TEST_CASE("time stands still until every channel has spoken") {
  WatermarkMerger merger{2};
  CHECK_FALSE(merger.advance(0, Timestamp{10s}).watermark);
  CHECK(merger.advance(1, Timestamp{5s}).watermark == Timestamp{5s});
}

TEST_CASE("the slowest channel decides, and no watermark goes back") {
  WatermarkMerger merger{2};
  merger.advance(0, Timestamp{10s});
  merger.advance(1, Timestamp{20s});
  CHECK(merger.merged() == Timestamp{10s});
  CHECK_FALSE(merger.advance(0, Timestamp{7s}).watermark);
  CHECK(merger.merged() == Timestamp{10s});
  CHECK(merger.advance(0, Timestamp{30s}).watermark == Timestamp{20s});
}

TEST_CASE("an idle channel holds nothing back while another speaks") {
  WatermarkMerger merger{2};
  merger.advance(0, Timestamp{10s});
  const auto change = merger.set_idle(1, true);
  CHECK(change.watermark == Timestamp{10s});
  CHECK_FALSE(change.idle);
}

TEST_CASE("when all channels are idle the whole is idle and time stands still") {
  WatermarkMerger merger{2};
  merger.advance(0, Timestamp{10s});
  merger.set_idle(1, true);
  const auto change = merger.set_idle(0, true);
  CHECK(change.idle == true);
  CHECK_FALSE(change.watermark);
  const auto awake = merger.advance(0, Timestamp{11s});
  CHECK(awake.idle == false);
  CHECK(awake.watermark == Timestamp{11s});
}

TEST_CASE("a channel that comes back behind the merged watermark does not turn time back") {
  WatermarkMerger merger{2};
  merger.set_idle(1, true);
  merger.advance(0, Timestamp{10s});
  merger.advance(1, Timestamp{3s});
  CHECK(merger.merged() == Timestamp{10s});
  CHECK_FALSE(merger.advance(0, Timestamp{12s}).watermark);
  CHECK(merger.advance(1, Timestamp{11s}).watermark == Timestamp{11s});
}

TEST_CASE("a finished channel holds nothing back") {
  WatermarkMerger merger{2};
  merger.advance(0, Timestamp{10s});
  CHECK(merger.finish(1).watermark == Timestamp{10s});
}
