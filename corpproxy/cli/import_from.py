"""``corpproxy import``: the configuration of another proxy as a policy."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Callable
from pathlib import Path

from corpproxy.backends.atomic_file import replace_file
from corpproxy.backends.people.htpasswd_lines import read_users
from corpproxy.backends.policies.files import Disk
from corpproxy.cli.failed import FAILED, CommandFailed
from corpproxy.cli.init import PASSWORDS_FILE, POLICY_FILE, STATE_FOLDER, time_zone_name
from corpproxy.counted import counted
from corpproxy.foreign.draft import Imported, report
from corpproxy.foreign.settle import CannotBeLoaded

DESCRIPTION = (
    "Write the configuration of another proxy as a policy that decides the same, with a comment where "
    "something has no counterpart. Exits with 1 when nothing could be written, or when something that the "
    "other proxy refuses is not refused by the policy."
)
REPORT_FILE = "import.txt"

# The text of a configuration, and lists of millions of names beside it.
MAX_OCTETS = 256 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    sources = parser.add_subparsers(dest="source", metavar="squid|e2guardian", required=True)
    squid = sources.add_parser(
        "squid",
        help="a squid.conf and the files that it names",
        description="Write a Squid configuration as a policy. " + DESCRIPTION,
    )
    squid.add_argument("configuration", type=Path, metavar="FILE", help="the squid.conf")
    e2guardian = sources.add_parser(
        "e2guardian",
        help="the folder of an e2guardian",
        description="Write a configuration of e2guardian as a policy. " + DESCRIPTION,
    )
    e2guardian.add_argument(
        "configuration", type=Path, metavar="FOLDER", help="the folder of e2guardian.conf"
    )
    for one in (squid, e2guardian):
        one.add_argument(
            "--into",
            type=Path,
            default=Path("imported"),
            metavar="FOLDER",
            help="where to write it (default: imported); what is there already is kept",
        )
        one.add_argument("--map", action="store_true", help="print what became of each line, too")


def run(options: argparse.Namespace) -> int:
    """Write the policy and say what there is to look at; gives the exit code."""
    folder: Path = options.into
    if (folder / POLICY_FILE).exists():
        raise CommandFailed(f"{folder / POLICY_FILE} is there already; name another folder with --into")
    if not options.configuration.exists():
        raise CommandFailed(f"there is no {options.configuration}")
    try:
        made = _importer(options.source)(
            options.configuration, SourceFiles(), folder, time_zone=time_zone_name()
        )
    except CannotBeLoaded as wrong:
        said = f"the policy that came of it cannot be loaded, which is a fault of the import: {wrong}"
        raise CommandFailed(said) from wrong
    for problem in made.problems:
        print(problem.line, file=sys.stderr)
    if not made.files:
        print("nothing is written: the lines above come first", file=sys.stderr)
        return FAILED
    _write(made, folder)
    _tell(made, folder)
    if options.map:
        print(report(made.mapped, str(folder / POLICY_FILE)), end="")
    return FAILED if made.open else 0


class SourceFiles(Disk):
    """The files of this machine, lists of any length among them."""

    def read(self, path: Path) -> bytes:
        """Give the octets of a file."""
        with path.open("rb") as file:
            octets = file.read(MAX_OCTETS + 1)
        if len(octets) > MAX_OCTETS:
            raise OSError(errno.EFBIG, f"it has more than {MAX_OCTETS >> 20} MiB", str(path))
        return octets


_Importer = Callable[..., Imported]


def _importer(source: str) -> _Importer:
    """What reads the configurations of one program."""
    if source == "squid":
        from corpproxy.foreign.squid.policy import import_squid

        return import_squid
    from corpproxy.foreign.e2guardian.policy import import_e2guardian

    return import_e2guardian


def _write(made: Imported, folder: Path) -> None:
    """Write the files; those of people and records are not for others on this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STATE_FOLDER).mkdir(mode=0o750, exist_ok=True)
    # The policy comes last: without it a second run goes on where this one stopped.
    for name, octets in sorted(made.files.items(), key=lambda file: file[0] == POLICY_FILE):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == PASSWORDS_FILE and path.exists():
            print(f"{path} is kept as it is")
            continue
        replace_file(path, octets)
    replace_file(folder / REPORT_FILE, report(made.mapped, POLICY_FILE).encode("utf-8", "replace"))


def _tell(made: Imported, folder: Path) -> None:
    policy = folder / POLICY_FILE
    print(
        f"{policy} has {counted(made.counts['rules'], 'rule')}, from {counted(made.counts['lines'], 'line')}"
    )
    print(f"{folder / REPORT_FILE} tells what became of each line")
    if PASSWORDS_FILE in made.files:
        _tell_passwords(made.files[PASSWORDS_FILE], folder / PASSWORDS_FILE)
    if b"'corpproxy lists build'" in made.files[POLICY_FILE]:
        print(f"'corpproxy --policy {policy} lists build' makes the index of its long lists")
    for problem in made.open:
        print(problem.line, file=sys.stderr)
    if made.open:
        said = "these are refused there, and not by the policy; look for OPEN in it before it is used"
        print(f"{len(made.open)} of the lines: {said}", file=sys.stderr)
    print(f"'corpproxy check {policy}' comes next")


def _tell_passwords(octets: bytes, path: Path) -> None:
    """What is wrong with the passwords that were taken over."""
    users = read_users(octets, str(path))
    for problem in users.problems:
        print(problem.line, file=sys.stderr)
    print(f"{path} has {counted(len(users.hashes), 'person', 'people')}")
