"""The books: where every exchange is accounted for and recorded, once, however it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from twisted.logger import Logger

from corpproxy.accounting.accounts import Accounts
from corpproxy.accounting.ledger import OTHER_HOSTS
from corpproxy.accounting.present import Shown
from corpproxy.audit.deeds import Deed, DeedName, record_of
from corpproxy.audit.erasure import Erasing, Erasure
from corpproxy.audit.pseudonyms import Naming
from corpproxy.audit.record import MAX_MEDIA_TYPE, NO_CONTENT, UNKNOWN_CONTENT, Record
from corpproxy.audit.redact import left_out, recorded_agent, recorded_method, recorded_path
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.settings import AuditSettings
from corpproxy.audit.times import utc_text
from corpproxy.backends.alike import (
    HAS_MORE,
    SHORT_PATH,
    Decided,
    copied,
    is_common,
    is_short,
    like,
    milliseconds,
)
from corpproxy.destination.model import Destination, Host
from corpproxy.errors import NOWHERE
from corpproxy.exchange.ending import Ending
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.known import Known
from corpproxy.exchange.limited import Held, told_of
from corpproxy.policy.model import Answer, Decision, Effect

log = Logger()

# A tunnel that stays open is recorded again after so long, so that a record that is lost with the process
# costs no more than this of it.
PROGRESS_SECONDS = 300.0

# The last moment that records can write.
MAX_MOMENT = 253_402_300_799.0
_UNRESOLVED = ("none",)
_KEPT = AuditSettings()
_FORWARDED, _EXCHANGE = ResultCode.FORWARDED, Kind.EXCHANGE
_TUNNELLED, _CLOSING = ResultCode.TUNNELLED, Kind.CLOSING
_ENDS = frozenset({Kind.EXCHANGE, Kind.CLOSING})
# Deeds of these sources were done by who administers the machine, or by nobody.
_ABOUT_PSEUDONYMS = frozenset({DeedName.REVEALED, DeedName.REVEAL_ENDED})
_OF_THE_MACHINE = frozenset({"command", "policy"})


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

    :ivar hides: whether there is one among some hosts that the record may not name.
    :ivar naming: gives pseudonyms, where the record has them.
    :ivar forgotten: what was erased while exchanges ran that it is about; see `forget`.
    :ivar look: is told of each exchange that is over, while somebody looks at what runs.
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
        self.hides: Callable[[Iterable[str]], bool] = _hides_nothing
        self.naming: Naming | None = None
        self.forgotten: tuple[Erasure, ...] = ()
        self.look: Callable[[Exchange], None] | None = None
        self._decided = Decided(self._record, self._agent)
        self._methods = _Texts(recorded_method)
        self._agents = _Texts(lambda agent: recorded_agent(agent, _KEPT))

    def running(self, exchange: Exchange) -> None:
        """It is known whose exchange this is: its octets are counted from now on while they move."""
        self._name(exchange)
        self._accounts.open(exchange.account)

    def opened(self, exchange: Exchange) -> None:
        """A tunnel or upgraded connection is open."""
        self.running(exchange)
        known = exchange.known
        if known is None:
            record = self._record(exchange, Kind.OPENING, ResultCode.OPEN)
        elif known.record is None:
            record = self._keep(self._record(exchange, Kind.OPENING, ResultCode.OPEN), known)
        else:
            record = like(known.record, exchange, self._now())
        # A call saved is worth a look: most sites keep names and are discreet about nothing.
        if self.naming is not None or exchange.in_force.discretion.levels or self.forgotten:
            record = self._kept(record, exchange)
        self._writer.write(record)

    def progress(self, exchanges: Iterable[Exchange]) -> None:
        """Record tunnels that are still open."""
        for exchange in exchanges:
            record = self._record(exchange, Kind.PROGRESS, ResultCode.OPEN)
            self._writer.write(self._kept(record, exchange))

    def close(self, exchange: Exchange) -> None:
        """An exchange is over; whatever is wrong with what is known of it, it is counted and recorded."""
        now = self._now()
        account, identity, destination = exchange.account, exchange.identity, exchange.destination
        is_plain = self.naming is None and not exchange.in_force.discretion.levels and not self.forgotten
        decision = exchange.decision
        if account.host or destination is None or not is_plain:
            # An open tunnel counts for whom and for what it did, but where its first octets decided it again.
            same = account.host and decision is not None and account.rule == decision.rule
            if not (is_plain and exchange.opened and same):
                self._name(exchange)
            self._accounts.close(account, now)
        else:
            self._accounts.count(
                account,
                now,
                identity.name,
                identity.groups,
                destination.categories,
                destination.host.name,
                exchange.client,
                decision.rule if decision is not None else "",
            )
        try:
            record = self._ending(exchange, now)
            if not is_plain:
                record = self._kept(record, exchange)
            self._writer.write(record)
        except Exception:
            log.failure("exchange {reference} is recorded without its details", reference=exchange.reference)
            record = self._bare(exchange, _CLOSING if exchange.opened else _EXCHANGE)
            self._writer.write(record)
        self._watch(record)
        if self.look is not None:
            self.look(exchange)

    def shown(self, exchange: Exchange) -> Shown:
        """Whose an exchange is and where it goes, as its record will say it, for who looks while it runs."""
        name, client, destination = exchange.identity.name, exchange.client, exchange.destination
        categories = destination.categories if destination is not None else ()
        host = destination.host.name if destination is not None else ""
        discretion = exchange.in_force.discretion
        if host and discretion and discretion.hides(categories):
            host = OTHER_HOSTS
        if self.naming is not None:
            client = self.naming.device(client)
            name = self.naming.person(name) if name else ""
        rule = exchange.decision.rule if exchange.decision is not None else ""
        return Shown(name or client, client, host, categories, rule)

    def forget(self, erasure: Erasure, running: Iterable[Exchange]) -> None:
        """
        Something is erased: what of it runs now is recorded without, and counts for nobody from now on.

        An exchange that began before the end of what is erased would else bring back at its own end what
        was just forgotten: a tunnel that is open for hours.
        """
        if erasure not in self.forgotten:
            self.forgotten = (*self.forgotten, erasure)
        for exchange in running:
            # One without a host in its account is named when it closes.
            if exchange.account.host:
                self._name(exchange)

    def let_go(self, oldest: float) -> None:
        """Nothing runs that began before ``oldest``: what was erased before need not be known any more."""
        self.forgotten = tuple(one for one in self.forgotten if one.until > oldest)

    def deed(self, deed: Deed, policy: str) -> None:
        """Record what somebody did to the access of others; hosts that nobody may learn are left out."""
        if deed.hosts and self.hides(deed.hosts):
            deed = replace(deed, hosts=(), why="")
        record = record_of(deed, policy)
        if self.naming is not None and deed.name not in _ABOUT_PSEUDONYMS:
            record = self.naming.apply(record, keeps_user=deed.source in _OF_THE_MACHINE)
        self._writer.write(record)

    def _kept(self, record: Record, exchange: Exchange) -> Record:
        """A record as it is kept: without what is erased or nobody's business, and with pseudonyms."""
        in_force = exchange.in_force
        if self.forgotten:
            record = Erasing(self.forgotten).spared(record)
        if in_force.discretion:
            further = in_force.categories_of(record.server_name) if record.server_name != record.host else ()
            record = in_force.discretion.apply(record, further)
        return record if self.naming is None else self.naming.apply(record)

    def _counted(self, exchange: Exchange, destination: Destination) -> tuple[str, tuple[str, ...]]:
        """
        The host and the categories that octets are counted for.

        The person is counted by name, because quotas need it: where the record has pseudonyms, the sums do
        not say where a person went.
        """
        if self.naming is not None and exchange.identity.name:
            return OTHER_HOSTS, ()
        discretion = exchange.in_force.discretion
        if discretion and discretion.hides(destination.categories):
            return OTHER_HOSTS, destination.categories
        return destination.host.name, destination.categories

    def _counted_by(self, exchange: Exchange) -> tuple[str, str]:
        """
        The device and the rule that octets are counted for.

        Where the record has pseudonyms, the address of a device would tell who somebody is, and the rule
        where a person went.
        """
        rule = exchange.decision.rule if exchange.decision is not None else ""
        if self.naming is not None:
            return "", "" if exchange.identity.name else rule
        return exchange.client, rule

    def _name(self, exchange: Exchange) -> None:
        """Say for whom and for what the octets of an exchange count."""
        account, identity, destination = exchange.account, exchange.identity, exchange.destination
        account.user = identity.name
        account.groups = identity.groups
        if destination is not None:
            account.host, account.categories = self._counted(exchange, destination)
        account.device, account.rule = self._counted_by(exchange)
        for erasure in self.forgotten:
            _count_for_nobody(exchange, erasure)

    def _ending(self, exchange: Exchange, now: float) -> Record:
        """The record of an exchange that is over; of one like it, where it went as nearly all go."""
        known = exchange.known
        if known is not None and not exchange.failure and exchange.held is None:
            if exchange.result is _FORWARDED:
                return self._ordinary(exchange, known, now)
            if (
                exchange.result is _TUNNELLED
                and known.record is not None
                and not exchange.limited
                and exchange.ended is None
            ):
                return self._closing(known.record, exchange, now)
        if exchange.result is _FORWARDED and is_common(exchange):
            return self._decided.record(exchange, now)
        return self._record(exchange, _CLOSING if exchange.opened else _EXCHANGE, exchange.result)

    def _closing(self, opening: Record, exchange: Exchange, now: float) -> Record:
        """The closing record of a tunnel: as the opening one of a tunnel like it, but for what came after."""
        record = like(opening, exchange, now)
        record.kind, record.result = _CLOSING, _TUNNELLED
        record.status, record.server_name = exchange.status, exchange.server_name
        return record

    def _ordinary(self, exchange: Exchange, known: Known, now: float) -> Record:
        """
        The record of a forwarded exchange: that of the last one like it, but for what differs from one to the
        next.
        """
        path = exchange.destination.path if exchange.destination is not None else ""
        # As `is_short` and `forwarded` do it: most exchanges pass here.
        if len(path) >= SHORT_PATH or HAS_MORE(path):
            return self._record(exchange, Kind.EXCHANGE, exchange.result)
        if known.record is None:
            return self._keep(self._record(exchange, Kind.EXCHANGE, exchange.result), known)
        record = like(known.record, exchange, now)
        record.path = path
        record.status = exchange.status
        seconds = exchange.first_octet_seconds
        record.first_octet_ms = int(seconds * 1000 + 0.5) if seconds >= 0 else None
        return record

    def _keep(self, record: Record, known: Known) -> Record:
        """Remember the record for those like it that follow; gives the record."""
        known.record = copied(record)
        return record

    def _bare(self, exchange: Exchange, kind: Kind) -> Record:
        """The record of an exchange whose details cannot be written down: a bug of ours."""
        account = exchange.account
        return Record(
            id=exchange.reference,
            kind=kind,
            at=utc_text(self._now()),
            result=ResultCode.FAILED,
            failure="record",
            client=exchange.client if self.naming is None and not self.forgotten else "",
            received=account.received,
            sent=account.sent,
        )

    def _record(self, exchange: Exchange, kind: Kind, result: ResultCode) -> Record:
        in_force, identity = exchange.in_force, exchange.identity
        account, decision = exchange.account, exchange.decision or _NO_DECISION
        destination = exchange.destination or _NO_DESTINATION
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
            groups_from=identity.groups_from,
            source=identity.source,
            exemption=identity.exempt_by,
            method=self._methods[exchange.method],
            scheme=destination.scheme,
            host=destination.host.name,
            port=destination.port,
            path=_path(destination.path, in_force.audit),
            categories=destination.categories,
            lists=in_force.lists,
            policy=in_force.version,
            decision=_EFFECTS[decision.effect] if exchange.decision is not None else "",
            rule=decision.rule,
            place=decision.place_text,
            reason=decision.reason,
            would_block=decision.would_block,
            exception=decision.exception,
            failure=exchange.failure,
            phase=exchange.phase,
            status=exchange.status,
            received=account.received,
            sent=account.sent,
            up_sent=exchange.up_sent,
            up_received=exchange.up_received,
            upstream=exchange.upstream,
            server_name=exchange.server_name,
            agent=self._agent(exchange),
            first_octet_ms=milliseconds(exchange.first_octet_seconds),
            connect_ms=exchange.connect_ms if exchange.connect_ms >= 0 else None,
            resolve_ms=milliseconds(exchange.resolve_seconds),
        )
        self._tell_details(record, exchange, kind)
        return record

    def _tell_details(self, record: Record, exchange: Exchange, kind: Kind) -> None:
        """Tell in a record what few exchanges have: an end, limits, what the policy looked at."""
        in_force, decision = exchange.in_force, exchange.decision or _NO_DECISION
        destination = exchange.destination or _NO_DESTINATION
        if exchange.ended is not None and kind in _ENDS:
            _tell_ending(record, exchange.ended)
        if exchange.held is not None:
            _tell_held(record, exchange.held)
        if exchange.limited:
            record.quotas = told_of(in_force, exchange.limited, self._now())
        if exchange.countries is not None:
            record.countries = tuple(sorted(exchange.countries)) or _UNRESOLVED
        if exchange.asns is not None:
            record.asns = tuple(f"AS{one}" for one in sorted(exchange.asns)) or _UNRESOLVED
        if exchange.answer is not None:
            _tell_answer(record, exchange.answer)
        if exchange.address_classes is not None:
            record.addresses = tuple(sorted(exchange.address_classes)) or _UNRESOLVED
        if exchange.addresses is not None:
            record.resolved = tuple(sorted(exchange.addresses)) or _UNRESOLVED
        if decision.category:
            _add_evidence(record, decision.category, destination)
        if decision.granted:
            record.granted = _until(decision.granted)
            record.grant = decision.grant
        if not in_force.audit.user_agent or "?" in destination.path:
            record.left_out = left_out(destination.path, in_force.audit)

    def _agent(self, exchange: Exchange) -> str:
        if exchange.fields is None:
            return ""
        if not exchange.in_force.audit.user_agent:
            return ""
        outline = exchange.fields.outline
        known = outline.client
        if known is None:
            agent = exchange.fields.get(b"user-agent")
            known = self._agents[agent] if agent is not None else ""
            outline.client = known
        return known


