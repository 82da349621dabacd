"""
What is known of an exchange before it is asked: all that the last one like it found out on its road.

A page has a hundred pictures, and a program asks the same server all day.  What classify, identify and
decide found for the first of them holds for those with the same header section, method and authority, from
the same client and listener, as long as nothing changes that it rests on: then the road costs a look-up.

It is remembered with the section (`corpproxy.http1.sections`), for as long as the same policy and lists are
in force.  An identity is asked for again each time, by a digest; a decision holds until the next change of
hours, and is asked for again where it rests on the path.  What rests on addresses, or on anything else that
can differ, is never remembered; nor are categories that the path has a say in.
"""

from __future__ import annotations

from collections.abc import Callable

from corpproxy.accounting.leeway import Leeway
from corpproxy.audit.record import Record
from corpproxy.destination.model import AddressClass, Destination, Host
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.exchange.facts import facts_of
from corpproxy.http1.recipe import Recipe
from corpproxy.http1.sections import Sections
from corpproxy.http1.steering import is_plain
from corpproxy.http1.target import Form
from corpproxy.identity.model import ANONYMOUS, EXEMPT, Identity
from corpproxy.policy.decide import Lasting
from corpproxy.policy.model import Decision, Effect

# Exchanges remembered with one section.  Without signing in, a room full of the same browsers sends the same.
MAX_KNOWN = 64

# What goes to servers: requests, and tunnels.
_FORMS = (Form.ABSOLUTE, Form.AUTHORITY)
# Where an authority begins in an absolute target of the only scheme that is served: behind http://
_AUTHORITY = 7


class Known:
    """
    What the stations found, and what the way to the server is made of.

    ``again`` gives the identity as it is at a moment; ``lasts`` says how long the decision holds.
    ``dial``, ``addresses`` and ``fields`` are what forward finds: whom to connect to, and the fields to send.
    ``leeway`` is what such exchanges may move while nothing of their limits bites, None where that has to be
    looked up.  ``sections`` stands for what was in force then.  ``record`` is the record of an exchange like
    this one that went as nearly all go, or what the compiled twin of the books has made of it.
    """

    __slots__ = (
        "addresses",
        "again",
        "decision",
        "destination",
        "dial",
        "fields",
        "identity",
        "lasts",
        "leeway",
        "record",
        "sections",
    )

    dial: Host
    addresses: frozenset[AddressClass]

    def __init__(
        self,
        sections: Sections,
        destination: Destination,
        identity: Identity,
        again: Callable[[float], Identity | None],
        decision: Decision,
        lasts: Lasting,
    ) -> None:
        self.sections = sections
        self.destination = destination
        self.identity = identity
        self.again = again
        self.decision = decision
        self.lasts = lasts
        self.fields: Recipe | None = None
        self.record: Record | None = None
        self.leeway: Leeway | None = None


def recall(exchange: Exchange) -> bool:
    """Take over what is known of an exchange; False when nothing is, and it has to find out itself."""
    head = exchange.head
    if not head.fields.outline.known:
        return False
    target = head.target
    cut = _cut(head.method, target)
    if cut < 0:
        return False
    known = head.fields.outline.known.get((head.method, target[:cut], exchange.client, exchange.listener))
    in_force, now = exchange.in_force, exchange.started
    # A head may be read by the memory of a policy that was replaced before its exchange began.
    if known is None or known.sections is not in_force.sections or head.version != 11:
        return False
    path = target[cut:].decode("latin-1")
    if path and known.fields is None:
        return False  # the one before never got as far as its server
    if known.again(now) is not known.identity:
        return False
    since, until, facts = known.lasts
    if facts is not None:
        facts.path, facts.at = path, now
        if in_force.policy.decide(facts, in_force.grants) is not known.decision:
            return False
    elif not since <= now < until:
        return False
    like = known.destination
    exchange.known = known
    exchange.identity = known.identity
    exchange.decision = known.decision
    # That of a tunnel is the same for all.
    exchange.destination = like
    if path:
        exchange.destination = Destination(
            like.host, like.port, like.scheme, path, like.categories, like.matches
        )
    return True


def remember(exchange: Exchange) -> None:
    """
    Keep what an exchange found out, if it will be the same for the next one like it.

    Of the first one only that it came is kept, as a number: most that come once come no more, and what is
    kept for nobody costs time and memory.  Where two have the same number, one is kept too early, no more.
    """
    head, destination, decision, facts = (
        exchange.head,
        exchange.destination,
        exchange.decision,
        exchange.facts,
    )
    policy = exchange.in_force.policy
    if facts is None or decision is None or destination is None or not policy.is_lasting:
        return
    if decision.effect is not Effect.ALLOW or exchange.mode is not Mode.FORWARD or not is_plain(head):
        return
    target = head.target
    cut = _cut(head.method, target)
    if cut < 0:
        return
    path = target[cut:]
    key = (head.method, target[:cut], exchange.client, exchange.listener)
    outline, came = head.fields.outline, hash(key)
    if outline.came != came and key not in outline.known and came not in outline.known:
        if not outline.came:
            outline.came = came
        else:
            outline.know(came, None, MAX_KNOWN)
        return
    if exchange.target.form not in _FORMS or exchange.target.path != path:
        return
    lasts = policy.lasts(decision, facts)
    if lasts is None:
        return
    in_force = exchange.in_force
    if path and in_force.classifier.looks_at_paths(destination.host):
        return
    again = _again(exchange, path)
    if again is None:
        return
    known = Known(in_force.sections, destination, exchange.identity, again, decision, lasts)
    exchange.known = known
    outline.known.pop(came, None)
    outline.know(key, known, MAX_KNOWN)


def _cut(method: bytes, target: bytes) -> int:
    """Where the authority ends and the path begins: -1 where there is none, as in a URL without a slash."""
    # The target of a tunnel is its authority.
    return len(target) if method == b"CONNECT" else target.find(b"/", _AUTHORITY)


def _again(exchange: Exchange, path: bytes) -> Callable[[float], Identity | None] | None:
    """
    Give what says, later, who asks: by the credentials that were sent, or by the address.

    None where that rests on the path, and there is one.
    """
    in_force = exchange.in_force
    value = exchange.head.fields.get(b"proxy-authorization")
    if value is not None and in_force.challenges:
        return in_force.recognise(value)
    if path and "path" in in_force.exemptions.reads:
        return None
    people, client = in_force.people, exchange.client
    unnamed = None if in_force.challenges else ANONYMOUS
    if "at" in in_force.exemptions.reads:
        return _at_its_time(exchange, unnamed)
    if exchange.identity.source == EXEMPT.source:
        # All else that exemptions look at is the same for exchanges like this one.
        unnamed = exchange.identity
    return lambda _: people.by_network(client) or unnamed


def _at_its_time(exchange: Exchange, unnamed: Identity | None) -> Callable[[float], Identity | None]:
    """Give what says who asks where exemptions have hours."""
    destination, in_force = exchange.destination, exchange.in_force
    assert destination is not None
    facts = facts_of(exchange, destination, ANONYMOUS, destination.categories, exchange.started)

    def at_its_time(now: float) -> Identity | None:
        facts.at = now
        return in_force.exemptions.who(facts, in_force.people) or unnamed

    return at_its_time
