"""The records of deeds, without what nobody may learn, and with the names that records give to people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from corpproxy.audit.deeds import Deed, DeedName, record_of
from corpproxy.audit.pseudonyms import Naming
from corpproxy.audit.record import Record

_ABOUT_PSEUDONYMS = frozenset({DeedName.REVEALED, DeedName.REVEAL_ENDED})
# Deeds of these sources were done by who administers the machine, or by nobody.
_OF_THE_MACHINE = frozenset({"command", "policy"})


def deed_record(
    deed: Deed, policy: str, naming: Naming | None, hides: Callable[[Iterable[str]], bool]
) -> Record:
    """
    Give the record of a deed by a version of the policy.

    ``hides`` says whether there is one among some hosts that the record may not name.
    """
    if deed.hosts and hides(deed.hosts):
        deed = replace(deed, hosts=(), why="")
    record = record_of(deed, policy)
    if naming is None or deed.name in _ABOUT_PSEUDONYMS:
        return record
    return naming.apply(record, keeps_user=deed.source in _OF_THE_MACHINE)
