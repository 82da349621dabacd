"""A service inside the test, on free ports of loopback, with an origin; clients live in threads."""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase

from corpproxy import service
from corpproxy.audit.record import Record, decode
from corpproxy.audit.results import Kind
from corpproxy.backends.people.htpasswd_edit import set_passwords
from corpproxy.backends.records.segment_file import open_segment
from corpproxy.interpreter import set_interpreter
from corpproxy.resident import give_back_files
from corpproxy.service import CorpproxyService
from corpproxy.start import start_service
from tests.service.client import Answer, ask
from tests.service.origin import Origin
from tests.support.running import free_ports, has_ipv6

_T = TypeVar("_T")

# All services of one run are in one process, and the first sets it: each time takes a tenth of a second.
_set_interpreter_once = functools.cache(set_interpreter)
_give_back_once = functools.cache(give_back_files)

THREADS = 16
# How long something that happens by itself is waited for.
PATIENCE_SECONDS = 40.0

LISTEN = """
site: Hillside School
state: state
listen:
  - {{name: rooms, forward: "127.0.0.1:{forward}"}}
  - {{name: pac, portal: "127.0.0.1:{portal}"}}
  - {{name: office, admin: "127.0.0.1:{admin}"}}
"""

# What most tests have in common: the origin may be reached, under some names.
REACH = """
safety: {{addresses: [public, loopback], connect_ports: [443, 80, {port}, {echo}], tunnel_content: any}}
names: {{hosts: {{{hosts}}}}}
pac: {{proxy: ["127.0.0.1:{forward}"]}}
"""
NAMES = ("origin.test", "games.test", "bets.test", "news.test")

SIGN_IN = """
identity:
  methods: [{basic: {htpasswd: users.htpasswd}}]
  groups: {pupils: [amir], staff: [beth]}
"""
PEOPLE = {"amir": "a first password", "beth": "a second password"}

ALLOW = """
rules:
  - {name: everything else, do: allow}
"""


class ServiceCase(TestCase):
    """
    A test with a service.

    :ivar policy: YAML behind `LISTEN` and `REACH`.
    :ivar people: passwords by name, for ``users.htpasswd``.
    :ivar workers: how many processes serve clients; none but this one, as a rule.
    :ivar jump: seconds that the clock of the service is off the real one.
    """

    timeout = 90
    policy: ClassVar[str] = ALLOW
    people: ClassVar[dict[str, str]] = {}
    transports: ClassVar[str] = "engine"
    workers: ClassVar[int] = 0
    starts: ClassVar[bool] = True

    def setUp(self) -> Any:
        self.folder = Path(tempfile.mkdtemp(prefix="corpproxy-service-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.threads = ThreadPool(0, THREADS, "clients")
        self.threads.start()
        self.addCleanup(self.threads.stop)
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        self.forward, self.portal, self.admin = free_ports(3)
        self.jump = 0.0
        self.file = self.folder / "policy.yaml"
        if self.people:
            set_passwords(self.folder / "users.htpasswd", self.people)
        self.write()
        self.patch(service, "set_interpreter", _set_interpreter_once)
        self.patch(service, "give_back_files", _give_back_once)
        self.service: Any = None
        self._stopped: Deferred[None] = succeed(None)
        self.addCleanup(self.stop)
        if self.starts:
            self.start()

    # The site.

    def write(self, policy: str | None = None, *, reach: str | None = None) -> None:
        """Write the policy file."""
        policy = self.policy if policy is None else policy
        self.file.write_text(self.yaml(policy, reach), encoding="utf-8")

    def yaml(self, policy: str, reach: str | None = None) -> str:
        """The whole text of a policy with these rules."""
        ports = {"forward": self.forward, "portal": self.portal, "admin": self.admin}
        hosts = ", ".join(f"{name}: [127.0.0.1]" for name in NAMES)
        between = (REACH if reach is None else reach).format(
            port=self.origin.port, echo=self.origin.echo_port, hosts=hosts, **ports
        )
        own = f"transports: {self.transports}\nworkers: {self.workers}\n"
        return LISTEN.format(**ports) + own + between + policy

    def start(self) -> CorpproxyService:
        """Start the service on the policy as it stands."""
        self.service = start_service(self.file, reactor, self.now)
        self.service.startService()
        return self.service

    def now(self) -> float:
        """The clock of the service."""
        return time.time() + self.jump

    def stop(self) -> Deferred[None]:
        """Stop the service; asked again, wait for the end of that."""
        service, self.service = self.service, None
        if service is not None and service.running:
            self._stopped = service.stopService()
        ended: Deferred[None] = Deferred()
        self._stopped.addBoth(lambda outcome: (ended.callback(None), outcome)[1])
        return ended

    async def start_again(self) -> CorpproxyService:
        """Stop it and start it, as a restart does."""
        await self.stop()
        return self.start()

    # Waiting.

    def thread(self, work: Callable[..., _T], *arguments: Any, **more: Any) -> Deferred[_T]:
        """Do something that blocks."""
        return deferToThreadPool(reactor, self.threads, functools.partial(work, *arguments, **more))

    async def until(self, holds: Callable[[], Any], what: str = "") -> Any:
        """Wait until something holds, and give it."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while not (found := holds()):
            if time.monotonic() > ends:
                raise AssertionError(f"it did not come to this: {what or holds}")
            await self.pause(0.02)
        return found

    def pause(self, seconds: float) -> Deferred[None]:
        """Let the service run."""
        return deferLater(reactor, seconds, lambda: None)

    # Asking.

    def url(self, host: str = "origin.test", path: str = "/hello") -> str:
        """A URL at the origin."""
        return f"http://{host}:{self.origin.port}{path}"

    def get(
        self, host: str = "origin.test", path: str = "/hello", user: str = "", **more: Any
    ) -> Deferred[Answer]:
        """Ask the proxy for something at the origin."""
        password = more.pop("password", self.people.get(user, ""))
        return self.thread(ask, self.forward, self.url(host, path), user=user, password=password, **more)

    def ask_admin(self, path: str) -> Deferred[Answer]:
        """Ask the admin listener."""
        return self.thread(ask, self.admin, path, host="localhost")

    async def metric(self, line: str) -> float:
        """The value of one line of the metrics, named as it stands there; 0 where there is none."""
        text = (await self.ask_admin("/metrics")).text
        found = [one.rpartition(" ")[2] for one in text.splitlines() if one.rpartition(" ")[0] == line]
        return float(found[0]) if found else 0.0

    # What is left.

    def records(self) -> list[Record]:
        """The records that are in the files now."""
        segments = sorted((self.folder / "state" / "records").glob("records-*.jsonl*"))
        lines: list[bytes] = []
        for segment in segments:
            with open_segment(segment) as file:
                lines += file.read().splitlines(keepends=True)
        return [decode(line) for line in lines if line.endswith(b"\n")]

    async def closed(self, count: int = 1, **fields: Any) -> list[Record]:
        """Wait for so many records that close an exchange and have these values."""

        def found() -> list[Record]:
            records = [one for one in self.records() if one.kind in {Kind.EXCHANGE, Kind.CLOSING}]
            return [
                one for one in records if all(getattr(one, name) == value for name, value in fields.items())
            ]

        await self.until(lambda: len(found()) >= count, f"{count} records with {fields}: {self.records()}")
        return found()


WITHOUT_IPV6 = None if has_ipv6() else "this machine has no ::1"
