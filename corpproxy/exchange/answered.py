"""
Decide again with the answer: rules may ask what only the answer tells, its media type and its size.

    fetch -> decide_answer -> relay

What is refused then was asked of the server already; its content is not taken, and the client gets a page in
the place of the answer.  Where the length of the content is not announced, rules about its size are worked
out beforehand to an amount up to which it may come: with the first octet behind that, the exchange ends.
"""

from __future__ import annotations

import re

from corpproxy.errors import CorpproxyError
from corpproxy.exchange.again import end, still_safe
from corpproxy.exchange.answers import refusal
from corpproxy.exchange.commands import Answer, GiveUp
from corpproxy.exchange.ending import Ending
from corpproxy.exchange.exchange import Exchange
from corpproxy.exchange.may import facts_of
from corpproxy.http1.fields import Fields
from corpproxy.http1.framing import Framing
from corpproxy.policy.model import NO_CONTENT, Decision, Effect
from corpproxy.policy.model import Answer as AnswerFacts

# Content-Range with the length of the whole (RFC 9110, section 14.4).
_RANGE = re.compile(rb"bytes\s+(?:[0-9]+-[0-9]+|\*)/([0-9]{1,18})\Z", re.IGNORECASE)

# How an exchange ends whose answer grows past what a rule lets through.
TOO_LONG = "answer-too-long"


async def decide_answer(exchange: Exchange, answer: Answer) -> int:
    """
    Decide with the head of an answer; the outcome is how many octets of content may come, -1 for all.

    A refusal is raised once the server's connection has been given up.
    """
    if answer.head.status == 304:
        return -1  # what the client has already was decided on when it came
    facts = exchange.answer = answer_facts(exchange.method, answer)
    decision = _decide(exchange, facts)
    if decision.effect is not Effect.ALLOW:
        await GiveUp()
        raise refusal(exchange, decision)
    exchange.decision = decision
    if facts.size is not None or not facts.is_there:
        return -1
    return next((size - 1 for size in exchange.in_force.policy.sizes if _ends_at(exchange, facts, size)), -1)


def too_long(exchange: Exchange, octets: int) -> CorpproxyError:
    """Give what an exchange ends with whose answer has more than so many octets of content."""
    assert exchange.answer is not None
    facts = AnswerFacts(exchange.answer.media_type, octets + 1)
    ending = Ending(TOO_LONG, _decide(exchange, facts), exchange.in_force.version, "the answer grew too long")
    return end(exchange, ending)


def answer_facts(method: bytes, answer: Answer) -> AnswerFacts:
    """What an answer says of its content, as rules read it; what the head of HEAD says counts for a GET."""
    fields, body = answer.head.fields, answer.body
    has_none = body.framing is Framing.NONE and method != b"HEAD"
    if has_none or answer.head.status in (101, 204):
        return NO_CONTENT
    return AnswerFacts(_media_type(fields), _size(answer))


def _ends_at(exchange: Exchange, facts: AnswerFacts, size: int) -> bool:
    return _decide(exchange, AnswerFacts(facts.media_type, size)).effect is not Effect.ALLOW


def _decide(exchange: Exchange, answer: AnswerFacts) -> Decision:
    destination, in_force = exchange.destination, exchange.in_force
    assert destination is not None
    facts = facts_of(exchange, destination, exchange.identity, destination.categories, exchange.started)
    facts.address_classes = exchange.address_classes
    facts.answer = answer
    decision = in_force.policy.decide(facts, in_force.grants)
    if decision.effect is not Effect.ALLOW:
        return decision
    return still_safe(exchange, decision) or decision


def _media_type(fields: Fields) -> str:
    """
    The media type without its parameters; empty where it is not known what the content is.

    That is so without the field, with several that differ, and for several parts of something
    (``multipart/byteranges``), which each have their own.
    """
    stated = {value.partition(b";")[0].strip().lower() for value in fields.all(b"content-type")}
    if len(stated) != 1:
        return ""
    media_type = stated.pop().decode("latin-1")
    return "" if media_type == "multipart/byteranges" else media_type


def _size(answer: Answer) -> int | None:
    """The octets of the whole content; None where they are not announced."""
    fields = answer.head.fields
    if answer.head.status == 206:
        found = _RANGE.match((fields.get(b"content-range") or b"").strip())
        if found:
            return int(found[1])
    if answer.body.framing is Framing.LENGTH:
        return answer.body.length
    written = (fields.get(b"content-length") or b"").strip()
    return int(written) if written.isdigit() and len(written) <= 18 else None
