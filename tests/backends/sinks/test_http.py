"""Collectors over HTTP: batches, packed, tried again when they ask for it; and the token stays a secret."""

from __future__ import annotations

import time

from corpproxy.audit.formats import FormatName
from corpproxy.audit.sinks import Packing, SinkKind
from tests.backends.sinks.case import SinkCase
from tests.backends.sinks.servers import Collector, wait_until
from tests.backends.sinks.test_checkpoints import sign
from tests.support.rows import rows, tabular


@tabular
class HttpTests(SinkCase):
    """A collector."""

    def setUp(self) -> None:
        super().setUp()
        self.collector = Collector()
        self.addCleanup(self.collector.stop)

    def begin(self, **more):
        return self.start(self.settings(SinkKind.HTTP, self.collector.url, **more))

    @rows(none=(Packing.NONE,), gzip=(Packing.GZIP,), zstd=(Packing.ZSTD,))
    def test_delivered(self, packing: Packing) -> None:
        """Records come as JSON lines, packed or not, as they stand in the files."""
        delivery = self.begin(packing=packing)
        self.write(30)
        wait_until(lambda: delivery.state.delivered == 30, "they are delivered")
        self.assertEqual(self.ids_in(self.collector.lines), self.ids)
        self.assertEqual(self.collector.fields[0]["content-type"], "application/x-ndjson")

    def test_format(self) -> None:
        """Other formats come as lines of text."""
        self.begin(format=FormatName.SQUID)
        self.write(1)
        wait_until(lambda: self.collector.lines, "a line")
        self.assertEqual(len(self.collector.lines[0].split()), 10)
        self.assertEqual(self.collector.fields[0]["content-type"], "text/plain; charset=utf-8")

    def test_retry_after(self) -> None:
        """A collector that asks us to wait is asked again when it said, and loses nothing."""
        self.collector.answers = [(503, {"Retry-After": "1"})]
        delivery = self.begin()
        self.write(3)
        wait_until(lambda: delivery.state.failing_since, "it fails")
        self.assertIn("answers 503", delivery.state.reason)
        began = time.monotonic()
        wait_until(lambda: delivery.state.delivered == 3, "they are delivered")
        self.assertGreater(time.monotonic() - began, 0.8)
        self.assertEqual(self.ids_in(self.collector.lines), self.ids)

    def test_refused(self) -> None:
        """One record that a collector cannot read is told and left out; the others of its batch arrive."""
        self.collector.refuses = lambda content: b'"user":"user7"' in content
        delivery = self.begin()
        self.write(20)
        wait_until(lambda: delivery.state.delivered == 19, "they are delivered")
        self.assertEqual(delivery.state.refused, 1)
        self.assertEqual(self.ids_in(self.collector.lines), self.ids[:6] + self.ids[7:])

    @rows(bare=("s3cret", "Bearer s3cret"), with_scheme=("Splunk s3cret", "Splunk s3cret"))
    def test_token(self, written: str, expected: str) -> None:
        """The token is read from its file for each batch, and is in no message."""
        token = self.folder / "token"
        token.write_text(written + "\n")
        self.collector.answers = [(401, {})]
        delivery = self.begin(token=str(token))
        self.write(1)
        wait_until(lambda: delivery.state.failing_since, "it fails")
        self.assertNotIn("s3cret", delivery.state.reason)
        wait_until(lambda: delivery.state.delivered == 1, "it is delivered")
        self.assertEqual({one["authorization"] for one in self.collector.fields}, {expected})

    @rows(missing=(None,), not_ascii=(b"s3cr\xe9t",), two_lines=(b"s3cret\nX: y",))
    def test_bad_token(self, written: bytes | None) -> None:
        """A token that cannot be sent is told, without what stands in the file."""
        token = self.folder / "token"
        if written is not None:
            token.write_bytes(written)
        delivery = self.begin(token=str(token))
        self.write(1)
        wait_until(lambda: delivery.state.failing_since, "it fails")
        self.assertIn("token", delivery.state.reason)
        self.assertNotIn("s3cr", delivery.state.reason)
        self.assertEqual(self.collector.fields, [])

    def test_checkpoints(self) -> None:
        """A checkpoint comes as a batch of its own."""
        self.begin(records=False, checkpoints=True)
        line = sign(self.records, 1)
        wait_until(lambda: self.collector.lines, "a checkpoint")
        self.assertEqual(self.collector.lines, [line.rstrip(b"\n")])
