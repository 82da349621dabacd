"""``corpproxy audit erase``: forget a person, a client or a host, so that the record still proves itself."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

from corpproxy.audit.line import printable
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, end_moment, moment
from corpproxy.cli.reload import add_service_arguments, asked
from corpproxy.cli.reveal import add_key_argument, private_keys
from corpproxy.cli.site import site_of
from corpproxy.net.ask import ControlError

DESCRIPTION = (
    "Forget a person, a client or a host: what is personal is taken out of the records, whose chain still "
    "verifies, and out of all else that can be reached; what cannot is named. The record says who did it and "
    "why, and how much it was, never what. The running service does it; an erasure that a crash cuts short "
    "goes on at the next start."
)

EXPIRE = (
    "Erase now what is older than 'audit: keep:' of the policy says; the service does it by itself each day."
)

# A record of many years.
PATIENCE_SECONDS = 6 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add_service_arguments(parser)
    parser.add_argument("--user", metavar="NAME", help="this person, all that tells of them")
    parser.add_argument("--client", metavar="ADDRESS", help="this device, where nobody signs in")
    parser.add_argument("--host", metavar="NAME", help="a host with all below it; who went there stays")
    parser.add_argument("--since", metavar="WHEN", help=f"exchanges that began then or later: {FORMS}")
    parser.add_argument(
        "--until", metavar="WHEN", help="exchanges that began before; a day includes it; default: now"
    )
    parser.add_argument("--reason", metavar="TEXT", help="why, for the record; without the name itself")
    add_key_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="say how much it is and where; change nothing")


def run(options: argparse.Namespace) -> int:
    """Have it done, and tell; gives the exit status."""
    if not (options.user or options.client or options.host):
        raise CommandFailed("name one of --user, --client, --host: what is to be forgotten", WRONG_USAGE)
    if not options.dry_run and not options.reason:
        raise CommandFailed("say why with --reason: it stands in the record", WRONG_USAGE)
    zone, now = site_of(options, needed=False).zone, time.time()
    try:
        since = moment(options.since, now, zone) if options.since else 0.0
        until = end_moment(options.until, now, zone) if options.until else 0.0
        answer = asked(
            options,
            "erase",
            timeout=PATIENCE_SECONDS,
            user=options.user,
            client=options.client,
            host=options.host,
            since=since,
            until=until,
            why=options.reason,
            counts_only=options.dry_run,
            **(_by_keys(options) if options.keys else {}),
        )
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    except ControlError as error:
        raise CommandFailed(error.message) from error
    _tell("would be erased" if options.dry_run else "erased", answer["reached"])
    return 0


def _by_keys(options: argparse.Namespace) -> dict[str, list[str]]:
    """The pseudonyms of somebody in all periods that two keepers open, and the lines that say so."""
    from corpproxy.audit.sealing import CannotOpen
    from corpproxy.backends.erasing.places import PSEUDONYMS_FOLDER
    from corpproxy.backends.records.pseudonym_files import resolved

    folder = site_of(options, needed=True).state / PSEUDONYMS_FOLDER
    wanted = {name for name in (options.user, options.client) if name}
    try:
        found = list(resolved(folder, private_keys(options.keys), lambda entry: entry.name in wanted))
    except CannotOpen as error:
        raise CommandFailed(str(error)) from error
    return {"pseudonyms": [entry.pseudonym for _, entry, _ in found], "sealed": [line for *_, line in found]}


def add_expire_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add_service_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="say how much it is; change nothing")


def run_expire(options: argparse.Namespace) -> int:
    """Have it done, and tell; gives the exit status."""
    try:
        answer = asked(
            options,
            "expire",
            timeout=PATIENCE_SECONDS,
            counts_only=options.dry_run,
        )
    except ControlError as error:
        raise CommandFailed(error.message) from error
    print("would go:" if options.dry_run else "gone:")
    for one in answer["reached"]:
        print(printable(f"  {one['place']}: {one['count']:,}"))
    return 0


def _tell(title: str, reached: Sequence[Mapping[str, Any]]) -> None:
    print(f"{title}:")
    for one in reached:
        if one["is_reached"]:
            said = f" ({one['said']})" if one["said"] else ""
            print(printable(f"  {one['place']}: {one['count']:,}{said}"))
    out_of_reach = [one for one in reached if not one["is_reached"]]
    if out_of_reach:
        print("out of reach:")
    for one in out_of_reach:
        print(printable(f"  {one['place']}: {one['said']}"))
    print("copies that were made elsewhere, and backups, are yours to look after")
