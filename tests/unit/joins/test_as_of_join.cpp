// Joins as of a time: after Flink's example of orders in many currencies, with minutes for its times of day.
#include "tests/support/joining.hpp"

namespace dataflow {
namespace {

constexpr std::size_t orders = 0;
constexpr std::size_t rates = 1;
using namespace std::chrono_literals;
using testing_support::JoinBench;

const std::string order_fields = "id = \"string\", currency = \"string\", at = \"timestamp\"";
const std::string rate_fields = "currency = \"string\", rate = \"int64\", at = \"timestamp\"";
const std::string as_of = "on = \"left.currency = right.currency\"\nas_of = true\n";
const std::string with_rate = "fields = { id = \"id\", rate = \"rate\" }\n";

TEST_CASE("each order meets the rate that was valid at its time") {
  JoinBench join{as_of + with_rate, order_fields, rate_fields};
  join.push(rates, {{"USD", 102, 0min}, {"EUR", 114, 0min}, {"EUR", 119, 45min}, {"GBP", 0, 50min}});
  join.push(orders, {{"o2", "EUR", 60min}, {"o1", "EUR", 12min}, {"o3", "USD", 45min}, {"o4", "GBP", 49min}});
  CHECK(join.take().empty());
  join.watermark(90min);
  CHECK(join.take() == "o1 114 @720000000; o3 102 @2700000000; o2 119 @3600000000");
}

TEST_CASE("an order waits until time has passed it, since its version may still come") {
  JoinBench join{as_of + with_rate, order_fields, rate_fields};
  join.push(rates, {{"EUR", 1, 1us}});
  join.push(orders, {{"o", "EUR", 10us}});
  join.watermark(9us);
  CHECK(join.take().empty());
  join.push(rates, {{"EUR", 2, 10us}});
  CHECK(join.restore(3) == 3);
  join.watermark(10us);
  CHECK(join.take() == "o 2 @10");
}

TEST_CASE("an order without a version is dropped, or kept with NULL by a left join") {
  JoinBench left{as_of + with_rate + "kind = \"left\"\n", order_fields, rate_fields};
  left.push(orders, {{"o", "EUR", 10us}, {"n", nullptr, 12us}});
  left.push(rates, {{"EUR", 2, 11us}});
  left.watermark(20us);
  CHECK(left.take() == "n NULL @12; o NULL @10");  // no key: nothing can come that it would wait for
}

TEST_CASE("a version that is deleted is valid no more") {
  JoinBench join{"type = \"join\"\nleft = \"l\"\nright = \"r\"\nkind = \"left\"\n" + as_of + with_rate, order_fields,
                 rate_fields};
  join.push(rates, {{"EUR", 1, 1us}, {"EUR", 1, 5us}, {"EUR", 2, 5us}, {"EUR", 2, 8us}},
            {RowKind::insert, RowKind::update_before, RowKind::update_after, RowKind::remove});
  join.push(orders, {{"a", "EUR", 4us}, {"b", "EUR", 5us}, {"c", "EUR", 8us}});
  join.watermark(20us);
  CHECK(join.take() == "a 1 @4; b 2 @5; c NULL @8");
}

TEST_CASE("of two versions of one time the later one counts, and versions that are over are forgotten") {
  JoinBench join{as_of + with_rate, order_fields, rate_fields};
  join.push(rates, {{"EUR", 1, 0s}, {"EUR", 2, 1s}, {"EUR", 3, 2s}, {"EUR", 4, 2s}, {"USD", 9, 1s}});
  join.watermark(10s);
  CHECK(join.restore(1) == 2);  // EUR 4 and USD 9
  join.push(orders, {{"o", "EUR", 11s}});
  join.watermark(20s);
  CHECK(join.take() == "o 4 @11000000");
}

TEST_CASE("an order that is behind the watermark is dropped and counted; a late version counts from then on") {
  JoinBench join{as_of + with_rate, order_fields, rate_fields};
  join.watermark(10us);
  join.push(rates, {{"EUR", 1, 5us}});
  join.push(orders, {{"late", "EUR", 10us}, {"o", "EUR", 11us}});
  join.watermark(20us);
  CHECK(join.take() == "o 1 @11");
  CHECK(join.counted("late") == 1);
}

}  // namespace
}  // namespace dataflow
