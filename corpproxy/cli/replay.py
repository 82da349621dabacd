"""``corpproxy replay``: what a policy would have decided on recorded exchanges, or on those of a Squid."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from corpproxy.audit.record import Record
from corpproxy.audit.times import utc_text
from corpproxy.backends.lists.past import PastLists
from corpproxy.backends.records.reader import Complain
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.search.scan import numbered_lines, scan
from corpproxy.cli.asked_policy import AskedPolicy, asked_policy
from corpproxy.cli.audit import Complaints
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, end_moment, moment
from corpproxy.cli.past_policies import PastPolicies
from corpproxy.cli.progress import Progress
from corpproxy.config.listeners import Purpose
from corpproxy.replay.candidate import AsOf, Candidate
from corpproxy.replay.deciding import Deciding
from corpproxy.replay.report import ROWS, About, as_mapping, as_text
from corpproxy.replay.searches import Searches
from corpproxy.replay.squid import OddLine, read_line
from corpproxy.replay.tally import Rehearsal, Tally, person_of

DESCRIPTION = (
    "Decide recorded exchanges again by a policy that does not run yet, and show which decisions change, for "
    "whom and where. Nothing that runs is touched."
)

STDIN = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="the policy to rehearse (default: the file as it stands)"
    )
    parser.add_argument(
        "--since", metavar="WHEN", help=f"exchanges that began then or later (default: 7d): {FORMS}"
    )
    parser.add_argument("--until", metavar="WHEN", help="exchanges that began before; a day includes it")
    parser.add_argument("--user", metavar="NAME", help="those of one person, or of one client address")
    parser.add_argument("--records", type=Path, metavar="FOLDER", help="read this folder of records")
    parser.add_argument(
        "--squid", metavar="FILE", help="read this access.log of a Squid (native format); - is standard input"
    )
    for name, what in (("groups", "groups of people"), ("lists", "categories")):
        parser.add_argument(
            f"--{name}",
            choices=["then", "now"],
            help=f"{what} as they were recorded (default), or as they are now",
        )
    parser.add_argument(
        "--listener", default="", metavar="NAME", help="where the requests of a Squid come in"
    )
    parser.add_argument(
        "--rows", type=int, default=ROWS, metavar="N", help=f"rows of each table (default: {ROWS})"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(options: argparse.Namespace) -> int:
    """Print what changes; gives the exit code."""
    site = asked_policy(options.policy)
    complaints = Complaints("could not be read")
    progress = Progress("rehearsing")

    def complain(sentence: str) -> None:
        progress.end()
        complaints(sentence)

    try:
        source = _Squid(options, site) if options.squid else _Recorded(options, site)
        tally = _rehearsed(options, site, source.candidate(), source.records(complain, progress))
    except ValueError as wrong:
        raise CommandFailed(str(wrong), WRONG_USAGE) from wrong
    finally:
        progress.end()
    complaints.sum_up()
    tally.odd_lines = complaints.count
    about = source.about()
    if options.json:
        print(json.dumps(as_mapping(tally, about), indent=2))
    else:
        sys.stdout.write(as_text(tally, about, max(1, options.rows)))
    return 0


def _rehearsed(
    options: argparse.Namespace, site: AskedPolicy, candidate: Candidate, records: Iterator[Record]
) -> Tally:
    since, until = _span(options, site)
    searches = Searches(candidate, are_policies_told=not options.squid)
    rehearsal = Rehearsal(Deciding(candidate), searches, are_rules_told=not options.squid)
    add, user = rehearsal.add, options.user
    for record in records:
        if since <= record.at < until and (not user or person_of(record) == user):
            add(record)
    return rehearsal.end()


def _span(options: argparse.Namespace, site: AskedPolicy) -> tuple[str, str]:
    """From when to when, as records write moments."""
    now, zone = time.time(), site.configuration.time_zone
    since = options.since or ("" if options.squid else "7d")
    until = utc_text(end_moment(options.until, now, zone)) if options.until else "~"
    return utc_text(moment(since, now, zone)) if since else "", until


class _Recorded:
    """The records of the site."""

    def __init__(self, options: argparse.Namespace, site: AskedPolicy) -> None:
        self._site = site
        self._as_of = AsOf(options.groups == "now", options.lists == "now")
        self._folder = options.records or _records_of(options, site)
        self._since = moment(options.since or "7d", time.time(), site.configuration.time_zone)

    def candidate(self) -> Candidate:
        """The policy that is asked."""
        site = self._site
        then = PastPolicies(self._folder.parent, site.configuration)
        people, versions = site.surroundings.people, PastLists(self._folder.parent)
        return Candidate(site.configuration, site.index, people, then, self._as_of, versions)

    def records(self, complain: Complain, progress: Callable[[int, int], None]) -> Iterator[Record]:
        """Every record that may be wanted."""
        try:
            yield from scan(self._folder, complain, self._since, progress)
        except FileNotFoundError as error:
            raise CommandFailed(f"{error.filename}: there are no records; the service makes them") from error

    def about(self) -> About:
        """What the report says of itself."""
        return _about(self._site, f"the records in {self._folder}", self._as_of)


def _records_of(options: argparse.Namespace, site: AskedPolicy) -> Path:
    """
    The folder of records: that of the policy itself, else that of the site's policy.

    A policy that is tried out may lie anywhere, and its ``state:`` is then none.
    """
    from corpproxy.backends.policies.start import possible_state_folders
    from corpproxy.cli import policy_path

    states = [site.configuration.state]
    usual = policy_path(options.policy_before)
    if usual.exists():
        states += possible_state_folders(usual)
    folders = [state / RECORDS_FOLDER for state in states]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


class _Squid:
    """The log of a Squid: people and lists are those of now, for it names no others."""

    _AS_OF = AsOf(groups=True, lists=True)

    def __init__(self, options: argparse.Namespace, site: AskedPolicy) -> None:
        if options.groups == "then" or options.lists == "then":
            raise ValueError("a log of Squid tells no groups and no categories; they are those of now")
        self._site = site
        self._file = options.squid
        names = [one.name for one in site.configuration.listening(Purpose.FORWARD)]
        if options.listener and options.listener not in names:
            raise ValueError(f"there is no listener '{options.listener}'; there are {', '.join(names)}")
        self._listener = options.listener or (names[0] if len(names) == 1 else "")

    def candidate(self) -> Candidate:
        """The policy that is asked."""
        site = self._site
        return Candidate(
            site.configuration, site.index, site.surroundings.people, lambda _: None, self._AS_OF
        )

    def records(self, complain: Complain, progress: Callable[[int, int], None]) -> Iterator[Record]:
        """Each line as a record; what is none is complained of by its number."""
        is_stdin = self._file == STDIN
        file = sys.stdin.buffer if is_stdin else Path(self._file)
        total = 0 if is_stdin else os.stat(self._file).st_size
        name = "standard input" if is_stdin else self._file
        for number, line, position in numbered_lines(file, complain):
            if number % 5_000 == 0:
                progress(position(), total)
            if not line.strip():
                continue
            try:
                yield read_line(line, number, self._listener)
            except OddLine as odd:
                complain(f"{name}:{number}: {odd.message}")

    def about(self) -> About:
        """What the report says of itself."""
        name = "standard input" if self._file == STDIN else self._file
        return replace(_about(self._site, f"the log of a Squid, {name}", self._AS_OF), are_rules_told=False)


def _about(site: AskedPolicy, source: str, as_of: AsOf) -> About:
    configuration = site.configuration
    return About(
        str(site.path),
        configuration.version,
        source,
        "as of now" if as_of.groups else "as recorded",
        "as of now" if as_of.lists else "as recorded",
    )
