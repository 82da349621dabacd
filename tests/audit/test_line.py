"""A record as a line for people, which cannot harm their terminal."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.line import readable_line
from corpproxy.audit.results import Kind, ResultCode
from tests.audit.test_record import a_record

LONDON = ZoneInfo("Europe/London")


class LineTests(SynchronousTestCase):
    """What is printed on a terminal."""

    def test_blocked(self) -> None:
        """A refusal shows who, what, and which rule."""
        record = a_record(
            at="2026-07-01T10:00:00.123Z",
            client="10.1.4.17",
            user="amir",
            result=ResultCode.BLOCKED,
            status=403,
            received=512,
            sent=2048,
            seconds=0.0125,
            method="GET",
            scheme="http",
            host="www.miniclip.com",
            port=80,
            path="/play",
            categories=("games",),
            decision="block",
            rule="games wait",
        )
        self.assertEqual(
            readable_line(record, LONDON),
            "2026-07-01 11:00:00 0s3c9d0000r001 10.1.4.17 amir blocked 403 512/2048 0.013s GET "
            'http://www.miniclip.com/play [games] block by "games wait"',
        )

    def test_tunnel(self) -> None:
        """The opening of a tunnel is called one, with host and port."""
        record = a_record(
            kind=Kind.OPENING,
            result=ResultCode.OPEN,
            method="CONNECT",
            scheme="https",
            host="2001:db8::1",
            port=443,
        )
        self.assertIn(" opening ", readable_line(record, LONDON))
        self.assertIn("CONNECT [2001:db8::1]:443", readable_line(record, LONDON))

    def test_failure(self) -> None:
        """A failure shows its code and phase."""
        record = a_record(
            result=ResultCode.UPSTREAM_FAILED, failure="connect-refused", phase="connect", would_block="soon"
        )
        line = readable_line(record, LONDON)
        self.assertIn("failure connect-refused (connect)", line)
        self.assertIn('would be blocked by "soon"', line)

    def test_exception(self) -> None:
        """What an exception let through says so."""
        record = a_record(decision="allow", rule="all", exception="chess club")
        self.assertIn('allow by "all" through exception "chess club"', readable_line(record, LONDON))

    def test_decided_again(self) -> None:
        """A tunnel that was decided again shows the rule that ended it beside the one that let it in."""
        record = a_record(
            result=ResultCode.ENDED, decision="allow", rule="all", ended_rule="wait", failure="decided-again"
        )
        self.assertIn('allow by "all" ended by "wait" failure decided-again', readable_line(record, LONDON))

    def test_deed(self) -> None:
        """A deed shows who did what for whom, until when and why."""
        record = a_record(
            kind=Kind.DEED,
            result=ResultCode.DONE,
            user="beth",
            deed="grant-given",
            whom="group:9b",
            hosts=("maps.example", "cdn.example"),
            granted="2026-11-23T12:00:00.000Z",
            reason="geography",
        )
        self.assertIn(
            " beth deed - 0/0 0.000s - - grant-given for group:9b [maps.example,cdn.example] "
            "until 2026-11-23T12:00:00.000Z (geography)",
            readable_line(record, LONDON),
        )

    def test_colours(self) -> None:
        """Colours stand around the line where they are wanted, and only for what went wrong."""
        broken = a_record(result=ResultCode.FAILED)
        plain = readable_line(broken, LONDON)
        self.assertEqual(readable_line(broken, LONDON, colours=True), f"\x1b[31m{plain}\x1b[0m")
        self.assertNotIn("\x1b", readable_line(a_record(), LONDON, colours=True))

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
    def test_terminal(self, host, path, at) -> None:
        """Whatever came from the wire, the line has nothing a terminal would obey."""
        line = readable_line(a_record(host=host, path=path, at=at, user="\x1b[2J", rule="\x9b\u202e"), LONDON)
        self.assertTrue(line.isprintable(), line)
