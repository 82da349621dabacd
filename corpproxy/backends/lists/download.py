"""
Bringing one list from its publisher, whole and proved: mirrors, what broke off, packing, what is no list.

Nothing here is about what the list says: that is its reader's business.
"""

from __future__ import annotations

import gzip
import html
import posixpath
import re
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from corpproxy.backends.lists.fetch_failed import FetchFailed
from corpproxy.backends.lists.http import Fetched, Fetcher
from corpproxy.backends.lists.parts import drop
from corpproxy.backends.lists.patience import PATIENCE, Patience
from corpproxy.backends.lists.proofs import NotProved, check_checksums, check_digest, check_signature
from corpproxy.backends.lists.shelf import Validators
from corpproxy.backends.lists.trees import BROKEN, MAX_FILES, MAX_LIST_OCTETS, opened
from corpproxy.destination.fetching import Fetch

# What breaks off is gone on with so often, after so many seconds, before the next round.
PAUSES_SECONDS = (2.0, 10.0, 30.0)

# Lists of names shrink to a tenth; what grows a hundredfold from a few octets was made to fill a disk.
MAX_SWELL = 100
_SWELL_FREE_OCTETS = 16 * 1024 * 1024

_READ_OCTETS = 256 * 1024
_BEGINNING_OCTETS = 4096


@dataclass(frozen=True, slots=True)
class Brought:
    """A list that has come, at ``path``."""

    path: Path
    validators: Validators
    octets: int


@dataclass(frozen=True, slots=True)
class Bringing:
    """
    How a list is brought.

    ``folder`` is where parts wait for their rest; ``sleep`` waits between attempts.
    """

    fetch: Fetch
    folder: Path
    patience: Patience = PATIENCE
    sleep: Callable[[float], None] = time.sleep

    def bring(self, path: Path, kept: Validators | None) -> Brought | None:
        """
        Bring the list to ``path``; None when the version that ``kept`` is about is still the newest.

        :raises FetchFailed: with what went wrong at each of its addresses.
        """
        failures = []
        for number, url in enumerate(self.fetch.urls):
            part = self.folder / f".from-{number}"
            try:
                return self._from(url, part, path, kept if kept is not None and kept.url == url else None)
            except FetchFailed as failed:
                failures.append(failed)
        said = [str(one) for one in failures]
        if len(said) > 1:
            said = [f"{url}: {one}" for url, one in zip(self.fetch.urls, said, strict=True)]
        raise FetchFailed("; ".join(said), after=min((one.after for one in failures), default=0.0))

    def _from(self, url: str, part: Path, path: Path, kept: Validators | None) -> Brought | None:
        """Bring it from one address, going on with what broke off."""
        fresh = False
        for pause in (*PAUSES_SECONDS, None):
            try:
                return self._once(url, part, path, kept, fresh=fresh)
            except NotProved as error:
                drop(part)
                failed = FetchFailed(str(error), again=not fresh)
                # Somebody on the way may have kept an old checksum or an old list; once is enough to ask.
                fresh = True
            except FetchFailed as error:
                failed = error
            if pause is None or not failed.again:
                raise failed
            self.sleep(pause)
        raise AssertionError("there is always a last attempt")

    def _once(
        self, url: str, part: Path, path: Path, kept: Validators | None, *, fresh: bool
    ) -> Brought | None:
        fetch = self.fetch
        fetcher = Fetcher(self.patience, fetch.proxy, fetch.authorities, fresh=fresh)
        fetched = fetcher.fetch(url, part, fetch.size, kept)
        if fetched is None:
            return None
        try:
            self._check(fetched, part, path, url, fetcher)
        except BROKEN as error:
            drop(part)
            raise FetchFailed(f"it is broken: {_short(error)}") from error
        except FetchFailed:
            drop(part)
            raise
        drop(part)
        return Brought(path, fetched.validators, fetched.octets)

    def _check(self, fetched: Fetched, part: Path, path: Path, url: str, fetcher: Fetcher) -> None:
        """Unpack what was packed for the way, refuse what is no list, and prove the rest."""
        if fetched.is_gzip:
            with part.open("rb") as packed, path.open("wb") as file:
                _copy(gzip.GzipFile(fileobj=packed), file, _most(fetched.octets))
        else:
            part.replace(path)
        if not path.stat().st_size:
            raise FetchFailed("it is empty")
        self._prove(path, url, fetcher)
        refuse_what_is_no_list(path, fetched.media_type)

    def _prove(self, path: Path, url: str, fetcher: Fetcher) -> None:
        fetch = self.fetch
        if fetch.checksum:
            if "://" in fetch.checksum:
                check_checksums(path, fetcher.small(fetch.checksum), url)
            else:
                check_digest(path, fetch.checksum)
        if fetch.signature:
            check_signature(path, fetcher.small(fetch.signature), fetch.public_key)


