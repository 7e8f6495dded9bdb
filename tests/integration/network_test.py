"""A cluster whose processes believe that they are on several machines: each in a network namespace of its own, joined by
a bridge. Links between them are cut and slowed down from outside.

Needs root and a kernel that lets it make namespaces and veth pairs; where it does not, the tests are skipped and say so.
"""

import os
import subprocess
import unittest

from cluster_test import ClusterTest
from dfnode import DFNODE

NET = "10.77.0."


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def why_not():
    """Why there can be no network namespaces here; nothing when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    probe = f"dfprobe{os.getpid()}"
    try:
        made = run("ip", "netns", "add", probe)
    except FileNotFoundError:
        return "there is no `ip` (package iproute2)"
    if made.returncode != 0:
        return f"the kernel refuses network namespaces: {made.stderr.strip()}"
    try:
        veth = run("ip", "-n", probe, "link", "add", "name", "va", "type", "veth", "peer", "name", "vb")
        bridge = run("ip", "-n", probe, "link", "add", "name", "vc", "type", "bridge")
    finally:
        run("ip", "netns", "del", probe)
    refused = [step.stderr.strip() for step in (veth, bridge) if step.returncode != 0]
    return f"the kernel refuses virtual links: {refused[0]}" if refused else ""


class NetworkTest(ClusterTest):
    """Host 0 has the JobManager and the clients, each other host a TaskManager: `host_of[name]` is its number."""

    hosts = 3

    def setUp(self):
        if reason := why_not():
            raise unittest.SkipTest(reason)
        super().setUp()
        self.host_of = {}
        self.host = 0
        self.switch = f"df{os.getpid()}s"
        self.make_namespace(self.switch)
        self.ip(self.switch, "link", "add", "name", "sw", "type", "bridge")
        self.ip(self.switch, "link", "set", "sw", "up")
        for number in range(self.hosts):
            self.add_host(number)

    def namespace(self, host):
        return f"df{os.getpid()}h{host}"

    def make_namespace(self, name):
        self.must("ip", "netns", "add", name)
        self.addCleanup(run, "ip", "netns", "del", name)
        self.ip(name, "link", "set", "lo", "up")

    def must(self, *command):
        done = run(*command)
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}: {done.stderr}")

    def ip(self, namespace, *arguments):
        self.must("ip", "-n", namespace, *arguments)

    def add_host(self, number):
        name = self.namespace(number)
        self.make_namespace(name)
        self.ip(self.switch, "link", "add", "name", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        self.ip(self.switch, "link", "set", f"p{number}", "master", "sw", "up")
        self.ip(name, "addr", "add", f"{NET}{number + 1}/24", "dev", "eth0")
        self.ip(name, "link", "set", "eth0", "up")

    # ---- What is done to links

    def cut(self, host):
        """Both ways, without a reset: its cable is out."""
        self.ip(self.switch, "link", "set", f"p{host}", "down")

    def mend(self, host):
        self.ip(self.switch, "link", "set", f"p{host}", "up")

    def silence(self, host, towards):
        """What `host` sends to `towards` is lost; the other way goes on."""
        self.ip(self.namespace(host), "route", "add", "blackhole", f"{NET}{towards + 1}/32")

    def unsilence(self, host, towards):
        self.ip(self.namespace(host), "route", "del", "blackhole", f"{NET}{towards + 1}/32")

    def slow_down(self, host, megabits):
        """What `host` sends; False when this kernel has no such queue."""
        return run("tc", "-n", self.namespace(host), "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
                   f"{megabits}mbit", "burst", "32kb", "latency", "200ms").returncode == 0

    # ---- Processes on hosts

    def command(self, *arguments):
        return ["ip", "netns", "exec", self.namespace(self.host), DFNODE, *arguments]

    def dfnode(self, *arguments, **options):
        self.host = 0
        return self.program(self.command(*arguments), **options)

    def network_cluster(self, slots=1, **options):
        self.host = 0
        self.job_manager("--insecure", listen=f"{NET}1:0", **options)
        for self.host in range(1, self.hosts):
            known = set(self.nodes)
            self.task_manager(slots, name=f"host{self.host}",
                              options=("--listen", f"{NET}{self.host + 1}:0", "--insecure"))
            self.host_of[(set(self.nodes) - known).pop()] = self.host
