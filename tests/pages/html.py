"""Looks at a page as a browser would: which elements it has, whether they close, what it loads."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = frozenset("meta link img input br".split())
DRAWING = frozenset("svg path circle rect line".split())
ELEMENTS = VOID | DRAWING | frozenset(
    "html head title style body header span main div h1 h2 h3 p blockquote dl dt dd code a form label button "
    "select option section details summary ol li strong "
    "progress figure figcaption text table thead tbody tr th td".split()
)  # fmt: skip


class Look(HTMLParser):
    """The elements, texts and addresses of a page; AssertionError where it is not well formed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.addresses: list[str] = []
        self.hidden: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        if self._open:
            raise AssertionError(f"not closed: {self._open}")

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS:
            raise AssertionError(f"an element that no page has: {tag}")
        self.tags.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name == "style":
                raise AssertionError(f"an attribute that no page has: {name}")
            if name in {"href", "src", "action"}:
                self.addresses.append(value or "")
        given = dict(attributes)
        if given.get("type") == "hidden":
            self.hidden[given["name"] or ""] = given["value"] or ""
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in DRAWING:
            raise AssertionError(f"closes itself: {tag}")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            raise AssertionError(f"closes what is not open: {tag}")

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data
