"""How the exchanges of a client begin: a head is read, and what may go ahead of its road goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpproxy import twins
from corpproxy.errors import ProtocolError
from corpproxy.exchange.exchange import Exchange, Mode, new_exchange
from corpproxy.exchange.refusal import Refusal
from corpproxy.exchange.road import refuse
from corpproxy.http1.framing import NO_BODY, Framing, keeps_alive, request_body
from corpproxy.http1.head import RequestHead, RequestReader
from corpproxy.http1.steering import is_plain
from corpproxy.net.ahead import send_ahead
from corpproxy.net.deadlines import NEVER
from corpproxy.net.first import begin_first
from corpproxy.net.performer import Performer
from corpproxy.net.run import Run
from corpproxy.net.upload import Upload
from corpproxy.net.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from corpproxy.exchange.limits import Timeouts
    from corpproxy.net.ahead import Ahead
    from corpproxy.net.first import Outset
    from corpproxy.net.held import Held
    from corpproxy.net.proxy import Proxy
    from corpproxy.net.tunnel_ahead import TunnelAhead


class BeginningInPython(Wire):
    """
    What a client's connection does from the first octet of a head until its exchange is on its road.

    It is a part of `corpproxy.net.downstream.Downstream`, and nothing for itself; ``native/begin.c`` is made
    after it.  ``held`` is what the client sent ahead; there is none while a tunnel moves octets.
    """

    __slots__ = (
        "_began",
        "_reader",
        "exchange",
        "held",
        "listener",
        "mode",
        "proxy",
        "run",
        "timeouts",
        "upload",
    )

    _began: float
    address: str
    _reader: RequestReader | None
    # There is none between two exchanges.
    exchange: Exchange
    held: Held
    listener: str
    mode: Mode
    proxy: Proxy
    timeouts: Timeouts
    upload: Upload | None

    run: Run | Ahead | TunnelAhead | Outset | None

    def octets(self, data: bytes) -> None:
        """Take octets of a request head."""
        if self.closing:
            return
        reader, proxy = self._reader, self.proxy
        if reader is None:
            self._began = proxy.now()
            self.deadline = self.deadlines.now + self.timeouts.head
            reader = proxy.heads.reader(proxy.in_force)
        try:
            head = reader.feed(data)
        except ProtocolError as error:
            if self._reader is None:
                proxy.heads.part_with(proxy.in_force)
            self._reader = None
            self._refuse(error, reader.pending)
            return
        if head is not None:
            self._reader = None
            self.held.octets_held, reader.rest = reader.rest, b""
            self._begin(head)
        elif self._reader is None and reader.held is not None:
            self._reader = reader
            proxy.heads.part_with(proxy.in_force)

    def _exchange(self) -> Exchange:
        proxy = self.proxy
        began = self._began
        return new_exchange(
            proxy.in_force, self.mode, self.listener, self.address, began, proxy.references.next(began)
        )

    def _begin(self, head: RequestHead) -> None:
        self.deadline = NEVER
        self.sink = self.held
        proxy, began = self.proxy, self._began
        exchange = self.exchange = new_exchange(
            proxy.in_force, self.mode, self.listener, self.address, began, proxy.references.next(began)
        )
        if began < proxy.rounds.since:
            proxy.rounds.late(self)  # type: ignore[arg-type]
        exchange.head = head
        exchange.fields = head.fields
        exchange.method = head.method
        exchange.account.received = head.octets
        self.upload = None
        if is_plain(head):
            exchange.body = NO_BODY
            exchange.keep = not (proxy.stopping or head.fields.outline.closes)
        else:
            try:
                body = exchange.body = request_body(head, exchange.in_force.limits)
            except ProtocolError as error:
                self.drive(refuse(exchange, error))
                return
            if body.framing is not Framing.NONE:
                exchange.content_over = False
                self.upload = Upload(self, body, exchange.in_force.limits)  # type: ignore[arg-type]
            exchange.keep = keeps_alive(head) and not proxy.stopping
        refusal = proxy.admission.refusal(exchange)
        if refusal is not None:
            self._turn_away(refusal)
        elif not (head.fields.outline.known and send_ahead(self, exchange)):  # type: ignore[arg-type]
            self._take_road(exchange)

    def _take_road(self, exchange: Exchange) -> None:
        """Nothing is known of it, or not enough."""
        begin_first(self, exchange)  # type: ignore[arg-type]

    def _turn_away(self, refusal: Refusal) -> None:
        self.drive(refuse(self.exchange, refusal))

    def _refuse(self, error: ProtocolError | Refusal, octets: int) -> None:
        """Answer octets that are no request; nobody knows what follows them, so the connection ends."""
        self.deadline = NEVER
        self.sink = self.held
        exchange = self.exchange = self._exchange()
        exchange.account.received = octets
        exchange.content_over = False
        self.upload = None
        self.drive(refuse(exchange, error))

    def drive(self, road: Coroutine[Any, Any, None]) -> Run:
        """Begin the road of the present exchange."""
        run = self.run = Run(road, self, Performer(self))  # type: ignore[arg-type]
        run.start()
        return run


if TYPE_CHECKING or twins.ahead is None:
    Beginning = BeginningInPython
else:

    class Beginning(twins.ahead.Beginning, BeginningInPython):
        """The compiled twin, which leaves what is no plain request to the one in Python."""

        __slots__ = ()
        _begin_in_python = BeginningInPython._begin
        _octets_in_python = BeginningInPython.octets
