"""The normal form of user and group names, and which names we give out."""

from __future__ import annotations

import unicodedata

# Long enough for a mail address; the name stands in every record and on every page.
MAX_NAME_CHARACTERS = 128
# What separates names from other things in htpasswd, in users.groups and in the CSV that is imported.
SEPARATORS = ":,"


def normal_name(written: str) -> str:
    """
    Give the one form of a name that all comparisons use: NFC, case as it was written.

    RFC 8265, section 3.4 (UsernameCasePreserved).  Case is kept because htpasswd keeps it: ``Amir`` and
    ``amir`` may be two people, and folding them would let one in with the other's password.
    """
    return unicodedata.normalize("NFC", written)


def has_control_characters(text: str) -> bool:
    """Whether anything in ``text`` is a control character (RFC 7617, section 2, forbids them)."""
    if text.isprintable():
        return False
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)


def fault_of_name(name: str) -> str:
    """Say in words why ``name`` cannot be given to a person or a group; empty when it can."""
    if not name:
        return "the name is empty"
    if len(name) > MAX_NAME_CHARACTERS:
        return f"the name is longer than {MAX_NAME_CHARACTERS} characters"
    if not name.isprintable() or name != name.strip():
        return "the name has control characters, line ends, or spaces around it"
    if name.startswith("#"):
        return "a name cannot begin with '#', which begins a comment in the files"
    for separator in SEPARATORS:
        if separator in name:
            return f"a name cannot have {separator!r} in it, which ends a name in the files"
    return ""
