"""
Texts with the secrets in them made unreadable, for screens and logs.

A policy has no place for a secret but files that it names; people write one into an address all the same.
The problem that says so, and the line that is shown with it, go to terminals, logs, CI and mails: what is
wrong must be seen there, the secret must not.  An address that cannot be read is masked up to its
last ``@``, as a password may have any sign in it: too much is better than too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MASK = "***"

# What is no port is a password: https://user:secret@host.
_PASSWORD = re.compile(r"""(?<=://)([^\s/?#@:'"]*:)(?!\d{1,5}(?:[/?#\s'",\]}]|$))([^\s'"]*)(?=@)""")
# Collectors and code hosts take a token in the place of the user; databases and mail have users there.
_TOKEN = re.compile(r"""(?i)(?<=http://|ttps://)()([^\s/?#@:'"]+)(?=@)""")
# A signed address, the key of a licence, a connection string.
_VALUE = re.compile(
    r"""(?ix) (?<![\w-]) ( (?: [\w-]* (?: token | secret | password | passwd | pwd | signature )
    | (?: [\w-]* [-_] )? (?: key | apikey | auth | sig ) ) = )
    ( '(?:[^'\\]|\\.)*' | [^\s&;\#'",\]}]+ )"""
)


def masked(text: str) -> str:
    """Give a text with `MASK` for each secret in it."""
    return _without(text, lambda secret: MASK)


def masked_in_place(line: str) -> str:
    """Give a line of which each sign keeps its column, for a ruler below it."""
    return _without(line, lambda secret: "*" * len(secret))


def _without(text: str, mask: Callable[[str], str]) -> str:
    def change(found: re.Match[str]) -> str:
        return found[1] + mask(found[2])

    if "://" in text:
        text = _TOKEN.sub(change, _PASSWORD.sub(change, text))
    return _VALUE.sub(change, text) if "=" in text else text
