"""The whole service with workers, as twistd runs it."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.report import By, UsageQuestion
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.backends.store.sqlite import report_from
from tests.service.case import ALLOW
from tests.service.client import Client
from tests.service.origin import Origin
from tests.service.whole import WholeService, policy_for
from tests.supervisor.case import Load


def children(pid: int) -> list[int]:
    """The processes that a process started and that run."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as names:
        return [int(name) for name in names.read().split()]


def workers_of(pid: int) -> list[int]:
    """The workers of a service: the copies that its template made."""
    (template,) = children(pid)
    return children(template)


def runs(pid: int) -> bool:
    """Whether a process runs."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as told:
            return told.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class WholeTests(SynchronousTestCase):
    """Starts and ends."""

    timeout = 120
    more = ""

    def setUp(self) -> None:
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        self.service = WholeService(policy_for(self.origin, self.more + ALLOW), workers=2)
        self.addCleanup(self.service.forget)
        self.url = f"http://origin.test:{self.origin.port}"

    def client(self) -> Client:
        client = Client(self.service.forward)
        self.addCleanup(client.close)
        return client

    def until(self, holds, what: str) -> None:
        ends = time.monotonic() + 60
        while not holds():
            self.assertLess(time.monotonic(), ends, what)
            time.sleep(0.05)

    def test_drain(self) -> None:
        """SIGTERM: what runs ends with its answer, every exchange is recorded and counted, exit code 0."""
        held, tunnel = self.client(), self.client()
        held.send_request("GET", self.url + "/held")
        self.assertTrue(self.origin.arrived.wait(20))
        target = f"origin.test:{self.origin.echo_port}"
        self.assertEqual(tunnel.ask("CONNECT", target).status, 200)
        self.assertEqual(tunnel.echoes(b"hello"), b"hello")
        workers = workers_of(self.service.process.pid)
        self.assertEqual(len(workers), 2)
        self.service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        self.origin.release()
        self.assertEqual(held.answer().status, 200)
        self.assertEqual(self.service.process.wait(20), 0)
        self.assertEqual([pid for pid in workers if runs(pid)], [])
        closings = {one.result: one for one in self.service.records() if one.kind is not Kind.OPENING}
        self.assertIn(ResultCode.FORWARDED, closings)
        usage = report_from(self.service.state / "corpproxy.db", UsageQuestion(By.USER, UTC)).total
        self.assertEqual(usage.received, sum(one.received for one in closings.values()))
        self.assertEqual(usage.exchanges, 2)
        self.assertEqual(self.service.faults(), [])

    def test_all_signalled(self) -> None:
        """Ctrl-C and systemd signal all processes at once: it ends in order all the same."""
        load = Load(self.service.forward, self.url + "/hello")
        self.until(lambda: len(load.statuses) > 20, "the load runs")
        load.stop()
        service = self.service.process.pid
        for pid in [*workers_of(service), *children(service), service]:
            os.kill(pid, signal.SIGINT)
        self.assertEqual(self.service.process.wait(20), 0)
        self.assertEqual(set(load.statuses), {200})
        self.assertEqual(self.service.faults(), [])
        self.assertEqual(len(self.service.records()), len(load.statuses))

    def test_supervisor_killed(self) -> None:
        """Without their supervisor workers end, their records are whole, and a new service starts."""
        client = self.client()
        self.assertEqual(client.ask("GET", self.url + "/hello").status, 200)
        workers = workers_of(self.service.process.pid)
        self.service.kill()
        self.until(lambda: not any(map(runs, workers)), "the workers end")
        self.assertEqual(len(self.service.records()), 1)
        self.service.start_again()
        self.assertEqual(self.client().ask("GET", self.url + "/hello").status, 200)

    def test_commands(self) -> None:
        """The command line speaks to the supervisor: status, reload, and what a restart takes."""
        self.until(lambda: "2 stage serving" in self.service.command("status").stdout, "both serve")
        said = self.service.command("status").stdout
        self.assertIn("worker 1 stage serving pid ", said)
        self.service.workers = 3
        self.service.write_policy(policy_for(self.origin, ALLOW))
        reload = self.service.command("reload")
        self.assertIn("'workers' is still 2; restart corpproxy to change it", reload.stdout + reload.stderr)
        self.assertEqual(reload.returncode, 0)
