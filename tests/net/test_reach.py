"""Reaching a server for an exchange: compiled and in Python."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.addresses import address_class, remembered
from corpproxy.destination.model import AddressClass, Host
from corpproxy.errors import UpstreamError
from corpproxy.exchange.refusal import AddressRefused
from corpproxy.net.deadlines import Deadlines
from corpproxy.net.reach import Reaching, ReachingInPython
from corpproxy.net.upstream import Server, Upstream
from tests.support.rows import rows, tabular

SERVER = Server("www.bbc.example", 443)
NAME = Host("www.bbc.example")
ADDRESS = "93.184.216.34"
PLACE = (ADDRESS, 443)


class Dialling:
    """One attempt, as a connector makes it."""

    def __init__(self, *asked: Any) -> None:
        self.asked = asked
        self.is_given_up = False

    def give_up(self) -> None:
        self.is_given_up = True


class Connector:
    """Keeps what it is asked to dial."""

    def __init__(self) -> None:
        self.dials: list[Dialling] = []
        self.bug: Exception | None = None

    def dial_one(self, *asked: Any) -> Dialling:
        if self.bug is not None:
            raise self.bug
        self.dials.append(Dialling(*asked))
        return self.dials[-1]


class Kept:
    """A pool that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def opened_one(self, upstream: Upstream) -> None:
        self.told.append(upstream)

    def opened_tunnel(self) -> None:
        self.told.append("tunnel")

    def dialled_in_vain(self, server: Server) -> None:
        self.told.append(server)


class Seeking:
    """Notes how it went."""

    told: list[Any]
    bug: Exception | None

    def reached(self, upstream: Upstream) -> None:
        if self.bug is not None:
            raise self.bug
        self.told.append(upstream)

    def not_reached(self, problem: Any) -> None:
        self.told.append(problem)


class SeekingByTwin(Seeking, Reaching):
    """With the twin that runs."""


class SeekingInPython(Seeking, ReachingInPython):
    """With the twin in Python."""


