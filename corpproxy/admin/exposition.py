"""The metrics in the words of Prometheus, made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from corpproxy.admin.measuring import measured
from corpproxy.admin.metrics import METRICS, Metric, MetricKind
from corpproxy.admin.telemetry import Histogram, Telemetry


class TelemetryCollector(Collector):
    """Turns the counts into metric families, one scrape at a time."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def describe(self) -> list[Family]:
        """Nothing: asking for values when the registry is made would be too early."""
        return []

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            family = self._family(metric)
            if family is not None:
                yield family

    def _family(self, metric: Metric) -> Family | None:
        if metric.kind is MetricKind.HISTOGRAM:
            return self._histogram(metric)
        values = measured(self._telemetry, metric) if metric.measured else self._counted(metric)
        if values is None:
            return None
        make = CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
        family = make(metric.name, metric.help, labels=metric.labels)
        for labels, value in sorted(values.items()):
            family.add_metric(labels, value)
        return family

    def _counted(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """The counters that the telemetry keeps itself."""
        if metric.name == "corpproxy_exchanges_total":
            return self._telemetry.counts(0, 1)
        if metric.name == "corpproxy_answers_total":
            return self._telemetry.counts(2, 3)
        return {("received",): self._telemetry.received, ("sent",): self._telemetry.sent}

    def _histogram(self, metric: Metric) -> Family:
        exchanges = metric.name == "corpproxy_exchange_duration_seconds"
        kept: Histogram = self._telemetry.exchanges if exchanges else self._telemetry.tunnels
        bounds = [*(str(bound) for bound in kept.bounds), "+Inf"]
        family = HistogramMetricFamily(metric.name, metric.help)
        family.add_metric([], list(zip(bounds, accumulate(kept.counts), strict=True)), kept.sum)
        return family


class Exposition:
    """The page of metrics: those of the proxy and those of its process (memory, CPU, open files)."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(TelemetryCollector(telemetry))
        ProcessCollector(registry=self._registry)

    def page(self, accept: str) -> tuple[str, bytes]:
        """Give the media type and the octets of the page, in the format that ``accept`` prefers."""
        encode, media_type = choose_encoder(accept)
        return media_type, encode(self._registry)
