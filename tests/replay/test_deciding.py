"""One exchange of the past, decided again: as the service would have, or not at all."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.backends.policies.files import DISK
from corpproxy.config.load import load_policy
from corpproxy.policy.model import Effect
from corpproxy.policy.staged import is_in_share
from corpproxy.replay.candidate import AsOf, Candidate
from corpproxy.replay.deciding import Deciding
from tests.audit.test_record import a_record

HEAD = """\
site: Hillside
time_zone: Europe/London
listen: [{name: rooms, forward: "127.0.0.1:3128"}]
"""
ALLOW = "rules: [{name: all, do: allow}]\n"


class DecidingCase(SynchronousTestCase):
    """Policies, written and asked."""

    def policy(self, text):
        """The configuration of a policy."""
        folder = Path(self.mktemp())
        folder.mkdir()
        path = folder / "policy.yaml"
        path.write_text(HEAD + text)
        loaded = load_policy(path, DISK)
        self.assertIsNotNone(loaded.configuration, loaded.problems)
        return loaded.configuration

    def deciding(self, text, then=ALLOW, as_of=None):
        """Whoever decides again by a policy, where another was in force."""
        from corpproxy.assembly import people_of

        before, now = self.policy(then), self.policy(text)
        people = people_of(now.identity)
        return Deciding(
            Candidate(now, None, people, lambda version: before if version else None, as_of or AsOf())
        )

    def decide(self, text, *, then=ALLOW, **fields):
        """The effect and rule of one record, or the rule and fact of the doubt."""
        values = {"host": "www.example.com", "port": 80, "method": "GET", "scheme": "http", "path": "/",
                  "policy": "then", "decision": "allow", "rule": "all", "client": "10.1.2.3"}  # fmt: skip
        verdict = self.deciding(text, then).verdict(a_record(**{**values, **fields}))
        if verdict.doubt is not None:
            return verdict.doubt.rule, verdict.doubt.fact
        return verdict.decision.effect.value, verdict.decision.rule


TUNNEL = {"method": "CONNECT", "port": 443, "scheme": "https", "path": "", "result": ResultCode.TUNNELLED}


class SafetyTests(DecidingCase):
    """What the safety table says of an exchange that is under way."""

    REFUSED = {"failure": "address-refused", "addresses": ("loopback",), "decision": "block",
               "rule": "safety: addresses", "result": ResultCode.BLOCKED}  # fmt: skip
    INSIDE = "safety: {addresses: [public, private]}\n"

    def test_address_refused(self):
        """An address that was refused is refused again."""
        self.assertEqual(self.decide(ALLOW, **self.REFUSED), ("block", "safety: addresses"))

    def test_address_let_through(self):
        """Unless the new policy lets its class through."""
        text = "safety: {addresses: [public, loopback]}\n" + ALLOW
        self.assertEqual(self.decide(text, **self.REFUSED), ("allow", "all"))

    def test_address_dialled(self):
        """An address was dialled whose class is not let through any more; the host may have others."""
        inside = {"upstream": "10.0.0.7:80"}
        self.assertEqual(self.decide(self.INSIDE + ALLOW, **inside), ("allow", "all"))
        self.assertEqual(self.decide(ALLOW, **inside), ("safety: addresses", "the addresses of the host"))

    def test_all_addresses_known(self):
        """Where all of them are known, they decide."""
        inside = {"upstream": "10.0.0.7:80", "addresses": ("private",)}
        self.assertEqual(self.decide(ALLOW, **inside), ("block", "safety: addresses"))
        both = {"upstream": "10.0.0.7:80", "addresses": ("private", "public")}
        self.assertEqual(self.decide(ALLOW, **both), ("allow", "all"))

    def test_rule_of_addresses(self):
        """A rule that asks for addresses needs them from the record."""
        text = "rules: [{name: inside, what: {address: private}, do: block}, {name: all, do: allow}]\n"
        self.assertEqual(self.decide(text), ("inside", "the addresses of the host"))
        self.assertEqual(self.decide(text, addresses=("public",)), ("allow", "all"))
        self.assertEqual(self.decide(text, host="10.0.0.7"), ("block", "inside"))

    def test_first_octets(self):
        """A tunnel that gave itself away is refused again, unless anything may be in one now."""
        refused = {**TUNNEL, "failure": "server-name", "decision": "block", "rule": "safety: tunnel_content",
                   "result": ResultCode.BLOCKED, "server_name": "other.example"}  # fmt: skip
        self.assertEqual(self.decide(ALLOW, **refused), ("block", "safety: tunnel_content"))
        any_content = "safety: {tunnel_content: any}\n" + ALLOW
        self.assertEqual(self.decide(any_content, **refused), ("allow", "all"))

    def test_not_looked_at(self):
        """A tunnel whose first octets nobody looked at cannot be decided by a policy that looks at them."""
        doubt = ("safety: tunnel_content", "the first octets of the tunnel")
        self.assertEqual(self.decide(ALLOW, **TUNNEL), doubt)
        self.assertEqual(self.decide(ALLOW, **TUNNEL, server_name="www.example.com"), ("allow", "all"))

    def test_port(self):
        """Ports of tunnels are those of the new policy."""
        self.assertEqual(self.decide(ALLOW, **{**TUNNEL, "port": 22}), ("block", "safety: connect_ports"))


class PeopleTests(DecidingCase):
    """Who asked."""

    WARN = "rules: [{name: think, what: {domain: example.com}, do: warn}, {name: all, do: allow}]\n"

    def test_agent(self):
        """A rule of User-Agents reads the record's, unless that was kept out of it."""
        text = "rules: [{name: scripts, who: {agent: curl}, do: block}, {name: all, do: allow}]\n"
        self.assertEqual(self.decide(text, agent="curl/8.1"), ("block", "scripts"))
        self.assertEqual(self.decide(text, agent="Mozilla/5.0"), ("allow", "all"))
        self.assertEqual(self.decide(text, left_out=("agent",)), ("scripts", "the User-Agent"))

    def test_grant(self):
        """A grant holds for its rule, and for no other."""
        granted = {"granted": "2026-11-23T11:00:00.000Z", "rule": "think"}
        self.assertEqual(self.decide(self.WARN, **granted), ("allow", "think"))
        self.assertEqual(self.decide(self.WARN.replace("think", "mind"), **granted), ("warn", "mind"))
        self.assertEqual(self.decide(self.WARN, rule="think"), ("warn", "think"))

    def test_grant_before_safety(self):
        """It held, too, where the safety table refused what it let through."""
        refused = {
            "granted": "2026-11-23T11:00:00.000Z",
            "rule": "safety: connect_ports",
            "decision": "block",
        }
        warn = self.WARN.replace("do: allow", "do: block")
        found = self.decide(warn, **refused, **{**TUNNEL, "port": 22, "result": ResultCode.BLOCKED})
        self.assertEqual(found, ("block", "safety: connect_ports"))

    def test_canary(self):
        """A rule that counts for some counts for the same people as in the service."""
        text = "rules: [{name: half, canary: 50%, do: block}, {name: all, do: allow}]\n"
        for user in map("p{}".format, range(20)):
            expected = "half" if is_in_share("half", user, 5000) else "all"
            self.assertEqual(self.decide(text, user=user, source="basic")[1], expected, user)

    def test_shadow(self):
        """A rule in shadow changes nothing."""
        text = "rules: [{name: new, mode: shadow, do: block}, {name: all, do: allow}]\n"
        self.assertEqual(self.decide(text), ("allow", "all"))

    def test_exception(self):
        """An exception lets past what it names, in its time."""
        text = (
            "rules: [{name: none, do: block}]\n"
            "exceptions: [{name: club, past: none, who: {user: amir}, owner: carol, reason: chess, "
            "from: 2026-11-23, until: 2026-11-24}]\n"
        )
        self.assertEqual(self.decide(text, user="amir")[0], "allow")
        self.assertEqual(self.decide(text, user="beth")[0], "block")
        self.assertEqual(self.decide(text, user="amir", at="2026-11-25T10:00:00.000Z")[0], "block")

    def test_hours(self):
        """Hours are those of the new policy at the moment of the exchange, in whatever order they come."""
        text = (
            "calendars: {lessons: {days: mon-fri, hours: '08:30-15:30'}}\n"
            "rules: [{name: lessons, when: lessons, do: block}, {name: all, do: allow}]\n"
        )
        deciding = self.deciding(text)
        for clock, effect in (
            ("10", "block"),
            ("16", "allow"),
            ("09", "block"),
            ("20", "allow"),
            ("07", "allow"),
        ):
            record = a_record(at=f"2026-11-23T{clock}:00:00.000Z", host="a.example", port=80, method="GET")
            self.assertEqual(deciding.verdict(record).decision.effect, Effect(effect), clock)


