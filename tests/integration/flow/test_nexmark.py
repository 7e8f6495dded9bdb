"""The Nexmark queries under apps/nexmark against the plainest Python that computes the same from the same bids.

DATAFLOW_LONG_TESTS=1 takes a million events instead of fifty thousand."""

import collections
import csv
import datetime
import re
import unittest

from dfnode import LONG, SOURCE, DfnodeTest

EVENTS = 1_000_000 if LONG else 50_000
QUERIES = SOURCE / "apps/nexmark"
BIDS = """
parallelism = 1 # in their order: the first of two equal bids is the one that is kept
[sources.bids]
type   = "nexmark"
stream = "bid"
[sinks.out]
type  = "print"
input = "bids"
"""


def frozen(row):
    return tuple(sorted(row.items()))


def multiset(rows):
    return collections.Counter(frozen(row) for row in rows)


def without(rows, names):
    counts = collections.Counter()
    for row, count in rows.items():
        counts[tuple(cell for cell in row if cell[0] not in names)] += count
    return counts


def micros(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6 + 0.5)


def level(price):
    return 1 if price < 10_000 else 2 if price < 1_000_000 else 3


class Statistics:
    """Of bids with something in common: how many, and of how many bidders and auctions, by level of price."""

    def __init__(self):
        self.bids = collections.Counter()
        self.different = collections.defaultdict(set)
        self.prices = []
        self.minute = ""

    def add(self, bid):
        for part in ("total", f"rank{level(bid['price'])}"):
            self.bids[part] += 1
            for what in ("bidder", "auction"):
                self.different[part, what].add(bid[what])
        self.prices.append(bid["price"])
        self.minute = max(self.minute, bid["date_time"][11:16])

    def counts(self):
        return {f"{part}_bids": self.bids[part] for part in ("total", "rank1", "rank2", "rank3")}

    def distinct_counts(self):
        return {
            f"{part}_{what}s": len(self.different[part, what])
            for part in ("total", "rank1", "rank2", "rank3")
            for what in ("bidder", "auction")
        }


def statistics(bids, key):
    groups = collections.defaultdict(Statistics)
    for bid in bids:
        groups[tuple(value for _, value in key(bid))].add(bid)
    return groups


