"""
What is known of an exchange before it is asked: all that the last one like it found out on its road.

A page has a hundred pictures, and a program asks the same server all day.  What classify, identify and
decide found for the first of them holds for those with the same header section, method and authority, from
the same client and listener, as long as nothing changes that it rests on: then the road costs a look-up.

It is remembered with the section (`corpproxy.http1.sections`), for as long as the same policy and lists are
in force.  An identity is asked for again each time, by a digest; a decision holds until the next change of
hours.  What rests on the path, on addresses or on anything else that can differ is never remembered.
"""

from __future__ import annotations

from collections.abc import Callable

from corpproxy.audit.record import Record
from corpproxy.destination.model import AddressClass, Destination, Host
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.http1.head import RequestHead
from corpproxy.http1.recipe import Recipe
from corpproxy.http1.sections import Sections
from corpproxy.http1.steering import is_plain
from corpproxy.http1.target import Form
from corpproxy.identity.model import ANONYMOUS, Identity
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

    ``again`` gives the identity as it is at a moment; ``since`` and ``until`` bound when the decision holds.
    ``dial``, ``addresses`` and ``fields`` are what forward finds: whom to connect to, and the fields to send.
    ``sections`` stands for what was in force then.  ``record`` is the record of an exchange like this one
    that went as nearly all go.
    """

    __slots__ = (
        "addresses",
        "again",
        "decision",
        "destination",
        "dial",
        "fields",
        "identity",
        "record",
        "sections",
        "since",
        "until",
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
        since: float,
        until: float,
    ) -> None:
        self.sections = sections
        self.destination = destination
        self.identity = identity
        self.again = again
        self.decision = decision
        self.since = since
        self.until = until
        self.fields: Recipe | None = None
        self.record: Record | None = None


def recall(exchange: Exchange) -> bool:
    """Take over what is known of an exchange; False when nothing is, and it has to find out itself."""
    head = exchange.head
    authority, path = _parts(head)
    known = head.fields.outline.known.get((head.method, authority, exchange.client, exchange.listener))
    now = exchange.started
    if known is None or head.version != 11 or not known.since <= now < known.until:
        return False
    # A head may be read by the memory of a policy that was replaced before its exchange began.
    if known.sections is not exchange.in_force.sections or known.again(now) is not known.identity:
        return False
    like = known.destination
    exchange.known = known
    exchange.identity = known.identity
    exchange.decision = known.decision
    # That of a tunnel is the same for all.
    exchange.destination = like
    if path:
        exchange.destination = Destination(
            like.host, like.port, like.scheme, path.decode("latin-1"), like.categories, like.matches
        )
    return True


def remember(exchange: Exchange) -> None:
    """Keep what an exchange found out, if it will be the same for the next one like it."""
    head, destination, decision, lasts = (
        exchange.head,
        exchange.destination,
        exchange.decision,
        exchange.lasts,
    )
    if lasts is None or decision is None or destination is None:
        return
    if decision.effect is not Effect.ALLOW or exchange.mode is not Mode.FORWARD or not is_plain(head):
        return
    authority, path = _parts(head)
    if exchange.target.form not in _FORMS or exchange.target.path != path:
        return
    in_force = exchange.in_force
    if path and in_force.classifier.looks_at_paths(destination.host):
        return
    known = Known(in_force.sections, destination, exchange.identity, _again(exchange), decision, *lasts)
    remembered = head.fields.outline.known
    if len(remembered) >= MAX_KNOWN:
        remembered.clear()
    remembered[head.method, authority, exchange.client, exchange.listener] = exchange.known = known


def _parts(head: RequestHead) -> tuple[bytes, bytes]:
    """The target as far as its authority, and the path behind it; that of a tunnel has none."""
    target = head.target
    if head.method == b"CONNECT":
        return target, b""
    cut = target.find(b"/", _AUTHORITY)
    return target[:cut], target[cut:]


def _again(exchange: Exchange) -> Callable[[float], Identity | None]:
    """Give what says, later, who asks: by the credentials that were sent, or by the address."""
    in_force = exchange.in_force
    value = exchange.head.fields.get(b"proxy-authorization")
    if value is not None and in_force.challenges:
        return in_force.recognise(value)
    people, challenges, client = in_force.people, in_force.challenges, exchange.client
    assert exchange.destination is not None
    host = exchange.destination.host

    def by_address(_: float) -> Identity | None:
        return people.without_credentials(host, client) or (None if challenges else ANONYMOUS)

    return by_address
