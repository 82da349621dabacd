"""How a fetched list is: its version, age, last result, whether one is held, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from corpproxy.backends.lists.shelf import FAILED, Kept, ShelfState, fetching_since
from corpproxy.counted import counted
from corpproxy.destination.brake import effect_text
from corpproxy.destination.fetching import DAY_SECONDS
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Place, Problem
from corpproxy.masked import masked

# A publisher that answers but has changed nothing for so long may have given its list up.
GIVEN_UP_SECONDS = 180 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Status:
    """
    How a list is.

    Seconds are ages; None where nothing is known.  ``published_seconds`` is since its publisher changed the
    version in force, or since it came where the publisher does not say.  ``fetching_seconds`` is how long it
    is being fetched by now.
    """

    name: str
    source: ListSource
    state: ShelfState
    checked_seconds: float | None
    published_seconds: float | None
    is_stale: bool
    next_seconds: float
    fetching_seconds: float | None = None

    @property
    def in_force(self) -> Kept | None:
        """The version in force."""
        return self.state.in_force

    @property
    def is_given_up(self) -> bool:
        """Whether its publisher seems to have given it up."""
        return (self.published_seconds or 0.0) > GIVEN_UP_SECONDS

    @property
    def stale_text(self) -> str:
        """Why it is stale, in words."""
        if self.checked_seconds is None:
            when = "no source of it ever gave a good answer"
        else:
            when = f"no source of it gave a good answer for {age_text(self.checked_seconds)}"
        return f"{when}; the last said: {self.state.said}" if self.state.result == FAILED else when


def status_of_list(source: ListSource, state: ShelfState, now: float) -> Status:
    """Say how a list is at a moment."""
    assert source.fetch is not None
    checked = max(0.0, now - state.checked) if state.checked else None
    kept = state.in_force
    published = max(0.0, now - (kept.modified or kept.at)) if kept is not None else None
    # One that was never there is missing, which is told louder still; it is stale once it was tried often.
    since = checked if checked is not None else (source.fetch.stale + 1 if state.failures >= 3 else 0.0)
    fetching = fetching_since(source.path.parent)
    return Status(
        source.name,
        source,
        state,
        checked,
        published,
        since > source.fetch.stale,
        state.next_at - now,
        None if fetching is None else max(0.0, now - fetching),
    )


def problems_of(status: Status, place: Place) -> list[Problem]:
    """What somebody should know of a list, at its place in the policy."""
    state, name = status.state, status.name
    found = []

    def say(code: str, said: str) -> None:
        found.append(Problem(place, code, f"list '{name}': {said}", "warning"))

    if state.held is not None:
        why = "; ".join(state.held.reasons)
        say(
            "list-held",
            f"version {state.held.version} is held because {why}; see 'corpproxy lists diff {name}', then "
            f"'corpproxy lists accept {name}' or 'corpproxy lists reject {name}'",
        )
    if status.is_stale:
        say("list-stale", status.stale_text)
    elif state.failures:
        times = counted(state.failures, "time")
        say("list-not-fetched", f"it could not be fetched, {times} in a row: {state.said}")
    elif status.is_given_up:
        age = age_text(status.published_seconds or 0.0)
        say("list-given-up", f"its publisher changed nothing for {age}; has it been given up?")
    return found


def as_mapping(status: Status) -> dict[str, object]:
    """How a list is, for programs."""
    state, kept, source = status.state, status.in_force, status.source
    assert source.fetch is not None
    return {
        "list": status.name,
        "licence": source.licence,
        "urls": [masked(one) for one in source.fetch.urls],
        "version": kept.version if kept is not None else "",
        "entries": kept.total if kept is not None else 0,
        "octets": kept.octets if kept is not None else 0,
        "published_seconds": _rounded(status.published_seconds),
        "checked_seconds": _rounded(status.checked_seconds),
        "next_seconds": round(status.next_seconds),
        "fetching_seconds": _rounded(status.fetching_seconds),
        "result": state.result,
        "said": state.said,
        "failures": state.failures,
        "stale": status.is_stale,
        "given_up": status.is_given_up,
        "held": None
        if state.held is None
        else {
            "version": state.held.version,
            "at": state.held.at,
            "codes": state.held.codes,
            "reasons": state.held.reasons,
            "effect": effect_text(state.held.findings.effect),
        },
        "kept": [one for one in state.forces if one in state.versions],
        "rejected": state.rejected,
        "events": [
            {"at": one.at, "what": one.what, "version": one.version, "by": one.by, "why": one.why}
            for one in state.events
        ],
    }


def _rounded(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def age_text(seconds: float) -> str:
    """An age for people."""
    if seconds >= 2 * DAY_SECONDS:
        return f"{seconds / DAY_SECONDS:.0f} days"
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.0f} hours"
    return counted(round(max(0.0, seconds) / 60), "minute")
