"""The proxies that can be measured: one class each, with its configuration."""

from __future__ import annotations

from benchmarks.peers.corpproxy import Corpproxy
from benchmarks.peers.e2guardian import E2guardian
from benchmarks.peers.mitmproxy import Mitmproxy
from benchmarks.peers.peer import Peer
from benchmarks.peers.proxypy import ProxyPy
from benchmarks.peers.squid import Squid
from benchmarks.peers.tinyproxy import Tinyproxy
from benchmarks.peers.trafficserver import TrafficServer

# In the order in which they take turns.
PEERS: tuple[type[Peer], ...] = (Corpproxy, Squid, TrafficServer, E2guardian, Tinyproxy, ProxyPy, Mitmproxy)
