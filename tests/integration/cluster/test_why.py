"""Why a job in a cluster gave nothing: of one that has ended it is said as of one that runs."""

import unittest

from cluster_test import ClusterTest
from dfnode import READINGS, SOURCE_TABLE

DAYS = (
    'name = "days"\n'
    + SOURCE_TABLE
    + """event_time = { field = "date" }
[operators.warm]
type  = "filter"
input = "readings"
where = "temperature > 4"
[operators.daily]
type      = "window"
input     = "warm"
key_by    = ["city"]
window    = { tumbling = "1d" }
aggregate = { n = "count()" }
having    = "n > 10"
[sinks.out]
type  = "print"
input = "daily"
"""
)


class Why(ClusterTest):
    def test_of_a_job_that_has_ended_it_says_where_records_went(self):
        self.cluster(nodes=1, slots=2)
        self.write("readings.csv", READINGS)
        result = self.submit(self.write("job.toml", DAYS.replace("readings.csv", str(self.folder / "readings.csv"))))
        self.assertEqual(result.returncode, 0, f"{result.stderr}\n{self.logs()}")
        nodes = {node["name"]: node for node in self.ask("why", "days")["nodes"]}
        self.assertEqual((nodes["warm"]["filtered"], nodes["daily"]["having"]), (1, 2))
        text = self.dfnode("why", "days", "--to", self.address).stdout
        self.assertIn("days: FINISHED", text)
        self.assertIn("1 did not meet the condition", text)
        self.assertIn("2 did not meet having: gives nothing", text)
        self.assertNotIn("waits for", text)


if __name__ == "__main__":
    unittest.main()
