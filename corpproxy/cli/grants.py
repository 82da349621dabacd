"""``corpproxy grants``: who was let past a rule, until when, by whom; give one, end one, see who used it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpproxy.audit.line import printable
from corpproxy.cli.failed import CommandFailed
from corpproxy.cli.moments import FORMS, moment, span
from corpproxy.cli.options import add_format
from corpproxy.cli.reload import asked
from corpproxy.cli.service_actions import add_action, do
from corpproxy.cli.site import Site
from corpproxy.counted import counted
from corpproxy.policy.reasons import clock

DESCRIPTION = (
    "A grant lets somebody past a rule that blocks or warns, at some hosts, until a time. This lists those "
    "that hold, gives one, ends one, and reports from the record who used what."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = add_action(actions, "list", "list the grants that hold")
    add_format(listing)
    giving = add_action(actions, "give", "let somebody through")
    whom = giving.add_mutually_exclusive_group(required=True)
    whom.add_argument("--user", metavar="NAME", help="this person")
    whom.add_argument("--group", metavar="NAME", help="everybody in this group")
    whom.add_argument("--network", metavar="NAME", help="everybody in this network of the policy: a room")
    whom.add_argument("--address", metavar="IP", help="this device, where nobody signs in")
    giving.add_argument("--host", dest="hosts", action="append", required=True, metavar="HOST",
                        help="the host, with all below it; more of them for what its pages need")  # fmt: skip
    giving.add_argument("--rule", metavar="NAME", help="past this rule alone; else past all that allow it")
    giving.add_argument(
        "--for", dest="life", required=True, metavar="TIME", help="how long: 30m, 2h, 1d at most"
    )
    giving.add_argument("--why", required=True, metavar="TEXT", help="the reason, for the record")
    ending = add_action(actions, "end", "end a grant before its time")
    ending.add_argument("id", metavar="ID", help="as the list shows it")
    ending.add_argument("--why", default="", metavar="TEXT", help="the reason, for the record")
    reporting = add_action(actions, "report", "show from the record who used which grant for what")
    reporting.add_argument("id", nargs="?", metavar="ID", help="this grant alone")
    reporting.add_argument("--since", default="7d", metavar="WHEN", help=f"what was since then: {FORMS}")
    add_format(reporting)


def run(options: argparse.Namespace) -> int:
    """Do what was asked for; gives the exit code."""
    return do(_ACTIONS, options, needs_policy=options.action == "report")


def _list(options: argparse.Namespace, site: Site) -> None:
    grants = asked(options, "grants")["grants"]
    if options.format == "json":
        print(json.dumps(grants, indent=2))
        return
    for line in _lines(grants, site):
        print(line)


def _give(options: argparse.Namespace, site: Site) -> None:
    named = {
        key: getattr(options, key) for key in ("user", "group", "network", "address", "hosts", "rule", "why")
    }
    answer = asked(options, "grant-give", seconds=span(options.life), **named)
    print_given(answer["grant"], site)


def _end(options: argparse.Namespace, site: Site) -> None:
    grant = asked(options, "grant-end", id=options.id, why=options.why)["grant"]
    print(printable(f"ended: {grant['host']} for {grant['who']}"))


def print_given(grant: Mapping[str, Any], site: Site) -> None:
    """Say what was given."""
    until = clock(grant["until"], site.zone)
    print(printable(f"{grant['id']}: {grant['who']} may have {_hosts(grant)} until {until}"))


def _hosts(grant: Mapping[str, Any]) -> str:
    return ", ".join(dict.fromkeys([grant["host"], *(host for host, _ in grant["also"])]))


def _lines(grants: Sequence[Mapping[str, Any]], site: Site) -> Iterator[str]:
    if not grants:
        yield "no grant holds"
    for grant in grants:
        until = clock(grant["until"], site.zone)
        among = f" among {', '.join(grant['among'])}" if grant["among"] else ""
        past = f"past '{grant['rule']}'" if grant["rule"] else "past every rule that may be overridden"
        yield printable(
            f"{grant['id'] or '-'}  until {until}  {grant['who']}{among}: {_hosts(grant)}, {past}"
        )
        yield printable(f"    by {grant['given_by']}: {grant['why'] or '-'}")


def _report(options: argparse.Namespace, site: Site) -> None:
    from corpproxy.backends.grant_report import GrantUse, grant_report
    from corpproxy.backends.records.segments import RECORDS_FOLDER
    from corpproxy.cli.audit import Complaints
    from corpproxy.policy.amounts import octets_text

    since = moment(options.since, time.time(), site.zone)
    complaints = Complaints()
    try:
        uses = grant_report(site.state / RECORDS_FOLDER, since, complaints, options.id or "")
    except FileNotFoundError as error:
        raise CommandFailed(f"{error.filename}: there are no records; the service makes them") from error
    complaints.sum_up()
    if options.format == "json":
        print(json.dumps([use.as_mapping() for use in uses], indent=2))
        return

    def lines(use: GrantUse) -> Iterator[str]:
        yield f"{use.id}  {use.whom or 'given before that time'}: {', '.join(use.hosts) or '-'}"
        if use.given_by:
            yield f"    by {use.given_by} at {use.given_at}, until {use.until}: {use.why or '-'}"
        if use.ended_by:
            yield f"    ended by {use.ended_by} at {use.ended_at}"
        for user, share in sorted(use.by_user.items()):
            used = f"{counted(share.exchanges, 'exchange')}, {octets_text(share.octets)}"
            yield f"    {user or '(not signed in)'}: {used}: {', '.join(share.hosts)}"
        if not use.by_user:
            yield "    nobody used it"

    for use in uses:
        for line in lines(use):
            print(printable(line))
    if not uses:
        print("no grant stands in the record since then")


_ACTIONS = {"list": _list, "give": _give, "end": _end, "report": _report}
