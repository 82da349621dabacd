"""What is fetched again: not what did not change, and of what broke off only the rest."""

from __future__ import annotations

from email.utils import formatdate

from corpproxy.backends.lists.shelf import Shelf
from tests.backends.bad_server import (
    answer,
    serving,
    truncated,
)
from tests.backends.fetched_site import LIST, NEWER, NOON, FetchedCase
from tests.support.rows import rows, tabular


class UnchangedTests(FetchedCase):
    """Asking whether there is something new."""

    def test_not_modified(self):
        """What did not change is not sent again."""
        self.taken(ETag='"1"', Last_Modified="Mon, 01 Jun 2026 10:00:00 GMT")
        self.now += 3600
        self.assertEqual(self.update(), ("unchanged", "it did not change"))
        self.assertEqual(self.server.seen[0].fields["if-none-match"], '"1"')
        self.assertEqual(self.server.seen[0].fields["if-modified-since"], "Mon, 01 Jun 2026 10:00:00 GMT")
        state = self.state
        self.assertEqual((state.checked, state.next_at), (NOON + 3600, NOON + 3600 + 86400))
        self.assertEqual(state.in_force.modified, 1780308000.0)

    def test_endless_validator(self):
        """A validator that is no validator is not said back."""
        self.taken(ETag='"' + "x" * 60_000 + '"')
        self.update(serving(LIST))
        self.assertNotIn("if-none-match", self.server.seen[0].fields)

    def test_same_content(self):
        """The same content sent once more changes nothing."""
        self.taken()
        self.assertEqual(self.update(serving(LIST)), ("unchanged", "it did not change"))

    def test_lost_file(self):
        """A version whose file somebody took away is put back, and nothing is fetched."""
        self.taken(ETag='"1"')
        self.source.path.unlink()
        self.assertEqual(self.update()[0], "unchanged")
        self.assertTrue(self.is_game("games.example"))

    def test_all_is_lost(self):
        """Where the version itself is gone, nothing is asked by its validators."""
        self.taken(ETag='"1"')
        self.source.path.unlink()
        self.shelf.file_of(self.state.fetched).unlink()
        self.assertEqual(self.update(serving(LIST, ETag='"1"'))[0], "unchanged")
        self.assertNotIn("if-none-match", self.server.seen[0].fields)

    def test_died_before_it_was_taken(self):
        """A version that came just before its process died is taken the next time."""
        self.taken(ETag='"1"')
        taking = Shelf.take

        def dies(*_):
            raise KeyboardInterrupt

        self.patch(Shelf, "take", dies)
        self.assertRaises(KeyboardInterrupt, self.update, serving(NEWER, ETag='"2"'))
        self.patch(Shelf, "take", taking)
        self.assertEqual(self.update()[0], "taken")
        self.assertTrue(self.is_game("chess.example"))

    def test_other_address(self):
        """The validators of one address are not shown to another."""
        self.taken(ETag='"1"')
        self.url = self.server.url("/new.txt")
        self.server.answers_with(serving(NEWER), path="/new.txt")
        self.assertEqual(self.update()[0], "taken")
        self.assertNotIn("if-none-match", self.server.seen[0].fields)

    def test_damaged_state(self):
        """A shelf whose state cannot be read begins anew; a list is still held against what is in force."""
        self.taken(ETag='"1"')
        (self.shelf.folder / "state.json").write_text("{")
        many = b"".join(b"h%d.example\n" % number for number in range(200))
        self.assertEqual(self.update(serving(many))[0], "held")
        self.assertTrue(self.is_game("games.example"))
        self.assertEqual(self.update(serving(LIST))[0], "taken")


