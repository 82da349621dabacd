"""The heads of our own answers."""

from __future__ import annotations

from http import HTTPStatus

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.http1.answer import answer_head
from corpproxy.http1.reasons import REASONS
from tests.http1.wire import wire
from tests.support.rows import rows, tabular

DATE = b"Mon, 23 Nov 2026 12:00:00 GMT"


@tabular
class AnswerTests(SynchronousTestCase):
    """What we answer ourselves."""

    def test_whole(self):
        """Status line, Date, and the fields in the order in which they were given."""
        self.assertEqual(
            answer_head(403, [(b"Content-Type", b"text/html"), (b"Content-Length", b"5")], date=DATE),
            wire(
                b"HTTP/1.1 403 Forbidden", b"Date: " + DATE, b"Content-Type: text/html", b"Content-Length: 5"
            ),
        )

    @rows(
        close=({"keep_alive": False}, b"Connection: close"),
        old_keep=({"client_version": 10}, b"Connection: keep-alive"),
        old_close=({"client_version": 10, "keep_alive": False}, b"Connection: close"),
    )
    def test_connection(self, more, line):
        """The client is told whether it may go on, as its version must be told."""
        self.assertEqual(answer_head(200, [], **more), wire(b"HTTP/1.1 200 OK", line))

    @rows(
        ours=(200, b"Connection established", b"HTTP/1.1 200 Connection established"),
        unknown=(299, None, b"HTTP/1.1 299 "),
    )
    def test_reason(self, status, reason, line):
        """A reason may be given; an unregistered status has none."""
        self.assertEqual(answer_head(status, [], reason=reason), wire(line))

    def test_interim(self):
        """100 (Continue) is a status line alone."""
        self.assertEqual(answer_head(100, [], client_version=10), wire(b"HTTP/1.1 100 Continue"))

    @rows(
        field=(302, [(b"Location", b"/\r\nSet-Cookie: x")], None),
        name=(302, [(b"A b", b"c")], None),
        reason=(200, [], b"OK\r\nA: b"),
        status=(99, [], None),
    )
    def test_broken(self, status, fields, reason):
        """What would break the head is our bug and is not written."""
        with self.assertRaises(ValueError):
            answer_head(status, fields, reason=reason)

    def test_reasons(self):
        """The reasons are those that everybody knows, but for the few that RFC 9110 renamed."""
        renamed = {413, 414, 416, 422}
        for status in HTTPStatus:
            if status not in renamed and status in REASONS:
                self.assertEqual(REASONS[status].decode().lower(), status.phrase.lower())
