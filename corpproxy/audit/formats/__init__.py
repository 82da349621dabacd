"""Other formats than our own for the lines of the record: those that log tools and collectors read."""

from __future__ import annotations

import enum
from collections.abc import Callable

from corpproxy.audit.record import Record

# A line without its end; None for a record that the format has no line for.
Writer = Callable[[Record], str | None]


class FormatName(enum.StrEnum):
    """The formats that have a name; ``json`` is our own, the line as it stands in the segment."""

    JSON = "json"
    SQUID = "squid"
    COMBINED = "combined"
    CEF = "cef"
    LEEF = "leef"


def writer(name: FormatName | None, template: str, program: str) -> Writer | None:
    """
    Give what writes a record in a format, or by a template where there is one; None for our own format.

    ``program`` is the version that CEF and LEEF name.
    """
    if template:
        from corpproxy.audit.formats.template import Template

        return Template.parse(template).line
    if name is FormatName.SQUID:
        from corpproxy.audit.formats.squid import squid_line

        return squid_line
    if name is FormatName.COMBINED:
        from corpproxy.audit.formats.combined import combined_line

        return combined_line
    if name is FormatName.CEF:
        from corpproxy.audit.formats.events import cef_writer

        return cef_writer(program)
    if name is FormatName.LEEF:
        from corpproxy.audit.formats.events import leef_writer

        return leef_writer(program)
    return None
