"""What Squid decides with its configuration beside what we decide with the policy that it became."""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

from corpproxy.backends.policies.files import DISK
from corpproxy.cli.asked_policy import AskedPolicy, asked_policy
from corpproxy.foreign.squid.policy import import_squid
from corpproxy.foreign.squid.source import Source, read_source
from corpproxy.policy.model import Answer, Decision, Effect
from corpproxy.policy.question import Question, facts_for, read_request
from tests.foreign.real_squid import Asked, RealSquid

NEIGHBOURS = ("www.{}", "a.b.{}", "x{}", "{}.example")
PATHS = ("/", "/index.html", "/ads/banner.gif", "/a/b.MP3?x=1", "/file.exe", "/search?q=casino")
METHODS = ("GET", "GET", "GET", "POST", "PUT", "CONNECT", "CONNECT", "CONNECT")
PORTS = (80, 443, 21, 25, 563, 1024, 1025, 8080, 65535)
AGENTS = ("curl/8", "Mozilla/5.0 (X11) Firefox/130.0", "MSIE 6.0", "Wget/1.21")
MEDIA_TYPES = ("text/html", "text/html; charset=utf-8", "image/png", "application/pdf")
HOSTS = ("www.example.org", "example.com", "192.0.2.10", "10.1.2.3", "127.0.0.1", "203.0.113.9")


@dataclass
class World:
    """What requests are made from."""

    hosts: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    listeners: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)

    def asked(self, count: int, seed: int) -> list[Asked]:
        """So many requests, always the same."""
        chance = random.Random(seed)
        return [self._one(chance) for _ in range(count)]

    def _one(self, chance: random.Random) -> Asked:
        method = chance.choice(self.methods)
        host, port = chance.choice(self.hosts), chance.choice(self.ports)
        if method == "CONNECT":
            url = f"{host}:{chance.choice((port, 443))}"
        else:
            authority = host if chance.random() < 0.6 else f"{host}:{port}"
            url = f"http://{authority}{chance.choice(self.paths)}"
        return Asked(
            url,
            method,
            chance.choice(self.clients),
            chance.choice(self.users),
            chance.choice(self.listeners),
            chance.choice(self.agents),
            chance.choice(self.answered) if self.answered and method != "CONNECT" else "",
        )


def world_of(source: Source, users: Iterable[str], listeners: Sequence[str]) -> World:
    """Everything that a configuration names, its neighbours, and a few others."""
    hosts, paths, ports, methods = set(HOSTS), list(PATHS), set(PORTS), list(METHODS)
    clients, agents, answered = {"192.0.2.7"}, list(AGENTS), set[str]()
    for acl in source.acls.by_name.values():
        values = [value.text for value in acl.values if acl.lines]
        if acl.type in ("dstdomain", "ssl::server_name"):
            for name in (value.lstrip("*.") for value in values[:40]):
                hosts |= {name.lower(), *(one.format(name.lower()) for one in NEIGHBOURS)}
        elif acl.type == "dst":
            hosts |= set(_addresses(values))
        elif acl.type == "src":
            clients |= set(_addresses(values))
        elif acl.type in ("dstdom_regex", "url_regex", "urlpath_regex", "ssl::server_name_regex"):
            words = [word for value in values for word in _words(value)]
            hosts |= {f"{one.strip('.')}.example" for one in words if re.fullmatch("[a-z0-9.-]+", one)}
            hosts |= {one.strip(".") for one in words if re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", one)}
            paths += [one if one.startswith("/") else f"/x/{one}" for one in words]
        elif acl.type in ("port",):
            ports |= {port for value in values for one in value.split("-") for port in _around(int(one))}
        elif acl.type == "method":
            methods += values
        elif acl.type == "rep_mime_type":
            answered |= {word for value in values for word in _media_types(value)}
        elif acl.type == "browser":
            agents += [word for value in values for word in _words(value)]
    paths = [path.replace(" ", "%20") for path in paths]
    return World(
        sorted(host for host in hosts if re.fullmatch(r"[a-z0-9_.:-]+", host) and ":" not in host),
        paths,
        sorted(port for port in ports if 0 < port < 65536),
        methods,
        sorted(clients),
        ["", "", *users],
        agents,
        list(listeners),
        sorted(answered | set(MEDIA_TYPES)) if answered else [],
    )


def _names_at(source: Source) -> dict[str, str]:
    """Names of hosts that have the addresses, and those beside them, which acls of destinations name."""
    acls = [acl for acl in source.acls.by_name.values() if acl.type == "dst" and acl.lines]
    addresses = {one for acl in acls for one in _addresses([value.text for value in acl.values])}
    return {f"at-{one.replace('.', '-')}.example": one for one in sorted(addresses) if ":" not in one}


def _around(port: int) -> tuple[int, ...]:
    return port - 1, port, port + 1


def _addresses(values: Sequence[str]) -> Iterator[str]:
    """Addresses inside and beside what is written."""
    for value in values[:30]:
        for written in re.split("-", value.partition("/")[0]):
            try:
                first = ip_address(written)
            except ValueError:
                continue
            yield str(first)
            if int(first) not in (0, 2**32 - 1):
                yield str(first - 1)
                yield str(first + 1)
        try:
            network = ip_network(value, strict=False)
        except ValueError:
            continue
        if 0 < network.prefixlen < network.max_prefixlen - 1:
            yield str(network.broadcast_address - 1)
            yield str(network.broadcast_address + 1)


def _words(expression: str) -> list[str]:
    """Texts that an expression may find: its letters without what is special."""
    bare = re.sub(r"\\(.)", r"\1", re.sub(r"[\^$]|\.\*|\([^)]*\)\??|\[[^]]*\][+*?]?|[+*?]", "", expression))
    return [word for word in re.split(r"[|()]", bare) if word]


def _media_types(expression: str) -> Iterator[str]:
    """
    Media types that an expression may find, as servers write them.

    Parameters and case count for nothing here, and for Squid where an expression ends with the type.
    """
    for word in _words(expression):
        whole = word if not word.endswith("/") else f"{word}mp4; charset=utf-8"
        for made in (whole, f"x{word}", f"{word}4"):
            if re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9.+-]+(; .*)?", made):
                yield made


