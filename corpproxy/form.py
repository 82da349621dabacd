"""
The form of what Python and the compiled parts expect of each other: members, names, arguments.

It is a digest of what the parts are made of, so that nobody has to keep a number.  ``setup.py`` writes it
into each part, and beside the package where that is installed without its sources; in a checkout it is made
anew of the sources that lie there.  A part of another form was left behind by a checkout that went on, or by
an installation before this one: it would do as other sources said, and is not taken.
"""

from __future__ import annotations

from pathlib import Path

# Written beside the package by the build of a wheel; a checkout has its sources instead.
FORM_FILE = "form.txt"


def form_of(checkout: Path) -> str:
    """The form of the parts that the sources in a checkout would make; ``""`` where there are none."""
    # Only a checkout makes it, and setup.py.
    from hashlib import sha256

    sources = sorted((checkout / "native").glob("*.[ch]"))
    if not sources:
        return ""
    digest = sha256()
    for source in (*sources, checkout / "setup.py"):
        content = source.read_bytes()
        digest.update(f"{source.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def expected_form(package: Path) -> str:
    """The form that the parts of an installed package, or of one in a checkout, must have."""
    try:
        return (package / FORM_FILE).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    try:
        return form_of(package.parent)
    except FileNotFoundError:
        return ""
