"""
The formats in which category lists are written, one function a format: a line to its entries.

Each takes a line without its line end and gives entries, none for a comment; a line that says
nothing in its format raises `OddLine`.  Which format a file has can be recognised from its first lines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import ip_address

from corpproxy.destination.entries import (
    Entry,
    IsPublicSuffix,
    OddLine,
    expression_entry,
    name_entry,
    network_entry,
    url_entry,
)

LineReader = Callable[[str, IsPublicSuffix], Iterable[Entry]]

# The names that a hosts file gives the machine itself.
_OWN_NAMES = frozenset(
    "localhost localhost.localdomain localhost6 localhost6.localdomain6 local broadcasthost ip6-localhost "
    "ip6-loopback ip6-localnet ip6-mcastprefix ip6-allnodes ip6-allrouters ip6-allhosts 0.0.0.0".split()
)

# Lines that are looked at to recognise a format: lists begin with a page of comments at most.
RECOGNISED_BY_LINES = 400


def names(line: str, is_public_suffix: IsPublicSuffix) -> Iterable[Entry]:
    """``example.com``, ``*.example.com``, ``.example.com``, an address or a network."""
    bare = line.partition("#")[0].strip()
    return (name_entry(bare, is_public_suffix),) if bare else ()


def hosts(line: str, is_public_suffix: IsPublicSuffix) -> Iterable[Entry]:
    """``0.0.0.0 example.com``: an address that leads nowhere, and the names that are sent there."""
    words = line.partition("#")[0].split()
    if not words:
        return ()
    try:
        target = ip_address(words[0].partition("%")[0])
    except ValueError:
        raise OddLine("no address before the name") from None
    listed = [word for word in words[1:] if word.lower() not in _OWN_NAMES]
    if not listed:
        return ()
    if not (target.is_unspecified or target.is_loopback):
        raise OddLine(f"it leads to {target}, which is a real address and blocks nothing")
    return [name_entry(word, is_public_suffix) for word in listed]


def adblock(line: str, is_public_suffix: IsPublicSuffix) -> Iterable[Entry]:
    """``||example.com^`` and ``||example.com/path``; other filters of browsers have no meaning here."""
    bare = line.strip()
    if not bare or bare[0] in "![":
        return ()
    if bare.startswith("@@"):
        raise OddLine("an exception; write it in the policy's exceptions")
    match = _ADBLOCK.fullmatch(bare)
    if match is None:
        raise OddLine("only ||name^ and ||name/path are read, without options")
    path = match["path"]
    if path and path != "/":
        return (url_entry(match["name"] + path, is_public_suffix),)
    return (name_entry(match["name"], is_public_suffix),)


_ADBLOCK = re.compile(
    r"\|\|(?:\*\.)?(?P<name>[^/^$*|]+)(?P<path>/[^^$*|]*)?\^?\|?(?:\$(?:all|important|document|doc))?"
)


def dnsmasq(line: str, is_public_suffix: IsPublicSuffix) -> Iterable[Entry]:
    """``address=/example.com/``, ``server=/example.com/``, ``local=/example.com/``; several names too."""
    bare = line.partition("#")[0].strip()
    if not bare:
        return ()
    match = _DNSMASQ.fullmatch(bare)
    if match is None:
        raise OddLine("only address=/name/, server=/name/ and local=/name/ are read")
    return [name_entry(name, is_public_suffix) for name in match[1].split("/")]


_DNSMASQ = re.compile(r"(?:address|server|local)\s*=\s*/([^\s]*?)/([0-9a-fA-F.:#]*)")


def unbound(line: str, is_public_suffix: IsPublicSuffix) -> Iterable[Entry]:
    """``local-zone: "example.com" always_nxdomain`` and ``local-data: "example.com A 0.0.0.0"``."""
    bare = line.partition("#")[0].strip()
    if not bare or bare == "server:":
        return ()
    match = _UNBOUND.fullmatch(bare)
    if match is None:
        raise OddLine("only local-zone and local-data are read")
    if match["type"] in ("transparent", "typetransparent", "nodefault", "always_transparent"):
        raise OddLine(f"a zone of type {match['type']} blocks nothing")
    return (name_entry(match["zone"] or match["data"], is_public_suffix),)


_UNBOUND = re.compile(
    r"""local-zone:\s*"?(?P<zone>[^\s"]+)"?\s+"?(?P<type>[a-z_]+)"?|local-data:\s*['"]?(?P<data>[^\s"']+)\s.*"""
)


def addresses(line: str, is_public_suffix: IsPublicSuffix) -> Iterable[Entry]:
    """An address or a network a line; ``#`` and ``;`` begin a comment."""
    bare = re.split("[#;]", line, maxsplit=1)[0].strip()
    return (network_entry(bare),) if bare else ()


def urls(line: str, is_public_suffix: IsPublicSuffix) -> Iterable[Entry]:
    """``example.com/path``, with or without a scheme: everything whose URL begins so."""
    bare = line.strip()
    return (url_entry(bare, is_public_suffix),) if bare and bare[0] != "#" else ()


def expressions(line: str, is_public_suffix: IsPublicSuffix) -> Iterable[Entry]:
    """A regular expression a line (squidGuard's ``expressions``)."""
    bare = line.strip()
    return (expression_entry(bare),) if bare and bare[0] != "#" else ()


# The format of folders and archives (see `corpproxy.destination.folders`), and those of single files.
UT1 = "ut1"
AUTO = "auto"
LINE_READERS: dict[str, LineReader] = {
    "hosts": hosts,
    "names": names,
    "wildcards": names,
    "adblock": adblock,
    "dnsmasq": dnsmasq,
    "unbound": unbound,
    "addresses": addresses,
    "urls": urls,
    "expressions": expressions,
}
FORMATS = (AUTO, UT1, *LINE_READERS)

_TELLTALES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("adblock", re.compile(r"\|\||@@|!|\[Adblock|\[AutoProxy")),
    ("dnsmasq", re.compile(r"(?:address|server|local)\s*=\s*/")),
    ("unbound", re.compile(r"local-(?:zone|data):")),
    ("hosts", re.compile(r"[0-9a-fA-F.:%a-z]+\s+[^\s/]+")),
    ("addresses", re.compile(r"\[?[0-9a-fA-F]*[:.][0-9a-fA-F:.]*\]?(?:/[0-9]{1,3})?\s*(?:[#;].*)?\Z")),
    ("urls", re.compile(r"(?:[a-z]+://)?[^/\s]+/")),
    ("names", re.compile(r"[^\s/|=^]+\s*(?:#.*)?\Z")),
)


def recognise(lines: Iterable[str]) -> str:
    """
    Give the format that most of the lines have; ``names`` when none tells.

    Mixed lists of names and addresses (such as UT1's) are names.
    """
    votes: Counter[str] = Counter()
    for line in lines:
        bare = line.strip()
        if bare and bare[0] not in "#;":
            votes[next((name for name, pattern in _TELLTALES if pattern.match(bare)), "names")] += 1
    if votes["names"]:
        del votes["addresses"]
    return max(votes, key=votes.__getitem__, default="names")
