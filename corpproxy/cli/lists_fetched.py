"""``corpproxy lists``, the commands about lists that are fetched: update, status, diff, accept and others."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from corpproxy.backends.lists.files import ListsNotBuilt, build_command, build_lists
from corpproxy.backends.lists.opening import map_index
from corpproxy.backends.lists.removed import removed_lists
from corpproxy.backends.lists.shelf import HELD, TAKEN, UNCHANGED, Kept, Shelf, ShelfError, ShelfState
from corpproxy.backends.lists.status import Status, age_text, as_mapping, problems_of, status_of_list
from corpproxy.backends.lists.update_job import Outcome, UpdateJob
from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.cli.failed import FAILED, WRONG_USAGE, CommandFailed
from corpproxy.config.configuration import Configuration
from corpproxy.config.load import Loaded
from corpproxy.config.nearest import did_you_mean
from corpproxy.counted import counted
from corpproxy.destination.brake import Findings, changes_text, effect_text
from corpproxy.destination.changes import new_entries
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_file import BadIndex
from corpproxy.destination.sources import ListSource
from corpproxy.net.ask import ControlError, ask

# A service that brings a list answers when it is done, which a slow server draws out.
UPDATE_SECONDS = 4 * 3600.0

# Entries that `lists diff` shows of each kind.
SHOWN = 20

COMMANDS = ("update", "status", "diff", "accept", "reject", "rollback")


def add_commands(commands: Any) -> None:
    """Say which commands there are, and their options."""
    update = commands.add_parser(
        "update",
        help="fetch lists now",
        description="Fetch the lists with a url now, all or those named, and take up what the brake lets "
        "through. The exit code is 1 when one failed or is held.",
    )
    update.add_argument("names", nargs="*", metavar="NAME", help="lists of the policy")
    status = commands.add_parser(
        "status",
        help="show version, age, size and last result of each fetched list",
        description="Show each fetched list: version, age, size, licence, what its last fetch came to, and "
        "whether a version is held. Of lists that are named, also what was done with them and by whom. "
        "The exit code is 1 when one is stale or held.",
    )
    status.add_argument("names", nargs="*", metavar="NAME", help="lists of the policy")
    status.add_argument("--json", action="store_true", help="print it as JSON")
    diff = commands.add_parser(
        "diff",
        help="show what a version of a list changes",
        description="Show what came and what went between two versions of a list, and whom it would have "
        "blocked last week: of the version that is held, or else of the one in force.",
    )
    diff.add_argument("name", metavar="NAME", help="a list of the policy")
    diff.add_argument("--from", dest="old", default="", metavar="VERSION", help="the version to begin with")
    diff.add_argument("--to", dest="new", default="", metavar="VERSION", help="the version to end with")
    diff.add_argument(
        "--lines", type=int, default=SHOWN, metavar="N", help=f"entries to show (default: {SHOWN})"
    )
    diff.add_argument("--json", action="store_true", help="print it as JSON")
    for name, said in (
        ("accept", "Put the version of a list that is held into force, or any that is kept."),
        ("reject", "Throw away the version of a list that is held; it is not asked about again."),
        ("rollback", "Put the version of before into force; the one that was is not taken again by itself."),
    ):
        command = commands.add_parser(name, help=said.partition(";")[0].rstrip("."), description=said)
        command.add_argument("name", metavar="NAME", help="a list of the policy")
        if name == "accept":
            command.add_argument(
                "--version", default="", metavar="VERSION", help="a version that is kept, not the one held"
            )


def run(options: argparse.Namespace, loaded: Loaded) -> int:
    """Do what was asked; gives the exit code."""
    assert loaded.configuration is not None
    return _Fetched(options, loaded, loaded.configuration).run()


class _Fetched:
    """The fetched lists of one site, on the command line."""

    def __init__(self, options: argparse.Namespace, loaded: Loaded, configuration: Configuration) -> None:
        self._options = options
        self._loaded = loaded
        self._configuration = configuration
        self._sources = {one.name: one for one in configuration.lists if one.fetch is not None}
        self._socket = configuration.state / CONTROL_SOCKET

    def run(self) -> int:
        """Do what was asked."""
        if not self._sources:
            print("the policy has no list that is fetched (categories: lists: url:)")
            self._tell_removed()
            return 0
        does: dict[str, Callable[[], int]] = {
            "update": self._update,
            "status": self._status,
            "diff": self._diff,
            "accept": lambda: self._settle("lists-accept", "is in force"),
            "reject": lambda: self._settle("lists-reject", "is thrown away"),
            "rollback": lambda: self._settle("lists-rollback", "is in force again"),
        }
        return does[self._options.lists_command]()

    def _source(self, name: str) -> ListSource:
        source = self._sources.get(name)
        if source is None:
            said = f"no list '{name}' is fetched{did_you_mean(name, self._sources)}"
            raise CommandFailed(f"{said}; there are {', '.join(self._sources)}", WRONG_USAGE)
        return source

    def _shelf(self, source: ListSource) -> Shelf:
        assert source.fetch is not None
        return Shelf(source.path, source.fetch.keep)

    def _asked(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask the service that runs; raises ControlError, ``not-running`` where there is none."""
        if not self._socket.exists():
            raise ControlError("not-running", "corpproxy is not running")
        return ask(self._socket, command, **arguments)

    # Updating.

    def _update(self) -> int:
        names = [self._source(name).name for name in self._options.names] or list(self._sources)
        outcomes = self._by_service(names)
        if outcomes is None:
            outcomes, unknown = [], names
        else:
            # Lists that the policy on the disk has and the one that runs has not yet.
            unknown = [name for name in names if all(one.name != name for one in outcomes)]
        if unknown:
            outcomes += self._by_child(unknown)
        return 0 if all(one.result in (TAKEN, UNCHANGED) for one in outcomes) else FAILED

    def _by_service(self, names: list[str]) -> list[Outcome] | None:
        """Let the running service update; None where none runs."""
        try:
            answer = self._asked("lists-update", timeout=UPDATE_SECONDS, names=names)
        except ControlError as error:
            if error.code == "not-running":
                return None
            raise CommandFailed(error.message) from error
        outcomes = msgspec.convert(answer["outcomes"], list[Outcome])
        for outcome in outcomes:
            _print_outcome(outcome)
        return outcomes

    def _by_child(self, names: list[str]) -> list[Outcome]:
        """Update without a service, and build the index of what came."""
        job = UpdateJob(str(self._options.policy), dict(self._loaded.texts), names)
        argv, environment = build_command("lists.update")
        outcomes = []
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(msgspec.json.encode(job))
            child.stdin.close()
            for line in child.stdout:
                outcome = msgspec.json.decode(line, type=Outcome)
                _print_outcome(outcome)
                outcomes.append(outcome)
        if child.returncode:
            raise CommandFailed(f"the updating process ended with {child.returncode}")
        if any(one.result == TAKEN for one in outcomes):
            self._build()
        return outcomes

    def _build(self) -> None:
        try:
            build_lists(self._configuration.lists, self._configuration.state)
        except ListsNotBuilt as error:
            raise CommandFailed(f"the index could not be built: {error}") from error

    # Settling.

    def _settle(self, command: str, done: str) -> int:
        source = self._source(self._options.name)
        version = self._options.version if command == "lists-accept" else ""
        try:
            answer = self._settled(command, source, version)
        except (ControlError, ShelfError) as error:
            raise CommandFailed(f"list '{source.name}': {error.message}") from error
        was = f" in the place of {answer['was']}" if "was" in answer else ""
        print(f"list '{source.name}': version {answer['version']} {done}{was}")
        return 0

    def _settled(self, command: str, source: ListSource, version: str) -> dict[str, Any]:
        try:
            return self._asked(command, name=source.name, version=version)
        except ControlError as error:
            if error.code not in ("not-running", "unknown-list"):
                raise
        return self._settled_here(command, source, version)

    def _settled_here(self, command: str, source: ListSource, version: str) -> dict[str, Any]:
        """Do it without a service."""
        shelf, at, by, uid = self._shelf(source), time.time(), _own_name(), os.getuid()
        if command == "lists-accept":
            answer = {"version": shelf.accept(version, at, by, uid).version}
        elif command == "lists-reject":
            return {"version": shelf.reject(at, by, uid).version}
        else:
            was, is_now = shelf.roll_back(at, by, uid)
            answer = {"version": is_now.version, "was": was.version}
        self._build()
        return answer

    # Showing.

    def _status(self) -> int:
        sources = [self._source(name) for name in self._options.names] or list(self._sources.values())
        now = time.time()
        statuses = [status_of_list(one, self._shelf(one).state, now) for one in sources]
        if self._options.json:
            print(json.dumps([as_mapping(one) for one in statuses], indent=2))
        else:
            _print_statuses(statuses, details=bool(self._options.names), zone_now=now)
            self._tell_removed()
        return FAILED if any(one.is_stale or one.state.held is not None for one in statuses) else 0

    def _tell_removed(self) -> None:
        """Say what is left of lists that are gone from the policy."""
        from corpproxy.audit.times import utc_text

        for one in removed_lists(self._configuration.state, self._configuration.lists):
            when = f"at {utc_text(one.goes_at)}" if one.goes_at else "a week after the service has noticed"
            print(f"list '{one.name}' is not in the policy any more; {one.folder} is deleted {when}")

    def _diff(self) -> int:
        source = self._source(self._options.name)
        shelf = self._shelf(source)
        state = shelf.state
        old, new, findings = self._pair(state)
        before, after = self._index(shelf, old), self._index(shelf, new)
        came, gone = sorted(new_entries(after, before)), sorted(new_entries(before, after))
        lines = max(0, self._options.lines)
        if self._options.json:
            told = {"list": source.name, "from": old, "to": new, "came": came, "gone": gone}
            if findings is not None:
                told["findings"] = msgspec.to_builtins(findings)
            print(json.dumps(told, indent=2))
            return 0
        print(f"list '{source.name}', from {_version_text(state, old)} to {_version_text(state, new)}")
        print(f"{counted(len(came), 'entry', 'entries')} came, {len(gone):,} went")
        for mark, entries in (("+", came), ("-", gone)):
            for category, entry in entries[:lines]:
                print(f"{mark} {entry} ({category})")
            if len(entries) > lines:
                print(f"{mark} and {len(entries) - lines:,} more")
        if findings is not None:
            print(f"it {effect_text(findings.effect)}")
        if state.held is not None and state.held.version == new:
            print("it is held because " + "; ".join(state.held.reasons))
        return 0

    def _pair(self, state: ShelfState) -> tuple[str, str, Findings | None]:
        """The two versions to compare, and what was found out about the newer, if these are the two."""
        forces = state.forces
        new, old, findings = self._options.new, self._options.old, None
        if not new:
            if state.held is not None:
                new, findings = state.held.version, state.held.findings
            elif forces:
                new, findings = forces[-1], state.findings
        if not old:
            before = [one for one in forces if one != new]
            old = before[-1] if before else ""
        if not new:
            raise CommandFailed("no version of it has been fetched yet; run 'corpproxy lists update'")
        return old, new, None if self._options.old else findings

    def _index(self, shelf: Shelf, version: str) -> CategoryIndex | None:
        if not version:
            return None
        try:
            return map_index(shelf.index_of(version))
        except (OSError, BadIndex) as error:
            known = ", ".join(shelf.state.versions) or "none"
            said = f"version {version} is not kept ({known} are): {error}"
            raise CommandFailed(said) from error


