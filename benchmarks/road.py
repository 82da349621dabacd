"""
The road without the kernel: what one exchange costs in Python, and where.

    python -m benchmarks.road [--unseen] [--calls] [--profile] [--books] [--exchanges N]

A client and a server that take no time stand at the two ends of the real protocols, with a real policy,
sign-in, record and ledger.  What is left out is what only the kernel does: sockets.

A time depends on the machine and on what else it does; the calls of Python functions that an exchange makes
do not, so that a change can be judged by them anywhere.

With ``--unseen`` each exchange goes to a host that nobody asked for before: all that is found out once is
found out each time, and the connection to the server is a new one.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import os
import pstats
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from twisted.internet import reactor as any_reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed

import corpproxy
from corpproxy.accounting.accounts import Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.admin.telemetry import Telemetry
from corpproxy.assembly import Lasting, assemble
from corpproxy.audit.proof import SEED_OCTETS, beginning, link
from corpproxy.audit.record import Record
from corpproxy.audit.reference import References
from corpproxy.audit.sheet import Sheet
from corpproxy.backends.books import Books
from corpproxy.backends.people.reception import Reception
from corpproxy.backends.policies.start import start_configuration
from corpproxy.backends.records.files import BATCH_RECORDS
from corpproxy.exchange.exchange import Mode
from corpproxy.identity.forms import Signer
from corpproxy.identity.grants import Grants
from corpproxy.identity.requests import Requests
from corpproxy.interpreter import GC_THRESHOLDS
from corpproxy.net.deadlines import Deadlines
from corpproxy.net.downstream import Downstream
from corpproxy.net.names import Names
from corpproxy.net.pool import Pool
from corpproxy.net.proxy import Proxy
from corpproxy.pages.refusals import Refusals

reactor: Any = any_reactor

HOSTS = ", ".join(f"h{i:02d}.bench.test: [127.0.0.1]" for i in range(16))
RULES = "\n".join(
    f"  - {{name: rule {i}, who: {{group: staff}}, what: {{domain: d{i}.example}}, do: block}}"
    for i in range(16)
)
POLICY = f"""
site: benchmark
time_zone: Europe/London
state: state
listen: [{{name: forward, forward: "127.0.0.1:3128"}}]
safety: {{addresses: [public, loopback]}}
connections: {{total: 0, per_address: 0, per_person: 0, tunnels_per_address: 0, tunnels_per_person: 0}}
identity: {{methods: [{{basic: {{htpasswd: users}}}}], groups: {{pupils: [amir], staff: [carol]}}}}
categories:
  own: {{games: [games.example], homework: [bbc.co.uk, khanacademy.org], ads: [ads.example]}}
calendars: {{lessons: {{days: mon-fri, hours: "08:30-15:30"}}}}
names: {{hosts: {{{HOSTS}}}}}
rules:
  - {{name: no ads, what: {{category: ads}}, do: block}}
  - {{name: no banners, what: {{expression: ["/banners?/[0-9]+x[0-9]+/"]}}, do: block}}
  - {{name: homework, what: {{category: homework}}, do: allow}}
  - {{name: lessons, who: {{group: pupils}}, what: {{category: games}}, when: lessons, do: block}}
{RULES}
  - {{name: all, do: allow}}
