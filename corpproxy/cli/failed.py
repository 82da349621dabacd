"""How a command says that it cannot be done."""

from __future__ import annotations

# Exit codes: it cannot be done, or the answer is no; the command itself is wrong.
FAILED = 1
WRONG_USAGE = 2


class CommandFailed(Exception):
    """A command that cannot be done; the sentence says why and what to do, and the exit code follows."""

    def __init__(self, sentence: str, exit_code: int = FAILED) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
