"""
Fetching over http and https with patience that ends, for a process of its own: everything here blocks.

A transfer that broke off goes on where it was (RFC 9110, section 14), if what stands there is still the same;
a list that did not change is not sent again (section 13).
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import msgspec

from corpproxy import __version__
from corpproxy.audit.line import printable
from corpproxy.backends.lists.shelf import Validators
from corpproxy.masked import masked

AGENT = f"corpproxy/{__version__}"

MAX_REDIRECTS = 5
# Files of checksums and signatures.
MAX_SMALL_OCTETS = 1024 * 1024
# A server that asks us to stay away for a month is heard, but not believed.
MAX_RETRY_AFTER_SECONDS = 2 * 86_400.0

# Validators are said back to the server with each request; real ones have fifty characters.
MAX_VALIDATOR = 512

_READ_OCTETS = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_PLAIN = ("", "identity")
_GZIP = ("gzip", "x-gzip")


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long a server is waited for, in seconds, and how little it may send.

    After ``slow`` seconds, and in each such span after it, ``slow_octets`` must have come.
    """

    connect: float = 20.0
    silence: float = 60.0
    whole: float = 1800.0
    slow: float = 120.0
    slow_octets: int = 64 * 1024


PATIENCE = Patience()


class FetchFailed(Exception):
    """
    A list could not be fetched; the text says why, in words for the administrator.

    ``again`` says that trying once more, at once, may help; ``after`` is when the server said to come back,
    in seconds from now, or 0.
    """

    def __init__(self, said: str, *, again: bool = False, after: float = 0.0) -> None:
        # A server writes parts of it, and must not speak to the terminal of who reads it.  Addresses in it
        # may have the key of a licence.
        super().__init__(printable(masked(said)))
        self.again = again
        self.after = after


class Part(msgspec.Struct, frozen=True):
    """What is known of a file that has come in part; it stands beside the part."""

    url: str
    validator: str
    octets: int
    encoding: str


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
        part = _part_of(path, url)
        conditions = _conditions(kept) if part is None else _continued(part, path)
        with self._asked(url, {**conditions, "Accept-Encoding": "gzip"}) as answer:
            if answer.status == HTTPStatus.NOT_MODIFIED and part is None and conditions:
                return None
            if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and part is not None:
                drop(path)
                raise FetchFailed("it does not go on with what it began to send", again=True)
            if answer.status == HTTPStatus.PARTIAL_CONTENT and part is not None:
                _check_rest(answer, part, path)
            elif answer.status == HTTPStatus.OK:
                drop(path)
                part = _begun(answer, url, path)
            else:
                raise _refused(answer)
            _check_size(part.octets, limit)
            _receive(answer, path, part, limit, self._patience)
            return Fetched(
                _validators(answer, url), path.stat().st_size, part.encoding in _GZIP, _media(answer)
            )

    def small(self, url: str) -> bytes:
        """Fetch a small file whole; raises FetchFailed."""
        with self._asked(url, {"Accept-Encoding": "identity"}) as answer:
            if answer.status != HTTPStatus.OK:
                raise FetchFailed(f"{url}: {_refused(answer)}")
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
            with _in_words(at, self._patience):
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
        connection.sock = cast(Any, _Patient(connection.sock, self._patience.silence, until))
        return connection

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self._authorities) if self._authorities else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class _Patient:
    """A socket that waits for octets no longer than it should, and not for ever for many small ones."""

    def __init__(self, sock: socket.socket, silence: float, until: float) -> None:
        self._socket = sock
        self._silence = silence
        self._until = until
        self._is_read = False

    def sendall(self, octets: bytes) -> None:
        """Send octets."""
        with self._waiting():
            self._socket.sendall(octets)

    def makefile(self, mode: str) -> io.BufferedReader:
        """A file to read from, which closes the socket with it."""
        self._is_read = True
        return io.BufferedReader(_Raw(self))

    def recv_into(self, buffer: Any) -> int:
        """Receive octets."""
        with self._waiting():
            return self._socket.recv_into(buffer)

    def close(self) -> None:
        """Close the socket, unless somebody still reads: a connection is closed before its answer."""
        if not self._is_read:
            self._socket.close()

    def end(self) -> None:
        """Close the socket: who read from it is done."""
        self._socket.close()

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        left = self._until - time.monotonic()
        if left <= 0:
            raise _TookTooLong
        self._socket.settimeout(min(self._silence, left))
        try:
            yield
        except TimeoutError:
            if left < self._silence:
                raise _TookTooLong from None
            raise


class _TookTooLong(Exception):
    """The whole took too long."""


class _Raw(io.RawIOBase):
    def __init__(self, sock: _Patient) -> None:
        super().__init__()
        self._socket = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        super().close()
        self._socket.end()


@contextlib.contextmanager
def _in_words(url: str, patience: Patience) -> Iterator[None]:
    """Say what goes wrong on the way in words."""
    host = urlsplit(url).netloc
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise FetchFailed(f"the certificate of {host} is not good: {error.verify_message}") from error
    except TimeoutError as error:
        raise FetchFailed(f"{host} sends nothing for {patience.silence:.0f} s", again=True) from error
    except _TookTooLong:
        said = f"{host} is not done after {patience.whole / 60:.0f} minutes"
        raise FetchFailed(said, again=True) from None
    except ssl.SSLError as error:
        raise FetchFailed(f"{host} speaks no TLS that we do: {error.reason or error}") from error
    except socket.gaierror as error:
        raise FetchFailed(f"{host} cannot be looked up: {error.strerror}") from error
    except (http.client.IncompleteRead, ConnectionError, http.client.RemoteDisconnected) as error:
        raise FetchFailed(f"{host} broke off: {_short(error)}", again=True) from error
    except http.client.HTTPException as error:
        raise FetchFailed(f"what {host} sends is no HTTP: {_short(error)}") from error
    except OSError as error:
        if error.filename is not None:
            raise FetchFailed(f"{error.filename}: {error.strerror}") from error
        raise FetchFailed(f"{host}: {error.strerror or error}") from error


