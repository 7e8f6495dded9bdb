// The process functions of Nexmark query 6 (q6.toml): what an auction was sold for, and what a seller's last ten
// auctions were sold for on average.

#include <algorithm>
#include <numeric>
#include <vector>

#include <dataflow/dataflow.hpp>

namespace df = dataflow;

namespace {

/// A bid that came while its auction was open.
struct ValidBid {
  std::int64_t auction = 0;
  std::int64_t seller = 0;
  std::int64_t price = 0;
  df::Timestamp expires;
};
DATAFLOW_RECORD(ValidBid, auction, seller, price, expires)

struct Sale {
  std::int64_t auction = 0;
  std::int64_t seller = 0;
  std::int64_t price = 0;
  df::Timestamp closed;
};
DATAFLOW_RECORD(Sale, auction, seller, price, closed)

struct SellerAverage {
  std::int64_t seller = 0;
  std::int64_t avg_price = 0;
};
DATAFLOW_RECORD(SellerAverage, seller, avg_price)

/// The highest bid of each auction, once it has closed.
class ClosingPrice : public df::KeyedProcess<std::int64_t, ValidBid, Sale> {
 public:
  void process(const ValidBid& bid, Context& ctx, df::Output<Sale>&) override {
    if (!highest_) ctx.on_event_time(bid.expires);
    if (!highest_ || bid.price > highest_->price) highest_ = Sale{bid.auction, bid.seller, bid.price, bid.expires};
  }

  void on_timer(df::Timestamp, Context&, df::Output<Sale>& out) override {
    out.emit(*highest_);
    highest_.clear();
  }

 private:
  df::ValueState<Sale> highest_{this, "highest"};
};

/// Auctions that closed come from several subtasks in any order: a timer puts them in the order in which they closed,
/// those that closed at the same time by their numbers.
class LastTenAverage : public df::KeyedProcess<std::int64_t, Sale, SellerAverage> {
 public:
  void process(const Sale& sale, Context& ctx, df::Output<SellerAverage>&) override {
    waiting_.update([&](std::vector<Sale>& sales) {
      sales.insert(std::upper_bound(sales.begin(), sales.end(), sale, closes_before), sale);
    });
    ctx.on_event_time(sale.closed);
  }

  void on_timer(df::Timestamp now, Context& ctx, df::Output<SellerAverage>& out) override {
    waiting_.update([&](std::vector<Sale>& sales) {
      const auto closed_end =
          std::find_if(sales.begin(), sales.end(), [&](const Sale& sale) { return sale.closed > now; });
      for (auto sale = sales.begin(); sale != closed_end; ++sale) out.emit({ctx.key(), average_with(sale->price)});
      sales.erase(sales.begin(), closed_end);
    });
  }

 private:
  static constexpr std::size_t auctions = 10;

  static bool closes_before(const Sale& a, const Sale& b) {
    return a.closed != b.closed ? a.closed < b.closed : a.auction < b.auction;
  }

  std::int64_t average_with(std::int64_t price) {
    last_.update([&](std::vector<std::int64_t>& prices) {
      if (prices.size() == auctions) prices.erase(prices.begin());
      prices.push_back(price);
    });
    return std::accumulate(last_.begin(), last_.end(), std::int64_t{0}) / static_cast<std::int64_t>(last_.size());
  }

  df::ListState<Sale> waiting_{this, "waiting"};    ///< in the order in which they close
  df::ListState<std::int64_t> last_{this, "last"};  ///< prices, the newest at the end
};

}  // namespace

DATAFLOW_FUNCTION("closing_price", ClosingPrice)
DATAFLOW_FUNCTION("last_ten_average", LastTenAverage)
