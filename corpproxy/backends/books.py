"""The books: where every exchange is accounted for and recorded, once, however it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from corpproxy.accounting.accounts import Accounts
from corpproxy.audit.record import Record
from corpproxy.audit.redact import recorded_agent, recorded_path, wire_text
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.exchange.exchange import Exchange

# A tunnel that stays open is recorded again after so long, so that a record that is lost with the process
# costs no more than this of it.
PROGRESS_SECONDS = 300.0


class Writer(Protocol):
    """Keeps records."""

    def write(self, record: Record) -> None:
        """Take one."""

    def accepts(self) -> bool:
        """Whether a new exchange may begin."""


class Books:
    """
    Closes exchanges: octets go to the ledger, the record to the writer, figures to whoever watches.

    ``watch`` is called with each closing record.  ``now`` is POSIX seconds.
    """

    def __init__(
        self,
        accounts: Accounts,
        writer: Writer,
        now: Callable[[], float],
        watch: Callable[[Record], None],
    ) -> None:
        self._accounts = accounts
        self._writer = writer
        self._now = now
        self._watch = watch
        self.accepts = writer.accepts

    def running(self, exchange: Exchange) -> None:
        """It is known whose exchange this is: its octets are counted from now on while they move."""
        _name(exchange)
        self._accounts.open(exchange.account)

    def opened(self, exchange: Exchange) -> None:
        """A tunnel or upgraded connection is open."""
        self.running(exchange)
        self._writer.write(self._record(exchange, Kind.OPENING, ResultCode.OPEN))

    def progress(self, exchanges: Iterable[Exchange]) -> None:
        """Record tunnels that are still open."""
        for exchange in exchanges:
            self._writer.write(self._record(exchange, Kind.PROGRESS, ResultCode.OPEN))

    def close(self, exchange: Exchange) -> None:
        """An exchange is over."""
        _name(exchange)
        kind = Kind.CLOSING if exchange.opened else Kind.EXCHANGE
        record = self._record(exchange, kind, exchange.result)
        self._accounts.close(exchange.account, self._now())
        self._writer.write(record)
        self._watch(record)

    def _record(self, exchange: Exchange, kind: Kind, result: ResultCode) -> Record:
        in_force, identity, decision = exchange.in_force, exchange.identity, exchange.decision
        account, destination, fields = exchange.account, exchange.destination, exchange.fields
        record = Record(
            id=exchange.reference,
            kind=kind,
            at=utc_text(exchange.started),
            result=result,
            # A clock that was set back must not make a duration negative.
            seconds=max(0.0, round(self._now() - exchange.started, 6)),
            client=exchange.client,
            listener=exchange.listener,
            user=identity.name,
            groups=identity.groups,
            source=identity.source,
            method=wire_text(exchange.method),
            policy=in_force.version,
            lists=in_force.lists,
            failure=exchange.failure,
            phase=exchange.phase,
            status=exchange.status,
            received=account.received,
            sent=account.sent,
            up_sent=exchange.up_sent,
            up_received=exchange.up_received,
            upstream=exchange.upstream,
            server_name=exchange.server_name,
        )
        if destination is not None:
            record.scheme = destination.scheme
            record.host = destination.host.name
            record.port = destination.port
            record.path = recorded_path(destination.path, in_force.audit)
            record.categories = destination.categories
        if decision is not None:
            record.decision = decision.effect.value
            record.rule = decision.rule
            record.place = str(decision.place)
            record.reason = decision.reason
            record.would_block = decision.would_block
        if fields is not None and b"user-agent" in fields.index:
            record.agent = recorded_agent(fields.get(b"user-agent") or b"", in_force.audit)
        _measure(record, exchange)
        return record


def _name(exchange: Exchange) -> None:
    """Say for whom and for what the octets of an exchange count."""
    account, identity, destination = exchange.account, exchange.identity, exchange.destination
    account.user = identity.name
    account.groups = identity.groups
    if destination is not None:
        account.categories = destination.categories
        account.host = destination.host.name


def _measure(record: Record, exchange: Exchange) -> None:
    """Durations in milliseconds, where they were measured."""
    if exchange.resolve_seconds >= 0:
        record.resolve_ms = round(exchange.resolve_seconds * 1000)
    if exchange.connect_seconds >= 0:
        record.connect_ms = round(exchange.connect_seconds * 1000)
    if exchange.first_octet_seconds >= 0:
        record.first_octet_ms = round(exchange.first_octet_seconds * 1000)