class ResumedTests(FetchedCase):
    """A transfer that broke off."""

    def test_resumed(self):
        """It goes on where it was, in the same attempt."""
        broken = truncated(NEWER[:10], len(NEWER), ETag='"1"')
        self.assertEqual(self.update(broken, serving(NEWER, ETag='"1"'))[0], "taken")
        first, second = self.server.seen
        self.assertNotIn("range", first.fields)
        self.assertEqual((second.fields["range"], second.fields["if-range"]), ("bytes=10-", '"1"'))
        self.assertEqual(self.slept, [2.0])
        self.assertTrue(self.is_game("chess.example"))

    def test_resumed_later(self):
        """It goes on at the next attempt, too, hours later."""
        broken = truncated(NEWER[:10], len(NEWER), ETag='"1"')
        self.assertEqual(self.update(broken, answer(status="503 Later"))[0], "failed")
        self.assertEqual(self.update(serving(NEWER, ETag='"1"'))[0], "taken")
        self.assertEqual(self.server.seen[-1].fields["range"], "bytes=10-")

    def test_by_time(self):
        """Without an ETag a time of change that lies in the past tells that it is the same."""
        written, now = formatdate(NOON - 3600, usegmt=True), formatdate(NOON, usegmt=True)
        broken = truncated(NEWER[:10], len(NEWER), Last_Modified=written, Date=now)
        rest = answer(
            NEWER[10:],
            "206 Partial Content",
            Content_Range=f"bytes 10-{len(NEWER) - 1}/{len(NEWER)}",
            Last_Modified=written,
        )
        self.assertEqual(self.update(broken, rest)[0], "taken")
        self.assertEqual(self.server.seen[1].fields["if-range"], written)

    def test_changed(self):
        """A list that changed between two parts is fetched whole."""
        broken = truncated(b"other.example\n", 90, ETag='"1"')
        self.assertEqual(self.update(broken, serving(NEWER, ETag='"2"'))[0], "taken")
        self.assertEqual(sum(self.state.in_force.entries.values()), 3)

    def test_rest_of_another(self):
        """A rest of something else is not put behind what came; the whole is asked for."""
        broken = truncated(b"other.example\n", len(NEWER), ETag='"1"')
        rest = answer(
            NEWER[14:],
            "206 Partial Content",
            Content_Range=f"bytes 14-{len(NEWER) - 1}/{len(NEWER)}",
            ETag='"2"',
        )
        self.assertEqual(self.update(broken, rest, serving(NEWER, ETag='"2"'))[0], "taken")
        self.assertEqual(sum(self.state.in_force.entries.values()), 3)
        self.assertNotIn("range", self.server.seen[2].fields)

    def test_range_ignored(self):
        """A server that knows no ranges sends the whole, which counts from its beginning."""
        broken = truncated(NEWER[:10], len(NEWER), ETag='"1"')
        self.assertEqual(self.update(broken, answer(NEWER, ETag='"1"'))[0], "taken")
        self.assertEqual(sum(self.state.in_force.entries.values()), 3)

    def test_range_refused(self):
        """A range that a server cannot serve any more leads to the whole."""
        broken = truncated(NEWER[:10], len(NEWER), ETag='"1"')
        refused = answer(status="416 Range Not Satisfiable")
        self.assertEqual(self.update(broken, refused, serving(NEWER))[0], "taken")

    def test_weak(self):
        """A weak ETag proves no octets: the whole is asked for."""
        broken = truncated(NEWER[:10], len(NEWER), ETag='W/"1"')
        self.assertEqual(self.update(broken, serving(NEWER))[0], "taken")
        self.assertNotIn("range", self.server.seen[1].fields)

    def test_gives_up(self):
        """A server that breaks off each time is left alone until later."""
        result, _ = self.update(truncated(b"", 90, ETag='"1"'))
        self.assertEqual((result, self.slept, len(self.server.seen)), ("failed", [2.0, 10.0, 30.0], 4))


@tabular
class LaterTests(FetchedCase):
    """When a source that failed is asked again."""

    @rows(
        seconds=("7200", 7200.0),
        date=(formatdate(4_000_000_000, usegmt=True), 2 * 86_400.0),
        nonsense=("soon", 300.0),
        past=(formatdate(0, usegmt=True), 300.0),
    )
    def test_retry_after(self, written, expected):
        """A server that asks to be left alone is, for two days at most; else five minutes are waited."""
        result, _ = self.update(answer(status="429 Too Many Requests", Retry_After=written))
        self.assertEqual((result, self.state.next_at), ("failed", NOON + expected))

    def test_said(self):
        """What the server asked for is told."""
        said = self.update(answer(status="503 Service Unavailable", Retry_After="7200"))[1]
        self.assertEqual(said, "it answers 503 Service Unavailable, and asks to come back in 2.0 hours")

    def test_backoff(self):
        """Each failure in a row doubles the pause, up to one refresh."""
        pauses = []
        for _ in range(11):
            self.update(answer(status="500 Oops"))
            pauses.append(self.state.next_at - self.now)
        self.assertEqual(pauses[:4] + pauses[-2:], [300.0, 600.0, 1200.0, 2400.0, 86_400.0, 86_400.0])
