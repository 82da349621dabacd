"""The target URI as rules read it: in one spelling, so that no rule is passed by writing it another way."""

from __future__ import annotations

from corpproxy.destination.paths import normal_path
from corpproxy.policy.model import Facts


def target_uri(facts: Facts) -> str:
    """The target URI in normal form; for a tunnel host and port."""
    # As `Destination` writes it, for every decision that reads it: without making one.
    name, port, scheme, path = facts.host.name, facts.port, facts.scheme, facts.path
    authority = f"[{name}]" if ":" in name else name
    if not path:
        return f"{authority}:{port}"
    if port != (443 if scheme == "https" else 80):
        authority = f"{authority}:{port}"
    return f"{scheme}://{authority}{normal_path(path)}"


def extensions_of(path: str) -> tuple[str, ...]:
    """
    The extensions of the last segment of a path: of ``/a/b.tar.gz?x=1`` these are ``gz`` and ``tar.gz``.

    What stands behind ``;`` in the segment is a parameter.  A tunnel shows no path.
    """
    if "%" in path or "/." in path:
        path = normal_path(path)
    segment = path.partition("?")[0].rpartition("/")[2]
    if "." not in segment:
        return ()
    parts = segment.partition(";")[0].lower().split(".")[1:]
    return tuple(".".join(parts[-count:]) for count in range(1, min(len(parts), 2) + 1) if parts[-1])
