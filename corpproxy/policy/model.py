"""What the policy is asked, and what it answers."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from corpproxy.destination.model import AddressClass, Host
from corpproxy.errors import NOWHERE, Place
from corpproxy.identity.model import Identity


class Effect(enum.StrEnum):
    """What a rule does."""

    ALLOW = "allow"
    BLOCK = "block"
    WARN = "warn"
    REDIRECT = "redirect"


class TunnelContent(enum.StrEnum):
    """What the first octets of a tunnel may be."""

    TLS_OR_WEBSOCKET = "tls-or-websocket"
    ANY = "any"


class ConnectTo(enum.StrEnum):
    """Whether CONNECT may name an address instead of a host name."""

    NAMES = "names"
    ANYTHING = "anything"


@dataclass(frozen=True, slots=True)
class Safety:
    """
    What is refused whatever the rules say: the ``safety:`` table, or what one rule puts in its place.

    ``connect_ports`` empty means every port.
    """

    connect_ports: frozenset[int] = frozenset({443, 80})
    connect_to: ConnectTo = ConnectTo.NAMES
    tunnel_content: TunnelContent = TunnelContent.TLS_OR_WEBSOCKET
    addresses: frozenset[AddressClass] = frozenset({AddressClass.PUBLIC})
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What the head of an answer says of its content.

    ``media_type`` is empty when it does not say, ``size`` None: it is known only when the content has ended.
    ``is_there`` is false where there is no content to speak of, as in a tunnel.
    """

    media_type: str = ""
    size: int | None = None
    is_there: bool = True


NO_CONTENT = Answer(is_there=False)


@dataclass(slots=True)
class Facts:
    """
    What is known of one exchange when it is decided.

    ``at`` is POSIX seconds.  ``client`` is the client's IP address as text.  ``address_classes``
    is None where no rule asks for it or a parent resolves; else the classes of all addresses of the host.
    So are ``addresses``, these themselves, ``countries`` and ``asns``, the numbers of the networks that have
    them.  ``agent`` is
    the User-Agent.  ``answer`` is None before the head of the answer is there.
    """

    identity: Identity
    client: str
    listener: str
    method: str
    scheme: str
    host: Host
    port: int
    path: str
    categories: tuple[str, ...]
    at: float
    address_classes: frozenset[AddressClass] | None = None
    agent: str = ""
    countries: frozenset[str] | None = None
    asns: frozenset[int] | None = None
    answer: Answer | None = None
    addresses: frozenset[str] | None = None

    @property
    def is_tunnel(self) -> bool:
        """Whether a tunnel is asked for."""
        return self.method == "CONNECT"


@dataclass(frozen=True, slots=True)
class Spent:
    """
    A quota that is used up, for the page that says so: the name of its limit, how much there was, in words.

    ``until`` is when it opens again, in POSIX seconds; 0 for soon.  ``allowed`` is empty where it is not
    known what is left, which is looked at again then.
    """

    limit: str
    allowed: str
    until: float


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What the policy says about one exchange, and which rule said it.

    ``rule`` and ``place`` name the deciding rule and where it stands.  ``reason`` says in words why
    it matched; ``say`` is the rule's own sentence for the person; ``category`` is the
    category that made it match, if one did; ``location`` is where a redirect goes;
    ``warn_seconds`` is how long a confirmed warning lasts; ``safety`` is what
    stays refused in this exchange.  ``would_block`` names the first rule in shadow that would have refused
    it, ``exception`` the exception without which a rule would have.  ``granted`` is until when a grant lifts
    what the rule does, in POSIX seconds, and ``grant`` its id; 0 and empty without one.
    ``may_be_overridden`` says that a grant could.  ``spent`` is the quota that it is for, if it is for one.
    """

    effect: Effect
    rule: str
    place: Place
    reason: str
    say: str = ""
    category: str = ""
    location: str = ""
    warn_seconds: int = 0
    safety: Safety = field(default_factory=Safety)
    would_block: str = ""
    exception: str = ""
    granted: float = 0.0
    grant: str = ""
    may_be_overridden: bool = False
    spent: Spent | None = None
    # The place as the record writes it: decisions are remembered, records are many.
    place_text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place_text", str(self.place))
