"""The acls of a Squid configuration as they are defined: names, types, flags and values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from corpproxy.config.files import Files
from corpproxy.config.nearest import did_you_mean
from corpproxy.errors import Place
from corpproxy.foreign.squid.lines import Line, Lines, Word, find_file, text_of

# The types of Squid 5 to 7, with those that were there before: `acl` lines of old files have them still.
TYPES = frozenset(
    "src dst srcdomain dstdomain srcdom_regex dstdom_regex src_as dst_as peername peername_regex "
    "time url_regex urlpath_regex urllogin port localip localport myip myport myportname clientside_mark "
    "client_connection_mark proto method http_status browser req_mime_type rep_mime_type req_header "
    "rep_header referer_regex ident ident_regex proxy_auth proxy_auth_regex maxconn max_user_ip external "
    "ext_user ext_user_regex user_cert ca_cert arp eui64 any-of all-of random snmp_community note "
    "annotate_client annotate_transaction adaptation_service hier_code tag has at_step "
    "connections_encrypted transaction_initiator ssl::server_name ssl::server_name_regex "
    "server_cert_fingerprint ssl_error".split()
)
# Types whose values Squid looks for as regular expressions, with -i and +i before any of them.
REGEX_TYPES = frozenset(
    "srcdom_regex dstdom_regex peername_regex url_regex urlpath_regex urllogin browser req_mime_type "
    "rep_mime_type req_header rep_header referer_regex ident_regex proxy_auth_regex ext_user_regex "
    "ssl::server_name_regex".split()
)
# Those whose first value is no value: the name of a field, of a helper.
NAMED_TYPES = frozenset({"req_header", "rep_header", "external", "user_cert", "ca_cert", "note"})

# What Squid defines itself; a configuration may add values to them.
BUILT_IN = {
    "all": ("src", ("all",)),
    "manager": ("manager", ()),
    "localhost": ("src", ("127.0.0.1/32", "::1")),
    "to_localhost": ("dst", ("127.0.0.0/8", "0.0.0.0/32", "::1/128", "::/128")),
    "to_linklocal": ("dst", ("169.254.0.0/16", "fe80::/10")),
    "CONNECT": ("method", ("CONNECT",)),
}


@dataclass(frozen=True, slots=True)
class Value:
    """One value; ``any_case`` is what ``-i`` before it said, ``file`` the file of values it stands in."""

    text: str
    place: Place
    any_case: bool = False
    file: str = ""


@dataclass(slots=True)
class Acl:
    """
    One acl with the values of all its lines.

    ``flags`` are those before the values (``-n``, ``--client-requested``), ``argument`` the first word
    of types that have one, ``lines`` where it is defined.
    """

    name: str
    type: str
    place: Place
    values: list[Value] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    argument: str = ""
    lines: list[Line] = field(default_factory=list)
    comment: tuple[str, ...] = ()


# A comment in a file of values begins a word.
_COMMENT = re.compile(r"(?:^|\s)#.*")


class Acls:
    """All acls, by name, as they are at one line of the configuration: later ones are not known before."""

    def __init__(self, files: Files, folder: Path, found: Lines) -> None:
        self._files = files
        self._folder = folder
        self._found = found
        self.by_name: dict[str, Acl] = {}
        for name, (kind, values) in BUILT_IN.items():
            built_in = Acl(name, kind, Place("Squid itself"))
            built_in.values += [Value(text, built_in.place) for text in values]
            self.by_name[name] = built_in

    def take(self, line: Line) -> None:
        """Take one ``acl`` line; what is wrong with it is told."""
        if len(line.words) < 2:
            said = "an acl has a name, a type and values, as: acl blocked dstdomain .example.com"
            self._found.say(line.place, "squid-acl", said)
            return
        name, kind, *words = line.words
        if kind.text not in TYPES:
            said = f"there is no acl type '{kind.text}'" + did_you_mean(kind.text, TYPES)
            self._found.say(kind.place, "squid-acl-type", said)
            return
        acl = self.by_name.get(name.text)
        if acl is None:
            acl = self.by_name[name.text] = Acl(name.text, kind.text, line.place, comment=line.comment)
        elif acl.type != kind.text:
            said = f"acl '{name.text}' is of type {acl.type} at {acl.place}, and cannot be {kind.text} too"
            self._found.say(kind.place, "squid-acl-type", said)
            return
        acl.lines.append(line)
        self._values(acl, words)

    def _values(self, acl: Acl, words: list[Word]) -> None:
        words = self._flags(acl, words)
        if acl.type in NAMED_TYPES and words:
            acl.argument, words = words[0].text, words[1:]
        any_case = "-i" in acl.flags
        before = len(acl.values)
        for number, word in enumerate(words):
            if acl.type in REGEX_TYPES and word.text in ("-i", "+i") and not word.is_quoted:
                any_case = word.text == "-i"
            elif word.is_quoted and acl.type != "external":
                acl.values += self._of_file(word, any_case, is_regex=acl.type in REGEX_TYPES)
                self._left_behind(words[number + 1 :])
                break
            else:
                acl.values.append(Value(word.text, word.place, any_case))
        needs_none = acl.type in ("external", "any-of", "all-of", "random") or any(
            word.is_quoted for word in words
        )
        if len(acl.values) == before and not needs_none:
            said = f"acl '{acl.name}' gets no value here, and so matches nothing by this line"
            self._found.say(acl.lines[-1].place, "squid-acl", said, "warning")

    def _left_behind(self, words: list[Word]) -> None:
        """Squid reads nothing behind a file of values; what stands there was never in force."""
        if words:
            said = f"Squid does not read '{words[0].text}' behind a file of values; give it a line of its own"
            self._found.say(words[0].place, "squid-acl", said, "warning")

    def _flags(self, acl: Acl, words: list[Word]) -> list[Word]:
        """Take the flags before the values; ``--`` ends them."""
        for number, word in enumerate(words):
            if word.text == "--":
                return words[number + 1 :]
            if word.is_quoted or not word.text.startswith(("-", "+")) or acl.type == "time":
                return words[number:]
            acl.flags = [flag for flag in acl.flags if {flag, word.text} != {"-i", "+i"}]
            acl.flags.append(word.text)
        return []

    def _of_file(self, word: Word, any_case: bool, *, is_regex: bool) -> Iterator[Value]:
        """The values in a file: one a line, with a comment behind it or none."""
        path = find_file(word.text, self._folder, self._files)
        if path is None:
            said = f"there is no file {word.text}; copy it beside the configuration"
            self._found.say(word.place, "file-missing", said)
            return
        text = text_of(path, self._files, word.place, self._found)
        for number, raw in enumerate((text or "").splitlines(), 1):
            bare = _COMMENT.sub("", raw).strip()
            if not bare:
                continue
            place = Place(str(path), number, 1)
            if not is_regex and len(bare.split()) > 1:
                said = f"a file has one value a line; Squid finds nothing by '{bare[:60]}' as a whole"
                self._found.say(place, "squid-acl", said, "warning")
                continue
            yield Value(bare, place, any_case, str(path))
