"""Asking the service from beside the screen, so that keys are heard however long an answer takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from corpproxy.net.ask import ControlError

Asks = Callable[..., dict[str, Any]]


class Told(NamedTuple):
    """What came of one command: what was asked, and the answer or why there is none."""

    about: object
    answer: Mapping[str, Any] | None
    problem: str


class Asking:
    """
    Gives commands to the service, one after another, in a thread of its own.

    ``ask`` gives one and waits.  The thread ends with the program: an answer that nobody waits for keeps
    nobody from leaving.
    """

    def __init__(self, ask: Asks) -> None:
        self._ask = ask
        self._asked: SimpleQueue[tuple[object, str, dict[str, Any]]] = SimpleQueue()
        self._told: SimpleQueue[Told] = SimpleQueue()
        self._open = 0
        Thread(target=self._run, name="asking", daemon=True).start()

    @property
    def waits(self) -> bool:
        """Whether something was asked that has no answer yet."""
        return self._open > 0

    def ask(self, about: object, command: str, **arguments: Any) -> None:
        """Give a command; what comes of it is `told` with ``about``."""
        self._open += 1
        self._asked.put((about, command, arguments))

    def told(self) -> Iterator[Told]:
        """What came of commands since this was asked the last time."""
        while True:
            try:
                told = self._told.get_nowait()
            except Empty:
                return
            self._open -= 1
            yield told

    def _run(self) -> None:
        while True:
            about, command, arguments = self._asked.get()
            try:
                self._told.put(Told(about, self._ask(command, **arguments), ""))
            except ControlError as error:
                self._told.put(Told(about, None, error.message))
            except Exception as error:
                # A thread that ends unseen would look like a service that hangs.
                self._told.put(Told(about, None, f"cannot ask: {error}"))
