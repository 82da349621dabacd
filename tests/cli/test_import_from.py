"""``corpproxy import`` writes a folder that can be served, and says what to look at."""

from __future__ import annotations

from pathlib import Path

from corpproxy.cli import import_from
from tests.cli.sites import SiteCase

SAMPLES = Path(__file__).parents[1] / "foreign" / "samples"
SQUID = """\
acl lan src 10.0.0.0/8
acl games dstdomain .games.example
http_access deny games
http_access allow lan
http_access deny all
http_port 3128
"""


class ImportTests(SiteCase):
    """The command, its files and its exit codes."""

    def setUp(self):
        super().setUp()
        self.source = self.folder / "squid.conf"
        self.source.write_text(SQUID)
        self.into = self.folder / "new"

    def take(self, *options, source=None):
        return self.run_command("import", "squid", source or self.source, "--into", self.into, *options)

    def test_squid(self):
        """The policy is written, loads, and decides."""
        code, out, err = self.take()
        self.assertEqual((code, err), (0, ""))
        self.assertIn("policy.yaml has 3 rules, from 6 lines", out)
        code, out, _ = self.run_command("check", self.into / "policy.yaml")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"\Aok: 3 rules")
        code, out, _ = self.run_command(
            "explain", "--policy", self.into / "policy.yaml", "--url", "http://www.games.example/"
        )
        self.assertIn("block by 'games'", out)

    def test_map(self):
        """Each line of the source is told, on paper and when asked for."""
        _, out, _ = self.take("--map")
        report = (self.into / "import.txt").read_text()
        self.assertIn("squid.conf:2: acl games dstdomain .games.example\n    policy.yaml:", report)
        self.assertIn("acl games dstdomain .games.example\n", out)

    def test_passwords(self):
        """The people of Squid's password file can sign in; odd lines are told."""
        self.source.write_text(
            "auth_param basic program /usr/lib/squid/basic_ncsa_auth /etc/squid/passwd\n"
            "acl in proxy_auth REQUIRED\nhttp_access allow in\n"
        )
        (self.folder / "passwd").write_text("amir:$apr1$abcdefgh$QrQrQrQrQrQrQrQrQrQrQ.\nnonsense\n")
        _, out, err = self.take()
        self.assertIn("users.htpasswd has 1 person", out)
        self.assertIn("users.htpasswd:2", err)
        self.assertEqual((self.into / "users.htpasswd").stat().st_mode & 0o007, 0)

    def test_again(self):
        """What is there already is kept."""
        self.take()
        code, _, err = self.take()
        self.assertEqual(code, 1)
        self.assertIn("is there already; name another folder with --into", err)

    def test_open(self):
        """What Squid refuses and the policy does not is told, and the exit code says so."""
        self.source.write_text("acl few maxconn 3\nhttp_access deny few\n" + SQUID)
        code, _, err = self.take()
        self.assertEqual(code, 1)
        self.assertIn("squid.conf:2:1: warning: 'http_access deny few' refuses, and the policy does not", err)
        self.assertIn(
            "OPEN: Squid refuses by 'http_access deny few'", (self.into / "policy.yaml").read_text()
        )

    def test_error(self):
        """With an error nothing is written."""
        self.source.write_text("http_access allow nobody\n")
        code, out, err = self.take()
        self.assertEqual((code, out), (1, ""))
        self.assertIn("squid.conf:1:19: there is no acl 'nobody'", err)
        self.assertFalse(self.into.exists())

    def test_no_source(self):
        """A file that is not there is told; a word too few is a wrong command."""
        code, _, err = self.take(source=self.folder / "gone")
        self.assertEqual((code, err), (1, f"there is no {self.folder / 'gone'}\n"))
        self.assertEqual(self.run_command("import", "privoxy", self.source)[0], 2)

    def test_large(self):
        """A file that never ends is told."""
        self.patch(import_from, "MAX_OCTETS", 10)
        code, _, err = self.take()
        self.assertEqual(code, 1)
        self.assertIn("cannot read", err)

    def test_e2guardian(self):
        """A folder of e2guardian is written too."""
        code, out, _ = self.run_command("import", "e2guardian", SAMPLES / "e2guardian", "--into", self.into)
        self.assertIn("policy.yaml has", out)
        self.assertIn(code, (0, 1))
        self.assertEqual(self.run_command("check", self.into / "policy.yaml")[0], 0)
