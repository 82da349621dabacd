"""HTTP: batches of lines, packed, in the content of POST requests, for collectors that take JSON lines."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from corpproxy.audit.formats import FormatName
from corpproxy.audit.sinks import Packing, SinkSettings
from corpproxy.backends.records.seekable_zstd import zstd
from corpproxy.backends.sinks.delivery import Entry, SinkFailure
from corpproxy.backends.sinks.follow import Positions
from corpproxy.backends.sinks.tls import tls_context

ANSWER_SECONDS = 30.0
# A server that asks us to wait for longer is asked again all the same.
LONGEST_RETRY_SECONDS = 3600.0

_LINES = "application/x-ndjson"
_TEXT = "text/plain; charset=utf-8"

# What is wrong with the batch itself: one that is tried again would be refused again.
_BAD_BATCH = frozenset({400, 413, 422})
_MAX_SAID_OCTETS = 200


class HttpSink:
    """Sends records to a collector."""

    confirm_seconds = 0.0

    def __init__(self, settings: SinkSettings, program: str) -> None:
        self._settings = settings
        self._program = program
        parts = urlsplit(settings.to)
        self._is_tls = parts.scheme == "https"
        self._server, self._port = parts.hostname or "", parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection: http.client.HTTPConnection | None = None
        is_json = settings.format is FormatName.JSON and not settings.template
        self._type = _LINES if is_json else _TEXT

    def send(self, entries: Sequence[Entry], positions: Positions) -> int:
        """
        Send records; of a batch that is refused for what is in it, the halves are tried by themselves.

        :raises SinkFailure: when the collector does not take them now.
        """
        status = self._post(b"".join(one.line + b"\n" for one in entries), self._type)
        if status not in _BAD_BATCH:
            return 0
        if len(entries) == 1:
            return 1
        middle = len(entries) // 2
        return self.send(entries[:middle], positions) + self.send(entries[middle:], positions)

    def send_checkpoint(self, line: bytes) -> None:
        """
        Send a checkpoint, as a batch of its own.

        :raises SinkFailure: when the collector does not take it now.
        """
        status = self._post(line.rstrip(b"\n") + b"\n", _LINES)
        if status in _BAD_BATCH:
            raise SinkFailure(f"{self._server} refuses checkpoints with status {status}")

    def positions(self) -> Positions:
        """The collector does not know."""
        return {}

    def is_taken(self) -> bool:
        """An answer says so."""
        return True

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _post(self, content: bytes, kind: str) -> int:
        """
        Post a content; gives the status, a good one or one that says that the content is bad.

        :raises SinkFailure: for everything else.
        """
        fields = {"Content-Type": kind, "User-Agent": f"corpproxy/{self._program}"} | self._credentials()
        content = self._packed(content, fields)
        try:
            if self._connection is None:
                self._connection = self._made()
            self._connection.request("POST", self._path, content, fields)
            answer = self._connection.getresponse()
            said = answer.read(_MAX_SAID_OCTETS)
            if answer.will_close or not answer.isclosed():
                self.close()
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise SinkFailure(f"{self._server} cannot be reached: {reason}") from error
        if 200 <= answer.status < 300 or answer.status in _BAD_BATCH:
            return answer.status
        raise SinkFailure(_sentence(self._server, answer.status, said), retry_after(answer))

    def _made(self) -> http.client.HTTPConnection:
        if self._is_tls:
            context = tls_context(self._settings)
            return http.client.HTTPSConnection(
                self._server, self._port, timeout=ANSWER_SECONDS, context=context
            )
        return http.client.HTTPConnection(self._server, self._port, timeout=ANSWER_SECONDS)

    def _credentials(self) -> dict[str, str]:
        """The token from its file, read each time: a new one is taken up without a reload."""
        if not self._settings.token:
            return {}
        try:
            token = Path(self._settings.token).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            # The contents of the file must not come into a message.
            raise SinkFailure(f"the token cannot be read: {type(error).__name__}") from None
        if not token.isprintable():
            raise SinkFailure("the token has a character that no field can have")
        return {"Authorization": token if " " in token else f"Bearer {token}"}

    def _packed(self, content: bytes, fields: dict[str, str]) -> bytes:
        packing = self._settings.packing
        if packing is Packing.NONE:
            return content
        fields["Content-Encoding"] = packing.value
        if packing is Packing.GZIP:
            return gzip.compress(content, 5)
        return bytes(zstd().compress(content))


def retry_after(answer: http.client.HTTPResponse) -> float:
    """How many seconds a server asks us to wait; 0 when it does not say."""
    written = (answer.getheader("Retry-After") or "").strip()
    if written.isascii() and written.isdigit() and len(written) < 10:
        return min(float(written), LONGEST_RETRY_SECONDS)
    try:
        moment = parsedate_to_datetime(written)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_SECONDS)


def _sentence(server: str, status: int, said: bytes) -> str:
    text = "".join(one if one.isprintable() else " " for one in said.decode("utf-8", "replace")).strip()
    return f"{server} answers {status}" + (f": {text}" if text else "")
