"""Everything that is refused on the wire: a code, a status, the section of the RFC, a sentence."""

from __future__ import annotations

from typing import NamedTuple

from corpproxy.errors import ProtocolError


class Refused(NamedTuple):
    """
    One thing that is refused.

    ``status`` answers a client; what a server does wrong becomes a 502 whatever stands here.
    ``section`` says which text forbids it (or lets us).
    """

    status: int
    section: str
    message: str


REFUSED = {
    # Start-lines
    "empty-lines": Refused(400, "RFC 9112 2.2", "more than one empty line before the request line"),
    "bad-request-line": Refused(
        400, "RFC 9112 3", "the request line must be method, target and version with one space between them"
    ),
    "no-version": Refused(400, "RFC 9112 3", "the request line has no version; HTTP/0.9 is not spoken here"),
    "bad-method": Refused(400, "RFC 9110 9.1", "the method must be a token"),
    "method-too-long": Refused(501, "RFC 9112 3", "the method is longer than any that exists"),
    "bad-version": Refused(400, "RFC 9112 2.3", "the version must be written HTTP/1.1 or HTTP/1.0"),
    "unknown-version": Refused(505, "RFC 9110 2.5", "only HTTP/1.1 and HTTP/1.0 are spoken here"),
    "bad-target": Refused(400, "RFC 9112 3.2", "the request target has none of the four forms"),
    "bad-target-octet": Refused(
        400, "RFC 3986 2", "the request target holds an octet that must be percent-encoded, or a fragment"
    ),
    "target-too-long": Refused(414, "RFC 9112 3", "the request target is too long"),
    "bad-status-line": Refused(
        502, "RFC 9112 4", "the status line must be version, three digits and a reason with one space between"
    ),
    # Octets and field lines
    "bad-octet": Refused(400, "RFC 9110 5.5", "a control character where none may be"),
    "bare-cr": Refused(400, "RFC 9112 2.2", "a CR without LF"),
    "bare-lf": Refused(400, "RFC 9112 2.2", "an LF without CR"),
    "space-before-fields": Refused(400, "RFC 9112 2.2", "space between the start-line and the first field"),
    "obs-fold": Refused(400, "RFC 9112 5.2", "a field line goes on in the next line"),
    "space-before-colon": Refused(400, "RFC 9112 5.1", "space between a field name and its colon"),
    "no-colon": Refused(400, "RFC 9112 5", "a field line without a colon"),
    "empty-field-name": Refused(400, "RFC 9110 5.1", "a field line without a name"),
    "bad-field-name": Refused(400, "RFC 9110 5.1", "a field name must be a token"),
    "head-too-large": Refused(431, "RFC 6585 5", "the head is too large"),
    "too-many-fields": Refused(431, "RFC 6585 5", "too many field lines"),
    # Targets and Host
    "authority-form": Refused(400, "RFC 9112 3.2.3", "only CONNECT names host and port alone"),
    "asterisk-form": Refused(400, "RFC 9112 3.2.4", "only OPTIONS asks for *"),
    "bad-connect-target": Refused(
        400, "RFC 9110 9.3.6", "CONNECT must name a host and a port, and only them"
    ),
    "unknown-scheme": Refused(501, "RFC 9110 15.6.2", "only http and https are forwarded"),
    "userinfo": Refused(400, "RFC 9110 4.2.4", "a name or password before the host; leave it out"),
    "bad-authority": Refused(400, "RFC 3986 3.2", "host or port of the target is not valid"),
    "no-host": Refused(400, "RFC 9112 3.2", "HTTP/1.1 needs a Host field that names the host"),
    "many-hosts": Refused(400, "RFC 9112 3.2", "more than one Host field"),
    "bad-host-field": Refused(400, "RFC 9112 3.2", "the Host field is not a host with or without a port"),
    # Framing
    "length-and-coding": Refused(400, "RFC 9112 6.1", "both Content-Length and Transfer-Encoding"),
    "many-lengths": Refused(400, "RFC 9112 6.3", "more than one Content-Length, or a list of them"),
    "bad-length": Refused(400, "RFC 9110 8.6", "Content-Length must be one decimal number"),
    "coding-in-http-1-0": Refused(400, "RFC 9112 6.1", "Transfer-Encoding in an HTTP/1.0 message"),
    "bad-coding": Refused(400, "RFC 9112 6.1", "Transfer-Encoding must be chunked, once and last"),
    "unknown-coding": Refused(501, "RFC 9112 6.1", "no transfer coding but chunked is understood here"),
    "connect-with-content": Refused(400, "RFC 9110 9.3.6", "CONNECT with content"),
    "trace-with-content": Refused(400, "RFC 9110 9.3.8", "TRACE with content"),
    "content-too-large": Refused(413, "RFC 9110 15.5.14", "the content is larger than the policy allows"),
    # Chunks and trailers
    "bad-chunk-size": Refused(400, "RFC 9112 7.1", "a chunk size must be hexadecimal digits, 16 at most"),
    "bad-chunk-extension": Refused(400, "RFC 9112 7.1.1", "a chunk extension that is none"),
    "chunk-line-too-long": Refused(400, "RFC 9112 7.1.1", "chunk extensions are too long"),
    "bad-chunk-end": Refused(400, "RFC 9112 7.1", "chunk data must end with CR LF where its size says"),
    "trailers-too-large": Refused(400, "RFC 9112 7.1.2", "the trailer section is too large"),
    "cut-short": Refused(400, "RFC 9112 8", "the connection ended before the message did"),
    # Fields that steer
    "unknown-expectation": Refused(417, "RFC 9110 10.1.1", "no expectation but 100-continue can be met"),
    "bad-max-forwards": Refused(400, "RFC 9110 7.6.2", "Max-Forwards must be one decimal number"),
    "foreign-challenge": Refused(
        502, "RFC 9110 11.7.1", "a server that is no proxy asks for the credentials to the proxy"
    ),
}


def refuse(code: str, detail: str = "") -> ProtocolError:
    """Make the error for one of the codes above; ``detail`` is shown behind its sentence."""
    status, section, message = REFUSED[code]
    return ProtocolError(code, f"{message}{': ' + detail if detail else ''} ({section})", status)
