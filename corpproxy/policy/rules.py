"""A rule: who asks for what when, and what then happens."""

from __future__ import annotations

from dataclasses import dataclass, field

from corpproxy.errors import NOWHERE, Place
from corpproxy.policy.conditions import What, When, Who
from corpproxy.policy.model import Effect, Safety
from corpproxy.policy.staged import FOR_EVERYBODY, Stage

# How long a confirmed warning lasts unless its rule says otherwise: a working day, as people expect.
WARN_SECONDS = 8 * 3600


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule of the policy; the first that matches decides.

    ``say`` is its sentence for the person.  ``location`` is where a redirect goes; ``{host}`` and ``{uri}``
    in it are replaced by those asked for, percent-encoded.  ``safety`` stands in the place of the table's
    entries for what this rule lets through.  ``stage`` says how far it counts, ``exceptions`` whether any may
    go past it, ``override`` whether a grant may.
    """

    name: str
    effect: Effect
    who: Who = field(default_factory=Who)
    what: What = field(default_factory=What)
    when: tuple[When, ...] = ()
    say: str = ""
    location: str = ""
    warn_seconds: int = WARN_SECONDS
    safety: Safety | None = None
    stage: Stage = FOR_EVERYBODY
    exceptions: bool = True
    override: bool = True
    place: Place = NOWHERE

    @property
    def may_be_overridden(self) -> bool:
        """Whether a grant may go past it: past one that warns, and one that blocks and does not forbid it."""
        return self.effect is Effect.WARN or (self.effect is Effect.BLOCK and self.override)

    @property
    def refuses(self) -> bool:
        """Whether it takes something away; what cannot be known (a missing list) then counts as holding."""
        return self.effect is not Effect.ALLOW