class CategoryTests(DecidingCase):
    """What the lists said then, and what the policy says itself, where no version of a list is kept."""

    GAMES = "rules: [{name: games, what: {category: games}, do: block}, {name: all, do: allow}]\n"
    LISTED = "categories: {lists: [{name: ut1, format: ut1, path: ut1}]%s}\n"
    OWN = LISTED % ", own: {games: [example.com]}"
    OTHER = LISTED % ", own: {games: [elsewhere.example]}"
    CITED = {"lists": ("ut1=0123",)}

    def test_recorded(self):
        """Categories are those of then."""
        found = self.decide(self.OTHER + self.GAMES, then=self.LISTED % "" + ALLOW,
                            categories=("games",), **self.CITED)  # fmt: skip
        self.assertEqual(found, ("block", "games"))

    def test_own_of_then_taken_out(self):
        """An own category of then that the new policy lacks is gone, where no list can have had it."""
        own, other = (f"categories: {{own: {{games: [{one}.example]}}}}\n" for one in ("www", "elsewhere"))
        then = own.replace("www.example", "example.com")
        self.assertEqual(
            self.decide(other + self.GAMES, then=then + ALLOW, categories=("games",)), ("allow", "all")
        )

    def test_own_or_list(self):
        """Where a list can have had it too, it cannot be told."""
        found = self.decide(
            self.OTHER + self.GAMES, then=self.OWN + ALLOW, categories=("games",), **self.CITED
        )
        self.assertEqual(found, ("games", "the categories"))

    def test_exception_of_then(self):
        """Nor can it where a category was taken away then and is not any more."""
        own = ", own: {games: [x.example]}"
        before = self.LISTED % f"{own}, exceptions: {{games: [example.com]}}" + ALLOW
        found = self.decide(self.LISTED % own + self.GAMES, then=before, **self.CITED)
        self.assertEqual(found, ("games", "the categories"))

    def test_policy_gone(self):
        """Where the policy of then is not kept, a category that may have been its own is doubtful."""
        found = self.decide(self.OTHER + self.GAMES, policy="", categories=("games",), **self.CITED)
        self.assertEqual(found, ("games", "the categories"))

    def test_list_taken_out(self):
        """Where the new policy has one list less, another may have had the category too."""
        fun = "{name: fun, path: fun.txt, category: games}"
        two = f"categories: {{lists: [{{name: ut1, format: ut1, path: ut1}}, {fun}]}}\n"
        both = {"categories": ("games",), "lists": ("fun=77", "ut1=0123")}
        found = self.decide(self.LISTED % "" + self.GAMES, then=two + ALLOW, **both)
        self.assertEqual(found, ("games", "the categories"))

    def test_only_list_taken_out(self):
        """A policy without lists has no categories of lists."""
        none = "categories: {own: {games: [elsewhere.example]}}\n"
        found = self.decide(none + self.GAMES, then=self.OWN + ALLOW, categories=("games",), **self.CITED)
        self.assertEqual(found, ("allow", "all"))

    def test_other_category(self):
        """A list that is in another category now may have had the destination, or not."""
        fun, play = (
            f"categories: {{lists: [{{name: fun, path: fun.txt, category: {one}}}]}}\n"
            for one in ("fun", "games")
        )
        cited = {"lists": ("fun=77",)}
        self.assertEqual(self.decide(play + self.GAMES, then=fun + ALLOW, **cited), ("allow", "all"))
        found = self.decide(play + self.GAMES, then=fun + ALLOW, categories=("fun",), **cited)
        self.assertEqual(found, ("games", "the categories"))

    def test_paths(self):
        """An own category of a path has only that path."""
        text = "categories: {own: {games: [www.example.com/play]}}\n" + self.GAMES
        deciding = self.deciding(text)
        for path, effect in (("/play/now", "block"), ("/work", "allow"), ("/play", "block")):
            record = a_record(host="www.example.com", port=80, method="GET", path=path, policy="then")
            self.assertEqual(deciding.verdict(record).decision.effect, Effect(effect), path)

    def test_paths_of_rules(self):
        """Paths on hosts that no rule names do not matter; those that one names do."""
        text = "rules: [{name: plan, what: {url: example.com/plan}, do: block}, {name: all, do: allow}]\n"
        deciding = self.deciding(text)
        for host, path, rule in (
            ("www.example.com", "/", "all"),
            ("www.example.com", "/plan", "plan"),
            ("a.example", "/plan", "all"),
            ("www.example.com", "/", "all"),
        ):
            record = a_record(host=host, port=80, method="GET", path=path, policy="then")
            self.assertEqual(deciding.verdict(record).decision.rule, rule)
