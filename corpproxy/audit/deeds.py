"""Deeds: what people do to the access of others, recorded among the exchanges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text


class DeedName(StrEnum):
    """What was done."""

    ASKED = "access-asked"
    REFUSED = "access-refused"
    GIVEN = "grant-given"
    ENDED = "grant-ended"
    ERASED = "record-erased"
    RETAINED = "record-retained"
    REVEALED = "person-revealed"
    REVEAL_ENDED = "reveal-ended"
    POLICY_TAKEN = "policy-taken"
    POLICY_REFUSED = "policy-refused"
    USER_ADDED = "user-added"
    USER_CHANGED = "user-changed"
    USER_REMOVED = "user-removed"
    PASSWORD_SET = "password-set"
    LIST_ACCEPTED = "list-accepted"
    LIST_REJECTED = "list-rejected"
    LIST_ROLLED_BACK = "list-rolled-back"
    REPORT_SENT = "report-sent"
    LIMIT_SET = "limit-set"
    LIMIT_CLEARED = "limit-cleared"
    QUOTA_GRANTED = "quota-granted"
    QUOTA_ASKED = "quota-asked"
    QUOTA_REFUSED = "quota-refused"
    QUOTA_RESET = "quota-reset"
    RUNNING_ENDED = "running-ended"


@dataclass(frozen=True, slots=True)
class Deed:
    """
    One deed.

    ``by`` did it: the person who signed in, or the account on the machine that gave the command, then with
    ``source`` ``command``.  ``whom`` is whose access it was about, as grants name people.  ``hosts`` and
    ``rule`` are what it was about, ``until`` how long it was to hold (POSIX seconds, 0 for not at all),
    ``why`` the reason in words.  ``grant`` and ``request`` are their ids.
    ``count`` is how many records it changed, ``reached`` how many entries of each place.
    """

    name: DeedName
    at: float
    by: str
    whom: str
    hosts: tuple[str, ...]
    rule: str = ""
    until: float = 0.0
    why: str = ""
    grant: str = ""
    request: str = ""
    source: str = ""
    groups: tuple[str, ...] = ()
    client: str = ""
    count: int = 0
    reached: tuple[str, ...] = ()


def record_of(deed: Deed, policy: str) -> Record:
    """Give the record of a deed."""
    return Record(
        id=deed.request or deed.grant,
        kind=Kind.DEED,
        at=utc_text(deed.at),
        result=ResultCode.DONE,
        client=deed.client,
        user=deed.by,
        groups=deed.groups,
        source=deed.source,
        host=deed.hosts[0] if deed.hosts else "",
        policy=policy,
        rule=deed.rule,
        reason=deed.why,
        grant=deed.grant,
        granted=utc_text(deed.until) if deed.until else "",
        deed=deed.name.value,
        whom=deed.whom,
        hosts=deed.hosts,
        count=deed.count,
        reached=deed.reached,
    )
