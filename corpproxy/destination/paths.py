"""Paths in one spelling, so that neither a list nor a rule is passed by writing a URL another way."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NOT_IN_URIS = re.compile(r"[^\x21-\x7e]")

# Behind one of these a whole part of a path has ended.
_BORDERS = "/?&=;#"


def normal_path(path: str) -> str:
    """
    Bring path and query to their normal form (RFC 3986, section 6.2.2).

    Needless percent-escapes are undone, the digits of the others are upper case, dot segments are worked in,
    and what stands in no URI is escaped as a browser sends it; a fragment is left out.  Empty stays empty.
    """
    path = path.partition("#")[0]
    if _NOT_IN_URIS.search(path):
        path = _NOT_IN_URIS.sub(_escaped, path)
    if "%" in path:
        path = _ESCAPE.sub(_unescaped, path)
    if "/." not in path:
        return path
    before, question, query = path.partition("?")
    return _without_dots(before) + question + query


def listed_path(path: str) -> str:
    """
    Bring path and query to the form in which lists are compared: the normal one, in lower case.

    The programs that such lists were written for ignore case, and so do many servers.
    """
    if path[:1] == "?":
        path = "/" + path
    return normal_path(path).lower()


def covers(beginning: str, path: str) -> bool:
    """Whether a path begins with whole parts: ``/news`` covers ``/news/today`` but not ``/newsletter``."""
    if not path.startswith(beginning):
        return False
    return len(path) == len(beginning) or beginning[-1] in _BORDERS or path[len(beginning)] in _BORDERS


def _escaped(match: re.Match[str]) -> str:
    # An octet of the wire that is no UTF-8 was read as a lone surrogate; any other stands for itself.
    is_octet = "\udc80" <= match[0] <= "\udcff"
    octets = match[0].encode("utf-8", "surrogateescape" if is_octet else "surrogatepass")
    return "".join(f"%{octet:02X}" for octet in octets)


def _unescaped(match: re.Match[str]) -> str:
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
