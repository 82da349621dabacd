"""``corpproxy lists``: fetch category lists, build their index, look up hosts in it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from corpproxy.backends.lists.files import (
    ListsNotBuilt,
    build_lists,
    current_index,
    index_path,
    list_problems,
)
from corpproxy.backends.lists.lines import find_line
from corpproxy.backends.lists.past import kept_octets
from corpproxy.backends.lists.status import age_text
from corpproxy.cli import lists_fetched
from corpproxy.cli.failed import FAILED, WRONG_USAGE, CommandFailed
from corpproxy.config.configuration import Configuration
from corpproxy.config.load import Loaded
from corpproxy.counted import counted
from corpproxy.destination.classifier import OWN, Classifier, missing_categories
from corpproxy.destination.fetched_place import folder_name
from corpproxy.destination.host import normal_host
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_meta import MISSING, ListReport
from corpproxy.destination.model import Match
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Problem, ProtocolError
from corpproxy.reports.aligned import aligned

DESCRIPTION = (
    "Build the index of the policy's category lists, look up a host or a URL in it, or see what it holds. "
    "A running service takes up a new index within seconds, and builds one itself when the lists change. "
    "Lists with a url are fetched by the service when it is time, or now."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the policy of the site")
    commands = parser.add_subparsers(dest="lists_command", metavar="COMMAND", required=True)
    commands.add_parser("build", help="build the index now", description="Build the index now.")
    lookup = commands.add_parser(
        "lookup",
        help="show the categories of a host or a URL",
        description="Show the categories of a host or a URL, and the line of the list behind each. "
        "Of an https URL only the host is looked up, as the proxy sees it. "
        "The exit code is 1 when there is none.",
    )
    lookup.add_argument("wanted", metavar="HOST_OR_URL", help="example.com, or http://example.com/path")
    lookup.add_argument("--json", action="store_true", help="print it as JSON")
    stats = commands.add_parser(
        "stats",
        help="show lists, entries, odd lines and ages",
        description="Show entries by category and list, odd lines with their places, size and age.",
    )
    stats.add_argument("--json", action="store_true", help="print it as JSON")
    lists_fetched.add_commands(commands)


def run(options: argparse.Namespace) -> int:
    """Do what was asked; gives the exit code."""
    loaded = _loaded(options.policy)
    configuration = loaded.configuration
    assert configuration is not None
    if options.lists_command in lists_fetched.COMMANDS:
        return lists_fetched.run(options, loaded)
    if not configuration.lists and options.lists_command != "lookup":
        print("the policy names no lists (categories: lists:)")
        return 0
    if options.lists_command == "build":
        return _build(configuration)
    index, problems = current_index(configuration.lists, configuration.state)
    _complain(problems)
    if options.lists_command == "lookup":
        return _lookup(configuration, index, options.wanted, as_json=options.json)
    return _stats(configuration, index, as_json=options.json)


def _loaded(path: Path) -> Loaded:
    from corpproxy.backends.policies.files import DISK
    from corpproxy.config.load import load_policy

    loaded = load_policy(path, DISK, forgiving=True)
    if loaded.configuration is None:
        raise CommandFailed("\n".join(str(problem) for problem in loaded.errors))
    return loaded


def _build(configuration: Configuration) -> int:
    began = time.monotonic()
    try:
        index = build_lists(configuration.lists, configuration.state)
    except ListsNotBuilt as error:
        raise CommandFailed(f"the index could not be built: {error}") from error
    print_table(_list_rows(configuration.lists, index, time.time()))
    problems = list_problems(configuration.lists, index)
    _complain(problems)
    path = index_path(configuration.state)
    print(f"built {path} in {time.monotonic() - began:.1f} s, {_size(path.stat().st_size)}")
    return FAILED if problems else 0


def _lookup(configuration: Configuration, index: CategoryIndex | None, wanted: str, *, as_json: bool) -> int:
    missing = missing_categories(configuration.lists, index)
    classifier = Classifier(index, configuration.own, configuration.exceptions, missing)
    categories, matches = look_up(classifier, wanted)
    places = [_place(configuration.lists, match) for match in matches]
    if as_json:
        found = [asdict(match) | {"place": place} for match, place in zip(matches, places, strict=True)]
        print(json.dumps({"categories": list(categories), "matches": found}, indent=2))
    elif matches:
        rows = [[m.category, m.list, m.entry, place] for m, place in zip(matches, places, strict=True)]
        print_table([["category", "list", "entry", "line"], *rows])
    else:
        print(f"{wanted} is in no category")
    return 0 if matches else FAILED


def look_up(classifier: Classifier, wanted: str) -> tuple[tuple[str, ...], tuple[Match, ...]]:
    """Classify a host, ``host:port`` or a URL as the proxy would see it; raises CommandFailed."""
    try:
        split = urlsplit(wanted if "://" in wanted else f"//{wanted}")
        host = normal_host(_host(split.netloc))
    except (ProtocolError, ValueError) as error:
        said = error.message if isinstance(error, ProtocolError) else str(error)
        raise CommandFailed(f"{wanted}: {said}", WRONG_USAGE) from error
    is_seen = split.scheme in ("", "http") and (split.scheme or split.path)
    path = (split.path or "/") + (f"?{split.query}" if split.query else "") if is_seen else ""
    return classifier.classify(host, split.scheme or "http", 80, path)


def _host(authority: str) -> str:
    """Take the port off an authority; a bare IPv6 address has none."""
    host, colon, port = authority.rpartition(":")
    is_port = colon and port.isdigit() and (":" not in host or host.endswith("]"))
    return host if is_port else authority


def _place(sources: Sequence[ListSource], match: Match) -> str:
    if match.list == OWN:
        return "the policy's own"
    source = next((one for one in sources if one.name == match.list), None)
    place = find_line(source, match) if source is not None else None
    return str(place) if place is not None else "not there any more"


def _stats(configuration: Configuration, index: CategoryIndex | None, *, as_json: bool) -> int:
    now = time.time()
    reports = index.meta.lists if index is not None else []
    path = index_path(configuration.state)
    past = kept_octets(configuration.state)
    if as_json:
        print(json.dumps([_as_mapping(report, now) | _kept_of(report, past) for report in reports], indent=2))
        return 0
    if index is None:
        return FAILED
    print_table(_list_rows(configuration.lists, index, now))
    print(f"index: {path}, {_size(path.stat().st_size)}, built {age_text(now - index.meta.built)} ago")
    _print_kept(past)
    print()
    print_table(_category_rows(reports))
    _print_odd_lines(reports)
    return 0


def _kept_of(report: ListReport, past: Mapping[str, tuple[int, int]]) -> dict[str, object]:
    versions, octets = past.get(folder_name(report.name), (0, 0))
    return {"kept_versions": versions, "kept_octets": octets}


def _print_kept(past: Mapping[str, tuple[int, int]]) -> None:
    """Say how much stays for the records that cite it; the version in force is one of them."""
    versions, octets = (sum(column) for column in zip(*past.values(), strict=True)) if past else (0, 0)
    if versions:
        print(f"kept for the records that cite them: {counted(versions, 'version')}, {_size(octets)}")


def _list_rows(sources: Sequence[ListSource], index: CategoryIndex, now: float) -> list[list[str]]:
    rows = [["list", "state", "format", "entries", "odd", "version", "age", "licence"]]
    licences = {source.name: source.licence for source in sources}
    for one in index.meta.lists:
        age = age_text(now - one.modified) if one.modified else "-"
        counts = [str(one.total), str(one.odd_count)] if one.state != MISSING else ["-", "-"]
        licence = licences.get(one.name) or "-"
        rows.append([one.name, one.state, one.format, *counts, one.version or "-", age, licence])
    return rows


def _category_rows(reports: Iterable[ListReport]) -> list[list[str]]:
    rows = [["category", "list", "entries", "usage"]]
    for report in reports:
        for category, count in sorted(report.entries.items()):
            rows.append([category, report.name, str(count), " ".join(report.usage.get(category, ()))])
        for alias, meant in sorted(report.aliases.items()):
            rows.append([alias, report.name, f"as {meant}", ""])
    return rows


def _print_odd_lines(reports: Iterable[ListReport]) -> None:
    for report in reports:
        if report.odd_count:
            shown = min(report.odd_count, len(report.odd_lines))
            odd_lines = counted(report.odd_count, "odd line was left out", "odd lines were left out")
            print(f"\nlist {report.name}: {odd_lines}; the first {shown}:")
            for odd in report.odd_lines:
                print(f"  {odd.problem}")


def _as_mapping(report: ListReport, now: float) -> dict[str, object]:
    return {
        "list": report.name,
        "state": report.state,
        "format": report.format,
        "version": report.version,
        "age_seconds": round(now - report.modified) if report.modified else None,
        "entries": report.entries,
        "aliases": report.aliases,
        "odd_count": report.odd_count,
        "odd_lines": [str(odd.problem) for odd in report.odd_lines],
        "problem": report.problem,
    }


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, the first row being their heads."""
    print(aligned(rows, [True] * len(rows[0])), end="")


def _complain(problems: Iterable[Problem]) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)


def _size(octets: int) -> str:
    return f"{octets / 1024**2:.1f} MiB" if octets >= 1024**2 else f"{octets / 1024:.1f} KiB"
