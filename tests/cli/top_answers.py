"""What the service answers, for tests of ``corpproxy top``."""

from __future__ import annotations

NOW = 1_800_000_000.0


def person(who="amir", **more):
    """A row of a person."""
    row = {
        "who": who, "named": True, "addresses": ["10.1.2.3"], "groups": ["pupils"], "connections": 4,
        "tunnels": 2, "running": 3, "received": 2048, "sent": 3 << 20,
        "received_rate": 512.0, "sent_rate": 700.0 * 1024,
        "ended": 12, "refused": 1, "slowed": [], "quota": None,
    }  # fmt: skip
    return {**row, **more}


def running(reference="0v7x01", **more):
    """A row of an exchange."""
    row = {
        "reference": reference, "worker": 1, "who": "amir", "client": "10.1.2.3", "groups": ["pupils"],
        "method": "CONNECT", "is_tunnel": True, "host": "video.example", "port": 443, "categories": ["video"],
        "rule": "everything else", "started": NOW - 65, "received": 4096, "sent": 5 << 20,
        "received_rate": 0.0, "sent_rate": 2048.0, "slowed": [],
    }  # fmt: skip
    return {**row, **more}


def answer(people=(), running=(), **more):
    """A whole answer."""
    told = {
        "now": NOW, "seconds": 2.0, "connections": 9, "tunnels": 1, "exchanges": 7, "received_rate": 512.0,
        "sent_rate": 2.0 * (1 << 20), "ended": 3.4, "refused": 0.6, "found": len(people) + len(running),
        "people": list(people), "running": list(running), "workers": 2, "active": len(people),
        "pseudonyms": False,
    }  # fmt: skip
    return {**told, **more}
