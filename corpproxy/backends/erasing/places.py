"""
What else has a name or a host: what an erasure reaches beside the record and the store, and what it does not.

What the brake of a list found out about the traffic of last week names hosts; that is rewritten.  A policy, a
password file and what somebody set aside is not ours to change: it is named, with what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from corpproxy.audit.erasure import Erasure, Reached, is_below
from corpproxy.backends.lists.shelf import STATE_FILE, Shelf, ShelfState
from corpproxy.backends.state_folder import POLICIES_FOLDER
from corpproxy.backends.store.aside import ENDINGS, asides
from corpproxy.backends.store.quota_file import QUOTA_FILE
from corpproxy.counted import counted
from corpproxy.destination.brake import Findings
from corpproxy.destination.fetched_place import LISTS_FOLDER

EVIDENCE = "list-evidence"
# The tables of pseudonyms, below the state folder.
PSEUDONYMS_FOLDER = "pseudonyms"

# A policy with all that it includes is far smaller; what is larger is no text that names people.
_MAX_TEXT_OCTETS = 16 * 1024 * 1024


def erase_evidence(state: Path, erasure: Erasure) -> Reached:
    """Take hosts out of what the brake found out about each fetched list; it names no people."""
    return Reached(EVIDENCE, sum(map(partial(_erase_findings, erasure=erasure), _shelves(state, erasure))))


def concerned_evidence(state: Path, erasure: Erasure) -> Reached:
    """What `erase_evidence` would reach."""
    return Reached(EVIDENCE, sum(map(partial(_count_findings, erasure=erasure), _shelves(state, erasure))))


def _shelves(state: Path, erasure: Erasure) -> Iterator[Shelf]:
    if erasure.host and not (erasure.user or erasure.client):
        for found in sorted((state / LISTS_FOLDER).glob(f"*/{STATE_FILE}")):
            yield Shelf(found.parent / "list", 0)


def _erase_findings(shelf: Shelf, erasure: Erasure) -> int:
    with shelf.alone():
        state = shelf.state
        findings, held, count = _left(state, erasure)
        if count:
            shelf.write(_with(state, findings, held))
    return count


def _count_findings(shelf: Shelf, erasure: Erasure) -> int:
    with shelf.alone():
        *_, count = _left(shelf.state, erasure)
    return count


def _left(state: ShelfState, erasure: Erasure) -> tuple[Findings | None, Findings | None, int]:
    """What is left of the findings about the version in use and the one that is held; how many names go."""
    findings, count = _without(state.findings, erasure)
    held, more = (None, 0) if state.held is None else _without(state.held.findings, erasure)
    return findings, held, count + more


def _with(state: ShelfState, findings: Findings | None, held: Findings | None) -> ShelfState:
    kept = state.held
    if kept is not None and held is not None:
        # The sentences are made of the findings, and name the same hosts.
        kept = msgspec.structs.replace(kept, findings=held, reasons=list(kept.codes))
    return msgspec.structs.replace(state, findings=findings, held=kept)


def _without(findings: Findings | None, erasure: Erasure) -> tuple[Findings | None, int]:
    if findings is None:
        return None, 0
    effect = findings.effect
    hosts = [one for one in effect.hosts if not is_below(one.host, erasure.host)]
    changed = msgspec.structs.replace(findings, effect=msgspec.structs.replace(effect, hosts=hosts))
    return changed, len(effect.hosts) - len(hosts)


def places_out_of_reach(state: Path, erasure: Erasure, files: Iterable[Path]) -> list[Reached]:
    """
    Name what may still have it and is not ours to change.

    ``files`` are those of the policy: itself, what it includes, passwords and groups.
    """
    return [
        *_set_aside(state),
        *_policies(state, erasure),
        *_quotas(state, erasure),
        *_files(files, erasure),
    ]


def _set_aside(state: Path) -> Iterator[Reached]:
    for path in asides(state):
        said = f"{path} is a damaged database that was set aside; delete it when nobody needs it any more"
        yield Reached(path.name, 0, is_reached=False, said=said)


def _policies(state: Path, erasure: Erasure) -> Iterator[Reached]:
    folder = state / POLICIES_FOLDER
    named = [one for one in sorted(folder.glob("*")) if any(_names(path, erasure) for path in one.glob("*"))]
    if named:
        one = "kept version of the policy names it; it goes when no record cites it"
        many = "kept versions of the policy name it; they go when no record cites them"
        said = f"{counted(len(named), one, many)}, see 'corpproxy policy list'"
        yield Reached("policies", 0, is_reached=False, said=said)


def _quotas(state: Path, erasure: Erasure) -> Iterator[Reached]:
    # Texts of a database stand one behind the other, without anything between them.
    names = [name.encode() for name in (erasure.user, erasure.client) if name]
    files = [path.read_bytes() for path in _of_quotas(state)] if names else []
    if any(name in octets for name in names for octets in files):
        said = (
            "what is used of a quota has the name until two days after the quota is made good, and is needed"
        )
        yield Reached("quotas", 0, is_reached=False, said=said)


def _of_quotas(state: Path) -> list[Path]:
    return [path for ending in ("", *ENDINGS) if (path := state / f"{QUOTA_FILE}{ending}").exists()]


def _files(files: Iterable[Path], erasure: Erasure) -> Iterator[Reached]:
    for path in dict.fromkeys(files):
        if _names(path, erasure):
            said = f"{path} still names it, and is yours to edit"
            yield Reached(path.name, 0, is_reached=False, said=said)


def _names(path: Path, erasure: Erasure) -> bool:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_TEXT_OCTETS:
            return False
        text = path.read_text("utf-8", "replace")
    except OSError:
        return False
    return any(
        re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)
        for name in (erasure.user, erasure.client, erasure.host)
        if name
    )
