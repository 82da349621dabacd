"""``corpproxy explain``: which rule decides on a URL, and why the others do not."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any

from corpproxy.assembly import reads_addresses
from corpproxy.audit.line import printable
from corpproxy.backends.geography import open_geography
from corpproxy.backends.lists.lines import find_line
from corpproxy.cli.asked_policy import AskedPolicy, asked_policy
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, moment
from corpproxy.destination.model import Match
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Place
from corpproxy.policy.conditions import parse_media_type, parse_octets
from corpproxy.policy.explain import explain
from corpproxy.policy.explanation_text import as_mapping, as_text
from corpproxy.policy.limits import Applied
from corpproxy.policy.model import Answer
from corpproxy.policy.question import Asked, Question, facts_for, read_request

DESCRIPTION = (
    "Show which rule of the policy decides on a URL, and why each of the others does not. "
    "Of an https URL the proxy sees CONNECT to host and port. Confirmed warnings are not looked at. "
    "With --ref, show what was decided on a recorded exchange, by the policy of that time. "
    "With --at alone, show which calendars hold at a time."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--url", metavar="URL", help="what is asked for, or HOST:PORT to tunnel to")
    asked.add_argument(
        "--ref",
        dest="reference",
        metavar="ID",
        help="a recorded exchange, by the reference on its page: what was decided then, and why",
    )
    _add_person(parser)
    _add_exchange(parser)
    parser.add_argument(
        "--records", type=Path, metavar="FOLDER", help="with --ref: read this folder of records"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the policy of the site")


def _add_person(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--user", default="", metavar="NAME", help="who asks; nobody who signed in when left out"
    )
    parser.add_argument(
        "--group",
        action="append",
        metavar="NAME",
        help="a group that the user has instead of the policy's",
    )
    parser.add_argument("--at", metavar="TIME", help=f"when: {FORMS} (default: now)")
    parser.add_argument(
        "--from", dest="client", default="", metavar="ADDRESS", help="the address of the client"
    )
    parser.add_argument(
        "--listener", default="", metavar="NAME", help="the listener; the first when left out"
    )


def _add_exchange(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--agent", default="", metavar="TEXT", help="what the client says it is: its User-Agent"
    )
    parser.add_argument(
        "--media-type", metavar="TYPE", help="what the server answers, for rules about answers"
    )
    parser.add_argument("--size", metavar="SIZE", help="how long its content is, as 10MiB")
    parser.add_argument("--method", metavar="NAME", help="the request method (default: GET)")
    parser.add_argument(
        "--address",
        action="append",
        metavar="ADDRESS",
        help="an address of the host, not looked up",
    )


def run(options: argparse.Namespace) -> int:
    """Print the explanation; gives the exit code."""
    if options.reference is not None:
        from corpproxy.cli import explain_ref

        return explain_ref.run(options)
    if options.url is None:
        return _times(options)
    site = asked_policy(options.policy)
    time_zone = site.configuration.time_zone
    try:
        asked = facts_for(_question(options, site), site.surroundings, site.policy.asks_who)
    except ValueError as wrong:
        raise CommandFailed(str(wrong), WRONG_USAGE) from wrong
    explanation = explain(site.policy, asked.facts, asked.matches, safe_search=site.configuration.safe_search)
    lines = list_lines(site.configuration.lists, asked.matches)
    limits = site.configuration.limits.find(asked.facts)
    if options.json:
        exempt_by = "" if asked.exemption is None else str(asked.exemption.place)
        told = {"is_challenged": asked.is_challenged, "exempt_by": exempt_by}
        told |= as_mapping(explanation, time_zone, lines)
        told |= {"limits": [_limit_told(one) for one in limits]}
        print(json.dumps(told, indent=2))
    else:
        _print_text(as_text(explanation, time_zone, lines), asked)
        _print_limits(limits)
    return 0


def _limit_told(applied: Applied) -> dict[str, Any]:
    limit, quota = applied.limit, applied.limit.quota
    return {
        "name": limit.name,
        "per": limit.per.value,
        "whom": applied.whom,
        "download": limit.download,
        "upload": limit.upload,
        "quota": quota.in_words if quota is not None else "",
        "place": str(limit.place),
    }


def _print_limits(limits: Sequence[Applied]) -> None:
    """The limits that hold, which all apply."""
    if limits:
        print("\nheld to:")
    for applied in limits:
        limit = applied.limit
        whom = f" '{applied.whom}'" if applied.whom else ""
        print(printable(f"  {limit.name}: {limit.in_words}, per {limit.per}{whom}  ({limit.place})"))


def _times(options: argparse.Namespace) -> int:
    """What holds when, where nothing is asked for."""
    if options.at is None:
        raise CommandFailed(
            "name what is asked for with --url, or a recorded exchange with --ref", WRONG_USAGE
        )
    from corpproxy.cli import calendar

    options.name = options.week = None
    return calendar.run(options)


def list_lines(sources: Sequence[ListSource], matches: Iterable[Match]) -> dict[Match, Place]:
    """Where the entries stand in the files of the lists, for those that are still there."""
    by_name = {source.name: source for source in sources}
    found = {one: find_line(by_name[one.list], one) for one in matches if one.list in by_name}
    return {match: place for match, place in found.items() if place is not None}


def _print_text(text: str, asked: Asked) -> None:
    if asked.is_challenged:
        print(
            "nobody signed in: the proxy asks for that first (407), and no rule is asked; as if it did not:\n"
        )
    if asked.exemption is not None:
        print(f"nobody signed in, and nobody is asked to: the exemption at {asked.exemption.place} holds\n")
    sys.stdout.write(text)


def _question(options: argparse.Namespace, site: AskedPolicy) -> Question:
    """The question that the options put; raises ValueError."""
    configuration = site.configuration
    method = _method(options)
    names = [listener.name for listener in configuration.listeners]
    if options.listener and options.listener not in names:
        raise ValueError(f"there is no listener '{options.listener}'; there are {', '.join(names)}")
    addresses = _addresses(options, method, site)
    geography = None if addresses is None else open_geography(configuration.geography)
    return Question(
        url=options.url,
        at=_at(options.at or "now", configuration.time_zone),
        method=method,
        user=options.user,
        groups=None if options.group is None else tuple(options.group),
        client=options.client,
        listener=options.listener,
        addresses=None if addresses is None else frozenset(addresses),
        countries=None if addresses is None or geography is None else geography.countries(addresses),
        asns=None if addresses is None or geography is None else geography.asns(addresses),
        agent=options.agent,
        answer=_answer(options),
    )


def _method(options: argparse.Namespace) -> str:
    if "://" not in options.url:
        return "CONNECT"
    return options.method or "GET"


def _answer(options: argparse.Namespace) -> Answer | None:
    """The answer that is asked about; None where only the request is."""
    if options.media_type is None and options.size is None:
        return None
    media_type = "" if options.media_type is None else parse_media_type(options.media_type)
    return Answer(media_type, None if options.size is None else parse_octets(options.size))


def _at(written: str, time_zone: tzinfo) -> float:
    return moment(written, time.time(), time_zone)


def _addresses(options: argparse.Namespace, method: str, site: AskedPolicy) -> Sequence[str] | None:
    """The addresses of the host, as written or as the policy or this machine knows it; None if not asked."""
    if not reads_addresses(site.policy):
        return None
    host = read_request(method, options.url).host
    if host.address is not None:
        return (str(host.address),)
    return options.address or site.configuration.names.hosts.get(host.name) or _looked_up(host.name)


def _looked_up(name: str) -> Sequence[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except OSError as error:
        print(
            f"{name} cannot be looked up: {error.strerror}; name its address with --address", file=sys.stderr
        )
        return ()
