"""
Making a report: from the roll-ups, brought up to date first; of one person from the record itself.

The roll-ups do not say where each person was, so that they may be kept longer than the record.  For a
report of one person what the record has is added up in memory, and read in the same way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from corpproxy.accounting.rollup import RollUp
from corpproxy.accounting.store_address import StoreAddress, in_state_folder
from corpproxy.audit.query import RecordQuery
from corpproxy.audit.record import encode
from corpproxy.audit.times import utc_text
from corpproxy.backends.afterwork.job import AfterworkJob, zone_name
from corpproxy.backends.afterwork.now import afterwork_now
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.reports.figures import TOP, About, read_figures
from corpproxy.backends.reports.trends import PERIODS
from corpproxy.backends.search.index import INDEX_KEY
from corpproxy.backends.search.search import Search
from corpproxy.backends.store.opening import read_at
from corpproxy.backends.store.rollup import Progress, add_sums
from corpproxy.backends.store.schema import store_in_memory
from corpproxy.reports.figures import Figures
from corpproxy.reports.page import as_page
from corpproxy.reports.period import Period
from corpproxy.reports.tables import as_csv, as_json, as_text

WRITERS: dict[str, Callable[[Figures], str]] = {
    "html": as_page,
    "csv": as_csv,
    "json": as_json,
    "text": as_text,
}


@dataclass(frozen=True, slots=True)
class ReportOrder:
    """
    Which report of which site; ``group`` or ``user`` keep to some people.

    ``is_rolled_up`` where the roll-ups were brought up to date just now.
    """

    site: str
    state: Path
    period: Period
    group: str = ""
    user: str = ""
    top: int = TOP
    format: str = "html"
    is_rolled_up: bool = False
    store: StoreAddress | None = None


def make_report(order: ReportOrder, now: float, complain: Callable[[str], None]) -> str:
    """
    Make a report; ``complain`` is told what is missing in it.

    :raises StoreError: when the store cannot be read.
    :raises FileNotFoundError: when there is no record.
    """
    return WRITERS[order.format](figures_of(order, now, complain))


def figures_of(order: ReportOrder, now: float, complain: Callable[[str], None]) -> Figures:
    """Give the figures of a report; raises as `make_report` does."""
    about = About(order.site, order.period, now, order.group, order.user, order.top)
    if order.user:
        with closing(_of_person(order, complain)) as connection:
            return read_figures(connection, about)
    if not order.is_rolled_up:
        failed = afterwork_now(
            AfterworkJob(str(order.state), zone_name(order.period.zone), store=order.store)
        )
        if failed:
            complain(f"the report may lack what came last: {failed}")
    address = order.store or in_state_folder(order.state)
    return read_at(address, lambda connection: read_figures(connection, about))


def _of_person(order: ReportOrder, complain: Callable[[str], None]) -> sqlite3.Connection:
    """Roll-ups of one person, of the period and of those before it, in memory."""
    folder = order.state / RECORDS_FOLDER
    query = RecordQuery(
        user=order.user,
        since=utc_text(order.period.last(PERIODS)[0].begins),
        until=utc_text(order.period.ends),
    )
    try:
        key = (order.state / INDEX_KEY).read_bytes()
    except OSError:
        key = b""
    rolling = RollUp(order.period.zone)
    rolling.take(encode(record) for record in Search(folder, query, complain, key).found())
    deeds = RecordQuery(whom=order.user, since=query.since, until=query.until)
    rolling.take(encode(record) for record in Search(folder, deeds, complain, key).found())
    connection = store_in_memory()
    add_sums(connection, "memory", Progress(), rolling.hand_out(), Progress())
    return connection
