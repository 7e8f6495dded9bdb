"""tools/cluster: a cluster on this machine to play with."""

import socket
import unittest

from cluster_test import ClusterTest
from dfnode import DFNODE, SOURCE


class Script(ClusterTest):
    def setUp(self):
        super().setUp()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.addCleanup(self.script, "down")

    def script(self, *arguments, folder="played", port=None):
        return self.program([SOURCE / "tools" / "cluster", *arguments],
                            env={"DFNODE": DFNODE, "DATAFLOW_CLUSTER_DIR": str(self.folder / folder),
                                 "DATAFLOW_CLUSTER_PORT": str(port or self.port)})

    def test_it_comes_up_and_goes(self):
        up = self.script("up", "2")
        self.assert_exit(up, 0)
        self.address = f"127.0.0.1:{self.port}"
        self.assertEqual([node["slots"] for node in self.ask("nodes")], [2, 2])
        self.assert_exit(self.script("down"), 0)
        self.assert_exit(self.dfnode("nodes", "--to", self.address), 3)

    def test_a_port_that_another_cluster_has(self):
        self.job_manager()
        up = self.script("up", "2", port=self.address.split(":")[1])
        self.assert_exit(up, 1)
        self.assertIn("give DATAFLOW_CLUSTER_PORT", up.stderr)
        self.assertEqual(self.ask("nodes"), [])
        self.assertFalse((self.folder / "played").exists())

    def test_a_number_of_nodes_that_is_none(self):
        for number in ("abc", "-1", ""):
            wrong = self.script("up", number)
            self.assert_exit(wrong, 2)
            self.assertIn("tools/cluster up [N]", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
