"""The refusal: any answer of ours in the place of forwarding."""

from __future__ import annotations

from collections.abc import Iterable

from corpproxy.audit.results import ResultCode
from corpproxy.destination.model import AddressClass
from corpproxy.errors import CorpproxyError
from corpproxy.pages.page import Page
from corpproxy.policy.model import Decision


class Refusal(CorpproxyError):
    """
    We answer ``page`` instead of forwarding.

    ``result`` is what the record says; ``decision`` is the one that refused, where that was not the
    decision of the rules (an address that may not be dialled, a tunnel that is no TLS).
    """

    def __init__(
        self, result: ResultCode, code: str, page: Page, message: str = "", decision: Decision | None = None
    ) -> None:
        super().__init__(code, message or code)
        self.result = result
        self.page = page
        self.decision = decision


class SignInRefused(CorpproxyError):
    """The credentials are wrong, or cannot be read; the client is asked again."""


class AddressRefused(CorpproxyError):
    """
    Every address of the host is of a class that may not be dialled.

    ``address`` is the first of them, ``address_class`` its class; ``classes`` are those of all.
    """

    def __init__(self, address: str, address_class: str, classes: Iterable[AddressClass] = ()) -> None:
        super().__init__("address-refused", f"{address} is a {address_class} address")
        self.address = address
        self.address_class = address_class
        self.classes = frozenset(classes) or frozenset({AddressClass(address_class)})


class AnswerTooLong(CorpproxyError):
    """The content of an answer grew past what may come."""


class TunnelEnded(CorpproxyError):
    """We ended a running tunnel; ``code`` says why."""


class SignInUnavailable(CorpproxyError):
    """Nobody can be checked just now: the directory is away or has too much to do."""
