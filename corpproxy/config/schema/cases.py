"""The ``tests:`` table: what must come out, tried at every check and every load."""

from __future__ import annotations

from typing import Annotated

from pydantic import model_validator

from corpproxy.config.schema.conditions import Country, NetworkNumber, ServerAddress
from corpproxy.config.schema.leaves import Leaf, OneOrMany, SizeOrNone, Text, parsed, words, wrong
from corpproxy.config.schema.table import Table, mapping, optional
from corpproxy.policy.cases import CHALLENGE
from corpproxy.policy.conditions import parse_media_type
from corpproxy.policy.model import Effect

MediaTypeOfAnswer = Annotated[str, parsed("media type", parse_media_type, "bad-media-type")]
Expected = Annotated[str, words((*(effect.value for effect in Effect), CHALLENGE))]


NameOrNone = Annotated[
    str,
    Leaf("name or no", lambda written: "" if written == "no" else written, {"type": ["string", "boolean"]}),
]


class AnswerTable(Table):
    """What a server answers in a test."""

    type: MediaTypeOfAnswer | None = optional("Its media type, as ``video/mp4``; not stated when left out.")
    size: SizeOrNone | None = optional("The octets of its content; not announced when left out.")


class CaseTable(Table):
    """
    Who asks for what, when and from where, and what must come out.

    Several users, times, clients and requests make a test for each combination of them.
    An https URL is what the proxy sees of it: CONNECT to host and port.
    """

    user: OneOrMany[Text] | None = optional("Who is asking; nobody who signed in when left out.")
    groups: OneOrMany[Text] | None = optional("The groups of ``user``; those of the policy when left out.")
    client: OneOrMany[Text] | None = optional("The client's address.", alias="from")
    listener: Text | None = optional("The listener asked; the first forward listener when left out.")
    answer: AnswerTable | None = optional(
        "What the server answers, for rules about answers; without it the request alone is asked about."
    )
    address: OneOrMany[ServerAddress] | None = optional(
        "The server's addresses, for rules about them; public ones in no network of a rule when left out."
    )
    country: OneOrMany[Country] | None = optional(
        "Where the server's address is; not known when left out, for a test looks nothing up."
    )
    asn: OneOrMany[NetworkNumber] | None = optional("The number of the network that has the address.")
    agent: Text | None = optional("What the client says it is: its User-Agent.")
    at: OneOrMany[Text] | None = optional(
        "Date and time, as ``2026-11-23T10:00``, in the site's time zone; at any time when left out."
    )
    get: OneOrMany[Text] | None = optional("The URL of a GET.")
    connect: OneOrMany[Text] | None = optional("Host and port of a CONNECT.")
    url: OneOrMany[Text] | None = optional("The URL of a request by another ``method``.")
    method: Text | None = optional("The method for ``url``.")
    expect: Expected | None = optional(
        "What must come out; ``challenge`` when the proxy must ask to sign in."
    )
    times: dict[Text, OneOrMany[Expected]] = mapping(
        "In place of ``at`` and ``expect``: for each time what must come out, for each user in their order, "
        "or one word for all."
    )
    rule: Text | None = optional("The rule that must have decided.")
    would_block: NameOrNone | None = optional(
        "The rule in shadow that would have refused it; ``no`` for none."
    )
    exception: NameOrNone | None = optional("The exception that must have let it through; ``no`` for none.")
    limits: OneOrMany[NameOrNone] | None = optional(
        "The limits that must hold, all of them and no others; ``no`` for none."
    )

    @model_validator(mode="after")
    def one_request(self) -> CaseTable:
        """Refuse a test that asks for nothing or for several things."""
        if sum(one is not None for one in (self.get, self.connect, self.url)) != 1:
            raise wrong("one-request", "wants exactly one of get, connect and url")
        if self.method is not None and self.url is None:
            raise wrong("one-request", "has a method, which goes with url")
        for key in ("user", "client", "at", "get", "connect", "url"):
            if getattr(self, key) == []:
                raise wrong("one-request", f"has an empty list for '{'from' if key == 'client' else key}'")
        return self

    @model_validator(mode="after")
    def one_expectation(self) -> CaseTable:
        """Refuse a test that says twice, or not at all, what must come out."""
        if (self.expect is None) == (not self.times):
            raise wrong("one-expectation", "wants either expect or times")
        if self.times and self.at is not None:
            raise wrong("one-expectation", "has times, which say when, and at")
        return self
