"""
The metrics: their names, kinds, labels and what they mean.

The reference page has this table, and a test compares the two.  Names follow the conventions of
Prometheus: base units, and ``_total`` for what only grows.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class MetricKind(enum.StrEnum):
    """The kinds of the exposition format that we use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One metric.

    ``measured`` is true when its value is asked of another part at the time of a scrape, and false when
    the telemetry counts it itself.
    """

    name: str
    kind: MetricKind
    labels: tuple[str, ...]
    help: str
    measured: bool = True


# An exchange that had its answer kept is over in a millisecond; a slow server takes seconds.
EXCHANGE_BOUNDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)

# Tunnels and upgraded connections last from one page to a working day.
TUNNEL_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)


def _counted(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name, MetricKind.COUNTER, labels, text, measured=False)


def _histogram(name: str, text: str) -> Metric:
    return Metric(name, MetricKind.HISTOGRAM, (), text, measured=False)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, MetricKind.COUNTER, labels, text)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, MetricKind.GAUGE, labels, text)


METRICS: tuple[Metric, ...] = (
    _gauge("corpproxy_build_info", "Always 1; the label is the version of corpproxy.", "version"),
    _gauge(
        "corpproxy_compiled",
        "1 for each compiled part that runs, 0 where its twin in Python does.",
        "part",
    ),
    _gauge("corpproxy_ready", "1 while the proxy can do its work, 0 while /ready says why not."),
    _counted(
        "corpproxy_exchanges_total",
        ("decision", "result"),
        "Exchanges that ended, by the effect of the deciding rule and by result code.",
    ),
    _counted(
        "corpproxy_answers_total",
        ("method", "status"),
        "Exchanges that ended, by request method and by the status that the client got; 0 is none.",
    ),
    _counted(
        "corpproxy_client_bytes_total",
        ("direction",),
        "Octets received from clients and sent to them, heads included, of exchanges that ended.",
    ),
    _histogram("corpproxy_exchange_duration_seconds", "How long exchanges took, tunnels aside."),
    _histogram("corpproxy_tunnel_duration_seconds", "How long tunnels and upgraded connections lasted."),
    _gauge("corpproxy_open_connections", "Client connections that are open now."),
    _gauge("corpproxy_open_tunnels", "Tunnels and upgraded connections that are open now."),
    _counter(
        "corpproxy_decided_again_total",
        "Exchanges that were decided again while they ran, by outcome: goes_on or ended.",
        "outcome",
    ),
    _gauge("corpproxy_grants", "Grants that hold now: who was let past a rule, until when."),
    _gauge("corpproxy_requests_waiting", "Requests for access that nobody has decided on."),
    _gauge("corpproxy_upstream_connections", "Connections to servers, kept for later or in use.", "state"),
    _counter("corpproxy_upstream_connections_opened_total", "Connections to servers that were made."),
    _counter("corpproxy_upstream_connections_reused_total", "Exchanges that went over a kept connection."),
    _counter(
        "corpproxy_sign_ins_total",
        "Credentials that were checked, by outcome: ok, failed, or remembered from an earlier check.",
        "outcome",
    ),
    _gauge("corpproxy_list_age_seconds", "How long ago a category list was last brought up to date.", "list"),
    _gauge("corpproxy_list_entries", "Entries of a category list.", "list"),
    Metric(
        "corpproxy_list_info",
        MetricKind.GAUGE,
        ("list", "version", "licence"),
        "Always 1; the labels are the version in force of a fetched list, and its licence.",
    ),
    Metric(
        "corpproxy_list_last_result",
        MetricKind.GAUGE,
        ("list", "result"),
        "Always 1; the label is what the last fetch of a list came to: taken, unchanged, held or failed.",
    ),
    _gauge("corpproxy_list_bytes", "Octets of the version in force of a fetched list, as it came.", "list"),
    _gauge(
        "corpproxy_list_published_age_seconds", "How long ago its publisher changed a fetched list.", "list"
    ),
    _gauge(
        "corpproxy_list_stale", "1 while no source of a fetched list gave a good answer for long.", "list"
    ),
    _gauge("corpproxy_list_held", "1 while a version of a fetched list waits to be accepted.", "list"),
    _gauge("corpproxy_list_failures", "Fetches of a list that failed since the last good one.", "list"),
    _counter(
        "corpproxy_list_fetches_total",
        "Fetches of lists, by outcome: taken, unchanged, held or failed.",
        "outcome",
    ),
    _counter("corpproxy_reloads_total", "Reloads of the policy, by outcome: taken or refused.", "outcome"),
    _gauge(
        "corpproxy_policy_info", "Always 1; the label is the version of the policy that decides.", "version"
    ),
    _gauge("corpproxy_policy_loaded_timestamp_seconds", "When the policy that decides was loaded."),
    _gauge("corpproxy_policy_is_last_good", "1 while an older policy runs because the newest has problems."),
    _gauge("corpproxy_records_waiting", "Records that are not yet written to their file."),
    _counter("corpproxy_records_written_total", "Records that were written."),
    _counter("corpproxy_records_lost_total", "Records that could not be written and are gone."),
    _gauge("corpproxy_record_bytes", "Octets that all files of records take, looked at each ten seconds."),
    _counter("corpproxy_record_files_packed_total", "Closed files of records that were packed."),
    _counter(
        "corpproxy_record_files_deleted_total",
        "Closed files of records that were deleted because the disk budget was used up.",
    ),
    _counter("corpproxy_sink_records_total", "Records that a sink took.", "sink"),
    _counter(
        "corpproxy_sink_dropped_total", "Records that a sink will never get, as it is too far behind.", "sink"
    ),
    _counter("corpproxy_sink_refused_total", "Records that a sink would not take.", "sink"),
    _counter("corpproxy_sink_checkpoints_total", "Checkpoints that a sink took.", "sink"),
    _gauge("corpproxy_sink_waiting_bytes", "How far a sink is behind, in octets of the record.", "sink"),
    _gauge("corpproxy_sink_failing", "1 while a sink takes nothing.", "sink"),
    _counter("corpproxy_sinks_ended_total", "How often the process of the sinks ended by itself."),
    _counter("corpproxy_checkpoints_total", "Checkpoints that were signed and written."),
    _gauge(
        "corpproxy_ledger_lag_seconds", "How old the oldest octets are that the ledger has not stored yet."
    ),
    _gauge(
        "corpproxy_quotas_failing", "1 while what is used of quotas cannot be read, or kept over a restart."
    ),
    _gauge(
        "corpproxy_quotas_shut",
        "Members of quotas that go no further because the store that nodes share is away.",
    ),
    _gauge("corpproxy_store_away", "1 while the database of the store does not answer."),
    _counter(
        "corpproxy_clock_set_total", "How often the clock of the machine was set by two seconds or more."
    ),
    _gauge(
        "corpproxy_databases_set_aside",
        "Databases that were damaged and set aside, and that nobody has deleted yet.",
    ),
    _gauge("corpproxy_names_known", "Host names in the cache."),
    _counter("corpproxy_names_looked_up_total", "Host names that were looked up."),
    _counter("corpproxy_names_remembered_total", "Host names that were answered out of the cache."),
    _counter("corpproxy_names_failed_total", "Look-ups that ended without an address."),
)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
