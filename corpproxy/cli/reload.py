"""``corpproxy reload``: the running service takes up the policy, or says what is wrong and goes on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.cli.failed import FAILED, CommandFailed
from corpproxy.net.ask import ControlError, ask

DESCRIPTION = (
    "Make the running service take up the policy. With a problem in it the service goes on as before, "
    "the problem is shown, and the exit code is 1."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    add_service_arguments(parser)


def add_service_arguments(parser: argparse.ArgumentParser) -> None:
    """Say how to name the service that runs."""
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the policy that the service runs with")
    parser.add_argument("--socket", type=Path, metavar="PATH", help="its control socket, if it is elsewhere")


def run(options: argparse.Namespace) -> int:
    """Ask for the reload and print what came of it; gives the exit code."""
    try:
        answer = asked(options, "reload")
    except ControlError as error:
        if "problems" not in error.answer:
            raise CommandFailed(error.message) from error
        print_problems(error.answer)
        print(f"not taken up: {error.message}", file=sys.stderr)
        return FAILED
    print_problems(answer)
    changed = "runs" if answer.get("changed", True) else "was running already, nothing has changed"
    print(f"version {answer.get('version', '')} {changed}")
    return 0


def asked(options: argparse.Namespace, command: str, **arguments: Any) -> dict[str, Any]:
    """Give a command to the service that runs with the policy of the options; raises ControlError."""
    return ask(control_socket(options), command, **arguments)


def control_socket(options: argparse.Namespace) -> Path:
    """Where the service that runs with the policy of the options takes commands."""
    if options.socket is not None:
        return Path(options.socket)
    # It loads what reads policies, which half of the commands that are parsed here have no need of.
    from corpproxy.backends.policies.start import possible_state_folders

    # A broken edit may have moved the state folder; the service is where it was when it started.
    sockets = [state / CONTROL_SOCKET for state in possible_state_folders(options.policy)]
    return next((one for one in sockets if one.exists()), sockets[0])


def print_problems(answer: dict[str, Any]) -> None:
    """Print the problems that an answer carries, one a line."""
    for problem in answer.get("problems", ()):
        print(problem, file=sys.stderr)
