"""Why a fetch failed, in words for the administrator."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from corpproxy.audit.line import printable
from corpproxy.backends.lists.patience import Patience, TookTooLong
from corpproxy.counted import counted
from corpproxy.masked import masked

# A server that asks us to stay away for a month is heard, but not believed.
MAX_RETRY_AFTER_SECONDS = 2 * 86_400.0


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


@contextlib.contextmanager
def in_words(url: str, patience: Patience) -> Iterator[None]:
    """Say what goes wrong on the way in words."""
    host = urlsplit(url).netloc
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise FetchFailed(f"the certificate of {host} is not good: {error.verify_message}") from error
    except TimeoutError as error:
        raise FetchFailed(f"{host} sends nothing for {patience.silence:.0f} s", again=True) from error
    except TookTooLong:
        said = f"{host} is not done after {_span(patience.whole)}"
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


def refused(answer: http.client.HTTPResponse) -> FetchFailed:
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
    return f"{seconds / 3600:.1f} hours" if seconds >= 7200 else counted(round(seconds / 60), "minute")
