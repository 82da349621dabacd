"""What e2guardian decides with its configuration beside what we decide with the policy that it became."""

from __future__ import annotations

import random
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from corpproxy.backends.policies.files import DISK
from corpproxy.cli.asked_policy import asked_policy
from corpproxy.foreign.e2guardian.policy import import_e2guardian
from corpproxy.foreign.e2guardian.source import Source, read_source
from corpproxy.policy.question import Question
from tests.foreign.comparing import AGENTS, MEDIA_TYPES, NEIGHBOURS, PATHS, Difference, decide
from tests.foreign.real_e2guardian import RealE2guardian
from tests.foreign.real_squid import Asked

CLIENTS = (
    "127.0.0.1",
    "127.0.0.8",
    "127.0.0.9",
    "127.0.1.3",
    "127.0.1.8",
    "127.0.2.77",
    "127.0.3.1",
    "127.0.3.10",
)
HOSTS = ("www.example.org", "example.com", "deep.in.evil", "evil")


def requests_of(source: Source, count: int, seed: int = 1) -> list[Asked]:
    """Requests for everything that the lists name, for its neighbours, and for a few others."""
    chance = random.Random(seed)
    hosts, urls = set(HOSTS), []
    answered = ["", *MEDIA_TYPES]
    for group in source.groups:
        for one in group.lists.all:
            for file in one.files:
                for entry in file.entries[:40]:
                    name = entry.text.split("//")[-1].split("/")[0].lstrip(".").removeprefix("www.").lower()
                    if (
                        one.kind in ("sitelist", "urllist")
                        and name.replace(".", "").replace("-", "").isalnum()
                    ):
                        hosts |= {name, *(each.format(name) for each in NEIGHBOURS)}
                    if one.kind == "mimelist":
                        answered.append(entry.text.strip())
                    if one.kind == "urllist":
                        urls.append(entry.text.split("//")[-1])
    paths = [*PATHS, "/casino77", "/x.scr", "/casino", "/a/setup.exe?v=1", "/exe", "/x.tar.gz"]
    ordered = sorted(hosts)
    made = []
    for _ in range(count):
        client, agent = chance.choice(CLIENTS), chance.choice((*AGENTS, "oldbrowser 1"))
        if chance.random() < 0.3:
            made.append(Asked(f"{chance.choice(ordered)}:443", "CONNECT", client, agent=agent))
        elif urls and chance.random() < 0.3:
            url = (
                "http://"
                + chance.choice(("", "a."))
                + chance.choice(urls)
                + chance.choice(("", "/x", "x", "?a=1"))
            )
            made.append(Asked(url, "GET", client, agent=agent, answered=chance.choice(answered)))
        else:
            url = f"http://{chance.choice(ordered)}{chance.choice(paths)}"
            method = chance.choice(("GET", "GET", "POST"))
            made.append(Asked(url, method, client, agent=agent, answered=chance.choice(answered)))
    return made


def differences(
    configuration: Path, count: int, *, at: str, written: str = "/etc/e2guardian"
) -> tuple[list[Difference], dict[str, int]]:
    """Where the two differ on so many requests, and how often each answer came."""
    folder = Path(tempfile.mkdtemp(prefix="corpproxy-compared-"))
    imported = import_e2guardian(configuration, DISK, folder)
    for name, octets in imported.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(octets)
        (folder / name).chmod(0o640)
    asked = requests_of(read_source(configuration, DISK), count)
    site = asked_policy(folder / "policy.yaml")
    moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("UTC")).timestamp()
    real = RealE2guardian(configuration, written=written, at=at)
    try:
        answers = real.ask(asked)
    finally:
        real.stop()
    found: list[Difference] = []
    counts: dict[str, int] = {}
    for one, answer in zip(asked, answers, strict=True):
        counts[answer] = counts.get(answer, 0) + 1
        question = Question(one.url, moment, one.method, client=one.client, agent=one.agent)
        decision = decide(site, question, one.answered)
        assert decision is not None
        if str(decision.effect) != answer:
            found.append(Difference(one, answer, str(decision.effect), decision.rule))
    shutil.rmtree(folder, ignore_errors=True)
    return found, counts
