"""The request target: four forms, each for what it is allowed for (RFC 9112, section 3.2)."""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

from corpproxy import twins
from corpproxy.errors import ProtocolError
from corpproxy.http1.head import RequestHead
from corpproxy.http1.refusals import refuse


class Form(enum.Enum):
    """The four forms of a request target."""

    ORIGIN = "origin"
    ABSOLUTE = "absolute"
    AUTHORITY = "authority"
    ASTERISK = "asterisk"


class Target(NamedTuple):
    """
    What a request asks for, taken apart but not yet in normal form.

    ``scheme`` is lower case; empty for CONNECT.  ``host`` is as it was written, IPv6 in brackets, empty
    only where an HTTP/1.0 request names none.  ``port`` is the written one or that of the scheme, None
    without a host.  ``path`` is path and query; ``*`` when OPTIONS asks about the server as a
    whole; empty for CONNECT.
    """

    form: Form
    scheme: str
    host: bytes
    port: int | None
    path: bytes

    @property
    def authority(self) -> bytes:
        """Host and port for the Host field: without the port of the scheme (RFC 9110, section 4.2.3)."""
        if self.port is None or self.port == DEFAULT_PORTS.get(self.scheme):
            return self.host
        return b"%b:%d" % (self.host, self.port)


DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEMES = {scheme.encode("ascii"): (scheme, port) for scheme, port in DEFAULT_PORTS.items()}

# RFC 3986, section 3.2.2, without IPvFuture.  Percent signs and odd IPv4 spellings are valid here; whether
# they have a normal form is for the reader of hosts to say.
_split_authority = re.compile(
    rb"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._~!$&'()*+,;=%-]++)(:[0-9]{0,5}+)?+"
).fullmatch
_split_absolute = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*+)://([^/?]*+)([!-~]*+)").fullmatch
_Authority = tuple[bytes, int | None]


class _Authorities(dict[bytes, _Authority]):
    """Authorities that were taken apart before: a page asks the same few hosts for all its parts."""

    BOUND = 4096
    LONGEST = 260

    def __missing__(self, written: bytes) -> _Authority:
        parts = _read_authority(written)
        if len(written) <= self.LONGEST:
            if len(self) >= self.BOUND:
                self.clear()
            self[written] = parts
        return parts


def _read_authority(written: bytes) -> _Authority:
    match = _split_authority(written)
    if match is None:
        raise refuse("userinfo" if b"@" in written else "bad-authority")
    host, colon_port = match.groups()
    # "host:" is valid in a URI and means the port of the scheme (RFC 3986, section 3.2.3).
    port = int(colon_port[1:]) if colon_port and colon_port != b":" else None
    if port is not None and not 0 < port < 65536:
        raise refuse("bad-authority", "a port is a number from 1 to 65535")
    return host, port


_authorities = _Authorities()


def parse_target(head: RequestHead, scheme: str = "http") -> Target:
    """
    Say what a request asks for.

    ``scheme`` is that of the listener: origin-form and asterisk-form do not tell.  An absolute
    target wins over Host, which must still be valid (RFC 9112, section 3.2.2).  Userinfo, other schemes, a
    form that the method does not allow, no Host or several in HTTP/1.1: ProtocolError.
    """
    written = head.target
    if twins.section is not None:
        target: Target | None = twins.section.target(head.method, written, head.fields.section)
        # What nearly all requests ask for; the others are for what follows.
        if target is not None:
            return target
    host, port = _host_field(head)
    if head.method == b"CONNECT":
        return _connect_target(written)
    if written[:1] == b"/":
        form, path = Form.ORIGIN, written
    elif written == b"*":
        if head.method != b"OPTIONS":
            raise refuse("asterisk-form")
        form, path = Form.ASTERISK, written
    else:
        return _absolute_target(written, head.method)
    if not host:
        if head.version >= 11:
            raise refuse("no-host")
        return Target(form, scheme, b"", None, path)
    return Target(form, scheme, host, port or DEFAULT_PORTS[scheme], path)


def _host_field(head: RequestHead) -> _Authority:
    """The Host field: one in HTTP/1.1, at most one in 1.0; empty is valid where the target has a host."""
    fields = head.fields
    known: _Authority | None = fields.outline.notes.get("host")
    if known is not None:
        return known
    value = fields.get(b"host")
    if value is None:
        if head.version >= 11:
            raise refuse("no-host")
        return b"", None
    # In a plain one no name is repeated.
    if not fields.outline.is_plain and fields.names.count(b"host") > 1:
        raise refuse("many-hosts")
    if not value:
        return b"", None
    try:
        known = _authorities[value]
    except ProtocolError:
        raise refuse("bad-host-field") from None
    fields.outline.note("host", known)
    return known


def _connect_target(written: bytes) -> Target:
    try:
        host, port = _authorities[written]
    except ProtocolError as fault:
        raise refuse("bad-connect-target", fault.message) from None
    if port is None:
        raise refuse("bad-connect-target", "a port is needed")
    return Target(Form.AUTHORITY, "", host, port, b"")


def _absolute_target(written: bytes, method: bytes) -> Target:
    match = _split_absolute(written)
    if match is None:
        raise refuse("authority-form" if _split_authority(written) else "bad-target")
    scheme_written, authority, path = match.groups()
    known = _SCHEMES.get(scheme_written) or _SCHEMES.get(scheme_written.lower())
    if known is None:
        raise refuse("unknown-scheme", scheme_written[:32].decode("ascii"))
    scheme, default_port = known
    host, port = _authorities[authority]
    if not path:
        # RFC 9112, section 3.2.4: the last proxy asks the server about itself.
        path = b"*" if method == b"OPTIONS" else b"/"
    elif path[:1] == b"?":
        path = b"/" + path
    return Target(Form.ABSOLUTE, scheme, host, port or default_port, path)


if twins.section is not None:
    twins.section.set_target(Target, Form.ABSOLUTE, Form.AUTHORITY)
