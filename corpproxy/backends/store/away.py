"""What is told of a store whose database is away."""

from __future__ import annotations

from corpproxy.audit.times import utc_text
from corpproxy.backends.store.interface import Store
from corpproxy.counted import counted


def concerns_of(store: Store, shut: int = 0) -> list[str]:
    """What somebody should look at, in sentences; so many members of quotas wait for it to be back."""
    outage = store.outage
    if outage is None:
        return []
    waiting = f"{counted(outage.entries, 'batch waits', 'batches wait')} on the disk of this node"
    told = [f"{outage.reason}; since {utc_text(outage.since)}, {waiting} ({outage.octets} octets)"]
    if shut:
        told.append(f"what was on loan is used up for {counted(shut, 'member')} of quotas, until it is back")
    return told
