"""``corpproxy lists`` builds, looks up and counts."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.lists.files import index_path
from corpproxy.cli.lists import look_up
from corpproxy.destination.classifier import Classifier
from tests.backends.list_samples import write_folder, write_list
from tests.cli.reading import output_of
from tests.destination.test_index import index_of
from tests.support.rows import rows, tabular

POLICY = """\
site: Hillside School
listen: [{name: rooms, forward: "127.0.0.1:3128"}]
categories:
  lists:
    - {name: ut1, format: ut1, path: lists/ut1, licence: CC BY-SA 4.0}
    - {name: ads, path: lists/hosts.txt, category: ads}
  own: {homework: [bbc.co.uk]}
  exceptions: {games: [chess.com]}
rules: [{name: everything, do: allow}]
"""


class ListsTestCase(SynchronousTestCase):
    """A site with two lists."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        (self.folder / "lists").mkdir(parents=True)
        self.policy = self.folder / "policy.yaml"
        self.policy.write_text(POLICY)
        write_folder(self.folder / "lists/ut1")
        self.hosts = write_list(
            self.folder / "lists/hosts.txt", "# ads", "0.0.0.0 ads.example", "0.0.0.0 com"
        )

    def lists(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command."""
        return output_of("lists", "--policy", str(self.policy), *arguments)


class BuildTests(ListsTestCase):
    """``lists build``."""

    def test_build(self) -> None:
        """Building shows each list with its entries and odd lines, and where the index is."""
        code, out, err = self.lists("build")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^ut1 +read +ut1 +7 +1 +[0-9a-f]{12} .* CC BY-SA 4.0$")
        self.assertRegex(out, r"(?m)^ads +read +hosts +1 +1 ")
        self.assertIn(str(index_path(self.folder / "state")), out)

    def test_missing_list(self) -> None:
        """A list that is missing is told at its place in the policy, and the exit code says so."""
        self.hosts.unlink()
        code, out, err = self.lists("build")
        self.assertEqual(code, 1)
        self.assertRegex(
            err, r"policy.yaml:6:\d+: list 'ads': there is no file or folder .*hosts.txt; until then"
        )
        self.assertRegex(out, r"(?m)^ads +missing ")

    def test_cannot_be_written(self) -> None:
        """Where the state folder cannot be, the command says so."""
        (self.folder / "state").write_text("a file")
        code, _, err = self.lists("build")
        self.assertEqual(code, 1)
        self.assertRegex(err, "the index could not be built: .*lists.index cannot be written")

    def test_broken_policy(self) -> None:
        """A policy that cannot be loaded is told problem by problem."""
        self.policy.write_text(POLICY + "ruels: []\n")
        code, _, err = self.lists("build")
        self.assertEqual(code, 1)
        self.assertRegex(err, r"policy.yaml:\d+:1: .*ruels.*rules")

    def test_no_lists(self) -> None:
        """A policy without lists has nothing to build."""
        self.policy.write_text(
            'listen: [{name: a, forward: "127.0.0.1:3128"}]\nrules: [{name: all, do: allow}]\n'
        )
        self.assertEqual(self.lists("build")[:2], (0, "the policy names no lists (categories: lists:)\n"))
        self.assertEqual(self.lists("lookup", "a.example")[0], 1)


class LookUpTests(ListsTestCase):
    """``lists lookup``."""

    def test_lines(self) -> None:
        """A look-up shows category, list, entry, and the line of the list that says so."""
        code, out, err = self.lists("lookup", "www.ads.example")
        self.assertEqual((code, err), (0, ""))
        domains = f"{self.folder}/lists/ut1/blacklists/publicite/domains"
        self.assertEqual(
            [line.split() for line in out.splitlines()],
            [
                ["category", "list", "entry", "line"],
                ["ads", "ads", "ads.example", f"{self.hosts}:2"],
                ["ads", "ut1", "ads.example", f"{domains}:1"],
                [
                    "publicite",
                    "ut1",
                    "ads.example",
                    f"{self.folder}/lists/ut1/blacklists/publicite/domains:1",
                ],
            ],
        )

    def test_own_and_exceptions(self) -> None:
        """The policy's own categories and exceptions count."""
        self.assertRegex(
            self.lists("lookup", "news.bbc.co.uk")[1], "homework +own +bbc.co.uk +the policy's own"
        )
        self.assertEqual(self.lists("lookup", "chess.com")[:2], (1, "chess.com is in no category\n"))

    def test_json(self) -> None:
        """The same for programs."""
        said = json.loads(self.lists("lookup", "--json", "http://example.com/games/1")[1])
        self.assertEqual(said["categories"], ["games"])
        self.assertEqual(said["matches"][0]["entry"], "example.com/games/")

    def test_taken_up_at_once(self) -> None:
        """A list that changed is read before it is asked."""
        self.lists("build")
        write_list(self.hosts, "0.0.0.0 other.example", at=5.0)
        self.assertRegex(self.lists("lookup", "other.example")[1], "ads +ads +other.example")

    def test_no_host(self) -> None:
        """What is no host is told, as a wrong command."""
        code, _, err = self.lists("lookup", "ex%61mple.com")
        self.assertEqual(code, 2)
        self.assertIn("percent sign", err)


class StatsTests(ListsTestCase):
    """``lists stats``."""

    def test_stats(self) -> None:
        """Counts by category and list, other names, usage, and the odd lines at their places."""
        code, out, err = self.lists("stats")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^games +ut1 +5 +black gaming$")
        self.assertRegex(out, r"(?m)^ads +ut1 +as publicite$")
        self.assertRegex(
            out, r"list ads: 1 odd line was left out; the first 1:\n  .*/hosts.txt:3: 'com' takes"
        )
        self.assertRegex(out, r"index: .*lists.index, [0-9.]+ KiB, built 0 minutes ago")

    def test_json(self) -> None:
        """The same for programs."""
        ut1, ads = json.loads(self.lists("stats", "--json")[1])
        self.assertEqual(
            (ut1["entries"], ut1["aliases"]), ({"games": 5, "publicite": 2}, {"ads": "publicite"})
        )
        self.assertEqual((ads["odd_count"], ads["state"]), (1, "read"))


@tabular
class WantedTests(SynchronousTestCase):
    """What is looked up of what was typed."""

    @rows(
        host=("example.com", ""),
        port=("example.com:443", ""),
        http=("http://example.com/games", "games"),
        http_with_port=("http://example.com:8080/games", "games"),
        without_scheme=("example.com/games", "games"),
        https=("https://example.com/games", ""),
        query=("http://search.example/?find", "search"),
        ipv6=("2001:db8::1", "six"),
        ipv6_in_brackets=("[2001:db8::1]:443", "six"),
        ipv6_url=("http://[2001:db8::1]:80/", "six"),
        other_script=("bücher.example", "books"),
    )
    def test_wanted(self, wanted: str, expected: str) -> None:
        """A host, a host and port, or a URL; of https the proxy sees the host alone."""
        entries = {
            "games": ["example.com/games"],
            "search": ["search.example/?find"],
            "six": ["2001:db8::/32"],
            "books": ["bücher.example"],
        }
        index = index_of({"a": entries})
        self.assertEqual(" ".join(look_up(Classifier(index), wanted)[0]), expected)
