"""The commands about limits that the running service takes over its control socket."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.config.nearest import nearest
from corpproxy.grant_commands import COMMAND, MAX_WHY_CHARACTERS, asked_whom
from corpproxy.net.control import Caller, Command, ControlError
from corpproxy.policy.amounts import LEAST_RATE, MOST_RATE, rates_in_words
from corpproxy.policy.limits import Limit, Per
from corpproxy.policy.set_limits import EVERYBODY, MAX_SET, OF_POLICY, SetLimit

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

MAX_NAME_CHARACTERS = 100
MAX_SECONDS = 366 * 86_400.0

# Whose octets are counted together unless that is said.
_PER = {"user": Per.USER, "group": Per.GROUP, "network": Per.NETWORK, "address": Per.DEVICE}


def limit_commands(service: CorpproxyService) -> Mapping[str, Command]:
    """Give each command by its name."""
    desk = LimitDesk(service)
    return {"limits": desk.show, "limit-set": desk.set, "limit-clear": desk.clear}


class LimitDesk:
    """Does what administrators on the machine ask for, and records who asked."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service

    def show(self, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        """List the limits in force, and who waits for them."""
        service = self._service
        limiting = service.proxy.in_force.limiting
        by_name = {one.name: one for one in service.limit_keeper.entries}
        waiting = service.waiting_for_limits()
        limits = limiting.limits if limiting is not None else ()
        return {"limits": [_shown(one, by_name.get(one.name), waiting.get(one.name, ())) for one in limits]}

    def set(self, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        """Set another rate for a limit of the policy, or one more limit."""
        service = self._service
        entry = self._entry(caller, arguments)
        others = [one for one in service.limit_keeper.entries if one.name != entry.name]
        if len(others) >= MAX_SET:
            raise ControlError("bad-limit", f"{MAX_SET} limits are set already; write them into the policy")
        self._record(DeedName.LIMIT_SET, entry, caller, arguments)
        service.limit_keeper.set(entry)
        return {"limit": _told(entry)}

    def clear(self, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        """Take back what was set."""
        service, name = self._service, str(arguments.get("name", ""))
        entry = next((one for one in service.limit_keeper.entries if one.name == name), None)
        if entry is None:
            names = [one.name for one in service.limit_keeper.entries]
            near = nearest(name, names)
            hint = f"; nearest is '{near}'" if near else "; 'corpproxy limit show' lists what is set"
            raise ControlError("no-such-limit", f"no limit '{name}' was set by hand{hint}")
        self._record(DeedName.LIMIT_CLEARED, entry, caller, arguments)
        service.limit_keeper.clear(name)
        return {"limit": _told(entry)}

    def _entry(self, caller: Caller, arguments: Mapping[str, Any]) -> SetLimit:
        service, name = self._service, str(arguments.get("name") or "").strip()
        if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
            raise ControlError("bad-limit", f"a limit has a name of at most {MAX_NAME_CHARACTERS} characters")
        download, upload = _rate(arguments, "download"), _rate(arguments, "upload")
        if not (download or upload):
            raise ControlError("bad-limit", "say a rate, as 1MiB/s or 10Mbit/s")
        own = next((one for one in service.configuration.limits.limits if one.name == name), None)
        whom, per = self._whom(arguments, own)
        now = service.now()
        return SetLimit(
            name=name,
            whom=whom,
            per=per,
            download=download,
            upload=upload,
            by=caller.name,
            why=_why(arguments),
            at=now,
            until=_until(arguments, now),
        )

    def _whom(self, arguments: Mapping[str, Any], own: Limit | None) -> tuple[str, Per]:
        """For whom it is, and whose octets are counted together."""
        named = next((key for key in _PER if arguments.get(key)), "")
        if own is not None:
            if named or arguments.get("all") or arguments.get("per"):
                said = f"'{own.name}' is for whom the policy says ({own.place}); say a rate alone"
                raise ControlError("bad-limit", said)
            return OF_POLICY, own.per
        if not named and not arguments.get("all"):
            names = [one.name for one in self._service.configuration.limits.limits]
            near = nearest(str(arguments.get("name")), names)
            hint = f" (nearest is '{near}')" if near else ""
            said = f"the policy has no limit of this name{hint}; for a new one say for whom it is"
            raise ControlError("bad-limit", said)
        per = arguments.get("per")
        if not named:
            return EVERYBODY, Per(per) if per in set(Per) else Per.SITE
        whom = asked_whom(self._service, {named: arguments[named]})
        return whom, Per(per) if per in set(Per) else _PER[named]

    def _record(self, name: DeedName, entry: SetLimit, caller: Caller, arguments: Mapping[str, Any]) -> None:
        service = self._service
        is_set = name is DeedName.LIMIT_SET
        why = entry.why if is_set else str(arguments.get("why") or "")[:MAX_WHY_CHARACTERS]
        rates = rates_in_words(entry.download, entry.upload)
        deed = Deed(
            name,
            service.now(),
            caller.name,
            entry.whom,
            (),
            entry.name,
            entry.until if is_set else 0.0,
            f"{rates}: {why}" if is_set else why,
            source=COMMAND,
        )
        service.books.deed(deed, service.configuration.version)


def _shown(limit: Limit, entry: SetLimit | None, waiting: tuple[str, ...]) -> dict[str, Any]:
    shown = {
        "name": limit.name,
        "per": limit.per.value,
        "download": limit.download,
        "upload": limit.upload,
        "place": "" if entry is not None and entry.whom != OF_POLICY else str(limit.place),
        "waiting": sorted(waiting),
    }
    return shown if entry is None else {**shown, "set": _told(entry)}


def _told(entry: SetLimit) -> dict[str, Any]:
    return {
        "name": entry.name,
        "whom": entry.whom,
        "per": entry.per.value,
        "download": entry.download,
        "upload": entry.upload,
        "by": entry.by,
        "why": entry.why,
        "at": entry.at,
        "until": entry.until,
    }


def _rate(arguments: Mapping[str, Any], way: str) -> int:
    rate = arguments.get(way) or 0
    if not isinstance(rate, int) or (rate and not LEAST_RATE <= rate <= MOST_RATE):
        raise ControlError("bad-limit", f"'{way}' wants a rate from 1KiB/s to 100GiB/s")
    return rate


def _why(arguments: Mapping[str, Any]) -> str:
    why = str(arguments.get("why") or "").strip()
    if not why:
        raise ControlError("bad-limit", "say why: the reason stands in the record")
    return why[:MAX_WHY_CHARACTERS]


def _until(arguments: Mapping[str, Any], now: float) -> float:
    seconds = arguments.get("seconds")
    if seconds is None:
        return 0.0
    if not isinstance(seconds, int | float) or not math.isfinite(seconds) or not 0 < seconds <= MAX_SECONDS:
        raise ControlError("bad-limit", "a limit is set for at most a year; without a time it has no end")
    return now + float(seconds)
