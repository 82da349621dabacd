"""
Asking for the value of a metric.

It stands apart from what writes metrics down, whose library is a twentieth of a start and needed only where
somebody reads them.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.logger import Logger

from corpproxy.admin.metrics import Metric
from corpproxy.admin.telemetry import Telemetry

_log = Logger()


def measured(telemetry: Telemetry, metric: Metric) -> dict[tuple[str, ...], float] | None:
    """
    Ask for the value of a metric: numbers by label values, or None when nobody measures it.

    A part that cannot tell its value is logged and left out: the other metrics are wanted all the more then.
    """
    source = telemetry.sources.get(metric.name)
    if source is None:
        return None
    try:
        value = source()
    except Exception:
        _log.failure("{metric} cannot be measured", metric=metric.name)
        return None
    if isinstance(value, Mapping):
        return {_labels(label): float(number) for label, number in value.items()}
    return {(): float(value)}


def _labels(written: str | tuple[str, ...]) -> tuple[str, ...]:
    return written if isinstance(written, tuple) else (str(written),)
