"""The proxies that can be measured: one class each, with its configuration."""

from __future__ import annotations

from benchmarks.peers.corpproxy import Corpproxy
from benchmarks.peers.peer import Peer
from benchmarks.peers.squid import Squid

PEERS: tuple[type[Peer], ...] = (Corpproxy, Squid)
