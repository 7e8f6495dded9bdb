"""The Nexmark queries with joins under apps/nexmark against the plainest Python that computes the same from the same events.

DATAFLOW_LONG_TESTS=1 takes more events."""

import collections
import datetime
import pathlib
import unittest

from dfnode import DFNODE, LONG, SOURCE, DfnodeTest

EVENTS = 1_000_000 if LONG else 20_000
QUERIES = SOURCE / "apps/nexmark"
LIBRARY = pathlib.Path(DFNODE).parent / "nexmark_q6.so"
STREAM = """
parallelism = 1
[sources.events]
type   = "nexmark"
stream = "{kind}"
events = {events}
[sinks.out]
type  = "print"
input = "events"
"""
SOURCES = {3: "auctions people", 4: "auctions bids", 6: "auctions bids", 8: "events", 9: "auctions bids", 13: "bids", 20: "bids auctions"}


def frozen(row):
    return tuple(sorted(row.items()))


def multiset(rows):
    return collections.Counter(frozen(row) for row in rows)


def micros(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6 + 0.5)


def chosen(row, *names):
    return {name: row[name] for name in names}


class NexmarkJoins(DfnodeTest):
    streams = {}

    def stream(self, kind):
        if kind not in self.streams:
            job = self.write("stream.toml", STREAM.format(kind=kind, events=EVENTS))
            result = self.dfnode("run", str(job), "--quiet", timeout=300)
            self.assert_exit(result, 0)
            self.streams[kind] = self.rows(result)
        return self.streams[kind]

    def query(self, number, *arguments):
        events = [f"--set=sources.{source}.events={EVENTS}" for source in SOURCES[number].split()]
        result = self.dfnode(
            "run", str(QUERIES / f"q{number}.toml"), "--quiet", *events, *arguments,
            env={"NEXMARK_LIBRARY": str(LIBRARY)}, timeout=300,
        )
        self.assert_exit(result, 0)
        return self.rows(result)

    def at_both_parallelisms(self, number, expected):
        self.assertGreater(len(expected), 0)
        for parallelism in (1, 2):
            with self.subTest(parallelism=parallelism):
                rows = self.query(number, f"--set=parallelism={parallelism}")
                if rows and "op" in rows[0]:
                    rows = self.table(rows)
                self.assert_same(multiset(rows), multiset(expected))

    def table(self, changes):
        """What the changelog leaves; every row that it takes back must be there."""
        table = collections.Counter()
        for row in changes:
            kind = row.pop("op")
            table[frozen(row)] += 1 if kind in ("+I", "+U") else -1
            self.assertGreaterEqual(table[frozen(row)], 0, f"{row} is taken back and was never given")
        return [dict(row) for row in table.elements()]

    def assert_same(self, rows, expected):
        missing = expected - rows
        unexpected = rows - expected
        self.assertFalse(missing or unexpected, f"{list(missing)[:3]} are missing, {list(unexpected)[:3]} too many")

    def valid_bids(self):
        """Each bid that came while its auction was open, with the auction."""
        auctions = {auction["id"]: auction for auction in self.stream("auction")}
        for bid in self.stream("bid"):
            auction = auctions.get(bid["auction"])
            if auction and micros(auction["date_time"]) <= micros(bid["date_time"]) <= micros(auction["expires"]):
                yield auction, bid

    def test_q3_suggests_local_items(self):
        local = {p["id"]: p for p in self.stream("person") if p["state"] in ("OR", "ID", "CA")}
        expected = [
            {**chosen(local[auction["seller"]], "name", "city", "state"), "id": auction["id"]}
            for auction in self.stream("auction")
            if auction["category"] == 10 and auction["seller"] in local
        ]
        self.at_both_parallelisms(3, expected)

    def test_q4_averages_winning_bids(self):
        final = {}
        for auction, bid in self.valid_bids():
            key = (auction["category"], auction["id"])
            final[key] = max(final.get(key, 0), bid["price"])
        prices = collections.defaultdict(list)
        for (category, _), price in final.items():
            prices[category].append(price)
        for parallelism in (1, 2):
            with self.subTest(parallelism=parallelism):
                rows = self.table(self.query(4, f"--set=parallelism={parallelism}"))
                self.assertEqual({row["category"] for row in rows}, set(prices))
                self.assertEqual(len(rows), len(prices))
                for row in rows:
                    exact = sum(prices[row["category"]]) / len(prices[row["category"]])
                    self.assertLess(abs(float(row["average"]) - exact), 1)

    def test_q6_averages_the_last_ten_sales(self):
        sales = {}
        for auction, bid in self.valid_bids():
            _, _, highest = sales.get(auction["id"], (0, 0, 0))
            sales[auction["id"]] = (micros(auction["expires"]), auction["seller"], max(highest, bid["price"]))
        last = collections.defaultdict(lambda: collections.deque(maxlen=10))
        expected = []
        for _, (_, seller, price) in sorted(sales.items(), key=lambda sale: (sale[1][0], sale[0])):
            last[seller].append(price)
            expected.append({"seller": seller, "avg_price": sum(last[seller]) // len(last[seller])})
        self.assertTrue(any(len(prices) == 10 for prices in last.values()))
        self.at_both_parallelisms(6, expected)

    def test_q8_finds_new_sellers(self):
        window = 10_000_000
        sold = {(a["seller"], micros(a["date_time"]) // window) for a in self.stream("auction")}
        found = [
            (p["id"], p["name"], micros(p["date_time"]) // window * window)
            for p in self.stream("person")
            if (p["id"], micros(p["date_time"]) // window) in sold
        ]
        self.assertGreater(len(found), 0)
        for parallelism in (1, 2):
            rows = self.query(8, f"--set=parallelism={parallelism}")
            self.assertEqual(sorted((row["id"], row["name"], micros(row["start_time"])) for row in rows), sorted(found))

    def test_q9_finds_winning_bids(self):
        best = {}
        for auction, bid in self.valid_bids():
            rank = (-bid["price"], micros(bid["date_time"]))
            if auction["id"] not in best or rank < best[auction["id"]][0]:
                best[auction["id"]] = (rank, auction, bid)
        expected = [
            {
                **auction,
                **chosen(bid, "auction", "bidder", "price"),
                "bid_date_time": bid["date_time"],
                "bid_extra": bid["extra"],
            }
            for _, auction, bid in best.values()
        ]
        self.at_both_parallelisms(9, expected)

    def test_q13_looks_up_a_side_input(self):
        expected = [
            {**chosen(bid, "auction", "bidder", "price", "date_time"), "value": str(bid["auction"] % 10000)}
            for bid in self.stream("bid")
        ]
        self.at_both_parallelisms(13, expected)

    def test_q20_expands_bids(self):
        auctions = {a["id"]: a for a in self.stream("auction") if a["category"] == 10}
        expected = [
            {
                **chosen(bid, "auction", "bidder", "price", "channel", "url"),
                "bid_date_time": bid["date_time"],
                "bid_extra": bid["extra"],
                **chosen(auctions[bid["auction"]], "item_name", "description", "initial_bid", "reserve", "expires"),
                **chosen(auctions[bid["auction"]], "seller", "category"),
                "auction_date_time": auctions[bid["auction"]]["date_time"],
                "auction_extra": auctions[bid["auction"]]["extra"],
            }
            for bid in self.stream("bid")
            if bid["auction"] in auctions
        ]
        self.at_both_parallelisms(20, expected)


if __name__ == "__main__":
    unittest.main()
