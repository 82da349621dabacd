"""Sinks of a service with two workers: what each wrote arrives, whatever becomes of their process."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from corpproxy.audit.formats import FormatName, writer
from corpproxy.audit.record import decode
from corpproxy.backends.records.segments import segment_names
from tests.backends.sinks.servers import Collector
from tests.supervisor.case import Load, WorkersCase

SINKS = 'audit: {to: [{name: squid, file: access.log, format: squid}, {name: collector, http: "%s"}]}\n'


def sinks_pid() -> int:
    """The process that serves the sinks of the service in this one; 0 while there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue  # it has ended
        if parent == os.getpid() and b"sinks.process" in words:
            return int(folder.name)
    return 0


class SinksTests(WorkersCase):
    """A file in Squid's format, and a collector."""

    async def follow(self) -> None:
        """Start with both sinks, and wait until they follow both workers."""
        self.collector = Collector()
        self.addCleanup(self.collector.stop)
        await self.stop()
        self.write(self.policy + SINKS % self.collector.url)
        self.start()
        await self.serving()
        positions = self.folder / "state" / "sinks"
        await self.until(
            lambda: all((positions / f"{one}.json").exists() for one in ("squid", "collector")), "they follow"
        )

    def states(self) -> Any:
        """How the sinks do."""
        return self.service.sinks.states

    def written(self) -> tuple[Counter[str], Counter[str]]:
        """The references of all records, and what they are in Squid's format."""
        write = writer(FormatName.SQUID, "", "")
        records = self.records()
        lines = (write(one) for one in records) if write is not None else ()
        return Counter(one.id for one in records), Counter(line for line in lines if line)

    def arrived(self) -> tuple[Counter[str], Counter[str]]:
        """The same of what is at the sinks."""
        file = self.folder / "access.log"
        lines = file.read_text().splitlines() if file.exists() else []
        return Counter(decode(line).id for line in list(self.collector.lines)), Counter(lines)

    async def test_both_workers(self) -> None:
        """Each record of each worker is at each sink, once."""
        await self.follow()
        for seat in await self.serving():
            client = await self.on(seat)
            for number in range(4):
                await self.thread(client.ask, "GET", self.url(path=f"/{seat.pid}/{number}"))
            client.close()
        await self.closed(8)
        await self.until(lambda: self.arrived() == self.written(), "all arrived, once")
        self.assertEqual(self.arrived()[1].total(), 8)
        wrote = {one.worker for one in segment_names(self.folder / "state" / "records")}
        self.assertGreaterEqual(len(wrote), 2)
        await self.until(lambda: self.states()["squid"].delivered == 8, "it is told")
        self.assertEqual(await self.metric("corpproxy_sinks_ended_total"), 0)

    async def test_killed(self) -> None:
        """Their process is killed under load: it is started again, that is told, and each record arrives."""
        heard: list[LogEvent] = []
        globalLogPublisher.addObserver(heard.append)
        self.addCleanup(globalLogPublisher.removeObserver, heard.append)
        await self.follow()
        load = Load(self.forward, self.url(), count=2)
        self.addCleanup(load.stop)
        for times in (1, 2):
            before = self.arrived()[1].total()
            await self.until(lambda before=before: self.arrived()[1].total() > before + 20, "they arrive")
            os.kill(sinks_pid(), signal.SIGKILL)
            await self.until(lambda times=times: self.service.sinks.ends == times, "it is noticed")
            await self.until(sinks_pid, "another one runs")
        await self.thread(load.stop)
        self.assertEqual((load.failures, set(load.statuses)), ([], {200}))
        await self.closed(len(load.statuses))
        ids, lines = self.written()
        await self.until(lambda: ids.keys() <= self.arrived()[0].keys(), "the collector has each")
        await self.until(lambda: lines.keys() <= self.arrived()[1].keys(), "the file has each")
        self.assertEqual(self.arrived()[1].keys(), lines.keys())
        self.assertEqual(await self.metric("corpproxy_sinks_ended_total"), 2)
        said = [formatEvent(one) for one in heard if "how" in one]
        self.assertEqual(len(said), 2)
        self.assertIn("the process of the sinks ended (killed by signal 9) and is started again", said[0])
