"""``corpproxy policy``: the policies that ran, and back to one of them."""

from __future__ import annotations

import argparse
import difflib
import getpass
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from corpproxy.backends.atomic_file import replace_file
from corpproxy.backends.policies.files import DISK
from corpproxy.backends.policies.history import PUT_ASIDE, History, HistoryError, Run, Version
from corpproxy.backends.policies.start import possible_state_folders
from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.cli.failed import CommandFailed
from corpproxy.config.sources import read_sources, version_of
from corpproxy.net.ask import ControlError, ask

DESCRIPTION = "The policies that ran: list, show and compare them, and go back to one."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    commands = parser.add_subparsers(dest="policy_command", metavar="COMMAND", required=True)
    commands.add_parser("log", help="list the versions that ran, the last one first")
    show = commands.add_parser("show", help="print the files of a version")
    show.add_argument("version", metavar="VERSION", help="a version, or the beginning of one")
    diff = commands.add_parser("diff", help="compare two versions, or one with the files as they are")
    diff.add_argument("first", metavar="A", help="the older version")
    diff.add_argument("second", metavar="B", nargs="?", help="the newer version (default: the files)")
    rollback = commands.add_parser("rollback", help="put a version back in place and load it")
    rollback.add_argument("version", metavar="VERSION", help="a version, or the beginning of one")
    for command in commands.choices.values():
        command.add_argument("--policy", type=Path, metavar="FILE", help="the policy of the site")


def run(options: argparse.Namespace) -> int:
    """Do what is asked; gives the exit code."""
    history = _history(options.policy)
    try:
        return _COMMANDS[options.policy_command](options, history)
    except HistoryError as error:
        raise CommandFailed(error.message) from error


def _history(policy: Path) -> History:
    """The history of a policy: in the first of its possible state folders that has one."""
    found = [History(state) for state in possible_state_folders(policy)]
    return next((history for history in found if history.folder.is_dir()), found[0])


def _log(options: argparse.Namespace, history: History) -> int:
    good = history.last_good()
    versions = history.versions()
    if not versions:
        raise CommandFailed(f"no policy has run yet; nothing is kept in {history.folder}")
    present = _present_version(options.policy)
    for version in versions:
        marks = [mark for mark, holds in (
            ("last good", good is not None and good.version == version.version),
            ("the files as they are", version.version == present),
        ) if holds]  # fmt: skip
        run = version.last
        when = datetime.fromtimestamp(run.at).astimezone()
        print(
            f"{version.version}  {when:%Y-%m-%d %H:%M}  {run.why} by {run.by}"
            + (f"  ({', '.join(marks)})" if marks else "")
        )
    return 0


def _show(options: argparse.Namespace, history: History) -> int:
    texts = history.texts(history.version(options.version))
    for name, octets in texts.items():
        if len(texts) > 1:
            print(f"# --- {name}")
        sys.stdout.write(octets.decode("utf-8", "replace"))
    return 0


def _diff(options: argparse.Namespace, history: History) -> int:
    first = history.version(options.first)
    if options.second is None:
        second, name = _present_texts(options.policy), "as it is"
    else:
        newer = history.version(options.second)
        second, name = history.texts(newer), newer.version
    sys.stdout.writelines(_differences(history.texts(first), second, first.version, name))
    return 0


def _differences(
    first: Mapping[str, bytes], second: Mapping[str, bytes], first_name: str, second_name: str
) -> Iterator[str]:
    for name in sorted({*first, *second}):
        older, newer = (texts.get(name, b"").decode("utf-8", "replace") for texts in (first, second))
        lines = difflib.unified_diff(
            older.splitlines(),
            newer.splitlines(),
            f"{name} ({first_name})",
            f"{name} ({second_name})",
            lineterm="",
        )
        yield from (f"{one}\n" for one in lines)


def _rollback(options: argparse.Namespace, history: History) -> int:
    policy: Path = options.policy
    version = history.version(options.version)
    texts = history.texts(version)
    present = _present_texts(policy)
    if present and version_of(present) != version.version:
        aside = history.put_aside(present, policy, _run(PUT_ASIDE))
        print(f"the files as they were are kept as version {aside.version}")
    _put_back(policy.parent, texts, present, version)
    print(f"{policy} is version {version.version} again")
    return _take_up(history.state)


def _put_back(
    folder: Path, texts: Mapping[str, bytes], present: Mapping[str, bytes], version: Version
) -> None:
    """Write the files of a version; files that it did not have are put out of the way of ``include:``."""
    for name, octets in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if present.get(name) != octets:
            replace_file(folder / name, octets)
    for name in present.keys() - texts.keys():
        out_of_the_way = folder / f"{name}.not-in-{version.version}"
        os.replace(folder / name, out_of_the_way)
        print(f"{folder / name} did not belong to it and is {out_of_the_way.name} now")


def _take_up(state: Path) -> int:
    """Make the running service take up the policy; one that does not run will at its next start."""
    try:
        answer = ask(state / CONTROL_SOCKET, "reload", why="rollback")
    except ControlError as error:
        if error.code == "not-running":
            print("corpproxy does not run; it will start with this version")
            return 0
        raise CommandFailed(
            f"the files are back, but the service goes on as before: {error.message}"
        ) from error
    print(f"the running service took up version {answer.get('version', '')}")
    return 0


def _present_texts(policy: Path) -> dict[str, bytes]:
    """The policy's files as they are, whether they can be loaded or not."""
    sources = read_sources(policy, DISK)
    if not sources.texts:
        for problem in sources.problems:
            print(problem.line, file=sys.stderr)
    return sources.texts


def _present_version(policy: Path) -> str:
    texts = read_sources(policy, DISK).texts
    return version_of(texts) if texts else ""


def _run(why: str) -> Run:
    return Run(time.time(), getpass.getuser(), os.getuid(), why)


_COMMANDS = {"log": _log, "show": _show, "diff": _diff, "rollback": _rollback}
