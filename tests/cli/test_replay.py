"""``corpproxy replay``: what an administrator reads before a policy is put into force."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sys
import time
from pathlib import Path

from corpproxy.audit.record import encode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.backends.lists.files import open_index
from corpproxy.backends.lists.past import leave
from corpproxy.backends.lists.past_job import PastJob, keep_past
from corpproxy.backends.policies.history import History, Run
from tests.audit.test_record import a_record
from tests.cli.sites import SiteCase
from tests.support.realdata import real_data

LOG = Path(__file__).parents[1] / "replay" / "access.log"

POLICY = """\
site: Hillside
time_zone: Europe/London
listen: [{name: rooms, forward: "127.0.0.1:3128"}]
identity:
  methods: [{basic: {htpasswd: users.htpasswd}}]
  groups: {pupils: [amir, björn], staff: [beth]}
categories:
  lists: [{name: fun, format: names, path: fun.txt, category: games}]
  own: {news: [news.example]}
rules:
  - {name: no games, who: {group: pupils}, what: {category: games}, do: block}
  - {name: no watching, what: {url: "video.example/watch?v=1"}, do: block}
  - {name: people, who: {group: [pupils, staff]}, do: allow}
  - {name: everything else, do: block}
"""
# A Monday in term.
AT = 1_795_428_000.0


class ReplayCase(SiteCase):
    """A site with records."""

    def setUp(self):
        super().setUp()
        (self.folder / "users.htpasswd").write_text("")
        (self.folder / "users.htpasswd").chmod(0o600)
        (self.folder / "fun.txt").write_text("games.example\n")
        self.policy.write_text(POLICY)
        self.records = self.folder / "state" / "records"
        self.records.mkdir(parents=True)
        self.run_command("lists", "--policy", self.policy, "build")
        self.version = json.loads(self.run_command("check", self.policy, "--format", "json")[1])["version"]
        self.written = []

    def exchange(self, host="www.example.com", user="amir", rule="people", decision="allow", **more):
        """An exchange, as the service would have recorded it."""
        values = {
            "id": f"0s3c9d0000r{len(self.written):03}",
            "at": utc_text(AT + len(self.written)),
            "result": ResultCode.FORWARDED if decision == "allow" else ResultCode.BLOCKED,
            "host": host, "port": 80, "scheme": "http", "method": "GET", "path": "/", "client": "10.1.2.3",
            "listener": "rooms", "user": user, "groups": ("staff",) if user == "beth" else ("pupils",),
            "source": "basic", "policy": self.version, "lists": ("fun=0123456789ab",),
            "decision": decision, "rule": rule, "place": "policy.yaml:12:5",
        }  # fmt: skip
        self.written.append(a_record(**{**values, **more}))

    def save(self, *, compressed=False):
        """Write the segment."""
        lines = b"".join(map(encode, self.written))
        name = "records-20261123T100000Z-0001.jsonl"
        if compressed:
            (self.records / f"{name}.gz").write_bytes(gzip.compress(lines))
        else:
            (self.records / name).write_bytes(lines)

    def replay(self, *words):
        """What the command finds, as JSON."""
        code, out, err = self.run_command("replay", "--policy", self.policy, "--json", *words)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def keep_lists(self):
        """Have the versions of the lists kept, as a running service does; gives what records cite."""
        state = self.folder / "state"
        leave(state)
        keep_past(PastJob(str(state), ["fun"]), time.time())
        return tuple(f"{name}={version}" for name, version in open_index(state).versions.items())

    def edit(self, before, after):
        """Change the policy file."""
        text = self.policy.read_text()
        self.assertIn(before, text)
        self.policy.write_text(text.replace(before, after))


class RecordsTests(ReplayCase):
    """Over the records of the site."""

    SINCE = ("--since", "2026-11-01")

    def test_text(self):
        """What changes comes first, with exchanges, people and hosts; all the rest is a number."""
        for user in ("amir", "amir", "cleo"):
            self.exchange(user=user)
        self.exchange(user="beth")
        self.exchange("games.example", rule="no games", decision="block", categories=("games",))
        self.exchange(result=ResultCode.CHALLENGED, decision="", rule="", user="")
        self.save()
        self.edit("no games, who: {group: pupils}", "no games, who: {group: staff}")
        self.edit("do: allow", "do: allow, what: {domain: games.example}")
        code, out, err = self.run_command("replay", "--policy", self.policy, *self.SINCE)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("newly blocked: 4 exchanges of 3 people on 1 host\n", out)
        self.assertIn("    4  3 people  1 host  'everything else', before: 'people'\n", out)
        self.assertIn("  by group\n    3  2 people  1 host  pupils\n    1  1 person  1 host  staff\n", out)
        self.assertIn("newly allowed: 1 exchange of 1 person on 1 host\n", out)
        self.assertIn("    1  1 person  games.example  (games)\n", out)
        self.assertIn("1 were decided by no rule: challenged 1\n", out)
        self.assertLess(out.index("newly blocked"), out.index("newly allowed"))

    def test_groups(self):
        """People of several groups whom no rule tells apart are told apart in the report."""
        for groups in (("pupils",), ("staff",), ("pupils", "choir"), ()):
            self.exchange(groups=groups, user="-".join(groups) or "zoe")
        self.save()
        self.policy.write_text(POLICY[: POLICY.index("rules:")] + "rules: [{name: none, do: block}]\n")
        found = self.replay(*self.SINCE)
        groups = {one["group"]: one["exchanges"] for one in found["changes"]["newly blocked"]["by_group"]}
        self.assertEqual(groups, {"": 1, "choir": 1, "pupils": 2, "staff": 1})
        self.assertEqual(found["people_in_no_group"], ["zoe"])

    def test_rows(self):
        """A table has so many rows, and says how many more there are."""
        for number in range(15):
            self.exchange(f"h{number}.example")
        self.save()
        self.edit("do: allow", "do: block")
        _, out, _ = self.run_command("replay", "--policy", self.policy, "--rows", 3, *self.SINCE)
        self.assertIn("    and 12 more\n", out)

    def test_nothing_changes(self):
        """The policy that decided changes nothing."""
        self.exchange()
        self.exchange("games.example", rule="no games", decision="block", categories=("games",))
        self.save()
        _, out, _ = self.run_command("replay", "--policy", self.policy, *self.SINCE)
        self.assertIn("no decision changes\n", out)
        self.assertIn("2 of 2 decided exchanges are decided as they were\n", out)

    def test_list_in_other_category(self):
        """What a list of then said is known for good: in the category that the new policy gives it."""
        cited = self.keep_lists()
        self.exchange("games.example", "beth", categories=("games",), lists=cited)
        self.exchange("news.example", categories=("news",), lists=cited)
        self.save()
        (self.folder / "fun.txt").write_text("other.example\n")
        self.edit("category: games}]", "category: play}]")
        self.edit(
            "{name: no games, who: {group: pupils}, what: {category: games}",
            "{name: no play, what: {category: play}",
        )
        found = self.replay(*self.SINCE)
        self.assertEqual(found["undecidable"]["exchanges"], 0)
        (row,) = found["changes"]["newly blocked"]["by_host"]
        self.assertEqual((row["host"], row["categories"]), ("games.example", ["play"]))

    def test_exception_taken_back(self):
        """A category that an exception of then hid is known from the version of the list."""
        self.edit("own: {news: [news.example]}", "exceptions: {games: [games.example]}")
        self.keep_policy()
        self.version = json.loads(self.run_command("check", self.policy, "--format", "json")[1])["version"]
        cited = self.keep_lists()
        self.exchange("games.example", lists=cited)
        self.exchange("other.example", lists=cited)
        self.save()
        self.edit("  exceptions: {games: [games.example]}\n", "")
        found = self.replay(*self.SINCE)
        self.assertEqual(found["undecidable"]["exchanges"], 0)
        self.assertEqual(
            [one["host"] for one in found["changes"]["newly blocked"]["by_host"]], ["games.example"]
        )

    def test_version_not_kept(self):
        """Where the version is not kept, that cannot be told, and is counted as such."""
        self.keep_policy()
        self.exchange("games.example", "beth", categories=("games",))
        self.save()
        self.edit("category: games}]", "category: play}]")
        self.edit(
            "{name: no games, who: {group: pupils}, what: {category: games}",
            "{name: no play, what: {category: play}",
        )
        found = self.replay(*self.SINCE)
        self.assertEqual(found["undecidable"]["exchanges"], 1)

    def test_own_category(self):
        """A name that the new policy puts into a category of its own has it, whatever was recorded."""
        self.exchange("new.example")
        self.save()
        self.edit("own: {news: [news.example]}", "own: {games: [new.example]}")
        found = self.replay(*self.SINCE)
        self.assertEqual(found["changes"]["newly blocked"]["by_host"][0]["categories"], ["games"])

    def test_exception_of_a_category(self):
        """A name that the new policy takes out of a category has it no more."""
        self.exchange("games.example", rule="no games", decision="block", categories=("games",))
        self.save()
        self.edit("  own:", "  exceptions: {games: [games.example]}\n  own:")
        self.assertEqual(self.replay(*self.SINCE)["changes"]["newly allowed"]["exchanges"], 1)

    def test_lists_then_and_now(self):
        """Categories are those of then, when the list was another; with --lists now those of now."""
        self.exchange("old.example", rule="no games", decision="block", categories=("games",))
        self.exchange("games.example")
        self.save()
        self.assertEqual(self.replay(*self.SINCE)["changed"], 0)
        found = self.replay(*self.SINCE, "--lists", "now")["changes"]
        self.assertEqual(found["newly allowed"]["by_host"][0]["host"], "old.example")
        self.assertEqual(found["newly blocked"]["by_host"][0]["host"], "games.example")

    def test_groups_then_and_now(self):
        """So are groups; with --groups now those of now."""
        self.exchange(user="zoe", groups=("staff",))
        self.save()
        self.assertEqual(self.replay(*self.SINCE)["changed"], 0)
        found = self.replay(*self.SINCE, "--groups", "now")
        self.assertEqual(found["changes"]["newly blocked"]["by_rule"][0]["after"], "everything else")
        self.assertEqual(found["people_in_no_group"], ["zoe"])

    def test_exemptions_of_now(self):
        """With --groups now who signed in nowhere is asked by the exemptions of the new policy."""
        self.exchange("news.example", user="", source="anonymous", at="2026-11-23T10:00:00.000Z")
        self.exchange("news.example", user="", source="anonymous", at="2026-11-23T20:00:00.000Z")
        self.exchange("other.example", user="", source="anonymous", at="2026-11-23T10:00:00.000Z")
        self.save()
        exempt = '{what: {domain: news.example}, when: {hours: "08:00-12:00"}}'
        self.edit("identity:", f"identity:\n  exempt: [{exempt}]")
        found = self.replay(*self.SINCE, "--groups", "now")
        self.assertEqual(found["undecidable"]["exchanges"], 2)

    def test_exemption_in_doubt(self):
        """Where an exemption of now asks what was not recorded, it is not known who would have been asked."""
        self.exchange(user="", source="anonymous", agent="apt/2.6")
        self.exchange(user="", source="anonymous", left_out=("agent",))
        self.save()
        self.edit("identity:", "identity:\n  exempt: [{who: {agent: ^apt}}]")
        self.edit("name: people,", "name: programs, who: {anonymous: yes}, do: allow}\n  - {name: people,")
        found = self.replay(*self.SINCE, "--groups", "now")
        self.assertEqual(found["undecidable"]["exchanges"], 1)

    def test_new_list(self):
        """What a list says that was not there then cannot be known, unless it is asked now."""
        self.exchange("other.example")
        self.save()
        (self.folder / "more.txt").write_text("other.example\n")
        self.edit("lists: [", "lists: [{name: more, format: names, path: more.txt, category: chat}, ")
        self.edit("category: games}, do", "category: [games, chat]}, do")
        self.run_command("lists", "--policy", self.policy, "build")
        (doubt,) = self.replay(*self.SINCE)["undecidable"]["by"]
        self.assertEqual((doubt["rule"], doubt["fact"]), ("no games", "the categories"))
        self.assertEqual(
            self.replay(*self.SINCE, "--lists", "now")["changes"]["newly blocked"]["exchanges"], 1
        )

    def test_query(self):
        """A query that the record was not to keep makes doubtful what asks for it, and nothing else."""
        self.exchange("video.example", path="/watch", left_out=("query",))
        self.exchange("www.example.com", path="/watch", left_out=("query",))
        self.save()
        found = self.replay(*self.SINCE)
        self.assertEqual((found["unchanged"], found["undecidable"]["exchanges"]), (1, 1))
        self.assertEqual(found["undecidable"]["by"][0]["fact"], "the query")

    def test_query_and_lists_now(self):
        """With --lists now a query that was not kept makes doubtful only what a list says of it."""
        (self.folder / "fun.txt").write_text("tube.example/watch?v=9\ngames.example/play\n")
        self.edit("format: names", "format: urls")
        self.run_command("lists", "--policy", self.policy, "build")
        for host, path in (("tube.example", "/watch"), ("tube.example", "/look"), ("games.example", "/play")):
            self.exchange(host, path=path, left_out=("query",))
        self.exchange("tube.example", path="/watch?v=1")
        self.save()
        found = self.replay(*self.SINCE, "--lists", "now")
        self.assertEqual(found["undecidable"]["exchanges"], 1)
        (doubt,) = found["undecidable"]["by"]
        self.assertEqual((doubt["rule"], doubt["fact"]), ("no games", "the categories"))
        self.assertEqual(found["changes"]["newly blocked"]["by_host"][0]["host"], "games.example")
        self.assertEqual(found["unchanged"], 2)

    def test_safe_search(self):
        """Whom another host of a search engine would answer is a number of its own, and no change."""
        self.keep_policy()
        for user in ("amir", "beth"):
            self.exchange("www.google.com", user=user, method="CONNECT", port=443, path="", scheme="https")
        self.exchange("www.example.com")
        self.save()
        self.assertEqual(self.replay(*self.SINCE)["safe_search"], {"by": [], "undecidable": []})
        self.edit("rules:\n", "safe_search: [{who: {group: pupils}}]\nrules:\n")
        found = self.replay(*self.SINCE)
        (searches,) = found["safe_search"]["by"]
        self.assertEqual(
            (searches["before"], searches["after"]), ("www.google.com", "forcesafesearch.google.com")
        )
        self.assertEqual((searches["exchanges"], found["changed"], found["unchanged"]), (1, 0, 3))
        _, out, _ = self.run_command("replay", "--policy", self.policy, *self.SINCE)
        self.assertIn("1 goes to another host of a search engine (safe_search)\n", out)
        self.assertIn("    1  1 person  1 host  forcesafesearch.google.com, before: www.google.com\n", out)
        shutil.rmtree(self.folder / "state" / "policies")
        (unknown,) = self.replay(*self.SINCE)["safe_search"]["undecidable"]
        self.assertEqual((unknown["exchanges"], unknown["fact"][:16]), (2, "what safe_search"))

    def keep_policy(self):
        """Keep the policy as one that ran."""
        texts = {"policy.yaml": self.policy.read_bytes()}
        History(self.folder / "state").keep(texts, self.policy, Run(AT - 60, "carol", 1000, "reload"))

    def test_tunnels(self):
        """A tunnel counts once, whether it is still open or not."""
        tunnel = {"method": "CONNECT", "port": 443, "scheme": "https", "path": ""}
        for kind in (Kind.OPENING, Kind.PROGRESS, Kind.CLOSING):
            self.exchange(kind=kind, id="0s3c9d0000t001", result=ResultCode.OPEN, **tunnel)
        self.exchange(kind=Kind.OPENING, id="0s3c9d0000t002", result=ResultCode.OPEN, **tunnel)
        self.save()
        self.assertEqual(self.replay(*self.SINCE)["unchanged"], 2)

    def test_deeds(self):
        """What people do about access is no exchange, and not decided again."""
        self.exchange()
        self.exchange(kind=Kind.DEED)
        self.save()
        found = self.replay(*self.SINCE)
        self.assertEqual((found["unchanged"], found["passed_over"]), (1, {}))

    def test_span_and_user(self):
        """Only the time and the person that are asked for."""
        self.exchange(at=utc_text(AT - 86_400))
        self.exchange()
        self.exchange(user="beth")
        self.save(compressed=True)
        self.assertEqual(self.replay(*self.SINCE)["unchanged"], 3)
        self.assertEqual(self.replay("--since", "2026-11-23")["unchanged"], 2)
        self.assertEqual(self.replay(*self.SINCE, "--until", "2026-11-22")["unchanged"], 1)
        self.assertEqual(self.replay(*self.SINCE, "--user", "beth")["unchanged"], 1)

    def test_damaged(self):
        """A line that is no record is told with its place, and the others count."""
        self.exchange()
        self.save()
        (segment,) = self.records.iterdir()
        segment.write_bytes(b"{not a record}\n" + segment.read_bytes())
        code, out, err = self.run_command("replay", "--policy", self.policy, *self.SINCE)
        self.assertEqual(code, 0)
        self.assertIn(f"{segment}:1: not a record", err)
        self.assertIn("1 line could not be read\n", out)

    def test_candidate_elsewhere(self):
        """A policy that lies elsewhere is rehearsed on the records of the site."""
        self.exchange()
        self.save()
        elsewhere = Path(self.mktemp())
        elsewhere.mkdir()
        shutil.copy(self.folder / "users.htpasswd", elsewhere)
        (elsewhere / "new.yaml").write_text(POLICY.replace("do: allow", "do: block"))
        words = ("--policy", self.policy, "replay", "--json", "--policy", elsewhere / "new.yaml", *self.SINCE)
        code, out, _ = self.run_command(*words)
        self.assertEqual((code, json.loads(out)["changed"]), (0, 1))

    def test_no_records(self):
        """Without records the command says who makes them."""
        self.records.rmdir()
        code, _, err = self.run_command("replay", "--policy", self.policy)
        self.assertEqual(code, 1)
        self.assertIn("there are no records; the service makes them", err)

    def test_broken_candidate(self):
        """A policy with mistakes is told with all of them, and nothing is rehearsed."""
        self.edit("do: allow", "do: alow")
        code, out, err = self.run_command("replay", "--policy", self.policy)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("policy.yaml:13:", err)

    def test_wrong_moment(self):
        """A moment that is none is the mistake of whoever asks."""
        code, _, err = self.run_command("replay", "--policy", self.policy, "--since", "soon")
        self.assertEqual(code, 2)
        self.assertIn("'soon' is no moment", err)


class SquidTests(ReplayCase):
    """Over the log of a Squid."""

    def test_report(self):
        """What Squid did is compared with what the policy would do, for the groups and lists of now."""
        found = self.replay("--squid", LOG)
        self.assertEqual((found["decided"], found["odd_lines"]), (5, 2))
        self.assertEqual(found["passed_over"], {"challenged": 1, "malformed": 1})
        allowed = found["changes"]["newly allowed"]
        self.assertEqual([one["host"] for one in allowed["by_host"]], ["casino.example"])
        self.assertEqual(allowed["by_host"][0]["example"], "line 4")
        self.assertEqual(found["people_in_no_group"], ["school\\dora"])

    def test_odd_lines(self):
        """A line that is none is told with its number; the words for people do not name rules of Squid."""
        code, out, err = self.run_command("replay", "--policy", self.policy, "--squid", LOG)
        self.assertEqual(code, 0)
        self.assertIn(f"{LOG}:8: it has 7 fields", err)
        self.assertIn(f"{LOG}:9: 'ftp://ftp.example.org/x' is no URL", err)
        self.assertIn("    1  1 person  1 host  'people'\n", out)
        self.assertIn("1 person is in no group: school\\dora;\n", out)

    def test_compressed(self):
        """A log that was rotated away is read as it is."""
        packed = self.folder / "access.log.1.gz"
        packed.write_bytes(gzip.compress(LOG.read_bytes()))
        self.assertEqual(
            self.replay("--squid", packed),
            self.replay("--squid", LOG) | {"source": f"the log of a Squid, {packed}"},
        )

    def test_damaged(self):
        """One that is damaged is read as far as it goes."""
        packed = self.folder / "access.log.1.gz"
        packed.write_bytes(gzip.compress(LOG.read_bytes() * 2000)[:-400])
        self.assertGreater(self.replay("--squid", packed)["decided"], 1000)

    def test_stdin(self):
        """A minus sign is standard input, compressed or not."""
        for octets in (LOG.read_bytes(), gzip.compress(LOG.read_bytes())):
            self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
            self.assertEqual(self.replay("--squid", "-")["decided"], 5)

    def test_nobody_signed_in(self):
        """A request of somebody who did not sign in is decided where it does not matter who it is."""
        log = self.folder / "access.log"
        line = b"1795428000.500 250 10.1.2.3 TCP_MISS/200 5120 GET http://%b/ - HIER_NONE/- text/html\n"
        log.write_bytes(line % b"www.example.com" + line % b"banned.example")
        self.edit("rules:\n", "rules:\n  - {name: banned, what: {domain: banned.example}, do: block}\n")
        found = self.replay("--squid", log)
        self.assertEqual(found["changes"]["newly blocked"]["by_host"][0]["host"], "banned.example")
        (doubt,) = found["undecidable"]["by"]
        self.assertEqual((doubt["rule"], doubt["fact"]), ("people", "the person, who had not signed in"))

    def test_not_then(self):
        """A log of Squid tells no groups and no categories of then."""
        code, _, err = self.run_command("replay", "--policy", self.policy, "--squid", LOG, "--lists", "then")
        self.assertEqual(code, 2)
        self.assertIn("tells no groups and no categories", err)

    def test_no_file(self):
        """A log that is not there is said to be missing."""
        code, _, err = self.run_command("replay", "--policy", self.policy, "--squid", self.folder / "none")
        self.assertEqual(code, 1)
        self.assertIn("No such file", err)

    def test_real_day(self):
        """A whole day of a real Squid is read, each line of it decided, passed over or told."""
        log = real_data("squid/squid57-office-day.access.log.gz")
        found = self.replay("--squid", log)
        undecidable = found["undecidable"]["exchanges"]
        total = found["decided"] + undecidable + sum(found["passed_over"].values()) + found["odd_lines"]
        self.assertEqual((total, found["odd_lines"]), (91_969, 32))
