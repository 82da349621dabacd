"""What a search of the record asks for."""

from __future__ import annotations

from dataclasses import dataclass, fields

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """
    Which records are wanted: all that is set must hold; what is empty is not asked.

    ``host`` also finds what is below it, ``reference`` also the exchanges within that one.  ``since``
    and ``until`` are moments as the record writes them; the first is included, the second is not.
    ``status`` is three digits, or one for its class (``5``).  ``deeds`` keeps to what people did to the
    access of others and to the service itself.
    """

    user: str = ""
    group: str = ""
    client: str = ""
    host: str = ""
    category: str = ""
    rule: str = ""
    would_block: str = ""
    exception: str = ""
    decision: str = ""
    result: str = ""
    method: str = ""
    status: str = ""
    reference: str = ""
    failure: str = ""
    listener: str = ""
    whom: str = ""
    grant: str = ""
    deed: str = ""
    deeds: bool = False
    since: str = ""
    until: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether every record is wanted."""
        return not any(getattr(self, asked.name) for asked in fields(self))

    def matches(self, record: Record) -> bool:
        """Whether a record is one of those wanted."""
        return (
            self._in_time(record)
            and (not self.deeds or record.kind is Kind.DEED)
            and all(
                not wanted or wanted == getattr(record, name)
                for name, wanted in (
                    ("user", self.user),
                    ("client", self.client),
                    ("would_block", self.would_block),
                    ("exception", self.exception),
                    ("decision", self.decision),
                    ("result", self.result),
                    ("method", self.method),
                    ("failure", self.failure),
                    ("listener", self.listener),
                    ("whom", self.whom),
                    ("grant", self.grant),
                    ("deed", self.deed),
                )
            )
            and (not self.rule or self.rule in (record.rule, record.ended_rule))
            and (not self.group or self.group in record.groups)
            and (not self.category or self.category in record.categories)
            and (not self.host or _is_below(record.host, self.host))
            and (not self.status or str(record.status).startswith(self.status))
            and (not self.reference or self.reference in (record.id, record.within))
        )

    def _in_time(self, record: Record) -> bool:
        return (not self.since or record.at >= self.since) and (not self.until or record.at < self.until)


def _is_below(host: str, wanted: str) -> bool:
    return host == wanted or host.endswith("." + wanted)
