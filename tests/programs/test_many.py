"""ApacheBench: many requests at once, and what the books say of them afterwards."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable

from tests.programs.case import PEOPLE, ProgramCase, needs
from tests.support.running import CHECKOUT

REQUESTS = 2000
# Records and usage are written within a second; a busy machine may take longer.
WRITTEN_SECONDS = 60.0


@needs("ab")
class ManyTests(ProgramCase):
    """Two thousand requests by one person, fifty at once."""

    people = PEOPLE

    def test_books(self) -> None:
        """None fails; each has one record; record, usage and program count the same octets."""
        counted = self.bench()
        self.until(lambda: len(self.proxy.closed(user="beth")) >= REQUESTS)
        records = self.proxy.closed(user="beth")
        self.assertEqual((len(records), len({record.id for record in records})), (REQUESTS, REQUESTS))
        self.assertEqual(sum(record.sent for record in records), counted)
        self.until(lambda: int(self.used()["exchanges"]) >= REQUESTS)
        used: dict[str, int | str] = {"user": "beth", "exchanges": REQUESTS, "sent_octets": counted}
        used["received_octets"] = sum(record.received for record in records)
        found = self.used()
        # A minute is judged when it is over.
        found.pop("active_minutes")
        self.assertEqual(found, used)

    def bench(self) -> int:
        """Send the requests; gives the octets that came back."""
        words = ["-n", REQUESTS, "-c", 50, "-X", f"127.0.0.1:{self.proxy.forward}"]
        sign_in = ["-P", f"beth:{self.people['beth']}"]
        said = self.program(["ab", *words, *sign_in, self.origin.http("/token")]).stdout
        self.assertRegex(said, r"Failed requests: +0\n")
        self.assertNotIn("Non-2xx", said)
        counted = re.search(r"Total transferred: +([0-9]+) bytes", said)
        assert counted is not None
        return int(counted[1])

    def used(self) -> dict[str, int | str]:
        """What ``corpproxy usage`` says of this person."""
        command = [sys.executable, "-m", "corpproxy", "usage", "--policy", self.proxy.policy]
        said = self.program([*command, "--by", "user", "--format", "json"], PYTHONPATH=CHECKOUT).stdout
        rows = [row for row in json.loads(said)["rows"] if row["user"] == "beth"]
        return rows[0] if rows else {"exchanges": 0}

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is written."""
        ends = time.monotonic() + WRITTEN_SECONDS
        while not holds() and time.monotonic() < ends:
            time.sleep(0.1)
