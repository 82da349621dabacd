"""
Forms that come back: application/x-www-form-urlencoded, read strictly.

Our own pages have few and short fields.  Whatever else arrives is refused with a named error: no repaired
percent signs, no field twice, nothing that is not UTF-8.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from corpproxy.errors import ProtocolError

if TYPE_CHECKING:
    from corpproxy.pages.portal import PortalRequest

# A token of a signed form is the longest thing that a field of ours holds.
MAX_FORM_OCTETS = 16 * 1024
MAX_FIELDS = 16

MEDIA_TYPE = b"application/x-www-form-urlencoded"

# What form serialisers leave as it is, percent-encoded octets, and + for a space (WHATWG URL, section 5.2).
_CHARACTERS = rb"(?:[!-$'-<>-~]|%[0-9A-Fa-f]{2})"
_FIELD = re.compile(rb"(?P<name>" + _CHARACTERS + rb"+)=(?P<value>" + _CHARACTERS + rb"*)")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def parse_form(content: bytes, media_type: bytes | None = MEDIA_TYPE) -> dict[str, str]:
    """
    Give the fields of a form.

    Raises ProtocolError: ``form-too-large`` (413) past ``MAX_FORM_OCTETS``, ``form-invalid`` (400) for
    everything that no form of ours sends.
    """
    if media_type is None or media_type.partition(b";")[0].strip().lower() != MEDIA_TYPE:
        raise ProtocolError("form-invalid", f"a form is sent as {MEDIA_TYPE.decode('ascii')}")
    if len(content) > MAX_FORM_OCTETS:
        raise ProtocolError("form-too-large", f"a form has at most {MAX_FORM_OCTETS} octets", 413)
    fields: dict[str, str] = {}
    for pair in content.split(b"&") if content else ():
        name, value = _field(pair)
        if name in fields:
            raise ProtocolError("form-invalid", "a field of the form stands in it twice")
        if len(fields) >= MAX_FIELDS:
            raise ProtocolError("form-invalid", f"a form has at most {MAX_FIELDS} fields")
        fields[name] = value
    return fields


def form_fields(request: PortalRequest, wanted: set[str]) -> dict[str, str]:
    """Give the fields of a form that has exactly those wanted."""
    fields = parse_form(request.content, request.content_type)
    if fields.keys() != wanted:
        raise ProtocolError("form-invalid", f"the form has exactly the fields {', '.join(sorted(wanted))}")
    return fields


def _field(pair: bytes) -> tuple[str, str]:
    found = _FIELD.fullmatch(pair)
    if found is None:
        raise ProtocolError("form-invalid", "the form is not encoded as forms are")
    return _decoded(found["name"]), _decoded(found["value"])


def _decoded(octets: bytes) -> str:
    plain = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode("ascii")), octets.replace(b"+", b" "))
    try:
        return plain.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("form-invalid", "the form holds octets that are not UTF-8") from None
