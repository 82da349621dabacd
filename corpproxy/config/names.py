"""How host names are looked up: the ``names:`` table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NameSettings:
    """
    Which servers answer for which names.

    ``servers`` empty means those of the system.  ``domains`` sends a domain and all below it to servers of
    its own; the longest matching domain wins.  ``hosts`` are answers written in the policy, before
    ``/etc/hosts``; they hold for the name itself only.  A server is ``address`` or ``(address, port)``.
    """

    servers: tuple[tuple[str, int], ...] = ()
    domains: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)
