"""
The command line: one module per command, imported when its command is given.

Exit codes are the same everywhere: 0 it is done, or the answer is yes; 1 it cannot be done, or the answer is
no (problems in a policy, a test that fails); 2 the command itself is wrong; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from corpproxy import __version__
from corpproxy.cli.failed import FAILED, CommandFailed
from corpproxy.cli.options import placed_anywhere

# Each command: its module and a line of help, in the order of a first day.
COMMANDS = {
    "init": ("corpproxy.cli.init", "make a first site folder: a policy, one user, a password"),
    "import": ("corpproxy.cli.import_from", "write the configuration of Squid or e2guardian as a policy"),
    "check": ("corpproxy.cli.check", "find every problem in a policy and run its tests"),
    "explain": ("corpproxy.cli.explain", "show which rule decides on a URL, and why the others do not"),
    "calendar": ("corpproxy.cli.calendar", "show when the policy's calendars hold: now, and in a week"),
    "test": ("corpproxy.cli.test", "run the policy's own tests"),
    "exceptions": ("corpproxy.cli.exceptions", "list who may have what in spite of rules, and until when"),
    "grants": ("corpproxy.cli.grants", "list, give, end and report what lets somebody past a rule"),
    "requests": ("corpproxy.cli.requests", "list and decide what people ask to be let through to"),
    "limit": ("corpproxy.cli.limit", "show who is slowed by which limit, and set other rates at once"),
    "quota": ("corpproxy.cli.quota", "show who used how much of which quota, give more, begin anew"),
    "top": ("corpproxy.cli.top", "show live who uses the line, for what, and what slows them"),
    "end": ("corpproxy.cli.end", "end a tunnel or download that runs, or all of somebody"),
    "replay": ("corpproxy.cli.replay", "show what a policy would have decided on recorded exchanges"),
    "reload": ("corpproxy.cli.reload", "make the running service take up the policy"),
    "status": ("corpproxy.cli.status", "ask the running service how it is"),
    "rotate": ("corpproxy.cli.rotate", "make the running service begin a new file of records"),
    "policy": ("corpproxy.cli.policy", "list, show, compare and bring back the policies that ran"),
    "users": ("corpproxy.cli.users", "add, remove, list and import the people who may sign in"),
    "lists": ("corpproxy.cli.lists", "fetch category lists, build their index, look up hosts in it"),
    "usage": ("corpproxy.cli.usage", "show who moved how many octets"),
    "report": ("corpproxy.cli.report", "show a day, a week or a month: people, hosts, what was refused"),
    "audit": ("corpproxy.cli.audit", "read the record of exchanges"),
}

INTERRUPTED = 130

# Where the policy is looked for when nobody names it.
POLICY_VARIABLE = "CORPPROXY_POLICY"
POLICY_PLACES = (Path("policy.yaml"), Path("site/policy.yaml"), Path("/etc/corpproxy/policy.yaml"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    written = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options, module = parsed(written)
        return int(module.run(options))
    except CommandFailed as failed:
        print(failed, file=sys.stderr)
        return failed.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who read our output has gone, as `| head` does; writing what is left would raise once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{where}{error.strerror or error}", file=sys.stderr)
        return FAILED


class _PrintVersion(argparse.Action):
    """Print the version, and which compiled parts run; they are imported for that."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **more)

    def __call__(self, parser: argparse.ArgumentParser, *ignored: object) -> None:
        from corpproxy import twins

        print(f"corpproxy {__version__}, {twins.described()}")
        parser.exit()


def parser_of_all(*, with_options_of: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of all commands; only those named have their own options, and so their modules imported."""
    parser = argparse.ArgumentParser(
        prog="corpproxy",
        description="The filtering forward proxy of a school or an office.",
        epilog="'corpproxy COMMAND --help' tells more of one. The service itself runs as 'twistd corpproxy'.",
    )
    parser.add_argument("--version", action=_PrintVersion, help="show program's version number and exit")
    parser.add_argument(
        "--policy", dest="policy_before", type=Path, metavar="FILE", help="the policy of the site"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, line) in COMMANDS.items():
        command = commands.add_parser(name, help=line, description=line)
        if name in with_options_of:
            importlib.import_module(module).add_arguments(command)
            placed_anywhere(command)
    return parser


def parsed(written: list[str]) -> tuple[argparse.Namespace, ModuleType]:
    """The options, and the module of the command that was given."""
    named = [word for word in written if word in COMMANDS]
    options = parser_of_all(with_options_of=named).parse_args(written)
    options.policy = policy_path(getattr(options, "policy", None) or options.policy_before)
    return options, importlib.import_module(COMMANDS[options.command][0])


def policy_path(named: Path | None) -> Path:
    """The policy that is named, or the first that exists of the places where it usually is."""
    if named is not None:
        return named
    if os.environ.get(POLICY_VARIABLE):
        return Path(os.environ[POLICY_VARIABLE])
    return next((place for place in POLICY_PLACES if place.exists()), POLICY_PLACES[0])
