"""A short sample of tools/chaos: processes of a cluster are killed and stopped at random, the output is exact."""

import os
import subprocess
import unittest

from dfnode import DFNODE, SOURCE


class Chaos(unittest.TestCase):
    def test_a_quarter_of_a_minute(self):
        run = subprocess.run([str(SOURCE / "tools" / "chaos"), "--minutes", "0.25", "--verbose"],
                             capture_output=True, text=True, timeout=280, env={**os.environ, "DFNODE": DFNODE})
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("output exact", run.stdout)


if __name__ == "__main__":
    unittest.main()
