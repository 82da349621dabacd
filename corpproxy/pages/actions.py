"""What the desk of the portal asks the road to do; each is recorded as the deed that it carries."""

from __future__ import annotations

from dataclasses import dataclass

from corpproxy.audit.deeds import Deed
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest


@dataclass(frozen=True, slots=True)
class Ask:
    """Keep a request, and record that it was asked; then `Desk.asked` gives the page."""

    request: AccessRequest
    deed: Deed


@dataclass(frozen=True, slots=True)
class Let:
    """Put a grant into force, keep what became of the request, record it; then `Desk.let` gives the page."""

    grant: Grant
    request: AccessRequest
    deed: Deed


@dataclass(frozen=True, slots=True)
class Refuse:
    """Keep what became of a request, and record it; then `Desk.refused` gives the page."""

    request: AccessRequest
    deed: Deed


@dataclass(frozen=True, slots=True)
class End:
    """End a grant, and record it; then `Desk.ended` gives the page."""

    grant: Grant
    deed: Deed


@dataclass(frozen=True, slots=True)
class Give:
    """Put a grant into force that nobody asked for, and record it; then `Desk.let_through` gives the page."""

    grant: Grant
    deed: Deed


@dataclass(frozen=True, slots=True)
class GiveMore:
    """Give a member of a quota more, keep what became of the request, record it; then `MoreDesk.given`."""

    limit: str
    whom: str
    more: float
    request: AccessRequest
    deed: Deed


DeskAction = Ask | GiveMore | Let | Give | Refuse | End
