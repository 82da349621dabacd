"""
Octets moved by the kernel: from one socket to another through a pipe, without becoming Python objects.

A pipe is taken from a pool when there is something to move, and given back when it is empty, so that an
idle tunnel holds none.  What is in the pipe has been received and not yet sent; it is never more than
the pipe holds.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from errno import EAGAIN, EINTR
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpproxy.net.engine.transport import Transport

# Measured with 16 and with 100 tunnels: 64 KiB pipes cost a quarter more processor time for an octet, 1 MiB
# pipes are slower where many are at work.
PIPE_OCTETS = 256 * 1024

# Pipes kept for later.  As many are at work as connections have octets under way at one moment.
MAX_KEPT = 64

# What one pump may move in one turn before others have theirs.
TURN_OCTETS = 4 * 1024 * 1024

_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK if hasattr(os, "splice") else 0
CAN_SPLICE = hasattr(os, "splice")


class Pipes:
    """Pipes that are empty, for whoever has something to move."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, int]] = []

    def take(self) -> tuple[int, int]:
        """Give a pipe: its end to read from and its end to write to.  Raises OSError without descriptors."""
        if self._kept:
            return self._kept.pop()
        pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, PIPE_OCTETS)
        except OSError:
            pass  # the user's share of pipe memory is used up: a smaller pipe moves octets too
        return pipe

    def give_back(self, pipe: tuple[int, int]) -> None:
        """Take an empty pipe back."""
        if len(self._kept) < MAX_KEPT:
            self._kept.append(pipe)
        else:
            self.throw_away(pipe)

    def throw_away(self, pipe: tuple[int, int]) -> None:
        """Close a pipe; one with octets in it must never be given to somebody else."""
        os.close(pipe[0])
        os.close(pipe[1])


PIPES = Pipes()


class Pump:
    """
    Moves octets from ``source`` to ``target`` while both are open.

    ``took`` is told how many octets came from the source, ``gave`` how many went to the target.  ``limit`` is
    how many to move, None for all; after the last one ``done`` is called, once, from a turn of the
    engine.  The end of the source, its breaking, and the target's, are told to their protocols as ever.
    A target that takes no more pauses its producer, as it does when it is written to.
    """

    __slots__ = ("_done", "_gave", "_held", "_left", "_pipe", "_source", "_target", "_took")

    def __init__(
        self,
        source: Transport,
        target: Transport,
        took: Callable[[int], None],
        gave: Callable[[int], None],
        limit: int | None = None,
        done: Callable[[], None] | None = None,
    ) -> None:
        self._source = source
        self._target = target
        self._took = took
        self._gave = gave
        self._left = limit
        self._done = done
        self._pipe: tuple[int, int] | None = None
        self._held = 0

    def start(self) -> None:
        """Begin; from now on the source gives nothing to its protocol."""
        self._source.pumped_by(self)
        self._target.fed_by(self)

    def stop(self) -> None:
        """End, whatever is under way: what is in the pipe is lost."""
        self._source.pumped_by(None)
        self._target.fed_by(None)
        if self._pipe is not None:
            pipe, self._pipe = self._pipe, None
            if self._held:
                PIPES.throw_away(pipe)
            else:
                PIPES.give_back(pipe)
        self._held = 0

    def run(self) -> None:
        """Move what there is, until one side has nothing or takes nothing, or the turn is over."""
        turn = TURN_OCTETS
        while turn > 0:
            if self._held:
                sent = self._give()
                if not sent:
                    return
                turn -= sent
            elif self._left == 0:
                self._finish()
                return
            elif not self._take():
                return
        self._source.go_on_soon()

    def _take(self) -> bool:
        """Fill the pipe from the source; false when there is nothing now."""
        source = self._source
        if not source.may_read():
            self._rest()
            return False
        try:
            if self._pipe is None:
                self._pipe = PIPES.take()
            pace = source.pace
            wanted = PIPE_OCTETS if pace is None else min(pace.ask(), PIPE_OCTETS)
            if not wanted:
                self._rest()
                return False
            if self._left is not None and self._left < wanted:
                wanted = self._left
            took = os.splice(source.fileno(), self._pipe[1], wanted, flags=_FLAGS)
        except OSError as problem:
            self._rest()
            if problem.errno in (EAGAIN, EINTR):
                source.nothing_to_read()
            else:
                source.broke(problem)
            return False
        if not took:
            self._rest()
            source.ended()
            return False
        self._held = took
        if self._left is not None:
            self._left -= took
        if pace is not None:
            pace.took(took)
        self._took(took)
        return True

    def _give(self) -> int:
        """Empty the pipe into the target; 0 when it takes nothing now."""
        target = self._target
        if not target.may_write():
            return 0
        assert self._pipe is not None
        try:
            sent = os.splice(self._pipe[0], target.fileno(), self._held, flags=_FLAGS)
        except OSError as problem:
            if problem.errno in (EAGAIN, EINTR):
                target.takes_no_more()
            else:
                target.broke(problem)
            return 0
        self._held -= sent
        self._gave(sent)
        return sent

    def _rest(self) -> None:
        """Give the empty pipe back."""
        if self._pipe is not None:
            PIPES.give_back(self._pipe)
            self._pipe = None

    def _finish(self) -> None:
        self._rest()
        self.stop()
        if self._done is not None:
            self._done()
