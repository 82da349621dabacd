"""
What the proxy counts about itself, as cheaply as can be.

Exchanges are counted in plain integers; what other parts know already (open connections, ages of lists)
is asked of them when somebody looks.  A counter of prometheus_client takes a lock for each step and
costs as much as a tenth of an exchange, so its objects are made at a scrape only.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

from corpproxy import __version__, twins
from corpproxy.admin.metrics import BY_NAME, EXCHANGE_BOUNDS, TUNNEL_BOUNDS
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind

# A number, or one for each value of the metric's label, or of its labels together.
Measure = Callable[[], float | Mapping[str, float] | Mapping[tuple[str, ...], float]]

# Any client can make up a method, and any server a status; each would be a new time series for ever.
_METHODS = frozenset("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PROPFIND REPORT QUERY".split())
_STATUSES = frozenset(int(status) for status in HTTPStatus) | {0}

# Different (decision, result, method, status) that are counted on the short way.  An office has some dozens.
MAX_KEYS = 2000

Key = tuple[str, str, str, int]

_CLOSING = Kind.CLOSING


@dataclass(slots=True)
class Histogram:
    """How many took how long: ``counts`` has one place more than ``bounds``, for what exceeds them all."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)


class Telemetry:
    """
    The counts of one proxy.

    ``measure`` says where a value is to be asked for.

    :ivar exchange: counts an exchange that has ended; it is called with each closing record.
    """

    __slots__ = (
        "_counts",
        "_now",
        "_reloads",
        "_sign_ins",
        "_started",
        "exchange",
        "exchanges",
        "received",
        "sent",
        "sources",
        "tunnels",
    )

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """``now`` gives POSIX seconds."""
        self._now = now
        self._started = now()
        self.exchange: Callable[[Record], None] = (
            partial(count_in_python, self) if twins.books is None else twins.books.counting(self)
        )
        self.received = 0
        self.sent = 0
        self.exchanges = Histogram(EXCHANGE_BOUNDS)
        self.tunnels = Histogram(TUNNEL_BOUNDS)
        self.sources: dict[str, Measure] = {}
        self._counts: dict[Key, int] = {}
        self._sign_ins: Counter[str] = Counter(ok=0, failed=0, remembered=0)
        self._reloads: Counter[str] = Counter(taken=0, refused=0)
        self.measure("corpproxy_build_info", lambda: {__version__: 1})
        self.measure("corpproxy_compiled", twins.measured)
        self.measure("corpproxy_sign_ins_total", lambda: self._sign_ins)
        self.measure("corpproxy_reloads_total", lambda: self._reloads)

    @property
    def exchange_counts(self) -> Mapping[Key, int]:
        """How many exchanges ended, by decision, result, method and status."""
        return self._counts

    def add_exchanges(self, key: Key, count: int) -> None:
        """Count exchanges that another process has counted by this key."""
        self._counts[key] = self._counts.get(key, 0) + count

    @property
    def up_seconds(self) -> float:
        """How long the proxy has been running."""
        return self._now() - self._started

    def sign_in(self, outcome: str) -> None:
        """Count credentials that were checked: ``ok``, ``failed`` or ``remembered``."""
        self._sign_ins[outcome] += 1

    def reload(self, outcome: str) -> None:
        """Count a reload: ``taken`` or ``refused``."""
        self._reloads[outcome] += 1

    def measure(self, name: str, source: Measure) -> None:
        """
        Say where the value of a metric is to be asked for, each time somebody looks.

        A metric with a label needs a mapping from the label's values to numbers, one with several labels a
        mapping from tuples of theirs.

        :raises ValueError: when there is no such metric, or when it is counted here.
        """
        metric = BY_NAME.get(name)
        if metric is None or not metric.measured:
            raise ValueError(f"no metric {name!r} is measured")
        self.sources[name] = source

    def counts(self, first: int, second: int) -> dict[tuple[str, ...], float]:
        """Count exchanges by two of decision (0), result (1), method (2) and status (3)."""
        totals: dict[tuple[str, ...], float] = {}
        for key, count in self._counts.items():
            labels = (str(key[first]), str(key[second]))
            totals[labels] = totals.get(labels, 0) + count
        return totals

    def _count_new(self, key: Key) -> None:
        """Count what was not seen before; odd methods and statuses are counted together."""
        decision, result, method, status = key
        if method not in _METHODS or status not in _STATUSES or len(self._counts) >= MAX_KEYS:
            method = method if method in _METHODS or not method else "other"
            key = (decision, str(result), method, status if status in _STATUSES else status // 100 * 100)
        self._counts[key] = self._counts.get(key, 0) + 1


def count_in_python(telemetry: Telemetry, record: Record) -> None:
    """Count an exchange that has ended, by its closing record; ``native/figures.c`` is made after it."""
    key = (record.decision, record.result, record.method, record.status)
    try:
        telemetry._counts[key] += 1
    except KeyError:
        telemetry._count_new(key)
    telemetry.received += record.received
    telemetry.sent += record.sent
    seconds = record.seconds
    histogram = telemetry.tunnels if record.kind is _CLOSING else telemetry.exchanges
    histogram.counts[bisect_left(histogram.bounds, seconds)] += 1
    histogram.sum += seconds


if twins.books is not None:
    twins.books.set_figures(Telemetry, Histogram, Record, _CLOSING, count_in_python)
