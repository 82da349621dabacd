"""How strings of strangers are shown: hosts, URIs and names may hold anything, and be of any length."""

from __future__ import annotations

import re

# What fits a line or two of a telephone.
MAX_URI = 160
MAX_NAME = 80
# A sentence that an administrator wrote into a rule.
MAX_SENTENCE = 2000

# Controls, halves of characters, line and paragraph separators; and the marks that turn the direction of
# writing (UAX #9), with which a name can be made to read like another.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)


def shown(text: str, limit: int = MAX_NAME) -> str:
    """Give a line that shows what it says: unseen characters replaced, the middle of a long one cut."""
    if len(text) > limit:
        tail = limit // 4
        text = f"{text[: limit - tail - 1]}…{text[-tail:]}"
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub("\ufffd", text)


def sentence(text: str) -> str:
    """Give an administrator's sentence: as written, line breaks as spaces, within a bound."""
    text = " ".join(text.split())
    if len(text) > MAX_SENTENCE:
        text = f"{text[: MAX_SENTENCE - 1]}…"
    return shown(text, MAX_SENTENCE)