def decide(site: AskedPolicy, question: Question, answered: str) -> Decision | None:
    """What the policy says of a request, and then of its answer; None where it asks to sign in."""
    asked = facts_for(question, site.surroundings, site.policy.asks_who)
    if asked.is_challenged:
        return None
    decision = site.policy.decide(asked.facts)
    if decision.effect is Effect.ALLOW and answered and not asked.facts.is_tunnel:
        answer = Answer(answered.partition(";")[0].strip().lower(), 2)
        decision = site.policy.decide(replace(asked.facts, answer=answer))
    return decision


@dataclass(frozen=True)
class Difference:
    """A request on which the two do not agree."""

    asked: Asked
    squid: str
    ours: str
    rule: str

    def __str__(self) -> str:
        return f"{self.asked}: Squid says {self.squid}, the policy {self.ours} by '{self.rule}'"


class Comparison:
    """One configuration in both: the real Squid, and the policy that was made of it."""

    def __init__(
        self,
        configuration: Path,
        *,
        passwords: Mapping[str, str] | None = None,
        names: Mapping[str, str] | None = None,
        at: str = "2026-11-23 10:00:00",
        time_zone: str = "UTC",
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="corpproxy-compared-"))
        self.names = dict(names or {})
        self.at = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(time_zone)).timestamp()
        self.imported = import_squid(configuration, DISK, self.folder, time_zone=time_zone)
        for name, octets in self.imported.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)
            path.chmod(0o640)
        self.source = read_source(configuration, DISK)
        self.passwords = dict(passwords or {})
        self._clock = (at, time_zone)
        self._beside = configuration.parent
        self._text = "\n".join(_whole(configuration))

    def differences(self, count: int, seed: int = 1) -> tuple[list[Difference], dict[str, int]]:
        """Where the two differ on so many requests, and how often each answer came."""
        site = asked_policy(self.folder / "policy.yaml")
        listeners = {one.name: one.port for one in site.configuration.listeners}
        world = world_of(self.source, self.passwords, list(listeners))
        self.names |= _names_at(self.source)
        world.hosts += list(self.names)
        asked = world.asked(count, seed)
        at, time_zone = self._clock
        squid = RealSquid(
            self._text,
            listeners=listeners,
            names={**{host: "192.0.2.80" for host in world.hosts if not _is_address(host)}, **self.names},
            passwords=self.passwords,
            beside=self._beside,
            at=at,
            time_zone=time_zone,
        )
        try:
            answers = squid.ask(asked)
        finally:
            squid.stop()
        counts: dict[str, int] = {}
        found = []
        for one, answer in zip(asked, answers, strict=True):
            counts[answer] = counts.get(answer, 0) + 1
            ours, rule = self._ours(site, one)
            if ours != _agreed(answer, one):
                found.append(Difference(one, answer, ours, rule))
        return found, counts

    def forget(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ours(self, site: AskedPolicy, one: Asked) -> tuple[str, str]:
        host = read_request(one.method, one.url).host
        address = self.names.get(host.name, "192.0.2.80")
        question = Question(
            one.url,
            self.at,
            one.method,
            one.user,
            None,
            one.client,
            one.listener,
            frozenset({address}),
            **({"agent": one.agent} if "agent" in Question.__dataclass_fields__ else {}),
        )
        decision = decide(site, question, one.answered)
        return ("challenge", "") if decision is None else (str(decision.effect), decision.rule)


def _agreed(answer: str, one: Asked) -> str:
    """Somebody who is known and refused gets 403 from us, where Squid asks for another password."""
    return "block" if answer == "challenge" and one.user else answer


def _whole(configuration: Path) -> Iterator[str]:
    """The lines of a configuration as Squid is to read them, with those it includes."""
    for line in configuration.read_text().splitlines():
        if line.split()[:1] == ["include"]:
            for path in sorted(configuration.parent.glob(line.split()[1])):
                yield from _whole(path)
        else:
            yield line


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
