"""The examples of Flink's documentation as topologies with tests: the rows that are printed there come out here."""

import unittest

from dfnode import SOURCE, DfnodeTest


class Published(DfnodeTest):
    def test_each_gives_the_published_rows(self):
        files = sorted((SOURCE / "tests" / "integration" / "flow" / "published").glob("*.toml"))
        self.assertTrue(files)
        for file in files:
            with self.subTest(file.name):
                result = self.dfnode("test", str(file))
                self.assert_exit(result, 0)
                self.assertIn(" 0 failed", result.stdout)


if __name__ == "__main__":
    unittest.main()