def _print_outcome(outcome: Outcome) -> None:
    place = sys.stdout if outcome.result in (TAKEN, UNCHANGED) else sys.stderr
    print(f"{outcome.name}: {outcome.result}: {outcome.said}", file=place, flush=True)


def _print_statuses(statuses: Sequence[Status], *, details: bool, zone_now: float) -> None:
    from corpproxy.cli.lists import print_table

    rows = [["list", "version", "entries", "size", "checked", "published", "last", "next", "licence"]]
    rows += [_row(one) for one in statuses]
    print_table(rows)
    for status in statuses:
        for problem in problems_of(status, status.source.place):
            print(problem, file=sys.stderr)
        if details:
            _print_details(status)


def _row(status: Status) -> list[str]:
    kept, state = status.in_force, status.state
    last = f"{state.result}{' (held)' if state.held is not None and state.result != HELD else ''}"
    return [
        status.name,
        kept.version if kept is not None else "none",
        f"{kept.total:,}" if kept is not None else "-",
        _size(kept),
        _ago(status.checked_seconds),
        _ago(status.published_seconds),
        last or "-",
        _next(status),
        status.source.licence or "-",
    ]


def _next(status: Status) -> str:
    if status.fetching_seconds is not None:
        return f"being fetched, for {age_text(status.fetching_seconds)}"
    return f"in {age_text(status.next_seconds)}" if status.next_seconds > 0 else "now"


def _size(kept: Kept | None) -> str:
    if kept is None:
        return "-"
    octets = kept.octets
    return f"{octets / 1024**2:.1f} MiB" if octets >= 1024**2 else f"{octets / 1024:.1f} KiB"


def _ago(seconds: float | None) -> str:
    return "-" if seconds is None else f"{age_text(seconds)} ago"


def _print_details(status: Status) -> None:
    from corpproxy.audit.times import utc_text

    state = status.state
    print(f"\nlist {status.name}: {state.said or 'never asked for'}")
    if state.findings is not None:
        print(f"  {changes_text(state.findings)}; it {effect_text(state.findings.effect)}")
    for event in state.events:
        print(f"  {utc_text(event.at)}  {event.what} {event.version} by {event.by}: {event.why}")


def _version_text(state: ShelfState, version: str) -> str:
    if not version:
        return "nothing"
    if state.held is not None and version == state.held.version:
        return f"{version} (held)"
    return f"{version} (in force)" if state.forces and version == state.forces[-1] else version


def _own_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
