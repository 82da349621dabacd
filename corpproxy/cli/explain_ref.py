"""``corpproxy explain --ref``: what was decided on one exchange, by its record and the policy of then."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

import msgspec

from corpproxy.assembly import list_versions
from corpproxy.audit.line import printable
from corpproxy.audit.record import Record
from corpproxy.audit.reference import read_reference
from corpproxy.audit.results import MEANINGS, Kind
from corpproxy.audit.times import utc_text
from corpproxy.backends.lists.files import open_index
from corpproxy.backends.lists.past import PastLists
from corpproxy.backends.policies.history import PUT_ASIDE, History, HistoryError, Run, Version
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.search.find import find_exchange
from corpproxy.cli.audit import Complaints
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.past_policies import PastPolicies
from corpproxy.cli.site import site_of
from corpproxy.config.configuration import Configuration
from corpproxy.policy.explanation_text import as_mapping, as_text
from corpproxy.policy.reasons import asked_in_words, clock
from corpproxy.replay.past import Past, explain_record


@dataclass(frozen=True, slots=True)
class Told:
    """All that is known of one exchange: its record, the policy of then if it is kept, what that says."""

    record: Record
    version: Version | None
    configuration: Configuration | None
    past: Past | None
    lists_now: tuple[str, ...]


def run(options: argparse.Namespace) -> int:
    """Print what was decided; gives the exit code."""
    site = site_of(options, needed=options.records is None)
    folder = options.records or site.state / RECORDS_FOLDER
    record = _record(folder, options.reference)
    told = _told(record, folder.parent)
    zone = told.configuration.time_zone if told.configuration is not None else site.zone
    if options.json:
        print(json.dumps(_mapping(told, zone), indent=2))
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(told, zone)))
    return 0


def _record(folder: Path, written: str) -> Record:
    """The record that ended the exchange, or the last there is of one that runs."""
    try:
        reference = read_reference(written)
    except ValueError as wrong:
        raise CommandFailed(str(wrong), WRONG_USAGE) from wrong
    complaints = Complaints()
    try:
        found = find_exchange(folder, reference, complaints)
    except FileNotFoundError as error:
        raise CommandFailed(f"{error.filename}: there are no records; the service makes them") from error
    complaints.sum_up()
    if not found:
        said = (
            f"no record has the reference {reference}: it is written when the exchange is over, and deleted "
            "with the oldest segments (audit: keep)"
        )
        raise CommandFailed(said)
    return found[-1]


def _told(record: Record, state: Path) -> Told:
    configuration = PastPolicies(state)(record.policy)
    index = open_index(state)
    past = None
    if configuration is not None and record.decision:
        past = explain_record(record, configuration, index, PastLists(state))
    return Told(record, _version(record, state), configuration, past, list_versions(index))


def _version(record: Record, state: Path) -> Version | None:
    try:
        return History(state).version(record.policy) if record.policy else None
    except HistoryError:
        return None


def _lines(told: Told, zone: tzinfo) -> Iterator[str]:
    record = told.record
    yield f"{record.id}: {_result(record)}"
    yield from _happened(record)
    if record.exemption:
        yield printable(_exemption(record, told.configuration))
    yield _policy(told, zone)
    if record.lists:
        yield f"lists then: {', '.join(record.lists)}{_lists_since(told)}"
    yield ""
    if told.past is None:
        yield from _record_alone(told, zone)
        return
    yield from map(printable, as_text(told.past.explanation, zone).rstrip("\n").split("\n"))
    yield from _agreed(told.past, record)
    if told.past.unknown:
        yield ""
        yield from (f"not known: {one}" for one in told.past.unknown)


def _result(record: Record) -> str:
    if record.kind not in (Kind.EXCHANGE, Kind.CLOSING):
        return "it still runs, or its closing record was lost"
    return f"{record.result}. {MEANINGS[record.result]}"


def _happened(record: Record) -> Iterator[str]:
    parts = [f"began {record.at}", f"took {record.seconds:.3f} s"]
    if record.status:
        parts.append(f"answered {record.status}")
    parts.append(f"{record.received} octets from the client, {record.sent} to it")
    yield ", ".join(parts)
    if record.failure and record.failure != record.result:
        yield printable(f"failure: {record.failure}" + (f" ({record.phase})" if record.phase else ""))
    if record.granted:
        yield printable(
            f"let past by grant {record.grant or 'of a confirmed warning'} until {record.granted}"
        )
    if record.ended_rule:
        yield printable(f"ended by '{record.ended_rule}' at {record.ended_place}: {record.ended_reason}")
    if record.within:
        yield f"within {record.within}"


def _exemption(record: Record, configuration: Configuration | None) -> str:
    """Which exemption it was, and what it asks by the policy of then."""
    said = f"nobody was asked to sign in: the exemption at {record.exemption} held"
    entries = configuration.exemptions.entries if configuration is not None else ()
    found = next((one for one in entries if str(one.place) == record.exemption), None)
    if found is None:
        return said
    asked = "; ".join(words for _, words in asked_in_words(found))
    return f"{said} ({asked})"


def _policy(told: Told, zone: tzinfo) -> str:
    version = told.record.policy
    if not version:
        return "policy: the record names no version"
    if told.version is None:
        return f"policy: version {version}, whose text is not kept any more"
    run = _run_then(told.version, told.record)
    said = f"policy: version {version}, in force from {clock(run.at, zone)} ({run.why} by {run.by})"
    return said if told.configuration is not None else f"{said}, which cannot be loaded any more"


def _run_then(version: Version, record: Record) -> Run:
    """The run of a version that a record is from: the last before it, as far as runs are still told."""
    runs = [run for run in version.runs if run.why != PUT_ASIDE] or list(version.runs)
    before = [run for run in runs if utc_text(run.at) <= record.at]
    return (before or runs[:1])[-1]


def _lists_since(told: Told) -> str:
    changed = sorted(set(told.record.lists) - set(told.lists_now))
    return f" (not those of now: {', '.join(changed)})" if changed else " (the same as now)"


def _record_alone(told: Told, zone: tzinfo) -> Iterator[str]:
    """What the record says by itself, where no rule was asked or the policy of then is gone."""
    record = told.record
    target = f"{record.host}:{record.port}{record.path}" if record.host else "nothing that could be read"
    yield printable(f"{record.method or '-'} {target}")
    yield printable(f"who: {record.user or 'nobody'} ({record.source or 'unknown'}), from {record.client}")
    if record.groups:
        yield printable(f"groups: {', '.join(record.groups)}")
    if record.categories:
        yield printable(f"categories: {', '.join(record.categories)}")
    yield ""
    if not record.decision:
        yield "no rule was asked: it ended before"
        return
    place = f" at {record.place}" if record.place else ""
    by = f"'{record.rule}'{place}" if record.rule else "no rule"
    yield printable(f"{record.decision} by {by}: {record.reason}")
    if record.entry:
        yield printable(f"category {record.category}: list {record.list}, entry {record.entry}")
    for said, value in (
        ("exception", record.exception),
        ("in shadow, would have refused it", record.would_block),
    ):
        if value:
            yield printable(f"{said}: '{value}'")
    yield ""
    yield "not known: what the other rules were, and why they did not match, for the policy of then is gone"


def _agreed(past: Past, record: Record) -> Iterator[str]:
    """Whether the policy of then, asked again, says what the record says."""
    if past.agrees:
        return
    by = f"'{record.rule}'" if record.rule else "no rule"
    yield ""
    yield printable(f"by the record it was {record.decision} by {by}: {record.reason}")


def _mapping(told: Told, zone: tzinfo) -> dict[str, Any]:
    past, version = told.past, told.version
    return {
        "reference": told.record.id,
        "record": msgspec.to_builtins(told.record),
        "policy": {
            "version": told.record.policy,
            "is_kept": version is not None,
            "runs": [msgspec.to_builtins(run) for run in version.runs] if version is not None else [],
        },
        "lists": {"then": list(told.record.lists), "now": list(told.lists_now)},
        "explanation": None if past is None else as_mapping(past.explanation, zone),
        "agrees": None if past is None else past.agrees,
        "not_known": [] if past is None else list(past.unknown),
    }
