"""A script for the road: what it asks, step by step, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from corpproxy.exchange.commands import Command
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.road import live

_OVER = object()


class Asked:
    """One command that the road waits for."""

    def __init__(self, script: Script, command: Command[Any]) -> None:
        self._script = script
        self.command: Any = command

    def answer(self, outcome: Any = None) -> Any:
        """Give its outcome."""
        self._script.step(self._script.coroutine.send, outcome)
        return self.command

    def fail(self, failure: BaseException) -> Any:
        """Let it fail."""
        self._script.step(self._script.coroutine.throw, failure)
        return self.command


class Script:
    """Drives one exchange by hand, from its head to its end."""

    def __init__(
        self, exchange: Exchange, road: Callable[[Exchange], Coroutine[Any, Any, None]] = live
    ) -> None:
        self.exchange = exchange
        self.coroutine = road(exchange)
        self._command: Any = None
        self.step(self.coroutine.send, None)

    def step(self, send: Callable[[Any], Any], value: Any) -> None:
        """Go on to the next command, or to the end."""
        try:
            self._command = send(value)
        except StopIteration:
            self._command = _OVER

    def asks(self, wanted: type[Command[Any]] | Command[Any]) -> Asked:
        """The road waits for a command of this kind, or for exactly this one."""
        if self._command is _OVER:
            raise AssertionError(f"the road is over, and did not ask {wanted}: {self.exchange.result}")
        if isinstance(wanted, type):
            fits = type(self._command) is wanted
        else:
            fits = self._command == wanted
        if not fits:
            raise AssertionError(f"the road asks {repr(self._command)[:200]}, not {wanted}")
        return Asked(self, self._command)

    def ends(self) -> Exchange:
        """The road is over."""
        if self._command is not _OVER:
            raise AssertionError(f"the road is not over, it asks {repr(self._command)[:200]}")
        return self.exchange

    def answers(self, status: int) -> Any:
        """The road answers a page with this status, and the client takes it."""
        from corpproxy.exchange.commands import Respond

        asked = self.asks(Respond)
        page = asked.command.page
        if page.status != status:
            raise AssertionError(f"the answer is {page.status}, not {status}: {page.content[:400]!r}")
        asked.answer()
        return page
