"""What the road asks for, done: one method for each command."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.errors import CorpproxyError
from corpproxy.exchange import commands
from corpproxy.exchange.commands import Command
from corpproxy.http1.answer import answer_head
from corpproxy.http1.framing import Framing
from corpproxy.http1.steering import expects_continue
from corpproxy.net.deadlines import NEVER
from corpproxy.net.fetching import CONTINUE, Fetching
from corpproxy.net.handshake import Handshake
from corpproxy.net.limiting import limit
from corpproxy.net.peeking import Peeking
from corpproxy.net.reach import Reach
from corpproxy.net.relay import ContentRelay
from corpproxy.net.run import PENDING, Run
from corpproxy.net.upload import Gather, Waste
from corpproxy.net.upstream import Server, Upstream, servers
from corpproxy.pages.page import Page

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream

log = Logger()

# Content of a request that was refused: this much is still taken, so that the client gets to read why.
# A browser that uploads more is cut off.
MAX_DRAINED_OCTETS = 1024 * 1024
# What comes once our side is closed costs nothing but the reading of it: enough for any upload that the
# line can carry in the seconds below.
MAX_LINGERING_OCTETS = 1024 * 1024 * 1024
DRAIN_SECONDS = 5.0

# As the class would make it, without its Python.
_server: Callable[[tuple[str, int]], Server] = partial(tuple.__new__, Server)

# Members of an enum that are looked up for every exchange cost more than names of this module.
_LENGTH, _NONE = Framing.LENGTH, Framing.NONE

# Statuses that have no content (RFC 9110, section 6.4.1).
_NO_CONTENT = frozenset({204, 304})


class Performer:
    """Performs the commands of one road; it is made where that begins."""

    __slots__ = ("_downstream",)

    def __init__(self, downstream: Downstream) -> None:
        self._downstream = downstream

    def perform(self, command: Command[Any]) -> Any:
        """Do what a command asks; its outcome, or PENDING."""
        return self._METHODS[type(command)](self, command)

    @property
    def _run(self) -> Run:
        run = self._downstream.run
        assert isinstance(run, Run)
        return run

    def _await(self, pending: Deferred[Any]) -> Any:
        """Wait for a Deferred, if it has no result yet; cancelled with the road."""
        run = self._run
        run.abandon = pending.cancel
        pending.addCallbacks(run.succeed, run.fail)
        return PENDING

    # Who.

    def _check_credentials(self, command: commands.CheckCredentials) -> Any:
        downstream = self._downstream
        return self._await(downstream.proxy.sign_in.check(command.value, downstream.address))

    def _change_password(self, command: commands.ChangePassword) -> Any:
        downstream = self._downstream
        sign_in = downstream.proxy.sign_in
        return self._await(
            sign_in.change_password(command.name, downstream.address, command.old, command.new)
        )

    def _save_grant(self, command: commands.SaveGrant) -> Any:
        proxy = self._downstream.proxy
        proxy.in_force.grants.add(command.grant)
        return self._await(proxy.grants.save_grant(command.grant).addErrback(_not_kept))

    def _end_grant(self, command: commands.EndGrant) -> Any:
        proxy = self._downstream.proxy
        proxy.in_force.grants.end(command.id)
        return self._await(proxy.grants.end_grant(command.id).addErrback(_not_kept))

    def _save_request(self, command: commands.SaveRequest) -> Any:
        proxy = self._downstream.proxy
        proxy.in_force.requests.keep(command.request)
        return self._await(proxy.grants.save_request(command.request).addErrback(_not_kept))

    def _read_days(self, command: commands.ReadDays) -> Any:
        return self._await(self._downstream.proxy.allowances.days(command.user))

    def _grant_quota(self, command: commands.GrantQuota) -> Any:
        allowances = self._downstream.proxy.allowances
        return self._await(allowances.grant(command.limit, command.whom, command.more))

    def _record_deed(self, command: commands.RecordDeed) -> Any:
        downstream = self._downstream
        downstream.proxy.books.deed(command.deed, downstream.exchange.in_force.version)

    # What.

    def _resolve(self, command: commands.Resolve) -> Any:
        addresses = self._downstream.proxy.names.addresses(command.host.name)
        return self._await(addresses) if isinstance(addresses, Deferred) else addresses

    # Forwarding.

    def _fetch(self, command: commands.Fetch) -> Any:
        downstream = self._downstream
        if downstream.upstream is not None:
            if downstream.exchange.in_force.limiting is not None and downstream.exchange.held is None:
                limit(downstream)
            Fetching(self._run, downstream, command).join(downstream.upstream)
            return PENDING
        downstream.proxy.admission.check_person(downstream)
        if not downstream.exchange.content_over:
            downstream.proxy.books.running(downstream.exchange)
        fetching = Fetching(self._run, downstream, command)
        if downstream.exchange.in_force.limiting is not None and not self._may_begin(fetching.start):
            return PENDING
        fetching.start()
        return PENDING

    def _may_begin(self, go_on: Callable[[], None]) -> bool:
        """Whether an exchange may begin as far as its limits go; else it goes on when it may."""
        downstream, run = self._downstream, self._run
        limiting = downstream.exchange.held or limit(downstream)
        if limiting is None:
            return True
        limiting.lead()
        run.abandon = limiting.abandon
        return limiting.begin(go_on)

    def _relay(self, command: commands.Relay) -> Any:
        downstream = self._downstream
        exchange, upstream = downstream.exchange, downstream.upstream
        assert upstream is not None
        if exchange.status == 101:
            downstream.proxy.admission.open_tunnel(downstream)
            downstream.write(command.head)
            return None
        framing = command.framing
        held, length = exchange.held, -1
        if framing is _LENGTH or framing is _NONE:
            length = command.answer.body.length or 0
        if held is not None and not (length >= 0 and held.covers(len(command.head) + length)):
            held.lead()
        content = upstream.take_whole(length) if length >= 0 else None
        if content is not None:
            # What most answers are: short, and there.
            octets = command.head + content
            exchange.answered = True
            exchange.account.sent += len(octets)
            downstream.transport.write(octets)
            exchange.up_sent += upstream.sent
            exchange.up_received += upstream.received
            downstream.upstream = None
            upstream.release(exchange.content_over)
            return None
        if held is not None:
            held.lead()
        downstream.proxy.books.running(exchange)
        run = self._run
        relay = ContentRelay(run, downstream, upstream, command, exchange.in_force.limits)
        run.abandon = relay.abandon
        relay.start()
        return PENDING

    # Answers of our own.

    def _give_up(self, command: commands.GiveUp) -> Any:
        downstream = self._downstream
        upstream = downstream.upstream
        if upstream is not None:
            downstream.part()
            upstream.forget()
        if downstream.upload is not None:
            downstream.upload.stop_sending()

    def _respond(self, command: commands.Respond) -> Any:
        self.respond_page(command.page)

    def respond_page(self, page: Page) -> None:
        """Send a page with what frames it; its content is left out where the method was HEAD."""
        downstream = self._downstream
        exchange = downstream.exchange
        if downstream.gone:
            return
        exchange.status = page.status
        if not exchange.content_over and exchange.keep and expects_continue(exchange.head):
            # Whether content or the next request comes now, nobody can say (RFC 9110, section 10.1.1).
            exchange.keep = False
        keep = exchange.keep
        fields = list(page.fields)
        if page.status not in _NO_CONTENT:
            fields.append((b"Content-Length", b"%d" % len(page.content)))
        head = answer_head(page.status, fields, date=downstream.proxy.date(), keep_alive=keep)
        content = b"" if exchange.method == b"HEAD" or page.status in _NO_CONTENT else page.content
        downstream.write(head + content)

    def _read_content(self, command: commands.ReadContent) -> Any:
        downstream, run = self._downstream, self._run
        if downstream.upload is None or downstream.upload.over:
            return b""
        downstream.deadline = downstream.deadlines.now + downstream.timeouts.content
        run.abandon = downstream.upload.stop_sending
        if expects_continue(downstream.exchange.head):
            downstream.send_interim(CONTINUE)
        downstream.upload.pass_to(Gather(command.limit_octets, run))
        return PENDING

    def _drain(self, command: commands.Drain) -> Any:
        downstream = self._downstream
        exchange = downstream.exchange
        if exchange.content_over or downstream.gone:
            return None
        Draining(self._run, downstream).start()
        return PENDING

    # Tunnels.

    def _open_tunnel(self, command: commands.OpenTunnel) -> Any:
        downstream, run = self._downstream, self._run
        proxy = downstream.proxy
        if downstream in proxy.admission.tunnels:
            # It was dialled ahead of its road; who did that says how it went (`corpproxy.net.tunnel_ahead`).
            if downstream.exchange.in_force.limiting is not None and downstream.exchange.held is None:
                limit(downstream)
            return downstream.upstream or PENDING
        proxy.admission.check_person(downstream)
        proxy.admission.open_tunnel(downstream)
        exchange, classes = downstream.exchange, command.addresses
        reach = Reach(proxy, exchange, classes, self, pooled=False)
        server = servers[command.dial.name, command.port]
        if exchange.in_force.limiting is not None:

            def go_on() -> None:
                run.abandon = reach.cancel
                reach.connect(server, command.dial)

            if not self._may_begin(go_on):
                return PENDING
        run.abandon = reach.cancel
        reach.connect(server, command.dial)
        return PENDING

    def reached(self, upstream: Upstream) -> None:
        """The server of a tunnel is connected."""
        downstream = self._downstream
        downstream.upstream = upstream
        downstream.exchange.upstream = upstream.address
        self._run.succeed(upstream)

    def not_reached(self, problem: BaseException | Failure) -> None:
        """The server of a tunnel cannot be connected to."""
        self._run.fail(problem)

    def _establish(self, command: commands.Establish) -> Any:
        downstream = self._downstream
        if not downstream.exchange.answered:
            downstream.write(command.head)
            downstream.proxy.books.opened(downstream.exchange)

    def _peek(self, command: commands.Peek) -> Any:
        Peeking(self._run, self._downstream).start()
        return PENDING

    def _upgrade(self, command: commands.Upgrade) -> Any:
        downstream = self._downstream
        upstream = downstream.upstream
        assert upstream is not None
        Handshake(self._run, downstream, upstream, command.octets).start()
        return PENDING

    _METHODS: ClassVar[dict[type[Any], Callable[[Any, Any], Any]]] = {
        commands.CheckCredentials: _check_credentials,
        commands.ChangePassword: _change_password,
        commands.SaveGrant: _save_grant,
        commands.EndGrant: _end_grant,
        commands.SaveRequest: _save_request,
        commands.RecordDeed: _record_deed,
        commands.ReadDays: _read_days,
        commands.GrantQuota: _grant_quota,
        commands.Resolve: _resolve,
        commands.Fetch: _fetch,
        commands.Relay: _relay,
        commands.GiveUp: _give_up,
        commands.Respond: _respond,
        commands.ReadContent: _read_content,
        commands.Drain: _drain,
        commands.OpenTunnel: _open_tunnel,
        commands.Establish: _establish,
        commands.Peek: _peek,
        commands.Upgrade: _upgrade,
    }


def _not_kept(failure: Failure) -> None:
    failure.trap(CorpproxyError)  # type: ignore[no-untyped-call]
    said = "a grant or a request holds, and will be forgotten with a restart: {why}"
    log.critical(said, why=failure.getErrorMessage())


class Draining:
    """
    The rest of a request that was answered before its end.

    Content with an end is taken to it, and the connection lives on if it may.  Otherwise our side is closed
    first and what still comes is thrown away for a moment: closing at once would reset the answer (RFC 9112,
    section 9.6).
    """

    def __init__(self, run: Run, downstream: Downstream) -> None:
        self._run = run
        self._downstream = downstream
        self._left = MAX_LINGERING_OCTETS
        self._until = NEVER

    def start(self) -> None:
        """Throw away what comes, for a while."""
        downstream = self._downstream
        exchange, upload = downstream.exchange, downstream.upload
        self._run.abandon = self._stop
        self._until = downstream.deadline = downstream.deadlines.now + DRAIN_SECONDS
        downstream.when_late = self.over
        if upload is not None and exchange.keep and not upload.broken and not downstream.full:
            upload.pass_to(Waste(MAX_DRAINED_OCTETS, self._linger, self.over))
        else:
            self._linger()

    def _linger(self) -> None:
        downstream = self._downstream
        downstream.exchange.keep = False
        if downstream.upload is not None:
            downstream.upload.stop_sending()
        downstream.deadline = self._until
        downstream.end_writing()
        downstream.sink = self
        held = downstream.held.take()
        if held:
            self.octets(held)

    def octets(self, data: bytes) -> None:
        """Count octets and throw them away."""
        self._downstream.exchange.account.received += len(data)
        self._left -= len(data)
        if self._left < 0:
            self.over()

    def half_closed(self) -> None:
        """The client has read our answer and closed its side."""
        self.over()

    def lost(self, clean: bool) -> None:
        """The connection is gone."""
        self.over()

    def over(self) -> None:
        """Enough."""
        self._stop()
        if not self._downstream.exchange.content_over:
            self._downstream.exchange.keep = False
        self._run.succeed()

    def _stop(self) -> None:
        downstream = self._downstream
        downstream.when_late = None
        downstream.deadline = NEVER
        downstream.sink = downstream.held