def _hides_nothing(hosts: Iterable[str]) -> bool:
    """Every host may be named."""
    return False


def _tell_ending(record: Record, ending: Ending) -> None:
    """Say what was decided when it was decided again: the record keeps its first decision beside that."""
    record.ended_rule = ending.decision.rule
    record.ended_place = ending.decision.place_text
    record.ended_reason = ending.reason
    record.ended_policy = ending.policy


def _tell_held(record: Record, held: Held) -> None:
    """Say which limits made it wait."""
    record.slowed_by = held.names
    if record.slowed_by:
        record.slowed_ms = round(held.seconds * 1000)


def _tell_answer(record: Record, answer: Answer) -> None:
    """Say what rules were told of the answer."""
    stated = answer.media_type or UNKNOWN_CONTENT
    record.media_type = stated[:MAX_MEDIA_TYPE] if answer.is_there else NO_CONTENT
    record.size = answer.size


def _count_for_nobody(exchange: Exchange, erasure: Erasure) -> None:
    """Count as the store does after an erasure."""
    account = exchange.account
    if erasure.concerns(user=account.user, client=account.device, host=account.host, at=exchange.started):
        if erasure.user or erasure.client:
            account.user = account.device = ""
        account.host = OTHER_HOSTS if erasure.host else account.host


class _Texts(dict[bytes, str]):
    """Texts of octets from the wire that come again and again: methods, user agents."""

    BOUND = 4096

    def __init__(self, written: Callable[[bytes], str]) -> None:
        super().__init__()
        self._written = written

    def __missing__(self, octets: bytes) -> str:
        text = self._written(octets)
        if len(self) >= self.BOUND:
            self.clear()
        self[octets] = text
        return text


_NO_DECISION = Decision(Effect.BLOCK, "", NOWHERE, "")
_NO_DESTINATION = Destination(Host(""), 0, "", "")
# An enum's value is a descriptor's call away.
_EFFECTS = {effect: effect.value for effect in Effect}


def _add_evidence(record: Record, category: str, destination: Destination) -> None:
    """Say which list and which entry of it put the destination into the category that decided."""
    record.category = category
    for match in destination.matches:
        if match.category == category:
            record.list, record.entry = match.list, match.entry
            return


def _until(at: float) -> str:
    """The end of a grant as records write moments; one without end is at the end of the calendar."""
    return utc_text(min(at, MAX_MOMENT))


def _path(path: str, settings: AuditSettings) -> str:
    """The path as it is recorded; most have nothing that must be left out."""
    if is_short(path):
        return path
    return recorded_path(path, settings)
