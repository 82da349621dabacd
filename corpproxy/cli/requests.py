"""``corpproxy requests``: who asks for access to what; let them through, or say no."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from corpproxy.audit.line import printable
from corpproxy.cli.audit import positive
from corpproxy.cli.grants import print_given
from corpproxy.cli.moments import span
from corpproxy.cli.options import add_format
from corpproxy.cli.quota import stands
from corpproxy.cli.reload import asked
from corpproxy.cli.service_actions import add_action, do
from corpproxy.cli.site import Site
from corpproxy.policy.amounts import parse_amount
from corpproxy.policy.reasons import clock

DESCRIPTION = (
    "People who may ask for a blocked page do so on its page or on the portal; there they ask for more of a "
    "quota, too. This lists what they ask for, lets them through for a time or gives them more, or refuses."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = add_action(actions, "list", "list the requests that wait")
    listing.add_argument("--all", action="store_true", help="those that were decided, too")
    add_format(listing)
    granting = add_action(actions, "grant", "let through, or give more of a quota")
    granting.add_argument("id", metavar="ID", help="as the list shows it")
    much = granting.add_mutually_exclusive_group(required=True)
    much.add_argument("--for", dest="life", metavar="TIME", help="how long: 30m, 2h, 1d at most")
    much.add_argument("--volume", metavar="AMOUNT", help="how much more of a quota, as 500MiB")
    much.add_argument("--minutes", type=positive, metavar="N", help="how many minutes more of a quota")
    whole = granting.add_mutually_exclusive_group()
    whole.add_argument("--group", metavar="NAME", help="not the person alone: everybody in this group")
    whole.add_argument("--network", metavar="NAME", help="not the person alone: everybody in this room")
    granting.add_argument("--alone", action="store_true", help="the host alone, without what its pages need")
    refusing = add_action(actions, "refuse", "say no")
    refusing.add_argument("id", metavar="ID", help="as the list shows it")
    refusing.add_argument("--why", default="", metavar="TEXT", help="a sentence for the person")


def run(options: argparse.Namespace) -> int:
    """Do what was asked for; gives the exit code."""
    return do(_ACTIONS, options)


def _list(options: argparse.Namespace, site: Site) -> None:
    requests = asked(options, "requests", all=options.all)["requests"]
    if options.format == "json":
        print(json.dumps(requests, indent=2))
        return
    if not requests:
        print("no request waits" if not options.all else "there are no requests")
    for one in requests:
        at, groups = clock(one["at"], site.zone), f" ({', '.join(one['groups'])})" if one["groups"] else ""
        print(printable(f"{one['id']}  {at}  {one['who']}{groups}: {_what(one)}"))
        print(printable(f"    {one['reason'] or '(no reason given)'}"))
        if one["also"]:
            print(printable(f"    its pages asked for {', '.join(host for host, _ in one['also'])}, too"))
        if one["state"] != "waiting":
            until = f" until {clock(one['until'], site.zone)}" if one["until"] else ""
            print(printable(f"    {one['state']} by {one['by']}{until} {one['answer']}".rstrip()))


def _what(request: Mapping[str, Any]) -> str:
    if request["limit"]:
        return f"more of '{request['limit']}'"
    return f"{request['host']}, past '{request['rule']}'"


def _grant(options: argparse.Namespace, site: Site) -> None:
    answer = asked(
        options,
        "request-grant",
        id=options.id,
        seconds=span(options.life) if options.life else None,
        volume=parse_amount(options.volume) if options.volume else None,
        minutes=options.minutes,
        group=options.group,
        network=options.network,
        alone=options.alone,
    )
    if "standing" in answer:
        standing = answer["standing"]
        told = stands(standing, site, in_minutes=bool(options.minutes))
        print(printable(f"{standing['whom']}: {told}"))
    else:
        print_given(answer["grant"], site)


def _refuse(options: argparse.Namespace, site: Site) -> None:
    asked(options, "request-refuse", id=options.id, why=options.why)
    print("refused")


_ACTIONS = {"list": _list, "grant": _grant, "refuse": _refuse}
