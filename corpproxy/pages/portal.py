"""
The portal: the person's own pages, and the files that set up a device.

It is answered in two places.  Under its reserved name on the forward port the person is known, and finds
the own refusals there.  On a listener of its own nobody is known: devices come for the PAC file, and
people learn how to set up theirs.

Nothing here performs anything: what must be done is an action that the road performs, and then asks for
the page that says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corpproxy.accounting.last_days import DayUse
from corpproxy.errors import ProtocolError
from corpproxy.identity.forms import BadForm
from corpproxy.identity.grants import Grant
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.pages import account
from corpproxy.pages.actions import DeskAction
from corpproxy.pages.asking_desk import AskingDesk
from corpproxy.pages.confirm import Seal, Unseal, Warned, grant_for, open_warning, seal_warning
from corpproxy.pages.deciding_desk import DecidingDesk
from corpproxy.pages.desk import Access, Desk
from corpproxy.pages.forms import form_fields
from corpproxy.pages.holdings import Holdings, no_holdings
from corpproxy.pages.more_desk import MoreDesk
from corpproxy.pages.negotiate import Audience, audience
from corpproxy.pages.occasion import Occasion
from corpproxy.pages.pac import MEDIA_TYPE as PAC_TYPE
from corpproxy.pages.page import Page
from corpproxy.pages.refusals import PastRefusal, Refusals
from corpproxy.pages.render import Pages
from corpproxy.pages.setup import setup_sheet
from corpproxy.pages.shown import shown
from corpproxy.pages.unasked_desk import UnaskedDesk

# A browser asks for the PAC file at each start and takes changes within this time.
PAC_LIFE_SECONDS = 3600

PASSWORD_PURPOSE = "change-password"
PASSWORD_FORM_SECONDS = 1800

# Longer ones are not hashed: a password of a megabyte would keep a thread busy.
MAX_PASSWORD_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class PortalRequest:
    """
    One request to the portal.

    ``path`` is in origin form without its query.  ``content`` is the whole content, read within
    `corpproxy.pages.forms.MAX_FORM_OCTETS`, and ``content_type`` its field.  ``via_proxy`` says that it
    came on the forward port, so that ``identity`` is whoever signed in there.  ``authority`` is what the
    client called us (host, perhaps with port).  ``now`` is POSIX seconds.
    """

    method: str
    path: str
    now: float
    reference: str
    identity: Identity = ANONYMOUS
    client: str = ""
    listener: str = ""
    via_proxy: bool = False
    content: bytes = b""
    content_type: bytes | None = None
    accept: bytes | None = None
    accept_language: bytes | None = None
    if_none_match: bytes | None = None
    authority: str = ""

    @property
    def audience(self) -> Audience:
        """Who the answer is for."""
        return audience(self.accept, self.accept_language)

    @property
    def occasion(self) -> Occasion:
        """The occasion of a page that answers it."""
        return Occasion(self.reference, self.now, self.client, self.identity)


@dataclass(frozen=True, slots=True)
class ConfirmWarning:
    """Put ``grant`` into force and record it; then `Portal.confirmed` gives the page."""

    grant: Grant
    warning: Warned


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """
    Change the password of ``name``.

    Then `Portal.password_changed` or `Portal.password_refused` gives the page.
    """

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ReadDays:
    """Read what ``user`` moved in the last days; then `Portal.start` gives the page."""

    user: str


Action = ConfirmWarning | ChangePassword | ReadDays | DeskAction
_Answer = Callable[[PortalRequest], Page | Action]


class Portal:
    """
    Answers the portal's requests.

    ``pac`` is the compiled PAC file; ``pac_uri`` where devices find it, empty to name the address that each
    client itself used.  ``unseal`` opens what the ``seal`` of the pages sealed.  ``has_days`` says that what
    people moved in the last days can be read.
    """

    def __init__(
        self,
        pages: Pages,
        pac: bytes,
        refusals: Refusals,
        seal: Seal,
        unseal: Unseal,
        *,
        pac_uri: str = "",
        access: Access | None = None,
        holdings: Holdings = no_holdings,
        has_days: bool = False,
    ) -> None:
        self._holdings = holdings
        self._has_days = has_days
        self._pages = pages
        self._site = pages.site
        self._pac = pac
        self._pac_tag = f'"{hashlib.sha256(pac).hexdigest()[:16]}"'.encode("ascii")
        self._pac_uri = pac_uri
        self._refusals = refusals
        self._seal = seal
        self._unseal = unseal
        self.desk = Desk(pages, access or Access(), seal, unseal)
        self.asking = AskingDesk(self.desk, refusals)
        self._unasked = UnaskedDesk(self.desk)
        self.deciding = DecidingDesk(self.desk, self._unasked)
        self.more = MoreDesk(self.desk, self.asking, self.deciding, holdings)
        self._open_to_all: dict[str, dict[str, _Answer]] = {
            "/proxy.pac": {"GET": self._pac_file},
            "/wpad.dat": {"GET": self._pac_file},
            "/setup": {"GET": self._setup},
        }
        self._for_the_known = self._answers()

    def _answers(self) -> dict[str, dict[str, _Answer]]:
        """What answers those who are known."""
        return {
            "/": {"GET": self._begin},
            "/confirm": {"POST": self._confirm},
            "/password": {"GET": self._password, "POST": self._change_password},
            "/ask": {"POST": self.asking.ask},
            "/ask-more": {"POST": self.more.ask},
            "/requests": {"GET": self.deciding.list},
            "/requests/let": {"POST": self.deciding.let},
            "/requests/sure": {"POST": self.deciding.sure},
            "/requests/refuse": {"POST": self.deciding.refuse},
            "/requests/end": {"POST": self.deciding.end},
            "/requests/new": {"POST": self._unasked.new},
            "/requests/many": {"POST": self._unasked.many},
            "/requests/more": {"POST": self.more.give},
        }

    def answer(self, request: PortalRequest) -> Page | Action:
        """Give the page that answers a request, or the action that must come first."""
        try:
            return self._answer(request)
        except (ProtocolError, BadForm) as error:
            status = error.status if isinstance(error, ProtocolError) else 0
            return self._failure(error.code, request, status=status, detail=error.message)

    def confirmed(self, request: PortalRequest, action: ConfirmWarning) -> Page:
        """Say that a warning is confirmed, and lead on to where the person wanted to go."""
        sheet = account.confirmed(self._pages.words(request.audience), action.warning)
        location = action.warning.uri.encode("ascii", "replace")
        return self._pages.page(sheet, request.audience, (b"Location", location))

    def password_changed(self, request: PortalRequest) -> Page:
        """Say that the password is changed."""
        sheet = account.password_changed(self._pages.words(request.audience), self._site)
        return self._pages.page(sheet, request.audience)

    def password_refused(self, request: PortalRequest, reason: str) -> Page:
        """Say why the password is not changed, with the form to try again; ``reason`` is a sentence."""
        return self._password_form(request, status=403, reason=reason)

    def _answer(self, request: PortalRequest) -> Page | Action:
        methods = self._open_to_all.get(request.path)
        if methods is None:
            methods = self._known(request) if request.via_proxy else self._unknown(request)
        if methods is None:
            return self._failure("page-unknown", request)
        answer = methods.get("GET" if request.method == "HEAD" else request.method)
        if answer is None:
            allowed = ", ".join(sorted({*methods, *({"HEAD"} if "GET" in methods else ())}))
            return self._failure("method-refused", request).with_fields((b"Allow", allowed.encode("ascii")))
        return answer(request)

    def _known(self, request: PortalRequest) -> dict[str, _Answer] | None:
        known = self._for_the_known.get(request.path)
        if known is not None:
            return known
        if request.path.startswith("/why/"):
            return {"GET": self._why}
        return {"GET": self.more.one} if request.path.startswith("/requests/") else None

    def _unknown(self, request: PortalRequest) -> dict[str, _Answer] | None:
        if request.path == "/":
            return {"GET": self._setup}
        if request.path in self._for_the_known or request.path.startswith(("/why/", "/requests/")):
            refuse: _Answer = lambda request: self._failure("sign-in-needed", request)  # noqa: E731
            return {"GET": refuse, "POST": refuse}
        return None

    def _pac_file(self, request: PortalRequest) -> Page:
        fields = (
            (b"Content-Type", PAC_TYPE),
            (b"Cache-Control", b"max-age=%d" % PAC_LIFE_SECONDS),
            (b"ETag", self._pac_tag),
            (b"X-Content-Type-Options", b"nosniff"),
        )
        if _matches(request.if_none_match, self._pac_tag):
            return Page(304, fields[1:], b"")
        return Page(200, fields, self._pac)

    def _setup(self, request: PortalRequest) -> Page:
        words = self._pages.words(request.audience)
        pac_uri = (
            self._pac_uri or f"http://{shown(request.authority) or self._site.portal.uri_host}/proxy.pac"
        )
        links = account.setup_links(words, self._site, request.via_proxy)
        if request.via_proxy:
            sheet = setup_sheet(words, pac_uri, words.say("setup.title"), links=links)
        else:
            lead = words.say("portal.unknown", portal=self._site.portal_uri)
            sheet = setup_sheet(words, pac_uri, words.say("portal.title_setup"), lead, links)
        return self._pages.page(sheet, request.audience)

    def _begin(self, request: PortalRequest) -> Page | Action:
        # A device without a name may be another person's tomorrow.
        if self._has_days and request.identity.name:
            return ReadDays(request.identity.name)
        return self.start(request, ())

    def start(self, request: PortalRequest, days: Sequence[DayUse] | None) -> Page:
        """Give the start page, with the last days of the person; None where they cannot be read."""
        past = self._refusals.of(request.identity, request.client, request.now)
        sheet = account.start(
            self._pages.words(request.audience),
            self._site,
            request.occasion,
            [(one, self._token(one, request)) for one in past],
            has_password=_has_password(request.identity),
            requests=self.asking.own(request),
            waiting=len(self.deciding.waiting(request)) if self.deciding.may_decide(request) else None,
            holdings=self._holdings(request.identity, request.client, request.listener, request.now),
            days=days,
            more=lambda holding: self.more.offer_with_token(request, holding),
        )
        return self._pages.page(sheet, request.audience)

    def _why(self, request: PortalRequest) -> Page:
        reference = request.path.removeprefix("/why/")
        past = self._refusals.get(reference, request.identity, request.client, request.now)
        if past is None:
            return self._failure("page-unknown", request)
        words = self._pages.words(request.audience)
        sheet = account.why(words, self._site, request.occasion, past, self._token(past, request))
        return self._pages.page(sheet, request.audience)

    def _confirm(self, request: PortalRequest) -> Action:
        token = form_fields(request, {"token"})["token"]
        warning = open_warning(self._unseal, token, request.identity, request.client, request.now)
        return ConfirmWarning(grant_for(warning, request.now, request.reference), warning)

    def _password(self, request: PortalRequest) -> Page:
        return self._password_form(request)

    def _change_password(self, request: PortalRequest) -> Page | Action:
        if not _has_password(request.identity):
            return self._password_form(request)
        fields = form_fields(request, {"token", "old", "new", "again"})
        values = self._unseal(PASSWORD_PURPOSE, fields["token"], request.now)
        if values.get("who") != request.identity.name:
            raise BadForm("form-forged", "the form was shown to somebody else")
        words = self._pages.words(request.audience)
        if fields["new"] != fields["again"]:
            return self.password_refused(request, words.say("password.mismatch"))
        if not fields["new"]:
            return self.password_refused(request, words.say("password.empty"))
        if max(len(fields["old"]), len(fields["new"])) > MAX_PASSWORD_CHARACTERS:
            raise ProtocolError(
                "form-invalid", f"a password has at most {MAX_PASSWORD_CHARACTERS} characters"
            )
        return ChangePassword(request.identity.name, fields["old"], fields["new"])

    def _password_form(self, request: PortalRequest, status: int = 200, reason: str = "") -> Page:
        words = self._pages.words(request.audience)
        if not _has_password(request.identity):
            return self._pages.page(account.no_password(words, self._site), request.audience)
        until = request.now + PASSWORD_FORM_SECONDS
        token = self._seal(PASSWORD_PURPOSE, {"who": request.identity.name}, until)
        sheet = account.password(words, self._site, request.identity, token, status=status, reason=reason)
        return self._pages.page(sheet, request.audience)

    def _token(self, past: PastRefusal, request: PortalRequest) -> str:
        if past.warning is not None:
            return seal_warning(self._seal, past.warning, request.now)
        return self.asking.ask_token(request, past)

    def _failure(self, code: str, request: PortalRequest, *, status: int = 0, detail: str = "") -> Page:
        return self._pages.failure(code, request.occasion, request.audience, status=status, detail=detail)


def _has_password(identity: Identity) -> bool:
    return bool(identity.name) and identity.source == "basic"


def _matches(if_none_match: bytes | None, tag: bytes) -> bool:
    """Whether the client has this representation already (RFC 9110, section 13.1.2)."""
    if if_none_match is None:
        return False
    given = [member.strip().removeprefix(b"W/") for member in if_none_match[:1024].split(b",")]
    return tag in given or given == [b"*"]
