"""A sample of tools/chaos: processes of a cluster are killed and stopped at random, the output is exact.
DATAFLOW_LONG_TESTS=1: for two minutes with each backend."""

import os
import subprocess
import unittest

from dfnode import DFNODE, LONG, SOURCE


class Chaos(unittest.TestCase):
    def test_output_is_exact(self):
        for backend in ("heap", "rocksdb") if LONG else ("heap",):
            with self.subTest(backend):
                run = subprocess.run([str(SOURCE / "tools" / "chaos"), "--minutes", "2" if LONG else "0.25", "--verbose",
                                      "--backend", backend],
                                     capture_output=True, text=True, timeout=280, env={**os.environ, "DFNODE": DFNODE})
                self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
                self.assertIn("output exact", run.stdout)


if __name__ == "__main__":
    unittest.main()
