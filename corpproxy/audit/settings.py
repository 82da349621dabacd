"""What the record keeps, and what its files do: the ``audit:`` table."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from corpproxy.audit.discretion import Level
from corpproxy.audit.pseudonyms import PseudonymSettings
from corpproxy.audit.sinks import SinkSettings


class WhenFull(enum.StrEnum):
    """What happens while the record cannot be written: answer 503, or go on and count what is lost."""

    STOP = "stop"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Keeping:
    """
    How long what is kept, in seconds; 0 is for ever.

    ``url``, ``host`` and ``user`` are the groups of a record (`corpproxy.audit.proof`): the path; where
    somebody went; who it was.  ``record`` is the record itself, ``account`` are the sums of usage.
    """

    url: float = 0.0
    host: float = 0.0
    user: float = 0.0
    account: float = 0.0
    record: float = 0.0


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """
    What the record keeps, and what its files do.

    ``query``: keep query strings, with the values of known secrets blanked.  ``user_agent``: keep
    User-Agent.
    ``rotate_octets``: begin a new segment once the open one is as long; 0 for never.
    ``rotate_daily``: begin a new segment each UTC day.  ``keep_segments``: delete the oldest
    segments beyond so many; 0 keeps all.  ``keep``: see :class:`Keeping`.
    ``compress``: pack closed segments.
    ``disk_octets``: delete the oldest closed segments once all together are longer; 0 for never.
    ``levels``: how much is recorded, by category.  ``pseudonyms``: whether people have them.
    ``when_full``: see :class:`WhenFull`.  ``checkpoints_to``: folders elsewhere that get every checkpoint,
    too; ``to``: the sinks.
    """

    query: bool = False
    user_agent: bool = True
    rotate_octets: int = 256 * 1024 * 1024
    rotate_daily: bool = True
    keep_segments: int = 0
    keep: Keeping = Keeping()
    compress: bool = True
    disk_octets: int = 0
    levels: Mapping[str, Level] = field(default_factory=dict)
    pseudonyms: PseudonymSettings = field(default_factory=PseudonymSettings)
    when_full: WhenFull = WhenFull.STOP
    checkpoints_to: tuple[Path, ...] = ()
    to: tuple[SinkSettings, ...] = ()
