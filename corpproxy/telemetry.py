"""Where the values of the metrics are to be asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from corpproxy.backends.store.aside import asides

if TYPE_CHECKING:
    from corpproxy.audit.sinks import SinkState
    from corpproxy.backends.lists.status import Status
    from corpproxy.service import CorpproxyService


def measure(service: CorpproxyService) -> None:
    """Connect the metrics that other parts know to those parts."""
    telemetry, proxy = service.telemetry, service.proxy
    admission, pool, names, writer = proxy.admission, proxy.pool, proxy.names, service.writer
    telemetry.measure("corpproxy_open_connections", lambda: len(admission.connections))
    telemetry.measure("corpproxy_open_tunnels", lambda: len(admission.tunnels))
    lasting, now = service.lasting, service.now
    telemetry.measure("corpproxy_grants", lambda: len(lasting.grants.all(now())))
    telemetry.measure("corpproxy_requests_waiting", lambda: len(lasting.requests.waiting(now())))
    telemetry.measure("corpproxy_decided_again_total", lambda: _decided_again(service))
    telemetry.measure("corpproxy_upstream_connections", lambda: {"kept": pool.kept, "in_use": pool.in_use})
    telemetry.measure("corpproxy_upstream_connections_opened_total", lambda: pool.opened)
    telemetry.measure("corpproxy_upstream_connections_reused_total", lambda: pool.reused)
    telemetry.measure("corpproxy_sign_ins_total", lambda: _sign_ins(service))
    telemetry.measure("corpproxy_policy_info", lambda: {service.configuration.version: 1})
    telemetry.measure("corpproxy_policy_loaded_timestamp_seconds", lambda: service.loaded_at)
    telemetry.measure(
        "corpproxy_policy_is_last_good", lambda: int(service.is_last_good or bool(service.refused))
    )
    # The keeper of the lists is another one after a reload that changes them.
    telemetry.measure("corpproxy_list_age_seconds", lambda: {**service.lists.ages, **service.updates.ages})
    telemetry.measure("corpproxy_list_entries", lambda: service.lists.entries)
    _measure_fetched(service)
    telemetry.measure("corpproxy_records_waiting", lambda: writer.waiting)
    telemetry.measure("corpproxy_records_written_total", lambda: writer.written)
    telemetry.measure("corpproxy_records_lost_total", lambda: writer.lost)
    shelf = service.shelf
    telemetry.measure("corpproxy_record_bytes", lambda: shelf.octets)
    telemetry.measure("corpproxy_record_files_packed_total", lambda: shelf.packed)
    telemetry.measure("corpproxy_record_files_deleted_total", lambda: shelf.deleted)
    _measure_sinks(service)
    telemetry.measure("corpproxy_checkpoints_total", lambda: service.checkpoints.made)
    telemetry.measure("corpproxy_ledger_lag_seconds", lambda: _lag(service))
    telemetry.measure("corpproxy_quotas_failing", lambda: int(bool(service.quota_keeper.problem)))
    telemetry.measure("corpproxy_quotas_shut", lambda: service.quota_keeper.shut)
    telemetry.measure("corpproxy_store_away", lambda: int(_is_away(service)))
    telemetry.measure("corpproxy_clock_set_total", lambda: service.clock.jumps)
    telemetry.measure("corpproxy_databases_set_aside", lambda: len(asides(service.state)))
    telemetry.measure("corpproxy_names_known", lambda: len(names))
    telemetry.measure("corpproxy_names_looked_up_total", lambda: names.asked)
    telemetry.measure("corpproxy_names_remembered_total", lambda: names.remembered)
    telemetry.measure("corpproxy_names_failed_total", lambda: names.failed)


def _measure_sinks(service: CorpproxyService) -> None:
    """The metrics of what takes the record elsewhere."""

    def of_each(value: Callable[[SinkState], float]) -> Callable[[], dict[str, float]]:
        return lambda: {name: value(state) for name, state in service.sinks.states.items()}

    measure = service.telemetry.measure
    measure("corpproxy_sink_records_total", of_each(lambda one: one.delivered))
    measure("corpproxy_sink_dropped_total", of_each(lambda one: one.dropped))
    measure("corpproxy_sink_refused_total", of_each(lambda one: one.refused))
    measure("corpproxy_sink_checkpoints_total", of_each(lambda one: one.checkpoints))
    measure("corpproxy_sink_waiting_bytes", of_each(lambda one: one.waiting))
    measure("corpproxy_sinks_ended_total", lambda: service.sinks.ends)
    measure("corpproxy_sink_failing", of_each(lambda one: one.failing_since > 0))


def _measure_fetched(service: CorpproxyService) -> None:
    """The metrics of lists that are fetched."""
    telemetry = service.telemetry
    telemetry.measure("corpproxy_list_info", lambda: _list_infos(service))
    telemetry.measure("corpproxy_list_last_result", lambda: _list_results(service))
    telemetry.measure("corpproxy_list_bytes", lambda: _of_lists(service, _octets))
    telemetry.measure(
        "corpproxy_list_published_age_seconds", lambda: _of_lists(service, lambda one: one.published_seconds)
    )
    telemetry.measure("corpproxy_list_stale", lambda: _of_lists(service, lambda one: one.is_stale))
    telemetry.measure("corpproxy_list_held", lambda: _of_lists(service, lambda one: bool(one.state.held)))
    telemetry.measure("corpproxy_list_failures", lambda: _of_lists(service, lambda one: one.state.failures))
    telemetry.measure("corpproxy_list_fetches_total", lambda: service.updates.outcomes)


def _of_lists(service: CorpproxyService, value: Callable[[Status], float | None]) -> dict[str, float]:
    values = ((one.name, value(one)) for one in service.updates.statuses)
    return {name: number for name, number in values if number is not None}


def _octets(status: Status) -> int | None:
    return status.in_force.octets if status.in_force is not None else None


def _list_infos(service: CorpproxyService) -> dict[tuple[str, ...], float]:
    found = [one for one in service.updates.statuses if one.in_force is not None]
    return {(one.name, one.in_force.version, one.source.licence): 1.0 for one in found}


def _list_results(service: CorpproxyService) -> dict[tuple[str, ...], float]:
    return {(one.name, one.state.result): 1.0 for one in service.updates.statuses if one.state.result}


def _sign_ins(service: CorpproxyService) -> dict[str, int]:
    counts = service.reception.counts
    return {"ok": counts.ok, "failed": counts.failed, "remembered": counts.remembered}


def _decided_again(service: CorpproxyService) -> dict[str, int]:
    rounds = service.proxy.rounds
    return {"goes_on": rounds.asked - rounds.ended, "ended": rounds.ended}


def _lag(service: CorpproxyService) -> float:
    since = service.bookkeeper.failing_since
    return max(0.0, service.now() - since) if since else 0.0


def _is_away(service: CorpproxyService) -> bool:
    outage = service.store.outage
    return outage is not None and outage.is_away
