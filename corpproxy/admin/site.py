"""The admin listener: health, readiness, metrics and a page, for machines and people of the site."""

from __future__ import annotations

import hashlib
import hmac
import io
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, cast

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from corpproxy.admin.exposition import Exposition
from corpproxy.admin.page import state_page
from corpproxy.admin.telemetry import Telemetry

# A scraper asks every few seconds on a kept connection; what is silent for longer is closed.
IDLE_SECONDS = 60

# Nothing here loads anything, runs anything or may be framed.
_FIELDS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}

_TEXT = "text/plain; charset=utf-8"
_METHODS = frozenset({b"GET", b"HEAD"})

_log = Logger()

Reasons = Callable[[], Sequence[str]]
Answer = tuple[int, str, bytes]


def admin_site(
    telemetry: Telemetry,
    token: str | None,
    *,
    site: str = "",
    reasons: Reasons = lambda: (),
    concerns: Reasons = lambda: (),
    reactor: Any = None,
) -> AdminSite:
    """
    Make the site of an admin listener.

    ``token`` is what a client has to show (``Authorization: Bearer ...``); without one only loopback is
    served. ``reasons`` gives the sentences that say why the proxy is not ready, none when it is; ``concerns``
    those about what somebody should look at although it is.
    """
    return AdminSite(AdminResource(telemetry, token, site, reasons, concerns), reactor)


class AdminResource(Resource):
    """All pages of the admin listener: who may see them, which there are, what they say."""

    isLeaf = True

    def __init__(
        self,
        telemetry: Telemetry,
        token: str | None,
        site: str,
        reasons: Reasons,
        concerns: Reasons = lambda: (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._telemetry = telemetry
        self._digest = None if token is None else _digest(token.encode())
        self._site = site
        self._reasons = reasons
        self._concerns = concerns
        telemetry.measure("corpproxy_ready", lambda: not self._why_not())
        self._exposition = Exposition(telemetry)
        self._pages: dict[bytes, Callable[[Request], Answer]] = {
            b"/": self._state,
            b"/health": self._health,
            b"/ready": self._ready,
            b"/metrics": self._metrics,
        }

    def render(self, request: Request) -> bytes:
        """Answer one request; whatever is not right about it is said before anything is looked at."""
        status, media_type, body = self._refusal(request) or self._pages[request.path](request)
        request.responseHeaders.removeHeader(b"server")
        for name, value in _FIELDS.items():
            request.responseHeaders.setRawHeaders(name, [value])
        request.responseHeaders.setRawHeaders(b"content-type", [media_type.encode()])
        request.setResponseCode(status)
        return body

    def _refusal(self, request: Request) -> Answer | None:
        if self._digest is not None:
            if not self._shows_token(request):
                request.responseHeaders.setRawHeaders(
                    b"www-authenticate", [b'Bearer realm="corpproxy admin"']
                )
                return _text(
                    401, "This page needs the token of the admin listener (Authorization: Bearer ...)."
                )
        elif not _is_local(request):
            return _text(
                403, "Without a token only loopback is served, under the name localhost or an address."
            )
        if request.path not in self._pages:
            return _text(
                404, f"There is nothing here; there are {', '.join(p.decode() for p in self._pages)}."
            )
        if request.method not in _METHODS:
            request.responseHeaders.setRawHeaders(b"allow", [b"GET, HEAD"])
            return _text(405, "Only GET and HEAD are served here.")
        return None

    def _shows_token(self, request: Request) -> bool:
        """Whether the one Authorization field holds the token; the comparison takes the same time always."""
        shown = request.requestHeaders.getRawHeaders(b"authorization") or []
        scheme, _, token = (shown[0] if len(shown) == 1 else b"").partition(b" ")
        right = hmac.compare_digest(_digest(token.strip()), cast(bytes, self._digest))
        return right and scheme.lower() == b"bearer"

    def _health(self, request: Request) -> Answer:
        return _text(200, "alive")

    def _ready(self, request: Request) -> Answer:
        reasons = self._why_not()
        if not reasons:
            concerns = list(self._concerns())
            return _text(200, "\n".join(["ready, but:", *concerns]) if concerns else "ready")
        return _text(503, "\n".join(["not ready:", *reasons]))

    def _metrics(self, request: Request) -> Answer:
        accept = b", ".join(request.requestHeaders.getRawHeaders(b"accept") or []).decode("latin-1")
        return 200, *self._exposition.page(accept)

    def _state(self, request: Request) -> Answer:
        return 200, "text/html; charset=utf-8", state_page(self._site, self._telemetry, self._why_not())

    def _why_not(self) -> list[str]:
        """Why the proxy is not ready; when that cannot be told it is not ready either."""
        try:
            return list(self._reasons())
        except Exception:
            _log.failure("Whether the proxy is ready cannot be told")
            return ["whether the proxy is ready cannot be told; its log says more"]


class AdminRequest(Request):
    """A request whose content is thrown away as it comes: nobody needs it, and it could fill a disk."""

    def gotLength(self, length: int | None) -> None:
        self.content = _Nothing()


class AdminSite(Site):
    """The site, without an access log: a scrape every few seconds would hide what matters."""

    noisy = False

    def __init__(self, resource: AdminResource, reactor: Any) -> None:
        more = {"timeout": IDLE_SECONDS, "reactor": reactor}
        super().__init__(resource, requestFactory=AdminRequest, **more)  # type: ignore[no-untyped-call]

    def log(self, request: Any) -> None:
        """Write nothing."""


class _Nothing(io.BytesIO):
    def write(self, octets: Any) -> int:
        return len(octets)


def _is_local(request: Any) -> bool:
    """
    Whether a request came in over loopback and was meant to.

    A web page elsewhere can make a browser on this machine ask us under a name that leads to 127.0.0.1 (DNS
    rebinding); then the Host field has that name.  And where a policy lets people reach loopback through the
    proxy, they come from this machine too; Via gives them away.
    """
    if request.requestHeaders.hasHeader(b"via"):
        return False
    host = (request.getRequestHostname() or b"").decode("latin-1").strip("[]")
    return _is_loopback(getattr(request.getHost(), "host", "")) and (
        host == "localhost" or _is_loopback(host)
    )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _text(status: int, sentence: str) -> Answer:
    return status, _TEXT, f"{sentence}\n".encode()
