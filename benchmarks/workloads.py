"""What is measured: one row for each workload."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.duties import ALL, BARE, LOGIN, MANY, Duties
from benchmarks.fixtures import LARGE, SMALL
from benchmarks.place import HOSTS

# As many idle connections as a proxy with 20,000 descriptors holds with room to spare.
IDLE = 5_000


class Kind(enum.Enum):
    """How a workload is run, and what its figure is."""

    RATE = "exchanges a second"
    BULK = "MB/s"
    IDLE = "octets each"
    PACED = "p99 ms"
    START = "seconds"
    RELOAD = "longest pause ms"


@dataclass(frozen=True, slots=True)
class Workload:
    """
    One workload.

    ``load`` are options of load.c; ``people`` says who signs in: those who may go anywhere, or everyone.
    ``quick`` ones are part of a quick run.  ``refused`` is the share of answers that must be refusals.
    ``fresh`` ones are asked of a proxy that was started just before, and knows none of its hosts.
    """

    name: str
    title: str
    kind: Kind
    duties: Duties
    load: Mapping[str, Any] = field(default_factory=dict)
    everyone: bool = False
    refused: float = 0
    quick: bool = False
    root_only: bool = False
    fresh: bool = False

    @property
    def tunnels(self) -> bool:
        """Whether it goes through tunnels."""
        return self.load.get("act") == "tunnel"

    @property
    def more_is_better(self) -> bool:
        """Whether a larger figure is the better one."""
        return self.kind in (Kind.RATE, Kind.BULK)


def _small(**more: Any) -> dict[str, Any]:
    return {"act": "get", "path": "/s200", "conns": 64, **more}


def _many(name: str, which: str, **more: Any) -> Workload:
    """The web of a whole school: more hosts than people, and some of them barred."""
    return Workload(
        name,
        f"all duties, 2,000 people, 50,000 hosts{which}",
        Kind.RATE,
        MANY,
        _small(hosts=HOSTS, conns=2_000, busy=64, **more),
        everyone=True,
        refused=0.05,
        root_only=True,
        fresh=not more,
    )


def _bulk(conns: int) -> dict[str, Any]:
    return {"act": "get", "path": "/large", "conns": conns}


def _tunnel(conns: int, answer: int, **more: Any) -> dict[str, Any]:
    return {"act": "tunnel", "conns": conns, "answer": answer, **more}


WORKLOADS = (
    Workload("get", "small GET", Kind.RATE, BARE, _small(), quick=True),
    Workload("get-login", "small GET, sign-in", Kind.RATE, LOGIN, _small()),
    Workload("get-all", "small GET, sign-in, 1,000,000 domains", Kind.RATE, ALL, _small(), quick=True),
    Workload("connections", "new connection for each request", Kind.RATE, ALL, _small(close=1), quick=True),
    Workload("tunnels", "new tunnels", Kind.RATE, ALL, _tunnel(64, SMALL), quick=True),
    Workload("bulk-plain-1", "1 GiB by GET, 1 connection", Kind.BULK, ALL, _bulk(1)),
    Workload("bulk-plain-8", "1 GiB by GET, 8 connections", Kind.BULK, ALL, _bulk(8), quick=True),
    Workload("bulk-tunnel-1", "1 GiB through 1 tunnel", Kind.BULK, ALL, _tunnel(1, LARGE)),
    Workload("bulk-tunnel-8", "1 GiB through 8 tunnels", Kind.BULK, ALL, _tunnel(8, LARGE), quick=True),
    Workload("idle-tunnels", "memory of an idle tunnel", Kind.IDLE, ALL, _tunnel(IDLE, SMALL, hold=1)),
    Workload("idle-connections", "memory of an idle connection", Kind.IDLE, ALL, _small(conns=IDLE, hold=1)),
    Workload("latency", "p99 at half of Squid's most", Kind.PACED, ALL, _small()),
    Workload("start", "start to first answer, list built", Kind.START, ALL, quick=True),
    Workload("reload", "reload of 1,000,000 domains under load", Kind.RELOAD, ALL, _small(rate=500)),
    _many("get-many", "", warm_turns=1),
    _many("get-many-cold", " never seen"),
)
