"""From runs to figures: medians, spread, ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.measure import Run
from benchmarks.workloads import Kind, Workload

AGAINST = "squid"


@dataclass(frozen=True, slots=True)
class Row:
    """
    One workload with one proxy: the median of its runs, the smallest and the largest of them.

    Ratios are against Squid in the same run, and the way round in which more is better.
    """

    workload: Workload
    peer: str
    runs: int
    figure: float | None
    least: float | None
    most: float | None
    ratio: float | None
    cpu_each: float | None
    cpu_ratio: float | None
    fault: str
    foreign: float
    remark: str


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _better(ours: float | None, theirs: float | None, *, more_is_better: bool) -> float | None:
    if ours is None or theirs is None or ours <= 0 or theirs <= 0:
        return None
    return ours / theirs if more_is_better else theirs / ours


def rows(workloads: Sequence[Workload], runs: Sequence[Run]) -> list[Row]:
    """A row for each workload and proxy, in the order in which they ran."""
    made = []
    for workload in workloads:
        mine = [run for run in runs if run.workload == workload.name]
        peers = list(dict.fromkeys(run.peer for run in mine))
        for peer in peers:
            made.append(_row(workload, peer, mine))
    return made


def _row(workload: Workload, peer: str, runs: Sequence[Run]) -> Row:
    def of(name: str) -> tuple[list[float], list[float]]:
        good = [run for run in runs if run.peer == name and not run.fault]
        return (
            [run.figure for run in good if run.figure is not None],
            [run.cpu_each for run in good if run.cpu_each is not None],
        )

    ours, theirs = of(peer), of(AGAINST)
    mine = [run for run in runs if run.peer == peer]
    faults = [run.fault for run in mine if run.fault]
    return Row(
        workload,
        peer,
        len(ours[0]),
        _median(ours[0]),
        min(ours[0], default=None),
        max(ours[0], default=None),
        _better(_median(ours[0]), _median(theirs[0]), more_is_better=workload.more_is_better),
        _median(ours[1]),
        _better(_median(ours[1]), _median(theirs[1]), more_is_better=False),
        faults[0] if faults else "",
        max((run.foreign for run in mine), default=0.0),
        _remark(workload, [run for run in mine if not run.fault]),
    )


def _remark(workload: Workload, runs: Sequence[Run]) -> str:
    """What else was seen, in a few words: all losses, the most memory, the median of waits."""
    if not runs:
        return ""
    seen = [run.more for run in runs]
    if workload.kind is Kind.RELOAD:
        lost, waited = sum(more["lost"] for more in seen), median(more["in_force_seconds"] for more in seen)
        return (
            f"{lost} lost, in force after {waited:.1f} s, {max(more['most'] for more in seen) / 1e6:.0f} MB"
        )
    if workload.kind is Kind.PACED:
        return f"p50 {median(more['p50_ms'] for more in seen):.2g} ms"
    if workload.kind is Kind.IDLE:
        return f"{max(more['after'] for more in seen) / 1e6:.0f} MB in all"
    octets = [more["octets"] for more in seen if "octets" in more]
    return f"{max(octets) / 1e6:.0f} MB" if octets else ""