"""
PASSWORD = b64encode(b"amir:secret123")
# Others with the same password, as many as are asked for one after another.
PEOPLE = [f"p{i:04d}" for i in range(1000)]


def head_for(host: bytes) -> bytes:
    """What a browser sends for a page of a host."""
    return (
        b"GET http://%b/s200 HTTP/1.1\r\n"
        b"Host: %b\r\n"
        b"Proxy-Authorization: Basic %b\r\n"
        b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
        b"Accept-Language: en-GB,en;q=0.5\r\n"
        b"Accept-Encoding: gzip, deflate\r\n"
        b"Referer: http://%b/\r\n"
        b"Connection: keep-alive\r\n\r\n" % (host, host, PASSWORD, host)
    )


HEADS = [head_for(b"h%02d.bench.test" % i) for i in range(16)]
ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: nginx/1.22.1\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n"
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Length: 200\r\n"
    b"Last-Modified: Mon, 23 Nov 2026 09:00:00 GMT\r\n"
    b"Connection: keep-alive\r\n"
    b'ETag: "65f0-c8"\r\n'
    b"Accept-Ranges: bytes\r\n\r\n" + b"x" * 200
)


class Ends:
    """A transport that takes everything at once and remembers nothing but that it was written to."""

    def __init__(self) -> None:
        self.wrote = 0

    def write(self, data: bytes) -> None:
        self.wrote += 1

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 80)

    def _nothing(self, *ignored: Any) -> None:
        pass

    setTcpNoDelay = registerProducer = unregisterProducer = _nothing
    pauseProducing = resumeProducing = loseConnection = abortConnection = _nothing


class Connector:
    """Connects at once, as the engine does where a server has one address."""

    def dial_one(self, address: str, port: int, caller: Any, *ignored: Any) -> Connector:
        server = caller.build()
        server.transport = Ends()
        server.makeConnection(server.transport)
        caller.arrived(server)
        return self


class Everywhere(Names):
    """Knows the address of every host, as from a file of hosts."""

    def addresses(self, host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)


class Unseen:
    """Makes heads for hosts that were never asked for."""

    def __init__(self) -> None:
        self._asked = 0

    def heads(self, count: int) -> list[bytes]:
        """Make some more."""
        self._asked += count
        return [head_for(b"u%06d.bench.test" % i) for i in range(self._asked - count, self._asked)]


class Lines:
    """A writer that encodes and links as the real one does, and throws the lines away."""

    def __init__(self) -> None:
        self.sheet = Sheet(self.flush)
        self.sheet.due = BATCH_RECORDS
        self.accepts = self.sheet.accepts
        self._head = beginning("records-00000000T000000Z.jsonl")

    def write(self, record: Record) -> None:
        self.sheet.add(record)

    def flush(self) -> None:
        """Take what waits as lines, and commit to it in the chain."""
        batch, count = self.sheet.take()
        _, self._head = link(batch, self._head, os.urandom(SEED_OCTETS * count))


class NoBooks:
    """Keeps nothing of an exchange; stands in the place of the books to be compared with them."""

    def accepts(self) -> bool:
        return True

    def close(self, exchange: Any) -> None:
        pass


class NoGrants:
    """A store that keeps no grant."""

    def save_grant(self, grant: Any) -> Deferred[None]:
        return succeed(None)


def make_proxy(folder: Path, further: str = "", clock: Any = reactor) -> Proxy:
    """Make the proxy of a policy, and of further tables of it, with ends that take no time."""
    from passlib.hash import apr_md5_crypt

    users = folder / "users"
    hashed = apr_md5_crypt.hash("secret123")
    users.write_text("".join(f"{name}:{hashed}\n" for name in ("amir", *PEOPLE)))
    users.chmod(0o600)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY + further)
    started = start_configuration(policy)
    if started.configuration is None:
        raise SystemExit("\n".join(map(str, started.problems)))
    configuration = started.configuration
    reception = Reception(clock, time.time, configuration.identity)
    reception._memory.remember(b"Basic " + PASSWORD, "amir", time.time())
    accounts = Accounts(Ledger())
    books = Books(accounts, Lines(), time.time, Telemetry().exchange)
    lasting = Lasting(Grants(), Requests(), Refusals(), Signer(bytes(32)), reception)
    return Proxy(
        reactor=clock,
        connector=Connector(),
        in_force=assemble(configuration, None, lasting),
        deadlines=Deadlines(clock),
        names=Everywhere(clock, configuration.names),
        pool=Pool(clock, configuration.connections, 10.0),
        books=books,
        sign_in=reception,
        grants=NoGrants(),
        references=References(1),
        now=time.time,
    )


def run(proxy: Proxy, exchanges: int, unseen: Unseen | None = None) -> float:
    """
    Run so many exchanges, gives microseconds of processor time for each.

    They go over kept connections, or to hosts that are unseen.
    """
    clients = []
    heads = (
        [HEADS[number * 7 & 15] for number in range(exchanges)] if unseen is None else unseen.heads(exchanges)
    )
    for _ in range(16):
        client = Downstream(proxy, Mode.FORWARD, "forward")
        client.makeConnection(Ends())  # type: ignore[arg-type]
        clients.append(client)
    began = time.process_time()
    for number, head in enumerate(heads):
        client = clients[number & 15]
        client.dataReceived(head)
        server = client.upstream
        assert server is not None, "the exchange waits for something"
        server.dataReceived(ANSWER)
    return (time.process_time() - began) * 1e6 / exchanges


def calls(proxy: Proxy, unseen: Unseen | None = None) -> Counter[str]:
    """
    Count the calls of our functions that one exchange makes, by module.

    It is one whose like came before, or one to a host that is unseen.
    """
    run(proxy, 64, unseen)
    package = str(Path(corpproxy.__file__).parent)
    counted: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        written = frame.f_code.co_filename
        if event == "call" and written.startswith(package):
            counted[written[len(package) + 1 :]] += 1

    # To connect is a part of it only for hosts that are unseen: more exchanges, less those on no connection.
    sys.setprofile(count)
    try:
        run(proxy, 16, unseen)
        counted, once = Counter(), counted
        run(proxy, 32, unseen)
    finally:
        sys.setprofile(None)
    return Counter({part: (number - once[part]) // 16 for part, number in counted.items()})


def least(proxy: Proxy, exchanges: int, unseen: Unseen | None = None) -> float:
    """Give the least of many runs: what else the machine does only ever adds to a time."""
    return min(run(proxy, exchanges, unseen) for _ in range(60))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=50_000)
    parser.add_argument("--unseen", action="store_true", help="each exchange goes to a host of its own")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--calls", action="store_true", help="print how many calls an exchange makes")
    parser.add_argument("--books", action="store_true", help="print what account and record have of it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        proxy, unseen = make_proxy(Path(folder)), Unseen() if options.unseen else None
        run(proxy, 2_000, unseen)
        gc.collect()
        gc.set_threshold(*GC_THRESHOLDS)
        if options.calls:
            for part, number in calls(proxy, unseen).most_common():
                if number:
                    print(f"{number:4} {part}")
        if options.profile:
            profile = cProfile.Profile()
            profile.enable()
            run(proxy, options.exchanges // 5, unseen)
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(60)
        exchanges = options.exchanges // 20
        whole = least(proxy, exchanges, unseen)
        print(f"{whole:.1f} us of Python for an exchange, the least of 60 runs")
        if options.books:
            proxy.books = NoBooks()  # type: ignore[assignment]
            bare = least(proxy, exchanges, unseen)
            print(f"{whole - bare:.1f} us of them for account, record, commitments and chain")


if __name__ == "__main__":
    main()
