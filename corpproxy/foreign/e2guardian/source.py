"""A configuration of e2guardian as a whole: its settings, its groups, and who is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from corpproxy.config.files import Files
from corpproxy.errors import Place
from corpproxy.foreign.addresses import network_text, read_networks
from corpproxy.foreign.e2guardian.lists import KINDS, OLD_NAMES, Lists, NamedFiles
from corpproxy.foreign.e2guardian.settings import Folder, Setting
from corpproxy.foreign.e2guardian.story import Statement, read_story
from corpproxy.foreign.times import Span
from corpproxy.identity.names import fault_of_name

MAIN_FILE = "e2guardian.conf"
MAX_GROUPS = 99

# Why a setting has no counterpart; the first pattern that fits decides.
_REASONS = (
    (r".*phrase.*|naughtyness.*|weighted.*|categorydisplay.*|embeddedurl.*|hexdecode.*|preservecase|"
     r"forcequicksearch|showweighted.*|maxcontent.*|contentregexp.*|textmimetypes",
     "pages are not read: phrases and their weights count for nothing here"),
    (r".*contentscan.*|.*virus.*|.*trickle.*|downloadmanager|deletedownloaded.*|filecache.*|scanclean.*|"
     r"infection.*|.*scanpost.*", "contents are not scanned for viruses"),
    (r"ssl.*|.*mitm.*|ca(cert|priv).*|cert.*|generated.*|enablessl|.*cert.*|tls.*",
     "TLS is not opened: of https the host is known, from CONNECT and from the server name"),
    (r"log.*|.*log|stat.*|anonymi.*|productid.*|dstat.*|.*level", "every exchange is recorded below state:"),
    (r"proxy.*|parent.*|icap.*|transparent.*|original.*|usexforwarded.*|forwardedfor|xforwarded.*",
     "requests go to their servers directly, and come in as to a forward proxy"),
    (r".*bypass.*|.*violation.*|threshold.*|notify.*|.*admin|avsubject|contentsubject|mailfrom|usesmtp",
     "leave to go past a refusal is given on the portal or by exceptions:"),
    (r"language.*|.*banned(image|flash).*|accessdenied.*|htmltemplate|reporting.*|ipfilter.*|non_standard.*",
     "pages are those of this proxy; contact:, logo: and the rules' say: are what they tell"),
    (r"search.*|.*header.*|.*refer.*|urlredirect.*|.*regexpreplace.*|.*replace.*|deepurl.*",
     "fields, search terms and addresses are not rewritten; safe_search: gives the strict search engines"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), reason) for pattern, reason in _REASONS)
_ELSE = "how the service itself runs is set elsewhere, or needs no setting"

_KNOWN = frozenset(
    "filterip filterports filtergroups filtergroupslist authplugin storyboard preauthstoryboard "
    "groupname groupmode".split()
)


@dataclass(slots=True)
class Group:
    """One filter group; ``number`` is that of ``filterN``."""

    number: int
    name: str
    lists: Lists
    place: Place
    story: dict[str, list[Statement]] = field(default_factory=dict)
    mode: int = 1
    people: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Source:
    """Everything that was read; ``left`` are settings without a counterpart, each with the reason."""

    folder: Folder
    settings: list[Setting] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    lists: Lists | None = None
    story: dict[str, list[Statement]] = field(default_factory=dict)
    plugins: list[tuple[str, Setting]] = field(default_factory=list)
    listeners: list[tuple[str, int, list[Place]]] = field(default_factory=list)
    left: list[tuple[Setting, str]] = field(default_factory=list)
    calendars: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    own: dict[str, tuple[str, ...]] = field(default_factory=dict)
    group_places: list[Place] = field(default_factory=list)


def read_source(path: Path, files: Files) -> Source:
    """Read the configuration in a folder; every fault is told in its ``folder``."""
    folder = Folder(path, files)
    source = Source(folder)
    if not files.exists(path / MAIN_FILE):
        folder.say(Place(str(path)), "file-missing", f"there is no {MAIN_FILE} in {path}")
        return source
    source.settings = folder.settings(MAIN_FILE, Place(str(path)))
    by_name = {one.name: one for one in source.settings}
    source.lists = _lists(source, source.settings, "")
    story = by_name.get("preauthstoryboard")
    if story is not None:
        source.story = read_story(folder, story.value, story.place)
    _listeners(source, by_name)
    _groups(source, by_name)
    _plugins(source)
    if "filtergroupslist" in by_name:
        _people(source, by_name["filtergroupslist"])
    for one in source.settings:
        if one.name not in _KNOWN | KINDS | OLD_NAMES.keys():
            source.left.append((one, _reason(one.name)))
    return source


def _reason(name: str) -> str:
    return next((reason for pattern, reason in _COMPILED if pattern.fullmatch(name)), _ELSE)


def _lists(source: Source, settings: list[Setting], label: str) -> Lists:
    made = Lists(source.folder, source.calendars, source.own, label)
    for one in settings:
        kind, name, path = _named(one)
        if kind and path:
            files = list(source.folder.list_files(path, one.place))
            made.all.append(NamedFiles(kind, name, one.place, files))
    return made


def _named(one: Setting) -> tuple[str, str, str]:
    """Kind, name and path of the list that a setting names; empty for other settings."""
    if one.name in KINDS:
        parts = dict(part.partition("=")[::2] for part in one.value.split(","))
        return one.name, parts.get("name", "").strip(), parts.get("path", "").strip()
    if one.name in OLD_NAMES:
        return (*OLD_NAMES[one.name], one.value)
    return "", "", ""


def _listeners(source: Source, by_name: dict[str, Setting]) -> None:
    addresses, ports = by_name.get("filterip"), by_name.get("filterports")
    places = [one.place for one in (addresses, ports) if one is not None]
    for written in re.split(r"[,\s]+", ports.value if ports else "8080"):
        port = written.partition(":")[0]
        if not port.isdecimal() or not 0 < int(port) < 65536:
            if ports is not None:
                source.folder.say(ports.place, "out-of-range", f"'{written}' is no port")
            continue
        address = (addresses.value.split(",")[0].strip() if addresses else "") or "0.0.0.0"
        source.listeners.append((address, int(port), places))


def _groups(source: Source, by_name: dict[str, Setting]) -> None:
    written = by_name.get("filtergroups")
    count = int(written.value) if written and written.value.isdecimal() else 1
    if count > MAX_GROUPS and written is not None:
        source.folder.say(written.place, "out-of-range", f"there are {MAX_GROUPS} groups at most")
        count = MAX_GROUPS
    asked = written.place if written else Place(str(source.folder.path / MAIN_FILE))
    for number in range(1, max(count, 1) + 1):
        source.groups.append(_group(source, number, asked))


def _group(source: Source, number: int, asked: Place) -> Group:
    settings = source.folder.settings(f"e2guardianf{number}.conf", asked)
    by_name = {one.name: one for one in settings}
    named = by_name["groupname"].value if "groupname" in by_name else ""
    name = named if named and not fault_of_name(named) and named != "no_name_group" else f"filter{number}"
    group = Group(number, name, _lists(source, settings, name), Place(f"e2guardianf{number}.conf"))
    if "storyboard" in by_name:
        group.story = read_story(source.folder, by_name["storyboard"].value, by_name["storyboard"].place)
    if "groupmode" in by_name and by_name["groupmode"].value in ("0", "1", "2"):
        group.mode = int(by_name["groupmode"].value)
    for one in settings:
        if one.name not in _KNOWN | KINDS | OLD_NAMES.keys():
            source.left.append((one, _reason(one.name)))
    return group


def _plugins(source: Source) -> None:
    """How people and devices get their group: ``authplugin`` files, in their order."""
    for one in source.settings:
        if one.name != "authplugin":
            continue
        settings = {each.name: each for each in source.folder.settings(one.value, one.place)}
        name = settings["plugname"].value if "plugname" in settings else ""
        source.plugins.append((name, one))
        if name == "ip" and "ipgroups" in settings:
            _networks(source, settings["ipgroups"])


def _entries(source: Source, setting: Setting) -> Iterator[tuple[str, Group, Place]]:
    """The lines ``name = filterN`` of a file, with the group that each means."""
    for file in source.folder.list_files(setting.value, setting.place):
        for entry in file.entries:
            name, _, group = entry.text.partition("=")
            match = re.fullmatch(r"filter([0-9]{1,2})", group.strip().lower())
            number = int(match[1]) if match else 0
            if not 1 <= number <= len(source.groups):
                said = f"'{entry.text[:60]}' names no group; write NAME=filter1 to filter{len(source.groups)}"
                source.folder.say(entry.place, "e2guardian-group", said, "warning")
                continue
            source.group_places.append(entry.place)
            yield name.strip(), source.groups[number - 1], entry.place


def _people(source: Source, setting: Setting) -> None:
    for name, group, place in _entries(source, setting):
        if fault := fault_of_name(name):
            source.folder.say(place, "bad-name", f"'{name}' cannot be a person here: {fault}", "warning")
        else:
            group.people.append(name)


def _networks(source: Source, setting: Setting) -> None:
    for name, group, place in _entries(source, setting):
        try:
            group.networks += [network_text(one) for one in read_networks(name.replace(" ", ""))]
        except ValueError as wrong:
            source.folder.say(place, "bad-network", f"'{name}' is no network: {wrong}", "warning")
