"""
A configuration of e2guardian becomes a policy: its storyboards are followed, and each way is a rule.

What it knows of contents (phrases, their weights, viruses) has no counterpart; a comment says so.
"""

from __future__ import annotations

from pathlib import Path

from corpproxy.config.files import Files
from corpproxy.foreign.draft import Imported, Mapped
from corpproxy.foreign.e2guardian.compose import Composer
from corpproxy.foreign.e2guardian.source import Source, read_source
from corpproxy.foreign.settle import Composes, in_order, settle


def import_e2guardian(path: Path, files: Files, folder: Path, *, time_zone: str = "UTC") -> Imported:
    """
    Read the configuration in the folder ``path`` and write the policy that it is.

    ``folder`` is where the policy will be; nothing is written there.
    """
    source = read_source(path, files)
    if any(one.is_error for one in source.folder.problems):
        return Imported({}, in_order(source.folder.problems), ())

    def compose(dropped: dict[str, str], alone: bool) -> Composes:
        made = Composer(source, time_zone, dropped, alone=alone)
        made.compose()
        return made

    composer = settle(compose, files, folder)
    if any(one.is_error for one in source.folder.problems):
        return Imported({}, in_order(source.folder.problems), ())
    return Imported(
        composer.files(),
        in_order(source.folder.problems),
        _mapped(source, composer),
        tuple(composer.open),
        composer.counts,
    )


def _mapped(source: Source, composer: Composes) -> tuple[Mapped, ...]:
    """Each setting, those of the groups too, and what became of it."""
    settings = [*source.settings, *(one for one, _ in source.left)]
    for group in source.groups:
        settings += source.folder.settings(f"e2guardianf{group.number}.conf", group.place)
    by_place = {one.place: one.text for one in settings}
    return tuple(
        Mapped(place, text, tuple(came for came in composer.draft.came if came.source == place))
        for place, text in sorted(by_place.items())
    )
