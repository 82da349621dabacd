"""
Fetching over http and https with patience that ends, for a process of its own: everything here blocks.

A list that did not change is not sent again (RFC 9110, section 13).
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from corpproxy import __version__
from corpproxy.backends.lists.fetch_failed import FetchFailed, in_words, refused
from corpproxy.backends.lists.parts import (
    GZIP,
    begun,
    check_rest,
    check_size,
    continued,
    drop,
    part_of,
    receive,
    sendable,
)
from corpproxy.backends.lists.patience import Patience, PatientSocket
from corpproxy.backends.lists.shelf import Validators

AGENT = f"corpproxy/{__version__}"

MAX_REDIRECTS = 5
# Files of checksums and signatures.
MAX_SMALL_OCTETS = 1024 * 1024

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that has come whole; ``is_gzip`` says that it was packed for the way."""

    validators: Validators
    octets: int
    is_gzip: bool
    media_type: str


class Fetcher:
    """
    Fetches files.

    ``proxy`` is a URL or empty, ``authorities`` a file of certificates in the place of the system's.
    """

    def __init__(
        self, patience: Patience, proxy: str = "", authorities: Path | None = None, *, fresh: bool = False
    ) -> None:
        self._patience = patience
        self._proxy = proxy
        self._authorities = authorities
        # Asks those on the way for what the server has now.
        self._more = {"Cache-Control": "no-cache"} if fresh else {}

    def fetch(self, url: str, path: Path, limit: int, kept: Validators | None) -> Fetched | None:
        """
        Fetch a file of at most ``limit`` octets to ``path``; None when it is still the one we have.

        ``kept`` are the validators of that, if it came from this URL.  What came before a failure stays at
        ``path``, and the next call goes on there.

        :raises FetchFailed: with the reason.
        """
        part = part_of(path, url)
        conditions = _conditions(kept) if part is None else continued(part, path)
        with self._asked(url, {**conditions, "Accept-Encoding": "gzip"}) as answer:
            if answer.status == HTTPStatus.NOT_MODIFIED and part is None and conditions:
                return None
            if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and part is not None:
                drop(path)
                raise FetchFailed("it does not go on with what it began to send", again=True)
            if answer.status == HTTPStatus.PARTIAL_CONTENT and part is not None:
                check_rest(answer, part, path)
            elif answer.status == HTTPStatus.OK:
                drop(path)
                part = begun(answer, url, path)
            else:
                raise refused(answer)
            check_size(part.octets, limit)
            receive(answer, path, part, limit, self._patience)
            return Fetched(
                _validators(answer, url), path.stat().st_size, part.encoding in GZIP, _media(answer)
            )

    def small(self, url: str) -> bytes:
        """Fetch a small file whole; raises FetchFailed."""
        with self._asked(url, {"Accept-Encoding": "identity"}) as answer:
            if answer.status != HTTPStatus.OK:
                raise FetchFailed(f"{url}: {refused(answer)}")
            octets = answer.read(MAX_SMALL_OCTETS + 1)
            if len(octets) > MAX_SMALL_OCTETS:
                raise FetchFailed(f"{url} is too large to be a checksum or a signature")
            if answer.length:
                raise FetchFailed(f"{url}: it broke off", again=True)
            return octets

    @contextlib.contextmanager
    def _asked(self, url: str, fields: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Ask for a URL and go where it is redirected to."""
        until = time.monotonic() + self._patience.whole
        seen: list[str] = []
        at = url
        while True:
            seen.append(at)
            with in_words(at, self._patience):
                connection = self._connected(at, until)
                with contextlib.closing(connection):
                    connection.request("GET", _target(at, self._proxy), headers=self._fields(at, fields))
                    with contextlib.closing(connection.getresponse()) as answer:
                        if answer.status not in _REDIRECTS:
                            yield answer
                            return
            at = _redirected(answer, at, seen)

    def _fields(self, url: str, fields: Mapping[str, str]) -> dict[str, str]:
        parts = urlsplit(url)
        own = {"Host": parts.netloc, "User-Agent": AGENT, "Accept": "*/*", "Connection": "close"}
        return {**own, **self._more, **fields}

    def _connected(self, url: str, until: float) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
        to, by = (host, port), self._proxy
        if by:
            proxy = urlsplit(by)
            to = proxy.hostname or "", proxy.port or 3128
        connection = http.client.HTTPConnection(*to, timeout=self._patience.connect)
        if by and is_tls:
            connection.set_tunnel(host, port, {"User-Agent": AGENT})
        connection.connect()
        if is_tls:
            connection.sock = self._context().wrap_socket(connection.sock, server_hostname=host)
        # It has the two methods that the connection uses.
        connection.sock = cast(Any, PatientSocket(connection.sock, self._patience.silence, until))
        return connection

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self._authorities) if self._authorities else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def _target(url: str, proxy: str) -> str:
    """The request target: absolute to a proxy that relays, origin form else."""
    parts = urlsplit(url)
    if proxy and parts.scheme == "http":
        return url
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _redirected(answer: http.client.HTTPResponse, at: str, seen: list[str]) -> str:
    location = answer.getheader("Location", "")
    to = urljoin(at, location).partition("#")[0]
    parts = urlsplit(to)
    if not location or parts.scheme not in ("http", "https") or not parts.hostname or not to.isascii():
        raise FetchFailed(f"it redirects to '{location[:200]}', which is no URL to fetch a list from")
    if parts.scheme == "http" and at.startswith("https:"):
        raise FetchFailed(
            f"it redirects from https to plain http ({to[:200]}), where anybody could change it"
        )
    if to in seen:
        raise FetchFailed(f"it redirects in a circle, to {to[:200]} again")
    if len(seen) > MAX_REDIRECTS:
        raise FetchFailed(f"it redirects more than {MAX_REDIRECTS} times")
    return to


def _conditions(kept: Validators | None) -> dict[str, str]:
    if kept is None:
        return {}
    fields = {"If-None-Match": kept.etag, "If-Modified-Since": kept.last_modified}
    return {name: value for name, value in fields.items() if value}


def _validators(answer: http.client.HTTPResponse, url: str) -> Validators:
    etag, modified = answer.getheader("ETag", ""), answer.getheader("Last-Modified", "")
    return Validators(url, sendable(etag), sendable(modified))


def _media(answer: http.client.HTTPResponse) -> str:
    return answer.getheader("Content-Type", "").partition(";")[0].strip().lower()
