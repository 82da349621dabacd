"""``corpproxy quota``: who has used how much of which quota; give more, begin anew."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpproxy.audit.line import printable
from corpproxy.cli.reload import asked
from corpproxy.cli.service_action import run_action, service_action
from corpproxy.cli.site import Site
from corpproxy.cli.top_rows import age
from corpproxy.policy.amounts import amount_text, parse_amount
from corpproxy.policy.reasons import clock

# Of each quota so many are listed, unless all are asked for.
SHOWN = 50
# So many of each come in one answer.
PAGE = 1_000

DESCRIPTION = (
    "Quotas of the policy say how much there is until they are made good again. This shows who has used how "
    "much, gives somebody more until then, and begins anew."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    showing = service_action(actions, "show", "list the quotas, and how everybody stands who used anything")
    showing.add_argument("name", nargs="?", metavar="NAME", help="this quota alone")
    showing.add_argument("--of", metavar="MEMBER", help="this person, group, device ... alone")
    showing.add_argument("--all", action="store_true", help=f"everybody, not only the {SHOWN} who used most")
    showing.add_argument("--format", choices=["text", "json"], default="text", help="lines (default) or JSON")
    granting = service_action(actions, "grant", "give somebody more until it is made good again")
    granting.add_argument("name", metavar="NAME", help="the quota, as 'show' lists it")
    granting.add_argument("--of", required=True, metavar="MEMBER", help="whom: as 'show' lists them")
    granting.add_argument("--volume", metavar="SIZE", help="so much more, as 500MiB")
    granting.add_argument("--minutes", type=int, metavar="NUMBER", help="so many minutes more")
    granting.add_argument("--why", required=True, metavar="TEXT", help="the reason, for the record")
    resetting = service_action(actions, "reset", "begin anew, as if nothing had been used")
    resetting.add_argument("name", metavar="NAME", help="the quota, as 'show' lists it")
    whom = resetting.add_mutually_exclusive_group(required=True)
    whom.add_argument("--of", metavar="MEMBER", help="whom: as 'show' lists them")
    whom.add_argument("--all", action="store_true", help="everybody")
    resetting.add_argument("--why", required=True, metavar="TEXT", help="the reason, for the record")


def run(options: argparse.Namespace) -> int:
    """Do what was asked for; gives the exit code."""
    return run_action(_ACTIONS, options)


def _show(options: argparse.Namespace, site: Site) -> None:
    is_whole = options.all or options.format == "json"
    found = _everybody(options) if is_whole else asked(options, "quotas", **_about(options), most=SHOWN)
    quotas = found["quotas"]
    if found["away"]:
        print(printable(f"{found['away']}: this is what this node knows"), file=sys.stderr)
    if options.format == "json":
        print(json.dumps(quotas, indent=2))
        return
    for line in _lines(quotas, site):
        print(printable(line))


def _about(options: argparse.Namespace) -> dict[str, Any]:
    return {"name": options.name, "whom": options.of}


def _everybody(options: argparse.Namespace) -> dict[str, Any]:
    """All members of the quotas, asked for page by page; those who used most stand first."""
    found = asked(options, "quotas", **_about(options), most=PAGE, after="")
    for quota in found["quotas"]:
        page = quota["members"]
        members = {one["whom"]: one for one in page}
        while len(page) == PAGE:
            page = _more(options, quota["name"], page[-1]["whom"])
            members |= {one["whom"]: one for one in page}
        quota["members"] = sorted(members.values(), key=lambda one: (-one["used"], one["whom"]))
        quota["count"] = len(members)
    return found


def _more(options: argparse.Namespace, name: str, after: str) -> list[dict[str, Any]]:
    answer = asked(options, "quotas", name=name, whom=options.of, most=PAGE, after=after)
    return [one for quota in answer["quotas"] for one in quota["members"]]


def _grant(options: argparse.Namespace, site: Site) -> None:
    volume = parse_amount(options.volume) if options.volume else None
    standing = _ask(options, "quota-grant", whom=options.of, volume=volume, minutes=options.minutes)[
        "standing"
    ]
    told = stands(standing, site, in_minutes=bool(options.minutes))
    print(printable(f"{options.of}: {told}"))


def _reset(options: argparse.Namespace, site: Site) -> None:
    count = _ask(options, "quota-reset", whom=options.of, all=options.all)["count"]
    print(printable(f"{options.name}: {count} {'begins' if count == 1 else 'begin'} anew"))


def _ask(options: argparse.Namespace, command: str, **arguments: Any) -> dict[str, Any]:
    return asked(options, command, name=options.name, why=options.why, **arguments)


def _lines(quotas: Sequence[Mapping[str, Any]], site: Site) -> Iterator[str]:
    if not quotas:
        yield "there is no such quota"
    for quota in quotas:
        yield f"{quota['name']}: {quota['says']}, per {quota['per']}  ({quota['place']})"
        for member in quota["members"]:
            told = stands(member, site, in_minutes=bool(quota["minutes"]))
            yield f"    {member['whom'] or '(all)'}: {told}"
            yield from (f"        {_held(one, quota, member, site)}" for one in member["nodes"])
        if not quota["members"]:
            yield "    nobody has used anything"
        elif more := quota["count"] - len(quota["members"]):
            yield f"    and {more:,} who used less: --all lists them, --of NAME one of them"


def stands(member: Mapping[str, Any], site: Site, *, in_minutes: bool) -> str:
    """Say how a member of a quota stands."""
    unit = _minutes if in_minutes else _octets
    percent = int(100 * member["used"] / member["allowed"]) if member["allowed"] else 100
    until = clock(member["until"], site.zone)
    lent = f", {unit(member['lent'])} lent to workers" if member["lent"] else ""
    return f"{unit(member['used'])} of {unit(member['allowed'])} ({percent}%){lent} until {until}"


def _held(loan: Mapping[str, Any], quota: Mapping[str, Any], member: Mapping[str, Any], site: Site) -> str:
    """Say what a node holds of it, and until when."""
    name = f"{loan['host'] or 'node'} ({'this node' if loan['is_here'] else loan['node']})"
    held = f"{name} holds {(_minutes if quota['minutes'] else _octets)(loan['octets'])}"
    silent = age(loan["silent_seconds"])
    if loan["may_use"]:
        return f"{held}, heard {silent} ago"
    return f"{held}, not heard for {silent}: charged until {clock(member['until'], site.zone)}, or a reset"


def _octets(used: float) -> str:
    return amount_text(round(used))


def _minutes(used: float) -> str:
    return f"{round(used)} min"


_ACTIONS = {"show": _show, "grant": _grant, "reset": _reset}
