"""A record that a sink follows, and its delivery, step by step or in its thread."""

from __future__ import annotations

import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.record import decode, encode
from corpproxy.audit.settings import AuditSettings
from corpproxy.audit.sinks import SinkKind, SinkSettings, SinksJob
from corpproxy.backends.records.segments import Segments
from corpproxy.backends.sinks.delivery import Delivery
from corpproxy.backends.sinks.process import make_sink
from tests.audit.test_record import a_record

BEGAN = 1_795_428_000.0


class SinkCase(SynchronousTestCase):
    """Two workers write; what a sink got is compared with what they wrote."""

    rotate_octets = 0

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.records = self.folder / "records"
        self.positions = self.folder / "sinks"
        self.records.mkdir(parents=True)
        self.positions.mkdir()
        self.now = BEGAN
        self.count = 0
        self.ids: list[str] = []
        self.writers = [self.writer(1), self.writer(2)]
        self.running: list[tuple[Delivery, threading.Thread]] = []
        self.addCleanup(self.stop)

    def writer(self, number: int) -> Segments:
        return Segments(self.records, AuditSettings(rotate_octets=self.rotate_octets), worker=number)

    def write(self, count: int, worker: int = 0, **fields) -> None:
        """Write records, in one batch."""
        lines = b""
        for _ in range(count):
            self.count += 1
            record = a_record(**({"id": f"{self.count:014}", "user": f"user{self.count}"} | fields))
            self.ids.append(record.id)
            lines += encode(record)
        self.now += 1
        self.writers[worker].append(lines, self.now)

    def settings(self, kind: SinkKind, to: str, **more) -> SinkSettings:
        return SinkSettings(name="there", kind=kind, to=to, **more)

    def delivery(self, settings: SinkSettings, **more) -> Delivery:
        """A delivery; with the first one, the sink is new."""
        job = SinksJob(str(self.records), str(self.positions), (settings,), "1.0", "proxy.example")
        sink = make_sink(settings, job)
        return Delivery(settings, sink, self.records, self.positions, "1.0", first_wait=0.05, **more)

    def start(self, settings: SinkSettings, **more) -> Delivery:
        """Deliver in a thread until the end of the test."""
        delivery = self.delivery(settings, **more)
        thread = threading.Thread(target=delivery.run, daemon=True)
        thread.start()
        self.running.append((delivery, thread))
        return delivery

    def stop(self, seconds: float = 2.0) -> None:
        """Stop what runs."""
        for delivery, _ in self.running:
            delivery.stop(seconds)
        for _, thread in self.running:
            thread.join(10)
        self.running.clear()

    def ids_in(self, lines) -> list[str]:
        """The references in lines of JSON."""
        return [decode(line).id for line in lines]
