"""What a proxy has to do in a run: sign-in, a list, twenty rules; and the proof that it does."""

from __future__ import annotations

import base64
import http.client
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fixtures import BARRED_EACH, Fixtures, credentials
from benchmarks.place import HOSTS, SERVERS, Place, host_name

if TYPE_CHECKING:
    from benchmarks.peers.peer import Peer

SOMEBODY = credentials(7)
# How long a line of record may take to reach the disk, in seconds.
PATIENCE = 5.0
BARRED = credentials(BARRED_EACH - 1)


@dataclass(frozen=True, slots=True)
class Duties:
    """Which duties a run asks for, and how many hosts there are; rules and records are always on."""

    name: str
    login: bool = False
    listed: bool = False
    hosts: int = SERVERS


BARE = Duties("bare")
LOGIN = Duties("login", login=True)
ALL = Duties("all", login=True, listed=True)
MANY = Duties("many", login=True, listed=True, hosts=HOSTS)


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule, in the words that every filtering proxy has; what is empty is not asked.

    ``effect`` is ``block`` or ``allow``.  ``calendar`` is ``lessons`` or ``nights``.
    """

    name: str
    effect: str = "block"
    group: str = ""
    user: str = ""
    network: str = ""
    listed: bool = False
    domain: tuple[str, ...] = ()
    expression: str = ""
    method: str = ""
    port: int = 0
    calendar: str = ""


CALENDARS = {"lessons": ("mon-fri", "08:30-15:30"), "nights": ("mon-sun", "22:00-23:59")}

# Twenty rules of every kind; what the load asks for is decided by the last.
RULES = (
    Rule("barred", group="barred"),
    Rule("never", domain=("malware.example", "phishing.example")),
    Rule("listed", listed=True),
    Rule("homework", "allow", domain=("homework.example", "library.example", "lessons.example")),
    Rule("games in lessons", group="pupils", domain=("games.example", "play.example"), calendar="lessons"),
    Rule("nights", group="pupils", domain=("chat.example", "social.example"), calendar="nights"),
    Rule("bets", group="staff", domain=("bets.example", "casino.example")),
    Rule("casino words", expression=r"casino[0-9]+\.example"),
    Rule("downloads", group="pupils", expression=r"\.(exe|msi|dmg)$"),
    Rule("no trace", method="TRACE"),
    Rule("no posting", group="pupils", method="POST", domain=("forum.example",)),
    Rule("odd port", port=8001),
    Rule("printers", network="10.1.4.0/24"),
    Rule("lobby", network="10.1.5.0/24"),
    Rule("one person", user="user0004", domain=("auctions.example",)),
    Rule("news for staff", "allow", group="staff", domain=("news.example", "papers.example")),
    Rule("no news", domain=("news.example", "papers.example"), calendar="lessons"),
    Rule("video in lessons", group="pupils", domain=("video.example", "film.example"), calendar="lessons"),
    Rule("music", domain=("music.example",), calendar="lessons"),
    Rule("everything else", "allow"),
)


def rules(duties: Duties) -> tuple[Rule, ...]:
    """The rules of a run: without sign-in, rules about people become rules about networks."""
    kept = [rule for rule in RULES if duties.listed or not rule.listed]
    if duties.login:
        return tuple(kept)
    return tuple(_by_network(rule, number) for number, rule in enumerate(kept))


def _by_network(rule: Rule, number: int) -> Rule:
    if not (rule.group or rule.user):
        return rule
    return Rule(
        rule.name,
        rule.effect,
        network=f"10.2.{number}.0/24",
        domain=rule.domain,
        expression=rule.expression,
        method=rule.method,
        calendar=rule.calendar,
    )


class Neglected(Exception):
    """A proxy does not do what the run assumes; the message says what."""


def fetch(port: int, host: str, place: Place, user: str = "", path: str = "/s200", wait: float = 5) -> int:
    """One GET through a proxy, straight from here; gives its status.  Raises OSError."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=wait)
    shown = host if place.web_port == 80 else f"{host}:{place.web_port}"
    fields = {"Host": shown, "Connection": "close"}
    if user:
        fields["Proxy-Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    try:
        wire.request("GET", f"http://{shown}{path}", headers=fields)
        answer = wire.getresponse()
        answer.read()
        return answer.status
    except http.client.HTTPException as error:
        raise OSError(f"not HTTP: {error!r}") from None
    finally:
        wire.close()


def prove(peer: Peer, duties: Duties, fixtures: Fixtures, place: Place) -> list[str]:
    """Show that a proxy does what it says it can; gives what was seen.  Raises Neglected."""
    seen = []

    def expect(what: str, wanted: int, host: str, user: str) -> None:
        status = fetch(peer.port, host, place, user)
        seen.append(f"{what}: {status}")
        if status != wanted:
            raise Neglected(f"{peer.name}: {what} gives {status}, not {wanted}")

    user = SOMEBODY if duties.login and peer.can_login else ""
    expect("a request", 200, host_name(0), user)
    if user:
        expect("no credentials", 407, host_name(0), "")
        expect("a wrong password", peer.wrong_password_gives, host_name(0), "user0007:wrong")
    if user and peer.can_rule:
        expect("somebody barred", 403, host_name(0), BARRED)
    if duties.listed and peer.can_list:
        for name in fixtures.blocked():
            expect(f"{name}, which is listed", peer.refuses_with, name, user)
    if peer.can_rule:
        expect("a name in a rule", 403, "www.malware.example", user)
    seen.append(f"{_recorded(peer, len(seen))} records")
    return seen


def _recorded(peer: Peer, wanted: int) -> int:
    """How many lines of record there are, once there are enough."""
    until = time.monotonic() + PATIENCE
    while (written := sum(map(_lines, peer.records()))) < wanted:
        if time.monotonic() > until:
            raise Neglected(f"{peer.name}: {written} lines of record for {wanted} requests")
        time.sleep(0.1)
    return written


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")
