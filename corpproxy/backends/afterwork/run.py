"""
The afterwork of the record: run as ``python -m corpproxy.backends.afterwork.run``, with a job on stdin.

Each part is done whatever became of the others; what cannot be done is told in a line on stderr, and tried
again the next time.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from corpproxy.backends.afterwork.job import AfterworkJob, decoded
from corpproxy.backends.afterwork.making import make_indexes, roll_up
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.search.index import INDEX_KEY
from corpproxy.backends.state_folder import kept_key
from corpproxy.errors import CorpproxyError

# The service goes first where there is one core for both.
NICENESS = 10

# Held while the work is done; who finds it held leaves the work to the other.
_LOCK = "afterwork.lock"


def do_afterwork(job: AfterworkJob, say: Callable[[str], None]) -> None:
    """Do what is to be done; ``say`` is told what cannot be."""
    state = Path(job.state)
    folder = state / RECORDS_FOLDER
    if not folder.is_dir():
        return
    zone = UTC if job.zone == "UTC" else ZoneInfo(job.zone)
    lock = os.open(state / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if job.waits else fcntl.LOCK_NB))
    except BlockingIOError:
        return
    else:
        works: tuple[tuple[str, Callable[[], int]], ...] = (
            ("roll-ups", lambda: roll_up(folder, job.address, zone, time.time())),
            ("indexes", lambda: make_indexes(folder, kept_key(state / INDEX_KEY), say)),
        )
        for what, work in works:
            try:
                work()
            except (OSError, CorpproxyError) as error:
                said = error.message if isinstance(error, CorpproxyError) else str(error)
                say(f"{what} could not be made: {said}")
        if job.reports:
            _make_reports(job, zone, say)
    finally:
        os.close(lock)


def _make_reports(job: AfterworkJob, zone: tzinfo, say: Callable[[str], None]) -> None:
    # It needs what makes pages, which is left out where nobody asks for reports.
    from corpproxy.backends.reports.errand import ReportErrand
    from corpproxy.reports.period import days_of_reports

    errand = ReportErrand(
        Path(job.state), job.site, job.mail, time.time(), is_rolled_up=True, store=job.address
    )
    try:
        for sentence in errand.make_due(job.reports, days_of_reports(zone, job.day_begins)):
            say(sentence)
    except OSError as error:
        say(f"reports could not be made: {error}")


def main() -> int:
    """Do the job on stdin; gives the exit code."""
    with suppress(OSError):
        os.nice(NICENESS)
    said: list[str] = []
    do_afterwork(decoded(sys.stdin.buffer.read()), said.append)
    sys.stderr.writelines(f"{one}\n" for one in said)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
