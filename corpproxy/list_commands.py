"""The commands about fetched lists that the running service takes: update, accept, reject, roll back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.edits import COMMAND
from corpproxy.net.control import Caller, Command

if TYPE_CHECKING:
    from corpproxy.backends.lists.updates import ListUpdates
    from corpproxy.service import CorpproxyService

log = Logger()


# Changes which version of a list is in force, in a thread; gives the version.
_Settle = Callable[["ListUpdates", Caller, dict[str, Any]], dict[str, Any]]


def list_commands(service: CorpproxyService) -> Mapping[str, Command]:
    """Give each command by its name."""
    return {
        "lists-update": partial(_update, service),
        "lists-accept": _Settling(service, "accepted", DeedName.LIST_ACCEPTED, _accept).settle,
        "lists-reject": _Settling(service, "rejected", DeedName.LIST_REJECTED, _reject).settle,
        "lists-rollback": _Settling(service, "went back to", DeedName.LIST_ROLLED_BACK, _roll_back).settle,
    }


def _update(service: CorpproxyService, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
    updates: ListUpdates = service.updates
    names = [str(name) for name in arguments.get("names", ())]
    known = [name for name in names if updates.known(name)]
    log.info("{by} asks for lists: {names}", by=caller.name, names=", ".join(known) or "none")
    unknown = [name for name in names if not updates.known(name)]
    return updates.update(known).addCallback(
        lambda outcomes: {"outcomes": msgspec.to_builtins(outcomes), "unknown": unknown}
    )


class _Settling:
    """A command that changes which version is in force, told in the log with who gave it."""

    def __init__(self, service: CorpproxyService, done: str, deed: DeedName, settle: _Settle) -> None:
        self._service = service
        self._done = done
        self._deed = deed
        self._settle = settle

    def settle(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Do it, where reading and writing files keeps nobody waiting."""
        service = self._service
        pool = service.reactor.getThreadPool()
        settled = deferToThreadPool(service.reactor, pool, self._settle, service.updates, caller, arguments)
        return settled.addCallback(self._told, caller, str(arguments.get("name")))

    def _told(self, answer: dict[str, Any], caller: Caller, name: str) -> dict[str, Any]:
        service, version = self._service, answer["version"]
        said = "{by} {done} version {version} of list '{name}'"
        log.warn(said, by=caller.name, done=self._done, version=version, name=name)
        now, why = service.now(), f"list '{name}', version {version}"
        reference = service.proxy.references.next(now)
        deed = Deed(self._deed, now, caller.name, "", (), why=why, request=reference, source=COMMAND)
        service.books.deed(deed, service.configuration.version)
        service.updates.changed()
        return answer


def _accept(updates: ListUpdates, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    name, version = str(arguments.get("name")), str(arguments.get("version", ""))
    return {"version": updates.accept(name, version, caller.name, caller.uid).version}


def _reject(updates: ListUpdates, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"version": updates.reject(str(arguments.get("name")), caller.name, caller.uid).version}


def _roll_back(updates: ListUpdates, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    was, is_now = updates.roll_back(str(arguments.get("name")), caller.name, caller.uid)
    return {"version": is_now.version, "was": was.version}
