"""What is compiled of tunnels does what Python does."""

from __future__ import annotations

import gc
from importlib import import_module
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.exchange.exchange import Exchange
from corpproxy.net import ahead, splice, tunnel_ahead
from corpproxy.net.downstream import Downstream
from corpproxy.net.reach import Reaching
from corpproxy.net.splice import Tunnel, TunnelInPython
from corpproxy.net.tunnel_ahead import OpeningInPython, TunnelAhead
from corpproxy.net.upstream import Upstream
from tests.net.test_tunnel_ahead import CONNECT, HELLO, STEPS, Play, warm
from tests.support.examples import EXAMPLES
from tests.support.wires import Site

COMPILED = import_module("corpproxy._tunnel")
# After so much the kernel moves octets, where it can: less than what plays send.
FEW_OCTETS = 4000.0


def over(like, *bases, **more):
    """A class with the members of one, over other bases."""
    members = {name: member for name, member in vars(like).items() if name not in like.__slots__}
    return type(like.__name__, bases, {**members, **more})


PURE = over(Tunnel, TunnelInPython), over(TunnelAhead, OpeningInPython, Reaching)
TWINS = (
    over(
        Tunnel,
        COMPILED.Tunnel,
        _start_in_python=TunnelInPython.start,
        _octets_in_python=TunnelInPython.octets,
        _octets_inward_in_python=TunnelInPython._octets_inward,
        _part_in_python=TunnelInPython._part,
        _other=TunnelInPython._other,
    ),
    over(
        TunnelAhead,
        COMPILED.Opening,
        Reaching,
        _reached_in_python=OpeningInPython.reached,
        _octets_in_python=OpeningInPython.octets,
        _join=OpeningInPython._join,
    ),
)


class Ours:
    """Tunnels of these classes, while it lasts."""

    def __init__(self, tunnel, opening):
        self.patches = (
            patch.object(splice, "Tunnel", tunnel),
            patch.object(splice, "COPIED_OCTETS", FEW_OCTETS),
            patch.object(tunnel_ahead, "COPIED_OCTETS", FEW_OCTETS),
            patch.object(tunnel_ahead, "new_tunnel_ahead", opening),
            patch.object(ahead, "new_tunnel_ahead", opening),
        )
        self.classes = tunnel, opening

    def __enter__(self):
        for one in self.patches:
            one.start()
        tunnel_ahead.tell_twin(COMPILED, Downstream, *self.classes)
        ahead.set_twins(Downstream)

    def __exit__(self, *ignored):
        for one in self.patches:
            one.stop()
        tunnel_ahead.tell_twin(COMPILED, Downstream, Tunnel, TunnelAhead)
        ahead.set_twins(Downstream)


def played(steps, classes):
    """What all were told in a play."""
    with Ours(*classes):
        play = Play()
        play.step("send", CONNECT)
        for what, how in steps:
            play.step(what, how)
        return play.told()


class TwinTests(SynchronousTestCase):
    """Tunnels of both kinds."""

    def opened(self, classes):
        """A tunnel that is open, like others before, of these classes."""
        site = Site()
        warm(site)
        client = site.client()
        client.send(CONNECT)
        server = site.server()
        client.send(HELLO)
        self.assertIs(type(client.protocol.tunnel), classes[0])
        return site, client, server

    @settings(EXAMPLES)
    @given(st.lists(STEPS, max_size=12))
    def test_any_play(self, steps):
        """Clients, servers, accounts and records are told the same."""
        one, other = played(steps, PURE), played(steps, TWINS)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(one, other)

    def test_each_has_its_kind(self):
        """Each play is one of tunnels of its kind, and of what opens them."""
        for classes in (PURE, TWINS):
            with Ours(*classes):
                site, client, _ = self.opened(classes)
                other = site.client()
                other.send(CONNECT)
                self.assertIs(type(other.protocol.run), classes[1])
                client.end()

    def test_knows_the_same(self):
        """At each moment both know the same of their tunnel."""
        seen = []
        for classes in (PURE, TWINS):
            with Ours(*classes):
                site, client, server = self.opened(classes)
                tunnel = client.protocol.tunnel
                seen.append([])
                for act, *words in ((server.send, b"x" * 5000), (site.wait, 7), (client.end,), (server.end,)):
                    seen[-1].append(self.known(tunnel))
                    act(*words)
                seen[-1].append(self.known(tunnel))
        self.assertEqual(seen[0], seen[1])

    def known(self, tunnel):
        """What a tunnel knows, but for its two sides."""
        ended = "" if tunnel._ended is None else type(tunnel._ended).__name__
        left = tunnel._left, tunnel._left_inward
        return tunnel.over, tunnel.deadline, tunnel._idle, tunnel._until, left, ended, tunnel._pumps

    def test_one_sink_of_the_server(self):
        """A tunnel has one sink for its server, which lives as long as anybody refers to it."""
        with Ours(*TWINS):
            _, client, server = self.opened(TWINS)
            tunnel = client.protocol.tunnel
            sink = server.protocol.sink
            self.assertIs(tunnel._inward(), sink)
            client.break_off()
            del tunnel
            sink.lost(True)
            self.assertIsNone(client.protocol.tunnel)

    def test_freed(self):
        """Nothing is left of a tunnel, whichever side ended or broke it."""
        with Ours(*TWINS):
            for side, how in ((0, "end"), (1, "end"), (0, "break_off"), (1, "break_off"), (0, "stop")):
                site, *sides = self.opened(TWINS)
                if how == "stop":
                    sides[0].protocol.stop_now()
                else:
                    getattr(sides[side], how)()
                    sides[1 - side].end()
                site.settle()
                self.assertEqual(len(site.proxy.admission.tunnels), 0)
                del site, sides
                gc.collect()
                self.assertEqual([one for one in gc.get_objects() if type(one) is TWINS[0]], [], how)

    def test_abandoned(self):
        """A tunnel that nobody ended is freed with its two sides, when nobody refers to these."""
        for classes in (PURE, TWINS):
            with Ours(*classes):
                self.opened(classes)
            gc.collect()
            self.assertEqual([one for one in gc.get_objects() if type(one) is classes[0]], [])

    def test_wants_a_client_and_a_server(self):
        """What is no tunnel is refused, not read."""
        site = Site()
        for sides in ((None, None), (site.client().protocol, object()), (Exchange, Upstream)):
            with self.assertRaises(TypeError):
                COMPILED.Tunnel(*sides, None)
