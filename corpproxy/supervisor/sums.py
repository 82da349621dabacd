"""
The counts of all workers as those of one proxy.

What a worker counted since its last report is added; so a counter never falls, whichever worker ends and
however.  What is open now is asked of the last report of each worker that runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import add

from corpproxy.admin.measuring import measured
from corpproxy.admin.metrics import BY_NAME, MetricKind
from corpproxy.admin.telemetry import Histogram, Telemetry
from corpproxy.supervisor.messages import Numbers, Report

# What each worker measures for itself; the rest is measured by the supervisor.
OF_WORKERS = (
    "corpproxy_open_connections",
    "corpproxy_open_tunnels",
    "corpproxy_decided_again_total",
    "corpproxy_upstream_connections",
    "corpproxy_upstream_connections_opened_total",
    "corpproxy_upstream_connections_reused_total",
    "corpproxy_sign_ins_total",
    "corpproxy_records_waiting",
    "corpproxy_records_written_total",
    "corpproxy_records_lost_total",
    "corpproxy_ledger_lag_seconds",
    "corpproxy_names_known",
    "corpproxy_names_looked_up_total",
    "corpproxy_names_remembered_total",
    "corpproxy_names_failed_total",
)
# Not so many seconds in all, but so many where it is worst.
_GREATEST = "corpproxy_ledger_lag_seconds"

_NONE = Report()


def report_of(telemetry: Telemetry) -> Report:
    """What a worker counted; how it is otherwise is for its service to add."""
    exchanges = tuple((*key, count) for key, count in telemetry.exchange_counts.items())
    return Report(
        exchanges=exchanges,
        received=telemetry.received,
        sent=telemetry.sent,
        durations=tuple(telemetry.exchanges.counts),
        duration_sum=telemetry.exchanges.sum,
        tunnel_durations=tuple(telemetry.tunnels.counts),
        tunnel_duration_sum=telemetry.tunnels.sum,
        measured={name: _numbers(telemetry, name) for name in OF_WORKERS},
    )


def _numbers(telemetry: Telemetry, name: str) -> Numbers:
    values = measured(telemetry, BY_NAME[name]) or {}
    return {labels[0] if labels else "": value for labels, value in values.items()}


class Sums:
    """Adds the reports of workers to the telemetry of the supervisor."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._last: dict[object, Report] = {}
        self._totals: dict[str, Numbers] = {name: {} for name in OF_WORKERS}

    def measure(self) -> None:
        """Answer for the metrics of the workers."""
        for name in OF_WORKERS:
            self._telemetry.measure(name, lambda name=name: self._value(name))  # type: ignore[misc]

    def add(self, name: str, number: float, label: str = "") -> None:
        """Count something that the supervisor did itself."""
        totals = self._totals[name]
        totals[label] = totals.get(label, 0) + number

    def take(self, worker: object, report: Report) -> None:
        """Add what a worker counted since its last report."""
        before = self._last.get(worker, _NONE)
        self._last[worker] = report
        telemetry = self._telemetry
        counted = {(a, b, c, d): count for a, b, c, d, count in before.exchanges}
        for *key, count in report.exchanges:
            telemetry.add_exchanges(tuple(key), count - counted.get(tuple(key), 0))  # type: ignore[arg-type]
        telemetry.received += report.received - before.received
        telemetry.sent += report.sent - before.sent
        durations = report.durations, before.durations
        _grow(telemetry.exchanges, *durations, report.duration_sum - before.duration_sum)
        tunnels = report.tunnel_durations, before.tunnel_durations
        _grow(telemetry.tunnels, *tunnels, report.tunnel_duration_sum - before.tunnel_duration_sum)
        for name in OF_WORKERS:
            if BY_NAME[name].kind is MetricKind.COUNTER:
                self._count(name, report.measured.get(name, {}), before.measured.get(name, {}))

    def forget(self, worker: object) -> None:
        """A worker ended: what it had open is gone, what it counted stays."""
        self._last.pop(worker, None)

    def _count(self, name: str, numbers: Numbers, before: Numbers) -> None:
        for label, number in numbers.items():
            self.add(name, number - before.get(label, 0), label)

    def _value(self, name: str) -> float | Numbers:
        if BY_NAME[name].kind is MetricKind.COUNTER:
            numbers = self._totals[name]
        elif name == _GREATEST:
            numbers = _by_label((one.measured.get(name, {}) for one in self._last.values()), max)
        else:
            numbers = _by_label((one.measured.get(name, {}) for one in self._last.values()), add)
        if BY_NAME[name].labels:
            return numbers
        return numbers.get("", 0.0)


def _by_label(several: Iterable[Numbers], together: Callable[[float, float], float]) -> Numbers:
    sums: Numbers = {}
    for numbers in several:
        for label, number in numbers.items():
            sums[label] = together(sums.get(label, 0.0), number)
    return sums


def _grow(histogram: Histogram, counts: tuple[int, ...], before: tuple[int, ...], more: float) -> None:
    for place, count in enumerate(counts):
        histogram.counts[place] += count - (before[place] if before else 0)
    histogram.sum += more
