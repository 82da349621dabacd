"""What is told of a store whose database is away."""

from __future__ import annotations

from corpproxy.audit.times import utc_text
from corpproxy.backends.store.interface import Store


def concerns_of(store: Store) -> list[str]:
    """What somebody should look at, in sentences."""
    outage = store.outage
    if outage is None:
        return []
    waiting = f"{outage.entries} batches ({outage.octets} octets) wait on the disk of this node"
    return [f"{outage.reason}; since {utc_text(outage.since)}, {waiting}"]
