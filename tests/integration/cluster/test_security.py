"""Who does not belong to the cluster is refused, on every port that its processes listen on, and no job notices."""

import os
import pathlib
import re
import socket
import unittest

from cluster_test import ClusterTest, children_of
from small_jobs import counts

def listening_ports(pid):
    """Of the TCP sockets that the process has open."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = re.match(r"socket:\[(\d+)\]", os.readlink(fd))
        except OSError:
            continue
        if found:
            inodes.add(found[1])
    lines = [line.split() for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return [int(line[1].split(":")[1], 16) for line in lines if line[3] == "0A" and line[9] in inodes]


class Strangers:
    """What is the same with certificates and without."""

    def start_job(self):
        self.cluster(nodes=2, slots=1)
        job = self.detach(self.write("counts.toml", counts()))
        self.until_running(job)
        return job

    def all_ports(self):
        """Of the JobManager, its masters, the TaskManagers and their workers."""
        parents = [self.manager.pid, *(process.pid for process in self.nodes.values())]
        pids = parents + [pid for parent in parents for pid, _ in children_of(parent)]
        return {port for pid in pids for port in listening_ports(pid)}

    def say(self, port, words):
        """What is answered until the other side hangs up."""
        with socket.create_connection(("127.0.0.1", port), timeout=20) as stranger:
            stranger.sendall(words)
            answer = b""
            try:
                while piece := stranger.recv(4096):
                    answer += piece
            except ConnectionResetError:
                pass
            return answer

    def assert_undisturbed(self, job):
        shown = self.ask("show", job)
        self.assertEqual((shown["state"], shown["restarts"], shown["failures"]), ("RUNNING", 0, []))
        self.assertTrue(self.all_running(job))
        self.assertEqual(len(self.ask("nodes")), 2)

    def test_random_bytes_on_any_port_are_refused_and_logged_once(self):
        job = self.start_job()
        ports = self.all_ports()
        self.assertGreaterEqual(len(ports), 6)  # of JobManager, master, two TaskManagers and two workers
        for port in ports:
            for words in (b"\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"dataflow-control x\n",
                          os.urandom(4096)):
                for _ in range(3):
                    self.say(port, words + bytes(1000))  # enough for whatever length it begins with
        self.assert_undisturbed(job)
        log = (self.folder / "process-1.log").read_text()
        reasons = re.findall(r"refused a connection from \S+: (.*)", log)
        self.assertTrue(reasons)
        self.assertEqual(len(reasons), len(set(reasons)), reasons)

    def test_one_that_says_nothing_is_hung_up_on(self):
        job = self.start_job()
        strangers = [socket.create_connection(("127.0.0.1", port), timeout=20) for port in self.all_ports()]
        for stranger in strangers:
            with stranger:
                self.assertEqual(stranger.recv(1), b"")
        self.assert_undisturbed(job)


class Plain(Strangers, ClusterTest):
    def test_another_version_and_another_cluster_are_told(self):
        job = self.start_job()
        port = int(self.address.split(":")[1])
        self.assertIn(b"use the same version of dfnode everywhere", self.say(port, b"dataflow-control 999 dataflow\n"))
        refused = self.dfnode("list", "--to", self.address, "--cluster", "other")
        self.assert_exit(refused, 2)
        self.assertIn('not of "other"', refused.stderr)
        refused = self.dfnode("taskmanager", "--join", self.address, "--work-dir", "stranger", "--cluster", "other")
        self.assert_exit(refused, 2)
        self.assertIn('not of "other"', refused.stderr)
        self.assert_undisturbed(job)


class Certificates(Strangers, ClusterTest):
    def setUp(self):
        super().setUp()
        self.certs("certs", "node")
        self.secured = self.tls("certs", "node")

    def certs(self, folder, node, *options):
        self.assert_exit(self.dfnode("certs", folder, node, *options), 0)

    def tls(self, folder, node):
        return {"DATAFLOW_TLS_CA": f"{self.folder}/{folder}/ca.pem",
                "DATAFLOW_TLS_CERT": f"{self.folder}/{folder}/{node}.pem",
                "DATAFLOW_TLS_KEY": f"{self.folder}/{folder}/{node}-key.pem"}

    def environment(self, **variables):
        return super().environment(**{**getattr(self, "secured", {}), **variables})

    def refused(self, **variables):
        result = self.dfnode("list", "--to", self.address, "--timeout", "5", env=variables)
        self.assertNotEqual(result.returncode, 0)
        return result.stderr

    def test_a_client_without_the_clusters_certificates_is_refused(self):
        job = self.start_job()
        self.certs("others", "node")
        self.assertIn("certificate", self.refused(**self.tls("others", "node")))
        self.refused(DATAFLOW_TLS_CA="", DATAFLOW_TLS_CERT="", DATAFLOW_TLS_KEY="")
        self.assertIn("all of --tls-ca", self.refused(DATAFLOW_TLS_KEY=""))
        half_right = {**self.tls("others", "node"), "DATAFLOW_TLS_CA": self.secured["DATAFLOW_TLS_CA"]}
        self.refused(**half_right)
        self.assert_undisturbed(job)
        log = (self.folder / "process-1.log").read_text()
        self.assertIn("control port: refused a connection from 127.0.0.1", log)

    def test_a_mistake_with_tls_is_told_as_such(self):
        self.job_manager()
        without = {"DATAFLOW_TLS_CA": "", "DATAFLOW_TLS_CERT": "", "DATAFLOW_TLS_KEY": ""}
        self.assertIn("does it expect TLS?", self.refused(**without))
        self.assertIn("nowhere.pem cannot be read: No such file or directory",
                      self.refused(DATAFLOW_TLS_CA=f"{self.folder}/nowhere.pem"))
        self.secured = without
        self.kill(self.manager.pid)
        self.manager.wait()
        self.job_manager()
        self.assertIn("does it speak TLS?", self.refused(**self.tls("certs", "node")))

    def test_a_certificate_for_another_host_is_refused_by_who_connects(self):
        self.job_manager(listen="0.0.0.0:0")
        port = self.address.split(":")[1]
        self.assert_exit(self.dfnode("list", "--to", f"localhost:{port}"), 0)
        # The certificate is good for localhost, 127.0.0.1 and ::1, and not for this one.
        result = self.dfnode("list", "--to", f"127.0.0.2:{port}")
        self.assert_exit(result, 3)
        self.assertIn("certificate", result.stderr)

    def test_with_certificates_other_addresses_may_be_listened_on(self):
        self.job_manager(listen="0.0.0.0:0")
        self.address = self.address.replace("0.0.0.0", "127.0.0.1")
        self.task_manager(1)
        job = self.detach(self.write("one.toml", counts(parallelism=1)))
        self.until_running(job)


if __name__ == "__main__":
    unittest.main()