class Nexmark(DfnodeTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bids = None

    def setUp(self):
        super().setUp()
        if Nexmark.bids is None:
            result = self.dfnode("run", str(self.write("bids.toml", BIDS)), "--quiet", *self.events(), timeout=300)
            self.assert_exit(result, 0)
            Nexmark.bids = self.rows(result)
            self.assertEqual(len(Nexmark.bids), EVENTS * 46 // 50)

    @staticmethod
    def events():
        return ("--set", f"sources.bids.events={EVENTS}")

    def query(self, number, *arguments, env=None):
        result = self.dfnode(
            "run", str(QUERIES / f"q{number}.toml"), "--quiet", *self.events(), *arguments, env=env, timeout=300
        )
        self.assert_exit(result, 0)
        return self.rows(result)

    def at_both_parallelisms(self, number, expected):
        for parallelism in (1, 2):
            with self.subTest(parallelism=parallelism):
                rows = self.query(number, "--set", f"parallelism={parallelism}")
                self.assert_same(multiset(rows), multiset(expected))

    def assert_same(self, rows, expected):
        missing = expected - rows
        unexpected = rows - expected
        self.assertFalse(missing or unexpected, f"{list(missing)[:3]} are missing, {list(unexpected)[:3]} too many")

    def table(self, number, parallelism):
        """What the changelog leaves; every row that it takes back must be there."""
        table = collections.Counter()
        for row in self.query(number, "--set", f"parallelism={parallelism}"):
            kind = row.pop("op")
            if kind in ("+I", "+U"):
                table[frozen(row)] += 1
            else:
                self.assertGreater(table[frozen(row)], 0, f"{row} is taken back and was never given")
                table[frozen(row)] -= 1
        return +table

    def tables_at_both_parallelisms(self, number, expected, ties=()):
        """`ties`: fields that say which of several equal rows was first, which with two sources nobody can say."""
        for parallelism in (1, 2):
            with self.subTest(parallelism=parallelism):
                left_out = ties if parallelism == 2 else ()
                self.assert_same(
                    without(self.table(number, parallelism), left_out), without(multiset(expected), left_out)
                )

    def chosen(self, bid, *names):
        return {name: bid[name] for name in names}

    def test_q0_passes_all_bids(self):
        names = ("auction", "bidder", "price", "date_time", "extra")
        self.at_both_parallelisms(0, [self.chosen(bid, *names) for bid in self.bids])

    def test_q1_converts_prices(self):
        names = ("auction", "bidder", "price", "date_time", "extra")
        rows = self.query(1)
        expected = [{**self.chosen(bid, *names), "price": round(bid["price"] * 0.908, 3)} for bid in self.bids]
        for row in rows:
            row["price"] = round(float(row["price"]), 3)
        self.assert_same(multiset(rows), multiset(expected))

    def test_q2_selects_auctions(self):
        expected = [self.chosen(bid, "auction", "price") for bid in self.bids if bid["auction"] % 123 == 0]
        self.assertGreater(len(expected), 0)
        self.at_both_parallelisms(2, expected)

    def test_q5_finds_the_auctions_with_the_most_bids(self):
        counts = collections.defaultdict(collections.Counter)
        for bid in self.bids:
            first_end = micros(bid["date_time"]) // 2_000_000 + 1
            for end in range(first_end, first_end + 5):
                counts[end][bid["auction"]] += 1
        expected = []
        for window in counts.values():
            most = max(window.values())
            expected += [{"auction": auction, "num": num} for auction, num in window.items() if num == most]
        self.at_both_parallelisms(5, expected)

    def test_q7_finds_the_highest_bids(self):
        windows = collections.defaultdict(list)
        for bid in self.bids:
            windows[micros(bid["date_time"]) // 10_000_000].append(bid)
        names = ("auction", "price", "bidder", "date_time", "extra")
        expected = []
        for bids in windows.values():
            most = max(bid["price"] for bid in bids)
            expected += [self.chosen(bid, *names) for bid in bids if bid["price"] == most]
        self.at_both_parallelisms(7, expected)

    def test_q10_writes_files_by_minute(self):
        folder = self.folder / "log"
        self.query(10, env={"NEXMARK_OUTPUT": str(folder)})
        written = collections.Counter()
        for path in folder.rglob("*.csv"):
            minute = {part.split("=")[0]: part.split("=")[1] for part in path.relative_to(folder).parts[:-1]}
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    at = row["date_time"]
                    self.assertEqual((minute["dt"], minute["hm"].replace("%3A", ":")), (at[:10], at[11:16]))
                    written[(int(row["auction"]), int(row["bidder"]), int(row["price"]), at, row["extra"])] += 1
        names = ("auction", "bidder", "price", "date_time", "extra")
        self.assert_same(written, collections.Counter(tuple(bid[name] for name in names) for bid in self.bids))

    def test_q11_counts_bids_of_sessions(self):
        times = collections.defaultdict(list)
        for bid in self.bids:
            times[bid["bidder"]].append(micros(bid["date_time"]))
        expected = collections.Counter()
        for bidder, all_times in times.items():
            all_times.sort()
            first, last, count = all_times[0], all_times[0], 0
            for at in all_times:
                if at > last + 10_000_000:
                    expected[bidder, first, last + 10_000_000, count] += 1
                    first, count = at, 0
                last, count = at, count + 1
            expected[bidder, first, last + 10_000_000, count] += 1
        for parallelism in (1, 2):
            rows = self.query(11, "--set", f"parallelism={parallelism}")
            found = collections.Counter(
                (row["bidder"], micros(row["window_start"]), micros(row["window_end"]), row["bid_count"])
                for row in rows
            )
            self.assert_same(found, expected)

    def test_q12_counts_every_bid_once_whatever_the_clock_says(self):
        found = collections.Counter()
        for row in self.query(12):
            self.assertEqual(micros(row["window_end"]) - micros(row["window_start"]), 10_000_000)
            found[row["bidder"]] += row["bid_count"]
        self.assertEqual(found, collections.Counter(bid["bidder"] for bid in self.bids))

    def test_q14_describes_bids_of_a_middle_price(self):
        def time_type(bid):
            hour = int(bid["date_time"][11:13])
            return "dayTime" if 8 <= hour <= 18 else "nightTime" if hour <= 6 or hour >= 20 else "otherTime"

        expected = [
            {
                **self.chosen(bid, "auction", "bidder", "date_time", "extra"),
                "price": round(bid["price"] * 0.908, 3),
                "time_type": time_type(bid),
                "c_counts": bid["extra"].count("c"),
            }
            for bid in self.bids
            if 1_000_000 < bid["price"] * 908 / 1000 < 50_000_000
        ]
        rows = self.query(14)
        for row in rows:
            row["price"] = round(float(row["price"]), 3)
        self.assert_same(multiset(rows), multiset(expected))

    def test_q15_reports_days(self):
        groups = statistics(self.bids, lambda bid: [("day", bid["date_time"][:10])])
        expected = [
            {"day": day, **group.counts(), **group.distinct_counts()} for (day,), group in groups.items()
        ]
        self.tables_at_both_parallelisms(15, expected)

    def test_q16_reports_channels(self):
        groups = statistics(self.bids, lambda bid: [("channel", bid["channel"]), ("day", bid["date_time"][:10])])
        expected = [
            {"channel": channel, "day": day, "last_minute": group.minute, **group.counts(), **group.distinct_counts()}
            for (channel, day), group in groups.items()
        ]
        self.tables_at_both_parallelisms(16, expected)

    def test_q17_reports_auctions(self):
        groups = statistics(self.bids, lambda bid: [("auction", bid["auction"]), ("day", bid["date_time"][:10])])
        expected = [
            {
                "auction": auction,
                "day": day,
                **group.counts(),
                "min_price": min(group.prices),
                "max_price": max(group.prices),
                "avg_price": sum(group.prices) // len(group.prices),
                "sum_price": sum(group.prices),
            }
            for (auction, day), group in groups.items()
        ]
        for parallelism in (1, 2):
            table = collections.Counter()
            for row, count in self.table(17, parallelism).items():
                cells = dict(row)
                cells["avg_price"] = int(cells["avg_price"])
                table[frozen(cells)] += count
            self.assert_same(table, multiset(expected))

    def test_q18_keeps_the_last_bid(self):
        last = {}
        for bid in self.bids:
            key = (bid["bidder"], bid["auction"])
            if key not in last or micros(bid["date_time"]) > micros(last[key]["date_time"]):
                last[key] = bid
        self.tables_at_both_parallelisms(18, last.values(), ties=("price", "channel", "url", "extra"))

    def test_q19_keeps_ten_bids_an_auction(self):
        groups = collections.defaultdict(list)
        for bid in self.bids:
            groups[bid["auction"]].append(bid)
        expected = []
        for bids in groups.values():
            for rank, bid in enumerate(sorted(bids, key=lambda bid: -bid["price"])[:10]):
                expected.append({**bid, "rank_number": rank + 1})
        ties = ("bidder", "channel", "url", "date_time", "extra")
        self.tables_at_both_parallelisms(19, expected, ties)

    def test_q21_knows_channels(self):
        known = {"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}
        expected = []
        for bid in self.bids:
            found = re.search("(&|^)channel_id=([^&]*)", bid["url"])
            channel_id = known.get(bid["channel"].lower(), found and found.group(2))
            if channel_id is not None:
                expected.append({**self.chosen(bid, "auction", "bidder", "price", "channel"), "channel_id": channel_id})
        self.at_both_parallelisms(21, expected)

    def test_q22_splits_urls(self):
        expected = []
        for bid in self.bids:
            parts = bid["url"].split("/")
            names = self.chosen(bid, "auction", "bidder", "price", "channel")
            expected.append({**names, **{f"dir{i}": parts[i + 2] if i + 2 < len(parts) else "" for i in (1, 2, 3)}})
        self.at_both_parallelisms(22, expected)


if __name__ == "__main__":
    unittest.main()
