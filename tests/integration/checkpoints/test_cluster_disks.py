"""The disk of a cluster's checkpoints is full, or gone for a while, and a process dies meanwhile: the job goes on, from the
last checkpoint that there is, and its output is exact.
"""

import json
import os
import shutil
import subprocess
import unittest

from checkpointed_cluster import CheckpointedCluster


def can_mount():
    return os.geteuid() == 0 and shutil.which("mount") is not None


@unittest.skipUnless(can_mount(), "needs to mount a small disk")
class ClusterDisks(CheckpointedCluster):
    def mount(self, *arguments):
        where = self.folder / "checkpoints"
        where.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *arguments, str(where)], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount: {done.stderr}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(where)], capture_output=True)

    def until_failed_with(self, reason):
        def found():
            shown = self.dfnode("checkpoints", self.job, "--to", self.address, "--json")
            if shown.returncode != 0:
                return []
            return [one for one in json.loads(shown.stdout)["newest"] if reason in one.get("error", "")]
        return self.until(f"a checkpoint fails with {reason}", found)[-1]

    def kill_a_worker(self):
        node = list(self.nodes.values())[0]
        self.kill(self.until("a worker", lambda: self.worker_of(node, self.job)))

    def test_a_worker_is_killed_while_the_disk_is_full(self):
        self.mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")
        self.cluster(nodes=2, slots=1)
        self.begin(rate=20000)
        with open(self.folder / "checkpoints" / "ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(b"x" * 4096)
            except OSError:
                pass
        self.until_failed_with("No space left on device")
        before = self.ask("show", self.job)["restarts"]
        self.kill_a_worker()
        self.until("the job is restarted", lambda: self.ask("show", self.job)["restarts"] > before)
        self.until_running(self.job)
        (self.folder / "checkpoints" / "ballast").unlink()
        self.until_more()
        self.assert_exact()

    def test_a_worker_is_killed_while_the_disk_is_away(self):
        disk = self.folder / "disk"
        disk.mkdir()
        self.mount("--bind", str(disk))
        self.cluster(nodes=2, slots=1)
        self.begin(rate=20000)
        subprocess.run(["umount", "-l", str(self.folder / "checkpoints")], check=True)
        self.until_failed_with("has a disk vanished")
        self.kill_a_worker()
        # Without its disk it cannot know what it had, and does not begin from nothing.
        self.until("the attempt fails for want of the disk",
                   lambda: "has a disk vanished" in json.dumps(self.ask("show", self.job)))
        self.assertNotIn(self.state_of_job(), ("FINISHED", "FAILED"))
        self.mount("--bind", str(disk))
        self.until_more()
        self.assert_exact()


if __name__ == "__main__":
    unittest.main()
