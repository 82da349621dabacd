"""
Names in other scripts than ASCII, brought to the A-labels that DNS and lists carry (UTS 46).

Browsers follow UTS 46 and not the stricter IDNA 2008 alone: names with emoji exist and are visited.
So the mapping and the checks are those of UTS 46, non-transitional (``ß`` stays ``ß``), with
CheckBidi and CheckJoiners on; which ASCII characters may stand in a label is the caller's to check.
"""

from __future__ import annotations

import unicodedata

import idna
from idna.core import check_bidi, check_initial_combiner, uts46_remap, valid_contextj

ACE_PREFIX = "xn--"
_JOINERS = frozenset("\u200c\u200d")
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))


class LabelError(ValueError):
    """A label that UTS 46 does not allow; the text says why."""


def to_ascii(name: str) -> str:
    """Give the A-label form of a whole name, dots included; LabelError says what is wrong with it."""
    try:
        mapped = uts46_remap(name, std3_rules=False)
        unicode_labels = [_to_unicode(label) for label in mapped.split(".")]
        is_bidi = any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in "".join(unicode_labels))
        for label in unicode_labels:
            _check(label, is_bidi)
        return ".".join(label if label.isascii() else _punycoded(label) for label in unicode_labels)
    except (idna.IDNAError, UnicodeError, IndexError) as error:
        raise LabelError("it is no valid internationalised name (UTS 46)") from error


def _to_unicode(label: str) -> str:
    """Give the U-label of one mapped label; an A-label must be the one way to write what it stands for."""
    if not label.startswith(ACE_PREFIX):
        return label
    if not label.isascii():
        raise LabelError("a label that begins with xn-- is not ASCII")
    decoded = label[len(ACE_PREFIX) :].encode().decode("punycode")
    if not decoded or decoded.isascii() or uts46_remap(decoded, std3_rules=False) != decoded:
        raise LabelError(f"the label {label} is not what a name in another script is written as")
    if "." in decoded or _punycoded(decoded) != label:
        raise LabelError(f"the label {label} is not the one way to write its name")
    return decoded


def _punycoded(label: str) -> str:
    return ACE_PREFIX + label.encode("punycode").decode("ascii")


def _check(label: str, is_bidi: bool) -> None:
    """Hold one U-label to the validity criteria of UTS 46, section 4.1."""
    if not label:
        return
    if not label.isascii():
        check_initial_combiner(label)
        if any(c in _JOINERS and not valid_contextj(label, i) for i, c in enumerate(label)):
            raise LabelError("an invisible joiner stands where it changes nothing")
    if is_bidi:
        check_bidi(label, check_ltr=True)