def _most(octets: int) -> int:
    return min(MAX_LIST_OCTETS, _SWELL_FREE_OCTETS + MAX_SWELL * octets)


def _copy(packed: gzip.GzipFile, file: IO[bytes], most: int) -> None:
    total = 0
    while piece := packed.read(_READ_OCTETS):
        total += len(piece)
        if total > most:
            raise FetchFailed(_swells(most))
        file.write(piece)


def _swells(most: int) -> str:
    return f"it swells to more than {most // 1024**2:,} MiB when it is unpacked, as no list does"


def refuse_what_is_no_list(path: Path, media_type: str) -> None:
    """
    Refuse a web page, an archive that leads out of itself, and what was made to fill a disk.

    :raises FetchFailed: with what it is; what the readers of broken files raise comes through.
    """
    _refuse_page(path, media_type)
    most = _most(path.stat().st_size)
    with path.open("rb") as file:
        octets = opened(file)
        if octets is not file:
            _refuse_bomb(octets.read, most)
    _refuse_odd_archive(path)


def _refuse_page(path: Path, media_type: str) -> None:
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING_OCTETS)
    text = beginning.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if re.match(r"<(!doctype|html|head|body|\?xml|!--|script)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>([^<]{1,200})", text, re.IGNORECASE)
        said = "it is a web page and no list"
        if title:
            said += f": {' '.join(html.unescape(title[1]).split())!r}"
        raise FetchFailed(said)
    if media_type in ("application/json", "image/png", "image/jpeg", "application/pdf"):
        raise FetchFailed(f"it is of type {media_type} and no list")


def _refuse_bomb(read: Callable[[int], bytes], most: int) -> None:
    total = 0
    while piece := read(_READ_OCTETS):
        total += len(piece)
        if total > most:
            raise FetchFailed(_swells(most))


def _refuse_odd_archive(path: Path) -> None:
    """
    Refuse an archive with members that lead out of it, or are no files, folders or links between them.

    Archives are never unpacked into files, so that such members could do nothing; but one that has them was
    not made to be a list.
    """
    try:
        tar = tarfile.TarFile.open(path, "r:*")
    except (tarfile.TarError, EOFError):
        return
    with tar:
        for number, member in enumerate(tar):
            # tarfile remembers every member that it has seen.
            if number >= MAX_FILES:
                raise FetchFailed(f"the archive holds more than {MAX_FILES:,} files")
            if _leads_out(member.name):
                raise FetchFailed(f"the archive has a member that leads out of it: {member.name[:200]!r}")
            if member.issym():
                to = posixpath.join(posixpath.dirname(member.name), member.linkname)
                if member.linkname.startswith("/") or _leads_out(to):
                    said = f"{member.name[:200]!r} to {member.linkname[:200]!r}"
                    raise FetchFailed(f"the archive has a link that leads out of it: {said}")
            elif not (member.isreg() or member.isdir()):
                said = f"{member.name[:200]!r} is no file, folder or symbolic link"
                raise FetchFailed(f"the archive is no list: its member {said}")


def _leads_out(name: str) -> bool:
    normal = posixpath.normpath(name)
    return normal.startswith(("/", "../")) or normal == ".."


def _short(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
