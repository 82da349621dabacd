"""The identity: who is asking, as far as it is known, and how it came to be known."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class GroupSource(enum.StrEnum):
    """Where it is written that somebody is in a group."""

    POLICY = "policy"
    FILE = "file"
    NETWORK = "network"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Identity:
    """
    Who is asking.

    ``name`` is the user in its normal form, empty when nobody signed in.  ``groups`` are sorted.
    ``source`` says how it is known: ``basic``, ``network`` (the address of a room or a device),
    ``exempt`` (the policy asks for no credentials there) or ``anonymous``.  ``groups_from`` says for each of
    the groups where it comes from (`GroupSource`), ``exempt_by`` where the exemption stands by which nobody
    was asked; they are evidence, and decide nothing.
    """

    name: str
    groups: tuple[str, ...] = ()
    source: str = "basic"
    groups_from: tuple[str, ...] = field(default=(), compare=False)
    exempt_by: str = field(default="", compare=False)

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is named."""
        return not self.name


ANONYMOUS = Identity("", (), "anonymous")
UNASKED = Identity("", (), "unasked")
EXEMPT = Identity("", (), "exempt")
