"""``corpproxy lists`` about lists that are fetched, where no service runs."""

from __future__ import annotations

import json
import os
import pwd
import time
from email.utils import formatdate

from corpproxy.backends.lists.shelf import Shelf
from tests.backends.bad_server import answer, serving
from tests.backends.fetched_site import LIST, NEWER, FetchedCase
from tests.cli.reading import output_of
from tests.support.realdata import real_data

BAD = LIST + b"hillside.example\n"


class FetchedListsTests(FetchedCase):
    """The commands, each doing its work itself."""

    def setUp(self):
        super().setUp()
        self.now = time.time()
        self.more = "licence: CC BY"
        self.server.answers_with(serving(LIST))

    def lists(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command."""
        path = self.folder / "policy.yaml"
        path.write_text(self.policy())
        return output_of("lists", "--policy", str(path), *arguments)

    def hold(self) -> None:
        """Have a version in force and another held."""
        self.taken()
        self.assertEqual(self.update(serving(BAD))[0], "held")

    def test_update(self):
        """Lists are fetched in a process of their own, the index is built, and each is told in a line."""
        code, out, err = self.lists("update")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(
            out,
            "fun: taken: its first version has 2 entries; it cannot be held against last week: "
            "there is no record of it\n",
        )
        self.assertTrue(self.is_game("games.example"))
        self.assertEqual(self.lists("update", "fun")[:2], (0, "fun: unchanged: it did not change\n"))

    def test_update_fails(self):
        """A list that could not be fetched is told on standard error, and by the exit code."""
        self.server.answers_with(answer(status="404 Not Found"))
        self.assertEqual(self.lists("update"), (1, "", "fun: failed: it answers 404 Not Found\n"))

    def test_update_unknown(self):
        """A name that is no fetched list is told with the nearest that is one."""
        code, _, err = self.lists("update", "fnu")
        self.assertEqual((code, err), (2, "no list 'fnu' is fetched; did you mean 'fun'?; there are fun\n"))

    def test_nothing_fetched(self):
        """A policy without such lists says so."""
        policy = self.policy()
        self.policy = lambda: policy.replace(f'url: "{self.url}", refresh: 1d, licence: CC BY', "path: a")
        for command in ("update", "status"):
            code, out, _ = self.lists(command)
            self.assertEqual((code, out[:35]), (0, "the policy has no list that is fetc"))

    def test_status(self):
        """Version, size, ages, last result and licence stand in a line."""
        self.taken(Last_Modified=formatdate(self.now - 5 * 86_400, usegmt=True))
        code, out, err = self.lists("status")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(
            out,
            r"(?m)^fun +[0-9a-f]{12} +2 +0.0 KiB +0 minutes ago +5 days ago +taken +in 24 hours +CC BY$",
        )

    def test_status_of_nothing(self):
        """Of a list that was never asked for, it says that."""
        code, out, _ = self.lists("status", "fun")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^fun +none +- +- +- +- +- +now +CC BY$")
        self.assertIn("list fun: never asked for", out)

    def test_status_held(self):
        """A version that is held is told at its place, with what to do, and by the exit code."""
        self.hold()
        code, out, err = self.lists("status", "fun")
        self.assertEqual(code, 1)
        self.assertRegex(
            err, r"policy.yaml:6:7: list 'fun': version [0-9a-f]{12} is held because it puts hills"
        )
        self.assertIn("'corpproxy lists accept fun' or 'corpproxy lists reject fun'", err)
        self.assertRegex(out, r"held [0-9a-f]{12} by corpproxy: it puts hillside.example into")

    def test_status_while_fetched(self):
        """That a list is being fetched just now is said, and for how long."""
        self.taken()
        with Shelf(self.source.path, 3).fetching(time.time() - 130):
            _, out, _ = self.lists("status")
            self.assertRegex(out, r"(?m)^fun .* taken +being fetched, for 2 minutes +CC BY$")
            (told,) = json.loads(self.lists("status", "--json")[1])
            # At least what had passed, and however long this machine took to come here.
            self.assertGreaterEqual(told["fetching_seconds"], 130)
            self.assertLess(told["fetching_seconds"], 190)

    def test_status_of_removed(self):
        """What is left of a list that is gone from the policy is told, with what becomes of it."""
        self.taken()
        policy = self.policy()
        self.policy = lambda: policy.replace("name: fun,", "name: games,")
        _, out, _ = self.lists("status")
        self.assertRegex(
            out, r"(?m)^list 'fun' is not in the policy any more; .*/state/lists/fun is deleted a week "
        )

    def test_status_json(self):
        """Programs get all of it."""
        self.hold()
        (told,) = json.loads(self.lists("status", "--json")[1])
        self.assertEqual((told["list"], told["licence"], told["result"]), ("fun", "CC BY", "held"))
        self.assertEqual(told["held"]["codes"], ["protected"])
        self.assertEqual([one["what"] for one in told["events"]], ["taken", "held"])

    def test_diff(self):
        """What came and went is shown, of the version that is held, with why it is."""
        self.hold()
        code, out, _ = self.lists("diff", "fun")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"\Alist 'fun', from [0-9a-f]{12} \(in force\) to [0-9a-f]{12} \(held\)\n")
        self.assertIn("\n1 entry came, 0 went\n+ hillside.example (games)\n", out)
        self.assertIn("it is held because it puts hillside.example", out)

    def test_diff_of_versions(self):
        """Any two versions that are kept can be compared; so many entries are shown as asked for."""
        self.taken()
        self.update(serving(NEWER))
        first, second = self.state.forces
        out = self.lists("diff", "fun", "--from", second, "--to", first, "--lines", "0")[1]
        self.assertIn("\n0 entries came, 1 went\n- and 1 more\n", out)
        told = json.loads(self.lists("diff", "fun", "--json")[1])
        self.assertEqual((told["came"], told["gone"]), ([["games", "chess.example"]], []))
        self.assertEqual(told["findings"]["came"], 1)
        code, _, err = self.lists("diff", "fun", "--from", "0123456789ab")
        self.assertEqual(code, 1)
        self.assertIn("version 0123456789ab is not kept", err)

    def test_diff_of_nothing(self):
        """Before the first version there is nothing to show."""
        code, _, err = self.lists("diff", "fun")
        self.assertEqual(
            (code, err), (1, "no version of it has been fetched yet; run 'corpproxy lists update'\n")
        )

    def test_accept_and_roll_back(self):
        """Versions are accepted and gone back from without a service, by the name of who does it."""
        self.hold()
        code, out, err = self.lists("accept", "fun")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"\Alist 'fun': version [0-9a-f]{12} is in force\n\Z")
        self.assertTrue(self.is_game("hillside.example"))
        self.assertEqual(self.lists("rollback", "fun")[0], 0)
        self.assertFalse(self.is_game("hillside.example"))
        self.assertEqual(self.state.events[-1].by, pwd.getpwuid(os.getuid()).pw_name)
        self.assertEqual(self.lists("accept", "fun", "--version", self.state.rejected[0])[0], 0)
        self.assertTrue(self.is_game("hillside.example"))

    def test_reject(self):
        """What is held is thrown away."""
        self.hold()
        self.assertEqual(self.lists("reject", "fun")[0], 0)
        self.assertIsNone(self.state.held)
        code, _, err = self.lists("reject", "fun")
        self.assertEqual((code, err), (1, "list 'fun': no version of it is held\n"))

    def test_missing_first(self):
        """A first version that is held is told where the list is found missing."""
        self.update(serving(BAD))
        code, _, err = self.lists("build")
        self.assertEqual(code, 1)
        self.assertRegex(
            err, r"list 'fun': its first version is held \(it puts hillside.example .*; 'corpproxy "
        )


class RealTests(FetchedCase):
    """The list of a publisher, as it is."""

    def test_ut1(self):
        """UT1 is taken as it is published, public suffixes among its names and links between its folders."""
        content = real_data("ut1/blacklists-subset.tar.gz").read_bytes()
        self.format = "ut1"
        before = self.policy
        self.policy = lambda: (
            before().replace("category: games, url", "url").replace(": games}", ": gambling}")
        )
        result, said = self.update(serving(content))
        self.assertEqual(result, "taken", said)
        self.assertGreater(self.state.in_force.total, 500_000)
