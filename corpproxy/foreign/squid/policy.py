"""A Squid configuration becomes a policy: one rule for each line that decides, in their order."""

from __future__ import annotations

from pathlib import Path

from corpproxy.config.files import Files
from corpproxy.errors import Place
from corpproxy.foreign.draft import Came, Imported, Mapped
from corpproxy.foreign.settle import Composes, in_order, settle
from corpproxy.foreign.squid.compose import Composer
from corpproxy.foreign.squid.source import Source, read_source


def import_squid(path: Path, files: Files, folder: Path, *, time_zone: str = "UTC") -> Imported:
    """
    Read the configuration at ``path`` and write the policy that it is.

    ``folder`` is where the policy will be; nothing is written there.  With an error in the source there are
    no files in what comes back.
    """
    source = read_source(path, files)
    found = source.found
    if any(one.is_error for one in found.problems):
        return Imported({}, in_order(found.problems), ())

    def compose(dropped: dict[str, str], alone: bool) -> Composes:
        made = Composer(source, time_zone, dropped, alone=alone)
        made.compose()
        return made

    # What acls mean is read while the rules are written, and may be wrong too.
    composer = compose({}, False)
    if any(one.is_error for one in found.problems):
        return Imported({}, in_order(found.problems), ())
    composer = settle(compose, files, folder)
    mapped = _mapped(source, composer)
    return Imported(composer.files(), in_order(found.problems), mapped, tuple(composer.open), composer.counts)


def _mapped(source: Source, composer: Composes) -> tuple[Mapped, ...]:
    """Each line, and what became of it."""
    came: dict[Place, list[Came]] = {}
    for one in composer.draft.came:
        came.setdefault(one.source, []).append(one)
    return tuple(
        Mapped(line.place, line.text, tuple(came.get(line.place, ()))) for line in source.found.lines
    )
