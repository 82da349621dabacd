"""From what a page says to the page: in the language and the form of its audience."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import lru_cache, partial
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from corpproxy.identity.grants import grantee
from corpproxy.pages import block, failures
from corpproxy.pages.access import ask_form
from corpproxy.pages.catalogue import Catalogue, read_catalogue
from corpproxy.pages.confirm import Seal, as_uri, seal_warning, warned
from corpproxy.pages.negotiate import LANGUAGES, Audience, Media
from corpproxy.pages.occasion import Occasion
from corpproxy.pages.packaged import packaged
from corpproxy.pages.page import COMMON, Fields, Page
from corpproxy.pages.plain import as_json, as_text
from corpproxy.pages.sheet import Form, Sheet, Tone
from corpproxy.pages.site import Site
from corpproxy.pages.stencil import Stencils
from corpproxy.policy.model import Decision, Effect

# The form that asks for access to what was refused; it may lie open for two lessons.
ASK_PURPOSE = "ask-access"
ASK_SECONDS = 2 * 3600


@lru_cache(maxsize=2)
def _looks(load: Callable[[str], str]) -> tuple[dict[str, Catalogue], str, Template]:
    """
    Give the words by language, the style and the template; made once, for they take a tenth of a second.

    A worker puts a new policy into force between two exchanges, and nobody is to wait for that.
    """
    environment = Environment(
        loader=FunctionLoader(lambda name: load(f"templates/{name}")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = {language: read_catalogue(language, load) for language in LANGUAGES}
    return words, load("style/page.css").strip(), environment.get_template("page.html")


def make_ready() -> None:
    """Make once what all pages are made with, so that copies of this process have it together."""
    _looks(packaged)


class Pages:
    """
    Makes the pages of one site.

    ``seal`` signs the forms that confirm a warning (`corpproxy.identity.forms.Signer.seal`).  ``load``
    gives the text of a template, of words or of style; by default those that belong to the program.
    """

    def __init__(self, site: Site, seal: Seal, load: Callable[[str], str] = packaged) -> None:
        self.site = site
        self._seal = seal
        self._words, self._style, self._template = _looks(load)
        self._stencils = {language: Stencils(partial(self._rendered, language)) for language in self._words}
        digest = base64.b64encode(hashlib.sha256(self._style.encode("utf-8")).digest()).decode("ascii")
        self._policies = _content_policies(site, digest)

    def words(self, audience: Audience) -> Catalogue:
        """Give the catalogue for an audience."""
        return self._words[audience.language]

    def page(self, sheet: Sheet, audience: Audience, *more: tuple[bytes, bytes]) -> Page:
        """Render a sheet; ``more`` are fields of the head beyond those every page has."""
        written, policy = self._written(sheet, audience)
        fields: Fields = (
            (b"Content-Type", f"{audience.media.value}; charset=utf-8".encode("ascii")),
            (b"Content-Language", audience.language.encode("ascii")),
            *COMMON,
            (b"Content-Security-Policy", policy),
            *more,
        )
        return Page(sheet.status, fields, written.encode("utf-8", "replace"))

    def refused(
        self, decision: Decision, occasion: Occasion, audience: Audience, *, may_ask: bool = False
    ) -> Page:
        """
        Give the page of a decision that lets nothing through: blocked, warned or redirected.

        ``may_ask`` says that somebody could let this person through.
        """
        words = self.words(audience)
        if decision.effect is Effect.REDIRECT:
            location = as_uri(decision.location)
            return self.page(
                block.redirected(words, location),
                audience,
                (b"Location", location.encode("ascii", "replace")),
            )
        if decision.effect is Effect.WARN and occasion.destination is not None:
            return self.page(self._warning(words, decision, occasion), audience)
        form = self._ask(words, decision, occasion) if may_ask else None
        return self.page(block.blocked(words, self.site, decision, occasion, form), audience)

    def challenge(
        self,
        code: str,
        occasion: Occasion,
        audience: Audience,
        challenges: tuple[bytes, ...],
        *,
        status: int = 407,
    ) -> Page:
        """Ask for credentials, by 407 or 401; ``challenges`` are the values of the field that asks."""
        name = b"Proxy-Authenticate" if status == 407 else b"WWW-Authenticate"
        sheet = failures.challenge(self.words(audience), self.site, code, occasion, status=status)
        return self.page(sheet, audience, *((name, value) for value in challenges))

    def failure(
        self,
        code: str,
        occasion: Occasion,
        audience: Audience,
        *,
        status: int = 0,
        detail: str = "",
        retry_seconds: int = 0,
    ) -> Page:
        """
        Give the page of a failure by its symbolic code; an unknown code gets a general page.

        ``status`` is the one that the failure brought, 0 for that of the code.  ``retry_seconds``, where
        it is not 0, goes out as Retry-After (RFC 9110, section 10.2.3).
        """
        words = self.words(audience)
        sheet = failures.failed(words, self.site, code, occasion, status=status, detail=detail)
        more = ((b"Retry-After", b"%d" % retry_seconds),) if retry_seconds > 0 else ()
        return self.page(sheet, audience, *more)

    def _ask(self, words: Catalogue, decision: Decision, occasion: Occasion) -> Form | None:
        if occasion.destination is None or not decision.may_be_overridden:
            return None
        values = {
            "who": grantee(occasion.identity, occasion.client),
            "at": str(occasion.at),
            "host": occasion.destination.host.name,
            "rule": decision.rule,
            "uri": occasion.uri,
            "category": decision.category,
        }
        return ask_form(words, self.site, self._seal(ASK_PURPOSE, values, occasion.at + ASK_SECONDS))

    def _warning(self, words: Catalogue, decision: Decision, occasion: Occasion) -> Sheet:
        assert occasion.destination is not None
        meant = warned(
            occasion.identity, occasion.client, occasion.destination, decision.rule, decision.warn_seconds
        )
        token = seal_warning(self._seal, meant, occasion.at)
        form = block.confirm_form(words, self.site, token, meant.host, meant.seconds)
        return block.warning(words, self.site, decision, occasion, form)

    def _written(self, sheet: Sheet, audience: Audience) -> tuple[str, bytes]:
        if audience.media is Media.TEXT:
            return as_text(sheet, self.site), b"default-src 'none'"
        if audience.media is Media.JSON:
            return as_json(sheet, self.site), b"default-src 'none'"
        html = self._stencils[audience.language].write(sheet, self._mail(sheet, audience))
        return html, self._policies[bool(sheet.forms)]

    def _rendered(self, language: str, sheet: Sheet, mail: str) -> str:
        return self._template.render(
            sheet=sheet,
            site=self.site,
            words=self._words[language],
            style=self._style,
            mail=mail,
            Tone=Tone,
        )

    def _mail(self, sheet: Sheet, audience: Audience) -> str:
        """Give the mailto: URI (RFC 6068) of a person who asks about this page."""
        contact = self.site.contact
        if not sheet.ask or not contact.mail:
            return ""
        words = self.words(audience)
        facts = [f"{fact.label}: {fact.value}" for fact in (*sheet.facts, *sheet.small)]
        body = "\r\n".join([words.say("page.mail_text"), "", "", *facts])
        address = quote(contact.mail, safe="@.+-_", errors="replace")
        subject, text = (quote(part, safe="", errors="replace") for part in (sheet.subject, body))
        return f"mailto:{address}?subject={subject}&body={text}"


def _content_policies(site: Site, style_digest: str) -> dict[bool, bytes]:
    """
    Give the Content-Security-Policy of pages without and with a form.

    Nothing is loaded from anywhere, no script runs.  A confirmed warning sends the browser on to the
    site that was asked for, and from there wherever that site leads; browsers hold form-action against
    such redirects too, so that it names schemes instead of hosts.  A page with a form stands in no
    frame, where another page could lay something over its button; one without may, so that a blocked
    frame says why it is empty.
    """
    common = f"default-src 'none'; style-src 'sha256-{style_digest}'; img-src data:; base-uri 'none'; "
    return {
        False: f"{common}form-action 'none'".encode("ascii"),
        True: f"{common}form-action {site.portal_uri} http: https:; frame-ancestors 'none'".encode("ascii"),
    }
