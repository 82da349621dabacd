"""
What every field of a record means, in the words of the manual: its page is made from this.

A line break separates sentences; the text is reStructuredText.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from corpproxy.audit.record import Record
from corpproxy.audit.results import FAULTS, MEANINGS, Kind

KINDS: dict[Kind, str] = {
    Kind.EXCHANGE: "A whole exchange.",
    Kind.OPENING: "A tunnel or an upgraded connection opens.",
    Kind.PROGRESS: "A tunnel is still open; the octets are those so far.",
    Kind.CLOSING: "A tunnel ended; the octets are those of all of it.",
    Kind.DEED: (
        "Not an exchange: somebody asked for access, let somebody through, refused, ended a grant, or"
        " erased records."
    ),
}

FIELDS: dict[str, str] = {
    "id": (
        "The reference: fourteen letters and digits, which also stand on the page that the person "
        "saw.\n"
        "References sort in the order in which the exchanges began."
    ),
    "kind": "See above.",
    "at": "When the exchange began, in UTC with milliseconds: ``2026-11-23T10:00:00.123Z``.",
    "seconds": "From the first octet of the request to the end of the exchange.",
    "listener": "The name of the listener in the policy.",
    "groups": "The groups of that identity at that time.",
    "groups_from": (
        "For each of the groups where it came from: ``policy``, ``file`` (the groups file) or ``network``."
    ),
    "source": "How the identity was known: ``basic``, ``network``, ``exempt`` or ``anonymous``.",
    "exemption": (
        "Where the exemption stands by which nobody was asked to sign in, as ``file:line:column``; "
        "with ``source`` ``exempt``."
    ),
    "method": "The request method.",
    "scheme": "``http`` or ``https``.",
    "port": "The port.",
    "categories": "The categories of the destination.",
    "addresses": (
        "The classes of the addresses of the host, such as ``public``, where a rule asked for them or"
        " the safety table refused them.\n"
        "``none`` where the host could not be looked up; left out where nothing asked."
    ),
    "countries": (
        "The countries of the host's addresses, where a rule asks for them; ``none`` where the "
        "addresses have none."
    ),
    "asns": (
        "The networks that have these addresses, as ``AS13335``, where a rule asks for them; ``none``"
        " where there is none."
    ),
    "media_type": (
        "The media type of the answer, where a rule asks for it; ``none`` where it has no content, "
        "``unknown`` where it does not say."
    ),
    "size": "The octets of the answer's content as they were announced, where a rule asks for answers.",
    "lists": "The category lists in use, each as ``name=version``.",
    "policy": "The version of the policy that decided; ``corpproxy policy show`` prints it.",
    "left_out": (
        "What rules may read and the table ``audit:`` keeps out of the record: ``query`` (the request"
        " had one), ``agent``, ``user`` where people have pseudonyms (:doc:`/howto/pseudonyms`), and "
        "``host`` or ``path`` by the levels of :doc:`/howto/nobodys-business`; of an exchange that ran "
        "while it was erased, what that took away (:doc:`/howto/forget-a-person`)."
    ),
    "decision": "The effect of the rule: ``allow``, ``block``, ``warn`` or ``redirect``.",
    "rule": "The name of the deciding rule.",
    "place": "Where that rule stands, as file, line and column.",
    "category": "The category by which the rule matched, if it asks for categories.",
    "list": "The category list that has it, or ``own`` for the policy's own entries.",
    "granted": (
        "Until when a grant, such as a confirmed warning, lifts what the rule does; written as ``at`` is."
    ),
    "grant": "The id of that grant, or of the grant that a deed is about.",
    "would_block": "The name of the first rule in shadow that would have refused it.",
    "exception": "The name of the exception without which a rule would have refused it.",
    "ended_rule": (
        "The name of the rule that ended it when it was decided again while it ran; ``rule`` is the "
        "one that let it begin."
    ),
    "ended_place": "Where that rule stands, as file, line and column.",
    "ended_policy": "The version of the policy by which it was decided again.",
    "failure": "The symbolic code of what went wrong, such as ``connect-refused``.",
    "phase": "When it went wrong: ``resolve``, ``connect``, ``send``, ``answer`` or ``content``.",
    "status": "The status that the client got; left out when it got none.",
    "received": "Octets that came from the client, heads included.",
    "sent": "Octets that went to the client, heads included.",
    "up_sent": "Octets that went to the server, heads included.",
    "up_received": "Octets that came from the server, heads included.",
    "resolve_ms": "Milliseconds to look the host up.",
    "connect_ms": "Milliseconds to connect to the server.",
    "first_octet_ms": "Milliseconds from the request to the first octet of the answer.",
    "slowed_by": "The limits that made it wait, by their names (:doc:`/howto/limits`).",
    "slowed_ms": "Milliseconds that it had to wait for them in all.",
    "quotas": "The quotas of which at least four fifths were used at its end, each with the percentage.",
    "deed": (
        "What was done: ``access-asked``, ``access-refused``, ``grant-given``, ``grant-ended``, "
        "``record-erased``, ``record-retained`` (what was too old went), ``person-revealed``, "
        "``reveal-ended``, ``limit-set``, ``limit-cleared``, ``quota-asked``, "
        "``quota-granted``, ``quota-refused``, ``quota-reset``, "
        "``running-ended``, "
        "``policy-taken``, ``policy-refused``, "
        "``user-added``, ``user-changed``, ``user-removed``, ``password-set``, ``list-accepted``, "
        "``list-rejected``, ``list-rolled-back`` or ``report-sent``; ``user`` did it, ``reason`` says why, "
        "or what changed (:doc:`/howto/administrators`)."
    ),
    "count": "How many records it changed.",
    "reached": "How many entries it changed in each place, as ``records=12``, or ``syslog=not-reached``.",
    "within": "The reference of the exchange around this one, whose octets are counted there.",
    "result": "The result code, see below.",
    "client": "The IP address of the client.",
    "user": "The name of the person or device.",
    "agent": "The User-Agent, at most 300 characters; not where ``audit: {user_agent: no}`` leaves it out.",
    "whom": "Whose access it was about: a person, or ``group:``, ``network:`` or ``address:`` and a name.",
    "host": "The host in its normal form: lower case, A-labels, no trailing dot.",
    "hosts": "The hosts that it was about.",
    "resolved": (
        "The addresses of the host, where a rule asks for networks of them (``address: "
        "10.1.4.0/24``); ``none`` where it could not be looked up."
    ),
    "upstream": "The address and port that were dialled.",
    "server_name": "The name that TLS asked for inside the tunnel.",
    "entry": "The entry of that list that fits the destination best.",
    "reason": "Why the rule matched, in words.",
    "ended_reason": "What had changed, and why that rule matched, in words.",
    "path": "The path, at most 2048 characters; the query only where ``audit: {query: yes}`` asks for it.",
    "n": ("The number of the record in its chain, from 1; see :doc:`record-format` for this and the rest."),
    "seed": "What the hashes of the personal fields are salted with, in hex.",
    "salts": "In the place of the seed where something was erased: the salts of what is left.",
    "erased": "The hashes of what was erased.",
    "chain": "The hash of the record before.",
}


_TYPES = {
    "int": "number",
    "float": "number",
    "int | None": "number",
    "tuple[str, ...]": "list of texts",
    "dict[str, str] | None": "object",
}


def kinds_table() -> str:
    """The kinds of records, as a table of the manual."""
    rows = ((f"``{kind.value}``", KINDS[kind]) for kind in Kind)
    return "\n".join(_table("Kinds", ("``kind``", "meaning"), rows))


def fields_table() -> str:
    """The fields of a record in their order, as a table of the manual."""
    types = Record.__annotations__
    rows = (
        (f"``{name}``", _TYPES.get(str(types[name]), "text"), FIELDS[name])
        for name in Record.__struct_fields__
    )
    return "\n".join(_table("Fields", ("field", "type", "meaning"), rows))


def results_table() -> str:
    """The result codes, whose doing each is, and what it means, as a table of the manual."""
    rows = ((f"``{code.value}``", FAULTS[code].value, said) for code, said in MEANINGS.items())
    return "\n".join(_table("Result codes", ("``result``", "whose doing", "meaning"), rows))


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield ".. Written by docs/write_reference.py from the code; edit corpproxy/audit."
    yield from ("", f".. list-table:: {title}", "   :header-rows: 1", "")
    for row in (heads, *rows):
        marks = ("* - ", *("  - " for _ in heads))
        for mark, cell in zip(marks, row, strict=False):
            first, *more = cell.split("\n")
            yield f"   {mark}{first}"
            yield from (f"       {line}" for line in more)
    yield ""
