"""The page of the admin listener: what there is to see, and how the proxy is, for a person in a hurry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from corpproxy.admin.measuring import measured
from corpproxy.admin.metrics import METRICS, MetricKind
from corpproxy.admin.telemetry import Telemetry

_LINKS = (
    ("/health", "answers while the process is alive"),
    ("/ready", "says whether the proxy can do its work, and why not"),
    ("/metrics", "numbers for Prometheus"),
)


def state_page(site: str, telemetry: Telemetry, reasons: Sequence[str]) -> bytes:
    """
    Make the page, in HTML.

    ``reasons`` are why the proxy is not ready, none when it is.
    """
    rows = "".join(
        f"<tr><td>{escape(text)}</td><td>{escape(label)}</td><td>{escape(value)}</td></tr>\n"
        for text, label, value in _values(telemetry)
    )
    links = "".join(f'<li><a href="{path}">{path}</a> {text}</li>\n' for path, text in _LINKS)
    state = "".join(f"<li>{escape(reason)}</li>\n" for reason in reasons)
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>corpproxy: {escape(site)}</title></head><body>\n'
        f"<h1>corpproxy: {escape(site)}</h1>\n"
        f"<p>Running for {span(telemetry.up_seconds)}.</p>\n"
        f"<p>{'Not ready:' if reasons else 'Ready.'}</p>\n<ul>\n{state}</ul>\n"
        f"<table>\n{rows}</table>\n<ul>\n{links}</ul>\n</body></html>\n"
    ).encode()


def _values(telemetry: Telemetry) -> list[tuple[str, str, str]]:
    """All that can be measured now: what it is, its label, its value."""
    return [
        (metric.help, ", ".join(labels), _number(metric.name, value))
        for metric in METRICS
        if metric.measured and metric.kind in {MetricKind.GAUGE, MetricKind.COUNTER}
        for labels, value in sorted((measured(telemetry, metric) or {}).items())
    ]


def _number(name: str, value: float) -> str:
    """A number as a person reads it: spans of time in days, hours, minutes and seconds."""
    if name.endswith("_seconds") and not name.endswith("timestamp_seconds") and math.isfinite(value):
        return span(value)
    return f"{value:.0f}" if value == round(value, 0) and math.isfinite(value) else f"{value:.3f}"


def span(seconds: float) -> str:
    """A span of time in its two greatest units."""
    parts: list[str] = []
    rest = max(int(seconds), 0)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
