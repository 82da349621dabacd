"""The template: the process that is copied whenever a worker is needed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.service.case import ALLOW
from tests.service.client import Client
from tests.service.origin import Origin
from tests.service.whole import WholeService, policy_for
from tests.supervisor.test_whole import children, runs, workers_of


def name_of(pid: int) -> str:
    """The name of a process, as ps shows it."""
    return Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()


class TemplateTests(SynchronousTestCase):
    """Workers come from it, and can do without it."""

    timeout = 120

    def setUp(self) -> None:
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        self.service = WholeService(policy_for(self.origin, ALLOW), workers=2)
        self.addCleanup(self.service.forget)
        self.supervisor = self.service.process.pid
        self.url = f"http://origin.test:{self.origin.port}/hello"
        self.until(lambda: self.serving() == 2, "both serve")

    def serving(self) -> int:
        return self.service.command("status").stdout.count("stage serving")

    def until(self, holds, what: str) -> None:
        ends = time.monotonic() + 60
        while not holds():
            self.assertLess(time.monotonic(), ends, what)
            time.sleep(0.05)

    def answers(self) -> set[int]:
        """What some clients get, each on a connection of its own."""
        statuses = set()
        for _ in range(8):
            client = Client(self.service.forward)
            statuses.add(client.ask("GET", self.url).status)
            client.close()
        return statuses

    def test_names(self) -> None:
        """Who looks at the processes of a machine can tell what each is."""
        (template,) = children(self.supervisor)
        self.assertEqual(name_of(template), "corpproxy-seed")
        self.assertEqual([name_of(one) for one in workers_of(self.supervisor)], ["corpproxy-work"] * 2)

    def test_rests(self) -> None:
        """Once all serve, what only the template has takes no memory; a worker is made of it all the same."""
        (template,) = children(self.supervisor)
        self.until(lambda: own_kilobytes(template) < 5000, "it rests")
        before, _ = workers_of(self.supervisor)
        os.kill(before, signal.SIGKILL)
        self.until(lambda: before not in workers_of(self.supervisor), "it is over")
        self.until(lambda: self.serving() == 2, "it is replaced")
        self.assertEqual(self.answers(), {200})

    def test_nothing_inherited(self) -> None:
        """A worker has its own sockets, its link and its log, and nothing else of the supervisor's."""
        theirs = open_sockets(self.supervisor)
        for worker in workers_of(self.supervisor):
            shared = open_sockets(worker) & theirs
            # Three listeners that clients use at the most: those are shared on purpose, one socket each.
            self.assertLessEqual(len(shared), 3, shared)
        (template,) = children(self.supervisor)
        self.assertEqual(open_sockets(template) & theirs, set())

    def test_killed_worker(self) -> None:
        """A killed worker is replaced by another copy; how it ended is told."""
        before = workers_of(self.supervisor)
        os.kill(before[0], signal.SIGKILL)
        self.until(lambda: len(set(workers_of(self.supervisor)) - set(before)) == 1, "it is replaced")
        self.until(lambda: self.serving() == 2, "both serve")
        self.assertEqual(self.answers(), {200})
        self.assertIn("ended by signal 9; the next one begins now", self.service.log_text())

    def test_killed_template(self) -> None:
        """Without it the workers go on, and one that dies is replaced all the same."""
        (template,) = children(self.supervisor)
        first, second = workers_of(self.supervisor)
        os.kill(template, signal.SIGKILL)
        self.until(lambda: "the template of workers is gone" in self.service.log_text(), "it is missed")
        self.assertEqual(self.answers(), {200})
        self.assertTrue(runs(first) and runs(second))
        os.kill(first, signal.SIGKILL)
        self.until(
            lambda: len([one for one in children(self.supervisor) if runs(one)]) == 1, "it is replaced"
        )
        self.until(lambda: self.serving() == 2, "both serve")
        self.assertEqual(self.answers(), {200})
        # Whoever nobody buries any more ends with the service all the same.
        self.service.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.service.process.wait(20), 0)
        self.assertFalse(runs(second))

    def test_stopped(self) -> None:
        """With the service its template ends, also one that was stopped in the middle."""
        (template,) = children(self.supervisor)
        workers = workers_of(self.supervisor)
        self.service.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.service.process.wait(20), 0)
        self.until(lambda: not any(map(runs, [template, *workers])), "all are gone")


def own_kilobytes(pid: int) -> int:
    """The memory that a process shares with no other, without the pages that a file has as well."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def open_sockets(pid: int) -> set[str]:
    """The sockets that a process has open."""
    folder = Path(f"/proc/{pid}/fd")
    return {name for one in folder.iterdir() if (name := os.readlink(one)).startswith("socket:")}
