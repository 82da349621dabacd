"""``corpproxy limit``: the limits in force and who waits for them; set one, clear it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpproxy.audit.line import printable
from corpproxy.cli.moments import span
from corpproxy.cli.reload import asked
from corpproxy.cli.service_action import run_action, service_action
from corpproxy.cli.site import Site
from corpproxy.policy.amounts import parse_rate, rates_in_words
from corpproxy.policy.limits import Per
from corpproxy.policy.reasons import clock

DESCRIPTION = (
    "Limits say how fast who may move what. This shows those in force and who waits for them, and sets "
    "others at once, for everything that runs: another rate for a limit of the policy, or one more limit."
)
_NAMED = ("name", "user", "group", "network", "address", "all", "per", "why")
# People who wait and are named in a line.
MOST_NAMED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    showing = service_action(actions, "show", "list the limits in force, and who waits for them now")
    showing.add_argument("--format", choices=["text", "json"], default="text", help="lines (default) or JSON")
    setting = service_action(actions, "set", "hold to another rate from now on")
    setting.add_argument("name", metavar="NAME", help="a limit of the policy, or a new name")
    setting.add_argument("--rate", metavar="RATE", help="how fast each way, as 1MiB/s or 10Mbit/s")
    setting.add_argument("--download", metavar="RATE", help="how fast toward clients")
    setting.add_argument("--upload", metavar="RATE", help="how fast from clients")
    whom = setting.add_mutually_exclusive_group()
    whom.add_argument("--user", metavar="NAME", help="a new limit for this person")
    whom.add_argument("--group", metavar="NAME", help="for this group, together")
    whom.add_argument("--network", metavar="NAME", help="for this network of the policy, together")
    whom.add_argument("--address", metavar="IP", help="for this device")
    whom.add_argument("--all", action="store_true", help="for everybody, together")
    setting.add_argument(
        "--per", choices=[str(one) for one in Per], help="whose octets are counted together instead"
    )
    setting.add_argument("--for", dest="life", metavar="TIME", help="how long: 30m, 2h; without it, no end")
    setting.add_argument("--why", required=True, metavar="TEXT", help="the reason, for the record")
    clearing = service_action(actions, "clear", "take back what was set")
    clearing.add_argument("name", metavar="NAME", help="as 'show' lists it")
    clearing.add_argument("--why", default="", metavar="TEXT", help="the reason, for the record")


def run(options: argparse.Namespace) -> int:
    """Do what was asked for; gives the exit code."""
    return run_action(_ACTIONS, options)


def _show(options: argparse.Namespace, site: Site) -> None:
    limits = asked(options, "limits")["limits"]
    if options.format == "json":
        print(json.dumps(limits, indent=2))
        return
    for line in _lines(limits, site):
        print(printable(line))


def _set(options: argparse.Namespace, site: Site) -> None:
    each = parse_rate(options.rate) if options.rate else 0
    download = parse_rate(options.download) if options.download else each
    upload = parse_rate(options.upload) if options.upload else each
    if not (download or upload):
        raise ValueError("say a rate: --rate 1MiB/s, --download or --upload")
    named = {
        key: getattr(options, key)
        for key in ("name", "user", "group", "network", "address", "all", "per", "why")
    }
    seconds = span(options.life) if options.life else None
    answer = asked(
        options,
        "limit-set",
        download=download,
        upload=upload,
        seconds=seconds,
        **named,
    )
    limit = answer["limit"]
    until = f" until {clock(limit['until'], site.zone)}" if limit["until"] else ""
    rates = rates_in_words(limit["download"], limit["upload"])
    print(printable(f"{limit['name']}: {rates} from now on{until}"))


def _clear(options: argparse.Namespace, site: Site) -> None:
    limit = asked(options, "limit-clear", name=options.name, why=options.why)["limit"]
    print(printable(f"{limit['name']}: cleared"))


def _lines(limits: Sequence[Mapping[str, Any]], site: Site) -> Iterator[str]:
    if not limits:
        yield "there are no limits"
    for limit in limits:
        rates = rates_in_words(limit["download"], limit["upload"]) or "as fast as it goes"
        where = f"  ({limit['place']})" if limit["place"] else ""
        yield f"{limit['name']}: {rates}, per {limit['per']}{where}"
        entry = limit.get("set")
        if entry is not None:
            until = f" until {clock(entry['until'], site.zone)}" if entry["until"] else ""
            whom = f" for {entry['whom']}" if entry["whom"] else ""
            yield f"    set{whom} by {entry['by']}{until}: {entry['why']}"
        waiting = limit["waiting"]
        if waiting:
            more = f" and {len(waiting) - MOST_NAMED} more" if len(waiting) > MOST_NAMED else ""
            yield f"    waiting now: {', '.join(waiting[:MOST_NAMED])}{more}"


_ACTIONS = {"show": _show, "set": _set, "clear": _clear}
