"""``corpproxy status``: how the running service is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from corpproxy.cli.failed import CommandFailed
from corpproxy.cli.options import add_format
from corpproxy.cli.reload import add_service_arguments, asked, print_problems
from corpproxy.cli.top_rows import age
from corpproxy.net.ask import ControlError

DESCRIPTION = "Ask the running service how it is. The exit code is 1 when it does not run."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    add_service_arguments(parser)
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Print the answer; gives the exit code."""
    try:
        answer = asked(options, "status")
    except ControlError as error:
        raise CommandFailed(error.message) from error
    if options.format == "json":
        print(json.dumps(answer, indent=2))
        return 0
    for name, value in answer.items():
        if name != "problems":
            print("\n".join(_lines(name, value)))
    print_problems(answer)
    return 0


def _lines(name: str, value: Any) -> Iterator[str]:
    """What is told of one thing; of several, each has a line of its own."""
    if name == "seconds":
        yield f"runs for: {age(value)}"
        return
    title = name.replace("_", " ")
    if not isinstance(value, list) or len(value) < 2 or not isinstance(value[0], dict):
        yield f"{title}: {_text(value)}"
        return
    yield f"{title}:"
    yield from (f"  {_text(one)}" for one in value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, dict):
        return " ".join(f"{name} {one}" for name, one in value.items() if one != "") or "none"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
