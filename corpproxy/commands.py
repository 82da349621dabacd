"""The commands that the running service takes over its control socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from corpproxy import __version__
from corpproxy.audit.times import utc_text
from corpproxy.backends.store.aside import asides
from corpproxy.backends.store.away import concerns_of
from corpproxy.erase_commands import erase_commands
from corpproxy.errors import Problem
from corpproxy.grant_commands import grant_commands
from corpproxy.limit_commands import limit_commands
from corpproxy.list_commands import list_commands
from corpproxy.net.control import Caller, Command, ControlError
from corpproxy.present_commands import present_commands
from corpproxy.quota_commands import quota_commands
from corpproxy.reload import Reloaded

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService


def commands(service: CorpproxyService) -> Mapping[str, Command]:
    """Give each command by its name."""

    def reload(caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        why = str(arguments.get("why", "reload"))[:100]
        reloaded = service.reload(caller.name, caller.uid, why)
        return reloaded.addCallback(_told)

    def status(caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        return status_of(service)

    def rotate(caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        service.reopen()
        return {}

    def people(caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        service.look_at_people()
        return {}

    return {
        "people": people,
        "reload": reload,
        "status": status,
        "rotate": rotate,
        **erase_commands(service),
        **service.revealing.commands,
        **grant_commands(service),
        **limit_commands(service),
        **quota_commands(service),
        **present_commands(service),
        **list_commands(service),
    }


def status_of(service: CorpproxyService) -> dict[str, Any]:
    """How the service does, for ``corpproxy status``."""
    lists = (*service.lists.problems, *service.updates.problems)
    problems = (*service.problems, *service.refused, *lists, *service.reception.problems)
    return {
        "program": __version__,
        "site": service.configuration.site,
        "policy": str(service.policy),
        "version": service.configuration.version,
        "last_good": service.is_last_good,
        "edit_refused": bool(service.refused),
        "transports": "twisted" if service.engine is None else "engine",
        "seconds": service.now() - service.began,
        **service.status(),
        "not_ready": service.reasons_not_ready(),
        "set_aside": [str(path) for path in asides(service.state)],
        "store_away": concerns_of(service.store, service.quota_keeper.shut),
        **sinks_of(service),
        "listening": [
            f"{one.listener.name} ({one.listener.purpose.value}) {one.written}" for one in service.sockets
        ],
        "problems": problem_lines(dict.fromkeys(problems)),
    }


def sinks_of(service: CorpproxyService) -> dict[str, Any]:
    """How the sinks of the record do; nothing where there are none."""
    sinks = [
        {
            "sink": one.name,
            "delivered": one.delivered,
            "dropped": one.dropped,
            "refused": one.refused,
            "checkpoints": one.checkpoints,
            "waiting_octets": one.waiting,
            "failing_since": utc_text(one.failing_since) if one.failing_since else "",
            "reason": one.reason,
        }
        for one in service.sinks.states.values()
    ]
    return {"sinks": sinks} if sinks else {}


def _told(reloaded: Reloaded) -> dict[str, Any]:
    told = {
        "version": reloaded.version,
        "changed": reloaded.changed,
        "problems": problem_lines(reloaded.problems),
    }
    if not reloaded.taken:
        raise ControlError("not-taken", f"version {reloaded.version} goes on", told)
    return told


def problem_lines(problems: Iterable[Problem]) -> list[str]:
    """Problems as lines for people, errors first."""
    return [one.line for one in sorted(problems, key=lambda one: not one.is_error)]
