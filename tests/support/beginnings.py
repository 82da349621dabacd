"""Exchanges that begin, and end, as the compiled twin, the one in Python, or only the road has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.road import live
from corpproxy.net import ahead, beginning
from corpproxy.net.admission import Admission, AdmissionInPython
from corpproxy.net.beginning import BeginningInPython
from corpproxy.net.downstream import Downstream
from corpproxy.net.over import OverInPython

# How exchanges may begin: nobody may see a difference.
WAYS = ("compiled", "in python", "road first")
_TWINS = (
    (Downstream, BeginningInPython, ("_begin", "octets")),
    (Downstream, OverInPython, ("_over", "connectionLost", "connectionMade", "ended", "write")),
    (
        Admission,
        AdmissionInPython,
        ("check_person", "closed", "open_tunnel", "opened", "refusal", "tunnel_closed"),
    ),
)


def road_first(*_: Any) -> bool:
    """What says that a road has to begin first."""
    return False


def on_its_road(downstream: Downstream, exchange: Exchange) -> None:
    """What begins the road of an exchange, whatever it is."""
    downstream.drive(live(exchange))


@contextmanager
def beginning_so(way: str) -> Iterator[None]:
    """Let exchanges begin in one of these ways; without compiled parts the first is as the second."""
    with ExitStack() as kept:
        if way != "compiled":
            for one, twin, names in _TWINS:
                for name in names:
                    kept.enter_context(patch.object(one, name, getattr(twin, name)))
            kept.enter_context(patch.object(ahead, "_go", ahead.go_in_python))
        if way == "road first":
            kept.enter_context(patch.object(beginning, "send_ahead", road_first))
            kept.enter_context(patch.object(beginning, "begin_first", on_its_road))
        yield
