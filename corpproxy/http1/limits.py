"""How long the parts of a message may be: the ``http:`` table, with the reason beside each number."""

from __future__ import annotations

from dataclasses import dataclass

# One head, start-line included.  Browsers behind single sign-on send 20 KiB of cookies; past
# 64 KiB we answer 431 and close.
HEAD_OCTETS = 64 * 1024

# Field lines in one head or trailer section.  A browser sends 9 to 25; an answer that sets
# many cookies, or carries a long security policy in pieces, stays below a hundred.
FIELDS = 256

# The request target.  RFC 9112, section 3, asks for 8,000 octets at least; sign-in redirects that carry
# a SAML message in the query reach 20,000.  Past this we answer 414.
TARGET_OCTETS = 32 * 1024

# The longest registered method has 17 octets (UPDATEREDIRECTREF).  RFC 9112, section 3, wants 501
# for a method longer than any that is known.  The grammar of the request line holds this number, so it is no
# setting.
METHOD_OCTETS = 64

# One chunk line: size and extensions.  Extensions are dropped; nobody needs long ones.
CHUNK_LINE_OCTETS = 1024

# All chunk extensions of one body together: without this, 1-octet chunks with long extensions make a
# sender pay little and a reader much.
CHUNK_EXTENSION_OCTETS = 64 * 1024

# The trailer section.  Digests and signatures need a few hundred octets.
TRAILER_OCTETS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What a message may measure, in octets unless the name says otherwise.

    ``head_octets``: a head with its start-line and empty line (431).  ``fields``: field lines of
    one section (431).  ``target_octets``: a request target (414).  ``content_octets``: the
    content of one request (413); 0 means no limit.  ``chunk_line_octets``: one chunk-size line;
    ``chunk_extension_octets``: the chunk extensions of one body together; ``trailer_octets``: a
    trailer section (400 all three).  An answer that goes past one of them becomes a 502.
    """

    head_octets: int = HEAD_OCTETS
    fields: int = FIELDS
    target_octets: int = TARGET_OCTETS
    content_octets: int = 0
    chunk_line_octets: int = CHUNK_LINE_OCTETS
    chunk_extension_octets: int = CHUNK_EXTENSION_OCTETS
    trailer_octets: int = TRAILER_OCTETS


DEFAULT_LIMITS = Limits()
