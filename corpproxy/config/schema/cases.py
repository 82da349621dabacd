"""The ``tests:`` table: what must come out, tried at every check and every load."""

from __future__ import annotations

from typing import Annotated

from pydantic import model_validator

from corpproxy.config.schema.leaves import Leaf, OneOrMany, Text, words, wrong
from corpproxy.config.schema.table import Table, asked, optional
from corpproxy.policy.cases import CHALLENGE
from corpproxy.policy.model import Effect

Expected = Annotated[str, words((*(effect.value for effect in Effect), CHALLENGE))]


NameOrNone = Annotated[
    str,
    Leaf("name or no", lambda written: "" if written == "no" else written, {"type": ["string", "boolean"]}),
]


class CaseTable(Table):
    """
    One test: who asks for what, when and from where, and what the policy must answer.

    An https URL is what the proxy sees of it: CONNECT to host and port.
    """

    user: Text | None = optional("Who is asking; nobody who signed in when left out.")
    groups: OneOrMany[Text] | None = optional("The groups of ``user``; those of the policy when left out.")
    client: Text | None = optional("The client's address.", alias="from")
    listener: Text | None = optional("The listener asked; the first forward listener when left out.")
    at: Text | None = optional(
        "Date and time, as ``2026-11-23T10:00``, in the site's time zone; at any time when left out."
    )
    get: Text | None = optional("The URL of a GET.")
    connect: Text | None = optional("Host and port of a CONNECT.")
    url: Text | None = optional("The URL of a request by another ``method``.")
    method: Text | None = optional("The method for ``url``.")
    expect: Expected = asked("What must come out; ``challenge`` when the proxy must ask to sign in.")
    rule: Text | None = optional("The rule that must have decided.")
    would_block: NameOrNone | None = optional(
        "The rule in shadow that would have refused it; ``no`` for none."
    )
    exception: NameOrNone | None = optional("The exception that must have let it through; ``no`` for none.")

    @model_validator(mode="after")
    def one_request(self) -> CaseTable:
        """Refuse a test that asks for nothing or for several things."""
        if sum(one is not None for one in (self.get, self.connect, self.url)) != 1:
            raise wrong("one-request", "wants exactly one of get, connect and url")
        if self.method is not None and self.url is None:
            raise wrong("one-request", "has a method, which goes with url")
        return self
