"""
A file that comes in parts: a transfer that broke off goes on where it was (RFC 9110, section 14).

It does so if what stands there is still the same; what is known of a part stands beside it.
"""

from __future__ import annotations

import http.client
import os
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from corpproxy.backends.lists.fetch_failed import FetchFailed
from corpproxy.backends.lists.patience import Patience

# Validators are said back to the server with each request; real ones have fifty characters.
MAX_VALIDATOR = 512
# How what is packed for the way is called.
GZIP = ("gzip", "x-gzip")

_PLAIN = ("", "identity")
_READ_OCTETS = 64 * 1024
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class Part(msgspec.Struct, frozen=True):
    """What is known of a file that has come in part; it stands beside the part."""

    url: str
    validator: str
    octets: int
    encoding: str


def part_of(path: Path, url: str) -> Part | None:
    """What has come of a file before, if it can be gone on with."""
    try:
        part = msgspec.json.decode(_part_file(path).read_bytes(), type=Part)
        has = path.stat().st_size
    except (OSError, msgspec.MsgspecError):
        drop(path)
        return None
    if part.url != url or not part.validator or not 0 < has < part.octets:
        drop(path)
        return None
    return part


def drop(path: Path) -> None:
    """Forget what came of a file."""
    path.unlink(missing_ok=True)
    _part_file(path).unlink(missing_ok=True)


def begun(answer: http.client.HTTPResponse, url: str, path: Path) -> Part:
    """Note what begins to come."""
    encoding = answer.getheader("Content-Encoding", "").strip().lower()
    if encoding not in (*_PLAIN, *GZIP):
        raise FetchFailed(f"it is packed in a way nobody asked for ({encoding[:40]})")
    octets = answer.length or 0
    part = Part(url, _strong_validator(answer), octets, encoding)
    _part_file(path).write_bytes(msgspec.json.encode(part))
    return part


def continued(part: Part, path: Path) -> dict[str, str]:
    """The fields that ask for the rest."""
    return {"Range": f"bytes={path.stat().st_size}-", "If-Range": part.validator}


def check_rest(answer: http.client.HTTPResponse, part: Part, path: Path) -> None:
    """Refuse a rest that does not belong to what has come; the whole is then asked for again."""
    match = _RANGE.fullmatch(answer.getheader("Content-Range", "").strip())
    is_rest = match is not None and (int(match[1]), int(match[3])) == (path.stat().st_size, part.octets)
    same = part.validator in (answer.getheader("ETag", ""), answer.getheader("Last-Modified", ""))
    encoding = answer.getheader("Content-Encoding", "").strip().lower()
    if not is_rest or not same or encoding != part.encoding:
        drop(path)
        raise FetchFailed("it changed while it was fetched", again=True)


def receive(answer: http.client.HTTPResponse, path: Path, part: Part, limit: int, patience: Patience) -> None:
    """Write what comes to the end of a file; what has come when it breaks off stays."""
    pace = LeastPace(patience, time.monotonic)
    with path.open("ab") as file:
        total = file.tell()
        while piece := answer.read1(_READ_OCTETS):
            total += len(piece)
            check_size(total, limit)
            file.write(piece)
            pace.take(len(piece))
        os.fsync(file.fileno())
    if part.octets and total != part.octets:
        said = f"it broke off after {total:,} of {part.octets:,} octets"
        raise FetchFailed(said, again=True)
    _part_file(path).unlink(missing_ok=True)


def check_size(octets: int, limit: int) -> None:
    """Refuse what is larger than it may be."""
    if octets > limit:
        raise FetchFailed(f"it has {octets:,} octets, and at most {limit:,} are fetched (size:)")


class LeastPace:
    """Watches that enough comes."""

    def __init__(self, patience: Patience, clock: Callable[[], float]) -> None:
        self._patience = patience
        self._clock = clock
        self._began = clock()
        self._came = 0

    def take(self, octets: int) -> None:
        """Note what came; raises FetchFailed when it is too little."""
        self._came += octets
        now = self._clock()
        if now - self._began < self._patience.slow:
            return
        if self._came < self._patience.slow_octets:
            said = f"it sends too slowly: {self._came:,} octets in {now - self._began:.0f} s"
            raise FetchFailed(said, again=True)
        self._began, self._came = now, 0


def _strong_validator(answer: http.client.HTTPResponse) -> str:
    """What tells that two parts belong together: a strong ETag, or a time that lies well in the past."""
    etag = answer.getheader("ETag", "")
    if etag:
        return sendable(etag) if etag.startswith('"') else ""
    modified, date = answer.getheader("Last-Modified", ""), answer.getheader("Date", "")
    try:
        gap = parsedate_to_datetime(date) - parsedate_to_datetime(modified)
    except (ValueError, TypeError):
        return ""
    # RFC 9110, section 8.8.2.2: what was written a moment ago may be written again in the same second.
    return sendable(modified) if gap.total_seconds() >= 60 else ""


def sendable(written: str) -> str:
    """What a server said, if it can be said back to it."""
    return written if len(written) <= MAX_VALIDATOR and written.isprintable() else ""


def _part_file(path: Path) -> Path:
    return path.with_name(path.name + ".part")