@tabular
class _ReachTests:
    twin: ClassVar[Any]

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.connector, self.pool = Connector(), Kept()
        self.found: Any = (ADDRESS,)
        self.deadlines = Deadlines(self.clock)
        self.proxy: Any = SimpleNamespace(
            reactor=self.clock,
            connector=self.connector,
            pool=self.pool,
            deadlines=self.deadlines,
            names=SimpleNamespace(addresses=lambda name: self.found),
        )
        timeouts = SimpleNamespace(connect=7.0)
        in_force = SimpleNamespace(timeouts=timeouts, limits=object())
        self.exchange: Any = SimpleNamespace(in_force=in_force, resolve_seconds=-1.0, connect_ms=-1)
        address_class(ADDRESS)

    def seek(self, pooled: bool = True, host: Host = NAME) -> Any:
        allowed = frozenset({AddressClass.PUBLIC})
        seeking = self.twin(self.proxy, self.exchange, allowed, pooled)
        seeking.told, seeking.bug = [], None
        seeking.connect(SERVER, host)
        return seeking

    def test_dials(self) -> None:
        """The only address of a host is dialled at once, with the time that is in force."""
        seeking = self.seek()
        [dial] = self.connector.dials
        self.assertEqual(dial.asked, (ADDRESS, 443, seeking, 7.0, None))
        self.assertEqual(self.exchange.resolve_seconds, 0.0)
        seeking.give_up()
        self.assertTrue(dial.is_given_up)
        self.assertEqual((self.pool.told, seeking.told), ([SERVER], []))

    @rows(
        remembered=(True,),
        seen_first=(False,),
    )
    def test_written_as_an_address(self, is_remembered: bool) -> None:
        """A host that is an address needs no look-up."""
        self.found = None
        if not is_remembered:
            remembered.clear()
        self.seek(host=Host(ADDRESS, self.as_address(ADDRESS)))
        self.assertEqual(self.connector.dials[0].asked[:2], PLACE)

    def as_address(self, text: str) -> Any:
        return SimpleNamespace(text=text)

    def test_looked_up(self) -> None:
        """A name that has to be looked up is waited for, and what that took is measured."""
        self.found = waiting = Deferred()
        self.seek()
        self.assertEqual(self.connector.dials, [])
        self.clock.advance(0.25)
        waiting.callback((ADDRESS,))
        self.assertEqual(len(self.connector.dials), 1)
        self.assertEqual(self.exchange.resolve_seconds, 0.25)

    def test_given_up_while_looked_up(self) -> None:
        """Who gives up before the name is known has nothing dialled."""
        self.found = Deferred()
        seeking = self.seek()
        seeking.give_up()
        self.assertEqual((self.connector.dials, seeking.told, self.pool.told), ([], [], [SERVER]))

    @rows(
        private=(("10.0.0.1",),),
        all_of_them=(("10.0.0.1", "127.0.0.1"),),
    )
    def test_may_not_be_dialled(self, addresses: tuple[str, ...]) -> None:
        """An address of a class that is not allowed is refused, and the pool hears of it."""
        self.found = addresses
        seeking = self.seek()
        [problem] = seeking.told
        self.assertIsInstance(problem, AddressRefused)
        self.assertEqual((self.connector.dials, self.pool.told), ([], [SERVER]))

    def test_one_of_several(self) -> None:
        """Where only one of several may be dialled it is."""
        self.found = ("10.0.0.1", ADDRESS)
        self.seek()
        self.assertEqual([dial.asked[0] for dial in self.connector.dials], [ADDRESS])

    def test_bug_in_dialling(self) -> None:
        """A bug where it is dialled is told as what is in the way."""
        self.connector.bug = RuntimeError("a bug")
        self.assertEqual(self.seek().told, [self.connector.bug])
        self.assertEqual(self.pool.told, [SERVER])

    def test_stock_reactor(self) -> None:
        """A reactor that dials in its own way is asked in its own way."""
        asked: list[Any] = []

        def connect_tcp(host: str, port: int, factory: Any, **more: Any) -> Any:
            asked.append((host, port, more["timeout"]))

        self.proxy.connector = SimpleNamespace(connectTCP=connect_tcp)
        self.seek()
        self.assertEqual(asked, [(ADDRESS, 443, 7.0)])

    def test_failed(self) -> None:
        """What is in the way is told to the pool and to who waits."""
        seeking, problem = self.seek(), UpstreamError("connect-refused", "refused", phase="connect")
        seeking.failed(problem)
        self.assertEqual((self.pool.told, seeking.told), ([SERVER], [problem]))

    def test_arrived(self) -> None:
        """A connection is handed over, with what it took in whole milliseconds."""
        seeking = self.seek()
        self.clock.advance(0.0206)
        upstream = seeking.build()
        seeking.arrived(upstream)
        self.assertEqual((self.pool.told, seeking.told), ([upstream], [upstream]))
        self.assertEqual(self.exchange.connect_ms, 21)

    def test_at_once(self) -> None:
        """A connector that is connected at once leaves nothing pending."""

        def dial_one(address: str, port: int, caller: Any, *more: Any) -> Dialling:
            caller.arrived(caller.build())
            return Dialling()

        self.patch(self.connector, "dial_one", dial_one)
        seeking = self.seek()
        self.assertEqual(len(seeking.told), 1)
        self.assertIsNone(seeking._pending)

    def test_given_up_meanwhile(self) -> None:
        """A connection that nobody waits for any more is handed to nobody."""
        seeking = self.seek(pooled=False)
        seeking._wanted = False
        seeking.arrived(seeking.build())
        self.assertEqual((self.pool.told, seeking.told), (["tunnel"], []))

    @rows(wanted=(True,), given_up=(False,))
    def test_bug_when_reached(self, wanted: bool) -> None:
        """A bug of who waits for it is told to them, if they still wait."""
        seeking = self.seek(pooled=False)
        seeking.bug = bug = RuntimeError("a bug")
        if not wanted:
            self.patch(self.pool, "opened_tunnel", lambda: 1 / 0)
            seeking._wanted = False
        seeking.arrived(seeking.build())
        self.assertEqual(seeking.told, [bug] if wanted else [])

    def test_interrupted(self) -> None:
        """What is no fault of one connection goes on."""
        seeking = self.seek()
        self.patch(seeking, "bug", KeyboardInterrupt())
        with self.assertRaises(KeyboardInterrupt):
            seeking.arrived(seeking.build())

    def test_not_begun(self) -> None:
        """An attempt that was never begun makes no connection."""
        seeking = self.twin(self.proxy, self.exchange, frozenset(), True)
        with self.assertRaises(AttributeError):
            seeking.build()

    @rows(pool=(True,), tunnel=(False,))
    def test_like_its_class(self, pooled: bool) -> None:
        """What is built is what its class makes, member for member."""
        seeking = self.seek(pooled)
        built = seeking.build()
        in_force = self.exchange.in_force
        keeper: Any = self.pool if pooled else None
        made = Upstream(SERVER, keeper, self.deadlines, in_force.timeouts, in_force.limits)
        names = [name for one in Upstream.__mro__ for name in getattr(one, "__slots__", ()) if name != "sink"]
        for name in names:
            missing = object()
            self.assertIs(
                getattr(built, name, "unset").__class__, getattr(made, name, "unset").__class__, name
            )
            if hasattr(made, name):
                self.assertEqual(getattr(built, name, missing), getattr(made, name), name)
        self.assertIs(built.sink, built)


class ReachTests(_ReachTests, SynchronousTestCase):
    """The twin that runs."""

    twin = SeekingByTwin


class ReachInPythonTests(_ReachTests, SynchronousTestCase):
    """The twin in Python."""

    twin = SeekingInPython
