"""The lists of a filter group, as conditions in our grammar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

from corpproxy.destination.host import normal_host
from corpproxy.errors import Place, ProtocolError
from corpproxy.foreign.addresses import network_text, read_networks
from corpproxy.foreign.conditions import NEVER, Ask, Condition, all_of, any_of, ask
from corpproxy.foreign.e2guardian.settings import Entry, Folder, Hours, ListFile
from corpproxy.foreign.times import Span
from corpproxy.policy.conditions import parse_expression, parse_url

# The settings of version 5 that name a list, and what they hold.
KINDS = frozenset(
    "sitelist ipsitelist urllist regexpboollist fileextlist mimelist iplist searchlist regexpreplacelist "
    "maplist".split()
)
# Those of versions 3 and 4, each with a setting of its own: kind and name of the list today.
OLD_NAMES = {
    "bannedsitelist": ("sitelist", "banned"),
    "greysitelist": ("sitelist", "grey"),
    "exceptionsitelist": ("sitelist", "exception"),
    "localbannedsitelist": ("sitelist", "localbanned"),
    "localgreysitelist": ("sitelist", "localgrey"),
    "localexceptionsitelist": ("sitelist", "localexception"),
    "exceptionfilesitelist": ("sitelist", "exceptionfile"),
    "bannedsiteiplist": ("ipsitelist", "banned"),
    "greysiteiplist": ("ipsitelist", "grey"),
    "exceptionsiteiplist": ("ipsitelist", "exception"),
    "bannedurllist": ("urllist", "banned"),
    "greyurllist": ("urllist", "grey"),
    "exceptionurllist": ("urllist", "exception"),
    "localbannedurllist": ("urllist", "localbanned"),
    "localgreyurllist": ("urllist", "localgrey"),
    "localexceptionurllist": ("urllist", "localexception"),
    "exceptionfileurllist": ("urllist", "exceptionfile"),
    "bannedregexpurllist": ("regexpboollist", "banned"),
    "exceptionregexpurllist": ("regexpboollist", "exception"),
    "bannedregexpuseragentlist": ("regexpboollist", "banneduseragent"),
    "exceptionregexpuseragentlist": ("regexpboollist", "exceptionuseragent"),
    "bannedextensionlist": ("fileextlist", "bannedextension"),
    "bannedmimetypelist": ("mimelist", "bannedmime"),
    "bannediplist": ("iplist", "bannedclient"),
    "exceptioniplist": ("iplist", "exceptionclient"),
}


@dataclass(slots=True)
class NamedFiles:
    """One list: its kind, its name, the line that names it, and its files."""

    kind: str
    name: str
    place: Place
    files: list[ListFile]

    @property
    def has_entries(self) -> bool:
        """Whether anything stands in it."""
        return any(file.entries for file in self.files)


@dataclass(slots=True)
class Lists:
    """The lists of one group, or those of everybody."""

    folder: Folder
    calendars: dict[str, tuple[Span, ...]]
    own: dict[str, tuple[str, ...]]
    label: str = ""
    all: list[NamedFiles] = field(default_factory=list)

    def named(self, kinds: Iterable[str], name: str) -> list[NamedFiles]:
        """The lists of some kinds that have a name and something in them."""
        wanted = frozenset(kinds)
        return [one for one in self.all if one.kind in wanted and one.name == name and one.has_entries]

    def condition(self, lists: Iterable[NamedFiles], key_of_regexps: str = "expression") -> Condition:
        """That a request is in one of these lists."""
        return any_of(self._file(one, file, key_of_regexps) for one in lists for file in one.files)

    def _file(self, one: NamedFiles, file: ListFile, key_of_regexps: str) -> Condition:
        label = file.path.name if file.path.name not in ("domains", "urls") else file.path.parent.name
        made = _READERS[one.kind](self, file, label, key_of_regexps) if one.kind in _READERS else NEVER
        if file.hours is None or made == NEVER:
            return made
        return all_of([made, Ask("calendar", (self._calendar(label, file.hours),))])

    def _calendar(self, label: str, hours: Hours) -> str:
        name = f"times of {label}"
        self.calendars[name] = (Span(hours.days, hours.first, hours.end),)
        return name

    def odd(self, entry: Entry, why: str) -> None:
        """Tell about an entry that cannot be read."""
        self.folder.say(entry.place, "e2guardian-entry", f"'{entry.text[:60]}' is left out: {why}", "warning")

    # One function for each kind of list.

    def _sites(self, file: ListFile, label: str, _: str) -> Condition:
        names: list[str] = []
        for entry in file.entries:
            bare = entry.text.strip().lower().lstrip(".")
            if bare.startswith("*"):
                self.odd(entry, "blanket blocks stand in the storyboard since version 5")
                continue
            try:
                names.append(normal_host(bare).name)
            except ProtocolError as wrong:
                self.odd(entry, wrong.message)
        return ask("domain", names, label)

    def _addresses_of_sites(self, file: ListFile, label: str, _: str) -> Condition:
        networks = self._networks(file)
        if not networks:
            return NEVER
        single = [one for one in networks if _is_address(one)]
        wide = [one for one in networks if not _is_address(one)]
        parts = [ask("domain", single, label)]
        if wide:
            self.own[label] = tuple(wide)
            parts.append(Ask("category", (label,), label))
        return any_of(parts)

    def _networks(self, file: ListFile) -> list[str]:
        found: list[str] = []
        for entry in file.entries:
            try:
                found += [network_text(one) for one in read_networks(entry.text.replace(" ", ""))]
            except ValueError as wrong:
                self.odd(entry, str(wrong))
        return found

    def _clients(self, file: ListFile, label: str, _: str) -> Condition:
        return ask("network", self._networks(file), label)

    def _urls(self, file: ListFile, label: str, _: str) -> Condition:
        urls: list[str] = []
        for entry in file.entries:
            bare = entry.text.strip()
            if "://" in bare:
                self.odd(entry, "e2guardian finds nothing by it either; write it without its scheme")
                continue
            try:
                parse_url(bare)
                urls.append(bare)
            except ValueError as wrong:
                self.odd(entry, str(wrong))
        return ask("url", urls, label)

    def _regexps(self, file: ListFile, label: str, key: str) -> Condition:
        found: list[str] = []
        for entry in file.entries:
            try:
                found.append("(?i)" + parse_expression(entry.text))
            except ValueError as wrong:
                self.odd(entry, str(wrong))
        return ask(key, found, label)

    def _extensions(self, file: ListFile, label: str, _: str) -> Condition:
        return ask("extension", [entry.text.strip().lstrip(".").lower() for entry in file.entries], label)

    def _media_types(self, file: ListFile, label: str, _: str) -> Condition:
        found = []
        for entry in file.entries:
            if re.fullmatch(r"[a-z0-9.+_-]+/[a-z0-9.+_*-]+", entry.text.strip().lower()):
                found.append(entry.text.strip().lower())
            else:
                self.odd(entry, "it is no media type")
        return ask("media_type", found, label)


_Reader = Callable[[Lists, ListFile, str, str], Condition]
_READERS: dict[str, _Reader] = {
    "sitelist": Lists._sites,
    "ipsitelist": Lists._addresses_of_sites,
    "iplist": Lists._clients,
    "urllist": Lists._urls,
    "regexpboollist": Lists._regexps,
    "fileextlist": Lists._extensions,
    "mimelist": Lists._media_types,
}


def _is_address(written: str) -> bool:
    try:
        ip_address(written)
    except ValueError:
        return False
    return True
