"""dfnode certs: files that OpenSSL takes."""

import stat
import subprocess
import unittest

from dfnode import DfnodeTest


class Certs(DfnodeTest):
    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60)

    def test_a_node_s_certificate_is_signed_by_the_authority_for_its_hosts(self):
        result = self.dfnode("certs", "c", "node1", "--host", "node1.example.org", "--host", "10.0.0.1", "--days", "30")
        self.assert_exit(result, 0)
        for purpose in ("sslserver", "sslclient"):
            verified = self.openssl("verify", "-purpose", purpose, "-CAfile", "c/ca.pem", "c/node1.pem")
            self.assertEqual(verified.returncode, 0, verified.stderr)
        text = self.openssl("x509", "-in", "c/node1.pem", "-noout", "-text").stdout
        for part in ("prime256v1", "DNS:node1.example.org", "IP Address:10.0.0.1", "IP Address:127.0.0.1", "CA:FALSE"):
            self.assertIn(part, text)
        self.assertEqual(self.openssl("x509", "-in", "c/node1.pem", "-noout", "-checkend", str(29 * 86400)).returncode, 0)
        self.assertEqual(self.openssl("x509", "-in", "c/node1.pem", "-noout", "-checkend", str(31 * 86400)).returncode, 1)
        for file in (self.folder / "c").iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600, file)

    def test_an_authority_signs_for_many_nodes_and_is_kept(self):
        self.assert_exit(self.dfnode("certs", "c"), 0)
        authority = (self.folder / "c" / "ca.pem").read_bytes()
        for node in ("a", "b"):
            self.assert_exit(self.dfnode("certs", "c", node, "--host", node), 0)
            self.assertEqual(self.openssl("verify", "-CAfile", "c/ca.pem", f"c/{node}.pem").returncode, 0)
        self.assertEqual((self.folder / "c" / "ca.pem").read_bytes(), authority)
        again = self.dfnode("certs", "c")
        self.assert_exit(again, 2)
        self.assertEqual((self.folder / "c" / "ca.pem").read_bytes(), authority)

    def test_mistakes_exit_with_2_and_make_nothing(self):
        self.assert_exit(self.dfnode("certs", "c"), 0)
        before = sorted(f.name for f in (self.folder / "c").iterdir())
        for arguments in (
            ("../evil", "--host", "a"),
            ("ca", "--host", "a"),
            ("n", "--host", "a,DNS:b"),
            ("n", "--host", "a", "--days", "0"),
        ):
            result = self.dfnode("certs", "c", *arguments)
            self.assert_exit(result, 2)
            self.assertTrue(result.stderr.strip())
        self.assert_exit(self.dfnode("certs", "c", "--host", "a"), 2)
        self.assertEqual(sorted(f.name for f in (self.folder / "c").iterdir()), before)

    def test_an_authority_without_its_key_cannot_sign(self):
        self.assert_exit(self.dfnode("certs", "c"), 0)
        (self.folder / "c" / "ca-key.pem").unlink()
        result = self.dfnode("certs", "c", "n")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("c/ca-key.pem", result.stderr)


if __name__ == "__main__":
    unittest.main()
