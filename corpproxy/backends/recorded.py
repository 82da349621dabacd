"""What the record of an exchange says: made from the beginning, or of that of an exchange like it."""

from __future__ import annotations

from collections.abc import Callable

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
from corpproxy.http1.fields import NOTHING
from corpproxy.policy.model import Answer, Decision, Effect

# The last moment that records can write.
MAX_MOMENT = 253_402_300_799.0
_UNRESOLVED = ("none",)
_KEPT = AuditSettings()
_FORWARDED, _EXCHANGE = ResultCode.FORWARDED, Kind.EXCHANGE
_TUNNELLED, _CLOSING = ResultCode.TUNNELLED, Kind.CLOSING
_ENDS = frozenset({Kind.EXCHANGE, Kind.CLOSING})


class Recorded:
    """
    Makes the records of exchanges; what is to be left out of them is not its business.

    :ivar decided: records by what was decided.
    """

    __slots__ = ("_agents", "_methods", "decided")

    def __init__(self) -> None:
        self.decided = Decided(self.made, self.agent)
        self._methods = _Texts(recorded_method)
        self._agents = _Texts(lambda agent: recorded_agent(agent, _KEPT))

    def opened(self, exchange: Exchange, now: float) -> Record:
        """The record of a tunnel or upgraded connection that is open."""
        known = exchange.known
        if known is None:
            return self.made(exchange, Kind.OPENING, ResultCode.OPEN, now)
        if not isinstance(known.record, Record):
            return _keep(self.made(exchange, Kind.OPENING, ResultCode.OPEN, now), known)
        return like(known.record, exchange, now)

    def ended(self, exchange: Exchange, now: float) -> Record:
        """The record of an exchange that is over; of one like it, where it went as nearly all go."""
        known = exchange.known
        if known is not None and not exchange.failure and exchange.held is None:
            if exchange.result is _FORWARDED:
                return self._ordinary(exchange, known, now)
            if (
                exchange.result is _TUNNELLED
                and isinstance(known.record, Record)
                and not exchange.limited
                and exchange.ended is None
            ):
                return _closing(known.record, exchange, now)
        if exchange.result is _FORWARDED and is_common(exchange):
            return self.decided.record(exchange, now)
        return self.made(exchange, _CLOSING if exchange.opened else _EXCHANGE, exchange.result, now)

    def _ordinary(self, exchange: Exchange, known: Known, now: float) -> Record:
        """
        The record of a forwarded exchange: that of the last one like it, but for what differs from one to the
        next.
        """
        path = exchange.destination.path if exchange.destination is not None else ""
        # As `is_short` and `_forwarded` do it: most exchanges pass here where nothing is compiled.
        if len(path) >= SHORT_PATH or HAS_MORE(path):
            return self.made(exchange, _EXCHANGE, _FORWARDED, now)
        if not isinstance(known.record, Record):
            return _keep(self.made(exchange, _EXCHANGE, _FORWARDED, now), known)
        record = like(known.record, exchange, now)
        record.path = path
        record.status = exchange.status
        seconds = exchange.first_octet_seconds
        record.first_octet_ms = int(seconds * 1000 + 0.5) if seconds >= 0 else None
        return record

    def made(self, exchange: Exchange, kind: Kind, result: ResultCode, now: float) -> Record:
        """Make one from the beginning, as it is at a moment."""
        in_force, identity = exchange.in_force, exchange.identity
        account, decision = exchange.account, exchange.decision or _NO_DECISION
        destination = exchange.destination or _NO_DESTINATION
        record = Record(
            id=exchange.reference,
            kind=kind,
            at=utc_text(exchange.started),
            result=result,
            # A clock that was set back must not make a duration negative.
            seconds=max(0.0, round(now - exchange.started, 6)),
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
            agent=self.agent(exchange),
            first_octet_ms=milliseconds(exchange.first_octet_seconds),
            connect_ms=exchange.connect_ms if exchange.connect_ms >= 0 else None,
            resolve_ms=milliseconds(exchange.resolve_seconds),
        )
        _tell_details(record, exchange, kind, now)
        return record

    def agent(self, exchange: Exchange) -> str:
        """The User-Agent, where the policy keeps it."""
        if exchange.fields is None:
            return ""
        if not exchange.in_force.audit.user_agent:
            return ""
        outline = exchange.fields.outline
        known: str | None = outline.notes.get("agent")
        if known is None:
            agent = exchange.fields.get(b"user-agent")
            known = self._agents[agent] if agent is not None else ""
            # Most sections come once: to note it for nobody takes more than to find it.
            if outline.known is not NOTHING:
                outline.note("agent", known)
        return known


def _closing(opening: Record, exchange: Exchange, now: float) -> Record:
    """The closing record of a tunnel: as the opening one of a tunnel like it, but for what came after."""
    record = like(opening, exchange, now)
    record.kind, record.result = _CLOSING, _TUNNELLED
    record.status, record.server_name = exchange.status, exchange.server_name
    return record


def _keep(record: Record, known: Known) -> Record:
    """Remember the record for those like it that follow; gives the record."""
    known.record = copied(record)
    return record


def bare(exchange: Exchange, now: float, *, names: bool) -> Record:
    """
    The record of an exchange whose details cannot be written down: a bug of ours.

    ``names`` says whether it may tell the client.
    """
    account = exchange.account
    return Record(
        id=exchange.reference,
        kind=_CLOSING if exchange.opened else _EXCHANGE,
        at=utc_text(now),
        result=ResultCode.FAILED,
        failure="record",
        client=exchange.client if names else "",
        received=account.received,
        sent=account.sent,
    )


def _tell_details(record: Record, exchange: Exchange, kind: Kind, now: float) -> None:
    """Tell in a record what few exchanges have: an end, limits, what the policy looked at."""
    in_force, decision = exchange.in_force, exchange.decision or _NO_DECISION
    destination = exchange.destination or _NO_DESTINATION
    if exchange.ended is not None and kind in _ENDS:
        _tell_ending(record, exchange.ended)
    if exchange.held is not None:
        _tell_held(record, exchange.held)
    if exchange.limited:
        record.quotas = told_of(in_force, exchange.limited, now)
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
