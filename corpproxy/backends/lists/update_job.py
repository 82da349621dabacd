"""What the process that updates fetched lists is told, and what it tells."""

from __future__ import annotations

import msgspec


class UpdateJob(msgspec.Struct, frozen=True):
    """
    What to update: lists of a policy by name, all that are fetched where none is named.

    ``texts`` are those of the policy in force, by path relative to the folder of the policy.
    """

    policy: str
    texts: dict[str, bytes]
    names: list[str] = []


class Outcome(msgspec.Struct, frozen=True):
    """What came of one list: ``taken``, ``unchanged``, ``held`` or ``failed``, and a sentence."""

    name: str
    result: str
    said: str