def _short(error: BaseException) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "it sent less than it said"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error) or type(error).__name__)[:200]


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


def _refused(answer: http.client.HTTPResponse) -> FetchFailed:
    """Why an answer brings no list."""
    if answer.status == HTTPStatus.NOT_MODIFIED:
        return FetchFailed("it says that nothing changed (304), and there is nothing that it could mean")
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        return FetchFailed("it sends a part (206) although the whole was asked for")
    said = f"it answers {answer.status} {answer.reason[:60]}".strip()
    after = retry_after(answer.getheader("Retry-After", ""), time.time())
    if after:
        said += f", and asks to come back in {_span(after)}"
    return FetchFailed(said, after=after)


def retry_after(written: str, now: float) -> float:
    """Read the field Retry-After (RFC 9110, section 10.2.3): seconds from now, 0 when it says nothing."""
    written = written.strip()
    if re.fullmatch("[0-9]{1,9}", written):
        seconds = float(written)
    else:
        try:
            seconds = parsedate_to_datetime(written).timestamp() - now
        except (ValueError, OverflowError):
            return 0.0
    return min(max(0.0, seconds), MAX_RETRY_AFTER_SECONDS)


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"


# Parts.


def _part_file(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def drop(path: Path) -> None:
    """Forget what came of a file."""
    path.unlink(missing_ok=True)
    _part_file(path).unlink(missing_ok=True)


def _part_of(path: Path, url: str) -> Part | None:
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


def _begun(answer: http.client.HTTPResponse, url: str, path: Path) -> Part:
    """Note what begins to come."""
    encoding = answer.getheader("Content-Encoding", "").strip().lower()
    if encoding not in (*_PLAIN, *_GZIP):
        raise FetchFailed(f"it is packed in a way nobody asked for ({encoding[:40]})")
    octets = answer.length or 0
    part = Part(url, _strong_validator(answer), octets, encoding)
    _part_file(path).write_bytes(msgspec.json.encode(part))
    return part


def _strong_validator(answer: http.client.HTTPResponse) -> str:
    """What tells that two parts belong together: a strong ETag, or a time that lies well in the past."""
    etag = answer.getheader("ETag", "")
    if etag:
        return _sendable(etag) if etag.startswith('"') else ""
    modified, date = answer.getheader("Last-Modified", ""), answer.getheader("Date", "")
    try:
        gap = parsedate_to_datetime(date) - parsedate_to_datetime(modified)
    except (ValueError, TypeError):
        return ""
    # RFC 9110, section 8.8.2.2: what was written a moment ago may be written again in the same second.
    return _sendable(modified) if gap.total_seconds() >= 60 else ""


def _conditions(kept: Validators | None) -> dict[str, str]:
    if kept is None:
        return {}
    fields = {"If-None-Match": kept.etag, "If-Modified-Since": kept.last_modified}
    return {name: value for name, value in fields.items() if value}


def _continued(part: Part, path: Path) -> dict[str, str]:
    return {"Range": f"bytes={path.stat().st_size}-", "If-Range": part.validator}


def _check_rest(answer: http.client.HTTPResponse, part: Part, path: Path) -> None:
    """Refuse a rest that does not belong to what has come; the whole is then asked for again."""
    match = _RANGE.fullmatch(answer.getheader("Content-Range", "").strip())
    is_rest = match is not None and (int(match[1]), int(match[3])) == (path.stat().st_size, part.octets)
    same = part.validator in (answer.getheader("ETag", ""), answer.getheader("Last-Modified", ""))
    encoding = answer.getheader("Content-Encoding", "").strip().lower()
    if not is_rest or not same or encoding != part.encoding:
        drop(path)
        raise FetchFailed("it changed while it was fetched", again=True)


def _check_size(octets: int, limit: int) -> None:
    if octets > limit:
        raise FetchFailed(f"it has {octets:,} octets, and at most {limit:,} are fetched (size:)")


def _receive(
    answer: http.client.HTTPResponse, path: Path, part: Part, limit: int, patience: Patience
) -> None:
    """Write what comes to the end of a file; what has come when it breaks off stays."""
    pace = _Pace(patience, time.monotonic)
    with path.open("ab") as file:
        total = file.tell()
        while piece := answer.read1(_READ_OCTETS):
            total += len(piece)
            _check_size(total, limit)
            file.write(piece)
            pace.take(len(piece))
        os.fsync(file.fileno())
    if part.octets and total != part.octets:
        said = f"it broke off after {total:,} of {part.octets:,} octets"
        raise FetchFailed(said, again=True)
    _part_file(path).unlink(missing_ok=True)


class _Pace:
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


def _validators(answer: http.client.HTTPResponse, url: str) -> Validators:
    etag, modified = answer.getheader("ETag", ""), answer.getheader("Last-Modified", "")
    return Validators(url, _sendable(etag), _sendable(modified))


def _sendable(written: str) -> str:
    """What a server said, if it can be said back to it."""
    return written if len(written) <= MAX_VALIDATOR and written.isprintable() else ""


def _media(answer: http.client.HTTPResponse) -> str:
    return answer.getheader("Content-Type", "").partition(";")[0].strip().lower()
