"""The exchange: one request and its response, and all that becomes known of it on the road."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING

from corpproxy.accounting.accounts import Account
from corpproxy.audit.results import ResultCode
from corpproxy.born import born
from corpproxy.destination.model import AddressClass, Destination
from corpproxy.exchange.ending import Ending
from corpproxy.exchange.in_force import InForce
from corpproxy.http1.fields import Fields
from corpproxy.http1.framing import Body
from corpproxy.http1.head import RequestHead
from corpproxy.http1.target import Form, Target
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.policy.model import Answer as AnswerFacts
from corpproxy.policy.model import Decision, Facts

if TYPE_CHECKING:
    from corpproxy.accounting.leeway import Leeway
    from corpproxy.exchange.known import Known
    from corpproxy.exchange.limited import Held
    from corpproxy.policy.limits import Applied


_FAILED = ResultCode.FAILED


class Mode(enum.StrEnum):
    """What we are to the client of a listener."""

    FORWARD = "forward"
    PORTAL = "portal"


class Exchange:
    """
    What is known of one exchange; each station adds what it finds.

    ``in_force`` is the configuration that this exchange began under, and that its record names; one that
    lasts is decided again under what comes after it (`corpproxy.exchange.again`).  ``account`` counts its
    octets on the client side.  ``keep`` says whether the client's connection outlives it.  ``content_over``
    says that no content of the request is on its way any more.  ``answered`` says that octets of an answer
    went to the client, ``opened`` that a tunnel is open, ``splices`` that octets move through it
    from the end of the road on.  ``standing`` is the decision that lets it go on,
    once it was decided again; ``ended`` says why it may not.  ``address_classes`` are those of the host where
    the policy read them, None where it did not.  ``known`` is what an exchange like it found out before,
    ``facts`` are what it was decided by, where the decision may hold for others like it.  ``limited`` are the
    limits that held when it began, ``held`` is what holds it to them; ``leeway`` is what one that went ahead
    of its road may move before any of them bites.
    Times are POSIX seconds, durations seconds; -1 is not measured.  ``connect_ms`` is as records have
    it: a small number is no object that an open tunnel keeps.
    """

    __slots__ = (
        "account",
        "address_classes",
        "addresses",
        "answer",
        "answered",
        "asns",
        "body",
        "client",
        "connect_ms",
        "content_over",
        "countries",
        "decision",
        "destination",
        "ended",
        "facts",
        "failure",
        "fields",
        "first_octet_seconds",
        "head",
        "held",
        "identity",
        "in_force",
        "keep",
        "known",
        "leeway",
        "limited",
        "listener",
        "method",
        "mode",
        "opened",
        "phase",
        "reference",
        "resolve_seconds",
        "result",
        "server_name",
        "splices",
        "standing",
        "started",
        "status",
        "target",
        "up_received",
        "up_sent",
        "upstream",
    )

    head: RequestHead
    target: Target
    body: Body

    def __init__(
        self, in_force: InForce, mode: Mode, listener: str, client: str, started: float, reference: str
    ) -> None:
        self.in_force = in_force
        self.mode = mode
        self.listener = listener
        self.client = client
        self.started = started
        self.reference = reference
        self.account = Account()
        self.method = b""
        self.identity: Identity = ANONYMOUS
        self.destination: Destination | None = None
        self.known: Known | None = None
        self.facts: Facts | None = None
        self.decision: Decision | None = None
        self.standing: Decision | None = None
        self.ended: Ending | None = None
        self.address_classes: frozenset[AddressClass] | None = None
        self.addresses: frozenset[str] | None = None
        self.countries: frozenset[str] | None = None
        self.asns: frozenset[int] | None = None
        self.answer: AnswerFacts | None = None
        self.result: ResultCode = _FAILED
        self.limited: tuple[Applied, ...] = ()
        self.held: Held | None = None
        self.leeway: Leeway | None = None
        self.failure = ""
        self.phase = ""
        self.status = 0
        self.answered = False
        self.opened = False
        self.splices = False
        self.keep = False
        self.content_over = True
        self.upstream = ""
        self.server_name = ""
        self.up_sent = 0
        self.up_received = 0
        self.resolve_seconds = -1.0
        self.fields: Fields | None = None
        self.connect_ms = -1
        self.first_octet_seconds = -1.0

    def forget_head(self) -> None:
        """
        A tunnel is open: of the request for it the User-Agent stays, which its closing record names.

        A head is as large as all else that an idle tunnel keeps together; the facts that decided on it were
        for others like it, which have had their turn.  ``native/opening.c`` does it as well.
        """
        self.head, self.target, self.method = FORGOTTEN
        self.facts = None
        fields = self.fields
        if fields is not None:
            # Kept with the section: to look for the field takes all lines off.
            outline = fields.outline
            self.fields = outline.agent
            if self.fields is None:
                self.fields = outline.agent = _agents[fields.get(b"user-agent") or b""]


# Makes an exchange as its class does.
new_exchange: Callable[[InForce, Mode, str, str, float, str], Exchange] = born(
    Exchange, "in_force", "mode", "listener", "client", "started", "reference", fresh=("account",)
)


class _Agents(dict[bytes, Fields]):
    """Sections with nothing but a User-Agent; the tunnels of a browser share one."""

    BOUND = 1024
    LONGEST = 512

    def __missing__(self, agent: bytes) -> Fields:
        fields = Fields(b"User-Agent: " + agent if agent else b"")
        if len(agent) <= self.LONGEST:
            if len(self) >= self.BOUND:
                self.clear()
            self[agent] = fields
        return fields


_agents = _Agents()
# The head, the target and the method of a tunnel that is open: one for all, as those of a head are pieces of
# what was read.
FORGOTTEN = (
    RequestHead(b"", b"", 11, _agents[b""], 0),
    Target(Form.AUTHORITY, "", b"", 0, b""),
    b"CONNECT",
)
