"""The target URI as rules read it: in one spelling, so that no rule is passed by writing it another way."""

from __future__ import annotations

import re

from corpproxy.policy.model import Facts

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def normal_path(path: str) -> str:
    """
    Bring path and query to their normal form (RFC 3986, sections 6.2.2.2 and 6.2.2.3).

    Needless percent-escapes are undone, hexadecimal digits of the others are upper case, dot segments are
    worked in, and what is not ASCII is escaped as a browser sends it.  Empty stays empty.
    """
    if not path.isascii():
        path = "".join(c if c.isascii() else _escaped(c) for c in path)
    if "%" in path:
        path = _ESCAPE.sub(_unescape, path)
    if "/." not in path:
        return path
    before, question, query = path.partition("?")
    return _without_dots(before) + question + query


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


def _escaped(character: str) -> str:
    return "".join(f"%{octet:02X}" for octet in character.encode("utf-8", "surrogateescape" if
                   "\udc80" <= character <= "\udcff" else "surrogatepass"))  # fmt: skip


def _unescape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """Work in dot segments (RFC 3986, section 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
