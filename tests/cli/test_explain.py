"""``corpproxy explain``: a question about a site's policy, answered on the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import socket

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import cli
from tests.cli.policies import POLICY, TEST, site_folder

LIMITS = """\
limits:
  - {name: films, who: {group: pupils}, what: {category: games}, rate: 1MiB/s}
  - {name: pupils' day, who: {group: pupils}, when: lessons, volume: 2GiB, every: day, then: block}
  - {name: the line, per: site, download: 100MiB/s, upload: 20MiB/s}
rules:
"""


class ExplainTests(SynchronousTestCase):
    """What an administrator asks, and reads."""

    def setUp(self):
        self.path = site_folder(self.mktemp(), POLICY + TEST)

    def explain(self, *arguments, policy=None):
        """Run the command; gives exit code, output and errors."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = cli.main(["explain", "--policy", str(policy or self.path), *arguments])
            except SystemExit as left:
                code = left.code
        return code, out.getvalue(), err.getvalue()

    def test_blocked(self):
        """Each rule in turn, the entry behind the category, the decision and the person's sentence."""
        code, out, err = self.explain(
            "--user",
            "amir",
            "--url",
            "http://www.miniclip.com/",
            "--at",
            "2026-11-23T10:00",
            "--from",
            "10.1.2.3",
        )
        self.assertEqual((code, err), (0, ""))
        self.assertIn("who: amir (basic), groups pupils, from 10.1.2.3, listener rooms\n", out)
        self.assertIn("when: Mon 2026-11-23 10:00\n", out)
        self.assertIn("category games: list own, entry miniclip.com\n", out)
        self.assertIn("->  games wait (block) at ", out)
        self.assertIn("everything else (allow)", out)
        self.assertIn("policy.yaml:17:5: category games; group pupils; during lessons\n", out)
        self.assertIn("the person reads: Games open again after lessons.\n", out)

    def limited(self, *more, user="amir"):
        """The same under a policy with limits; gives the output."""
        self.path.write_text(POLICY.replace("rules:\n", LIMITS) + TEST)
        code, out, err = self.explain("--user", user, "--url", "http://news.example/", *more)
        self.assertEqual((code, err), (0, ""))
        return out

    def test_limits(self):
        """All limits that hold are told, with what each says, whose octets it counts, where it stands."""
        held = self.limited("--at", "2026-11-23T10:00").partition("\nheld to:\n")[2]
        self.assertEqual(
            held.replace(str(self.path.parent), ""),
            "  pupils' day: 2 GiB each day, then block, per user 'amir'  (/policy.yaml:18:5)\n"
            "  the line: 100 MiB/s down, 20 MiB/s up, per site  (/policy.yaml:19:5)\n",
        )

    def test_limits_do_not_hold(self):
        """What holds for others, or at another time, is not told; nor where nothing holds."""
        evening = self.limited("--at", "2026-11-23T20:00")
        self.assertNotIn("pupils' day", evening)
        self.assertIn("the line", evening)
        self.path.write_text(POLICY + TEST)
        self.assertNotIn("held to", self.explain("--user", "amir", "--url", "http://news.example/")[1])

    def test_limits_as_json(self):
        """Programs are told the same."""
        told = json.loads(self.limited("--at", "2026-11-23T10:00", "--json"))["limits"]
        self.assertEqual(
            [(one["name"], one["per"], one["whom"]) for one in told],
            [("pupils' day", "user", "amir"), ("the line", "site", "")],
        )
        self.assertEqual((told[1]["download"], told[1]["upload"]), (100 << 20, 20 << 20))
        self.assertEqual(told[0]["quota"], "2 GiB each day, then block")

    def test_time_alone(self):
        """With a time and nothing that is asked for it says which calendars hold then."""
        code, out, _ = self.explain("--at", "2026-11-23T10:00")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^lessons +holds +until Mon 2026-11-23 15:30$")
        code, _, err = self.explain()
        self.assertEqual((code, err[:30]), (2, "name what is asked for with --"))

    def test_list_line(self):
        """The line of the list behind a category is told, for people and for programs."""
        names = self.path.parent / "names.txt"
        names.write_text("# games\nzynga.com\n")
        lists = "categories:\n  lists: [{name: more, format: names, path: names.txt, category: games}]\n"
        self.path.write_text(POLICY.replace("categories:\n", lists) + TEST)
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(cli.main(["lists", "--policy", str(self.path), "build"]), 0)
        asked = ("--user", "amir", "--url", "http://zynga.com/", "--at", "2026-11-23T10:00")
        _, out, _ = self.explain(*asked)
        self.assertIn(f"category games: list more, entry zynga.com at {names}:2\n", out)
        _, out, _ = self.explain(*asked, "--json")
        self.assertEqual(json.loads(out)["categories"][0]["line"], f"{names}:2")

    def test_tunnel(self):
        """An https URL is a CONNECT, and safe search says where it goes."""
        code, out, _ = self.explain(
            "--user", "dora", "--url", "https://www.bing.com/search?q=x", "--listener", "office"
        )
        self.assertEqual(code, 0)
        self.assertTrue(out.startswith("CONNECT www.bing.com:443\n"))
        self.assertIn("who: dora (basic), groups pupils (groups file), listener office\n", out)
        self.assertIn("safe search: connected to strict.bing.com for www.bing.com\n", out)

    def test_exempt(self):
        """Who need not sign in reads by which exemption."""
        exempt = "identity:\n  exempt: [{what: {host: bbc.co.uk}}]"
        self.path.write_text(self.path.read_text().replace("identity:", exempt, 1))
        _, out, _ = self.explain("--url", "http://bbc.co.uk/")
        self.assertIn("nobody signed in, and nobody is asked to: the exemption at ", out)
        self.assertIn("who: nobody (exempt)", out)
        _, out, _ = self.explain("--url", "http://bbc.co.uk/", "--json")
        self.assertRegex(json.loads(out)["exempt_by"], r"policy\.yaml:[0-9]+:12$")
        _, out, _ = self.explain("--user", "dora", "--url", "http://bbc.co.uk/", "--json")
        self.assertEqual(json.loads(out)["exempt_by"], "")

    def test_nobody(self):
        """Who names no user reads that the proxy asks to sign in."""
        _, out, _ = self.explain("--url", "http://bbc.co.uk/")
        self.assertTrue(out.startswith("nobody signed in: the proxy asks for that first (407)"))

    def test_json(self):
        """Programs read JSON."""
        code, out, _ = self.explain(
            "--user", "amir", "--group", "staff", "--url", "miniclip.com:22", "--json"
        )
        said = json.loads(out)
        self.assertEqual((code, said["is_challenged"]), (0, False))
        self.assertEqual(said["asked"]["groups"], ["staff"])
        self.assertEqual(said["decision"]["rule"], "safety: connect_ports")

    def test_address(self):
        """A rule about addresses is asked with the address given, with that looked up, or with none."""
        rule = "rules:\n  - {name: inside, what: {address: private}, do: block}\n"
        path = site_folder(self.mktemp(), POLICY.replace("rules:\n", rule) + TEST)
        asked = ("--user", "amir", "--url", "http://printer.example/")
        _, out, _ = self.explain(*asked, "--address", "10.0.0.9", policy=path)
        self.assertIn("block by 'inside'", out)
        self.patch(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("93.184.216.34", 0))])
        _, out, _ = self.explain(*asked, policy=path)
        self.assertIn("address is 93.184.216.34 (public), asked for private", out)

        def fails(*_, **__):
            raise socket.gaierror(-2, "Name or service not known")

        self.patch(socket, "getaddrinfo", fails)
        _, out, err = self.explain(*asked, policy=path)
        self.assertIn("allow by 'everything else'", out)
        self.assertIn("printer.example cannot be looked up: Name or service not known", err)

    def test_wrong_questions(self):
        """A question that cannot be asked is answered with what is wrong, and exit code 2."""
        for arguments, said in (
            (("--url", "ftp://example.com/"), "'ftp://example.com/' is no URL that a proxy serves"),
            (("--url", "http://example.com/", "--at", "soon"), "'soon' is no moment"),
            (
                ("--url", "http://example.com/", "--listener", "attic"),
                "there is no listener 'attic'; there are rooms, office",
            ),
            (("--url", "http://example.com/", "--from", "room 4"), "'room 4' is no IP address"),
            ((), "--url"),
        ):
            code, out, err = self.explain(*arguments)
            self.assertEqual((code, out), (2, ""), arguments)
            self.assertIn(said, err)

    def test_broken_policy(self):
        """A policy that cannot be loaded is answered with all its problems, and exit code 1."""
        self.path.write_text(
            (POLICY + TEST).replace("do: block", "do: blok").replace("when: lessons", "wen: lessons")
        )
        code, out, err = self.explain("--url", "http://example.com/")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("policy.yaml:20:5: unknown field 'wen'", err)
        self.assertIn("policy.yaml:21:9: 'do' wants one of", err)

    def test_no_policy(self):
        """A policy that is not there is said to be missing."""
        code, _, err = self.explain("--url", "http://example.com/", policy=self.path.with_name("other.yaml"))
        self.assertEqual(code, 1)
        self.assertIn("other.yaml", err)

    def test_answer(self):
        """With what the server answers, rules about answers are explained as they decide then."""
        films = "rules:\n  - {name: films, what: {media_type: video/*, size: over 1MiB}, do: block}\n"
        self.path.write_text(POLICY.replace("rules:\n", films) + TEST)
        asked = ("--user", "amir", "--url", "http://films.example/")
        _, out, _ = self.explain(*asked)
        self.assertIn("does not match: waits for the answer, asked for video/*", out)
        _, out, _ = self.explain(*asked, "--media-type", "video/mp4", "--size", "3MiB")
        self.assertIn("matches: media type video/mp4; size 3MiB, over 1MiB\n", out)
        _, out, _ = self.explain(*asked, "--media-type", "text/html", "--size", "3MiB")
        self.assertIn("does not match: media type is text/html, asked for video/*", out)
        code, _, err = self.explain(*asked, "--size", "big")
        self.assertEqual((code, err), (2, "'big' is no size; write it as 64KiB, 10MiB or 2GiB\n"))
