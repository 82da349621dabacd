"""Running a command in the process of the test."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

from corpproxy.cli import main


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def output_of(*arguments: str, is_terminal: bool = False) -> tuple[int, str, str]:
    """Run a command; gives its exit code and what it printed."""
    out, err = Terminal() if is_terminal else io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, out.getvalue(), err.getvalue()
