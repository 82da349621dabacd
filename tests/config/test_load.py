"""A policy file becomes a Configuration, or problems; never anything else."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from time import process_time
from zoneinfo import ZoneInfo

import yaml
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.config.listeners import Purpose
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.config.schema.table import fields_of, tables_below
from corpproxy.config.sources import version_of
from corpproxy.destination.model import Host
from corpproxy.identity.model import Identity
from corpproxy.policy.model import Effect, Facts
from tests.config.support import FOLDER, POLICY, SOUND, load, told
from tests.support.examples import EXAMPLES

SCHOOL = """\
site: Hillside School
time_zone: Europe/London
contact: {name: IT room 4, telephone: "+44 20 7946 0000"}
state: /var/lib/corpproxy
listen:
  - {name: rooms, forward: "0.0.0.0:3128"}
  - {name: pac, portal: "[::]:8080"}
  - {name: office, admin: "127.0.0.1:8081"}
portal: http://proxy.hillside.example/
pac: {proxy: "proxy.hillside.example:3128", direct: [.hillside.example, 10.0.0.0/8, <local>]}
identity:
  realm: Hillside
  methods: [{basic: {htpasswd: users.htpasswd}}]
  remember: 30m
  groups: {pupils: [amir, beth], staff: carol}
  networks: {print-room: {addresses: 10.1.4.0/24, user: print-room, groups: devices}}
  exempt: [{what: {domain: windowsupdate.com}}, {who: {network: print-room}}]
categories:
  lists: [{name: ads, format: hosts, path: lists/ads, category: ads, refresh: 24h}]
  own: {homework: bbc.co.uk}
  exceptions: {ads: [good.example]}
calendars:
  lessons: {days: mon-fri, hours: ["08:30-12:00", "13:00-15:30"], except: holidays}
  holidays: {dates: 2026-12-19/2027-01-04}
rules:
  - {name: no ads, what: {category: ads}, do: block, say: No advertisements.}
  - name: games
    who: {group: [pupils]}
    what: {domain: games.example}
    when: lessons
    do: block
  - {name: bets, what: {url: "http://bets.example/casino"}, do: warn, for: 2h}
  - {name: old, what: {domain: old.example}, do: redirect, to: "http://new.example/"}
  - name: printer
    who: {network: print-room}
    do: allow
    safety: {addresses: [public, private]}
  - {name: everything else, do: allow}
safe_search: [{who: {group: pupils}, engines: google, youtube: strict}]
connections: {per_address: 0}
timeouts: {head: 500ms}
http: {head_octets: 32KiB}
forwarding: {via: no, forwarded_for: yes}
names: {servers: [10.0.0.53, "[2001:db8::53]:5353"], domains: {internal.example: 10.0.0.54}, hosts: {P.internal: 10.0.0.9}}
audit: {query: yes, rotate: {size: 1GiB, daily: no}, keep: 30, when_full: continue}
tests:
  - {user: amir, at: 2026-11-23T10:00, get: "http://games.example/", expect: block, rule: games}
  - {connect: "a.example:443", from: 10.1.4.9, expect: allow}
"""  # noqa: E501
BESIDE = {"users.htpasswd": "", "lists/ads": ""}


class ConfigurationTests(SynchronousTestCase):
    """What each table becomes."""

    def setUp(self):
        self.loaded = load(SCHOOL, BESIDE)
        self.assertEqual(told(self.loaded), [])
        self.configuration = self.loaded.configuration

    def test_site(self):
        """Site, contact, portal and folders come out as written; paths are complete."""
        found = self.configuration
        self.assertEqual(found.site, "Hillside School")
        self.assertEqual(found.time_zone, ZoneInfo("Europe/London"))
        self.assertEqual((found.contact.name, found.contact.mail), ("IT room 4", ""))
        self.assertEqual(found.portal, Host("proxy.hillside.example"))
        self.assertEqual((found.folder, found.state), (FOLDER, Path("/var/lib/corpproxy")))
        self.assertFalse(found.watch)

    def test_listeners(self):
        """Each listener has its purpose, address and port."""
        self.assertEqual(
            [(one.name, one.purpose, str(one)) for one in self.configuration.listeners],
            [
                ("rooms", Purpose.FORWARD, "0.0.0.0:3128"),
                ("pac", Purpose.PORTAL, "[::]:8080"),
                ("office", Purpose.ADMIN, "127.0.0.1:8081"),
            ],
        )
        self.assertEqual([one.name for one in self.configuration.listening(Purpose.PORTAL)], ["pac"])
        self.assertEqual([one.is_loopback for one in self.configuration.listeners], [False, False, True])

    def test_identity(self):
        """Groups and networks reach the identity settings, exemptions the table that is asked before them."""
        identity = self.configuration.identity
        self.assertEqual(identity.htpasswd, FOLDER / "users.htpasswd")
        self.assertEqual(identity.remember_seconds, 1800)
        self.assertEqual(identity.groups, {"pupils": ("amir", "beth"), "staff": ("carol",)})
        self.assertEqual(identity.networks[0].addresses, (ip_network("10.1.4.0/24"),))
        self.assertEqual(identity.networks[0].groups, ("devices",))
        exempt = self.configuration.exemptions.entries
        self.assertEqual([one.what.domain for one in exempt], [("windowsupdate.com",), ()])
        self.assertEqual([one.who.network for one in exempt], [(), ("print-room",)])

    def test_categories(self):
        """Lists know their files; own names and exceptions are kept by category."""
        found = self.configuration
        (ads,) = found.lists
        self.assertEqual((ads.name, ads.path, ads.refresh), ("ads", FOLDER / "lists/ads", 86400))
        self.assertEqual(ads.place.line, 19)
        self.assertEqual(
            (found.own, found.exceptions), ({"homework": ("bbc.co.uk",)}, {"ads": ("good.example",)})
        )

    def test_rules(self):
        """Rules keep their order, effect, sentence and place."""
        rules = self.configuration.policy.rules
        self.assertEqual([rule.name for rule in rules[:3]], ["no ads", "games", "bets"])
        self.assertEqual(rules[0].say, "No advertisements.")
        self.assertEqual((rules[1].place.line, rules[1].place.column), (27, 5))
        self.assertEqual(rules[1].when[0].hours.days, frozenset(range(5)))
        self.assertEqual(rules[2].warn_seconds, 7200)
        self.assertEqual(rules[3].location, "http://new.example/")
        self.assertEqual(sorted(rules[4].safety.addresses), ["private", "public"])
        self.assertEqual(rules[4].safety.connect_ports, {443, 80})

    def test_decides(self):
        """The policy decides by its hours, its time zone and its holidays."""
        decide = self.configuration.policy.decide
        for at, effect in (
            (datetime(2026, 11, 23, 10, tzinfo=UTC), Effect.BLOCK),
            (datetime(2026, 12, 21, 10, tzinfo=UTC), Effect.ALLOW),
        ):
            facts = Facts(
                Identity("amir", ("pupils",)), "10.0.0.1", "rooms", "GET", "http",
                Host("games.example"), 80, "/", (), at.timestamp(),
            )  # fmt: skip
            self.assertEqual(decide(facts).effect, effect)

    def test_settings(self):
        """Limits, waits, names and records are those of the file; what is left out is the part's default."""
        found = self.configuration
        self.assertEqual((found.connections.per_address, found.connections.per_person), (0, 500))
        self.assertEqual((found.timeouts.head, found.timeouts.idle), (0.5, 120))
        self.assertEqual((found.http.head_octets, found.http.fields), (32768, 256))
        self.assertEqual((found.forwarding.via, found.forwarding.forwarded_for), ("", True))
        self.assertEqual(found.names.servers, (("10.0.0.53", 53), ("2001:db8::53", 5353)))
        self.assertEqual(found.names.domains, {"internal.example": (("10.0.0.54", 53),)})
        self.assertEqual(found.names.hosts, {"p.internal": ("10.0.0.9",)})
        audit = found.audit
        self.assertEqual((audit.query, audit.rotate_octets, audit.rotate_daily), (True, 1 << 30, False))
        self.assertEqual((audit.keep_segments, str(audit.when_full)), (30, "continue"))

    def test_file_sinks(self):
        """Files of sinks are rotated and kept as those of the record."""
        text = (
            SOUND + "audit: {rotate: {size: 1MiB}, keep: {files: 5, record: 2d}, to: [{name: a, file: b}]}\n"
        )
        loaded = load(text)
        self.assertEqual(loaded.problems, ())
        (sink,) = loaded.configuration.audit.to
        self.assertEqual((sink.rotate_octets, sink.rotate_daily), (1 << 20, True))
        self.assertEqual((sink.keep_files, sink.keep_seconds), (5, 2 * 86400.0))

    def test_cases(self):
        """Tests keep their time and what they ask for."""
        first, second = self.configuration.cases
        self.assertEqual(first.at, datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp())
        self.assertEqual((second.url, second.method, second.client), ("a.example:443", "CONNECT", "10.1.4.9"))

    def test_safe_search(self):
        """Strict search is for the group that is named."""
        pupil, teacher = Identity("amir", ("pupils",)), Identity("carol", ("staff",))
        dial = self.configuration.safe_search.dial_host
        google = Host("www.google.com")
        self.assertEqual(dial(google, pupil, "10.0.0.1", "rooms").name, "forcesafesearch.google.com")
        self.assertEqual(dial(google, teacher, "10.0.0.1", "rooms"), google)

    def test_version(self):
        """The version is that of the texts: another octet is another version."""
        self.assertEqual(self.configuration.version, version_of({"policy.yaml": SCHOOL.encode()}))
        self.assertNotEqual(load(SCHOOL + "#\n", BESIDE).version, self.loaded.version)


class TextTests(SynchronousTestCase):
    """A value is what was written, whatever YAML would make of it."""

    def test_no_is_text(self):
        """no, 010, 22:30 and dates stay what they look like where a text is meant."""
        loaded = load(SOUND + "site: 010\ncontact: {name: no, mail: 22:30, telephone: 2026-11-23}\n")
        found = loaded.configuration
        self.assertEqual(found.site, "010")
        self.assertEqual((found.contact.name, found.contact.mail), ("no", "22:30"))
        self.assertEqual(found.contact.telephone, "2026-11-23")

    def test_switches(self):
        """yes, no, true and false are switches, in any case of letters and in quotes too."""
        for written, value in (
            ("yes", True),
            ("True", True),
            ("'true'", True),
            ("no", False),
            ("FALSE", False),
        ):
            self.assertIs(load(SOUND + f"watch: {written}\n").configuration.watch, value)

    def test_one_or_many(self):
        """A single value may stand where a list may."""
        one, many = (
            load(SOUND + f"identity: {{groups: {{staff: {written}}}}}\n").configuration.identity.groups
            for written in ("carol", "[carol]")
        )
        self.assertEqual(one, many)


class IncludeTests(SynchronousTestCase):
    """Further files are part of the policy."""

    RULES = {
        "rules.d/10-games.yaml": "rules: [{name: games, what: {domain: games.example}, do: block}]\n",
        "rules.d/20-bets.yaml": "rules: [{name: bets, what: {domain: bets.example}, do: warn}]\n",
    }

    def names(self, text, more):
        loaded = load(text, more)
        self.assertEqual(told(loaded), [])
        return [rule.name for rule in loaded.configuration.policy.rules]

    def test_before(self):
        """Rules of files included above those of the policy come first, in the order of their names."""
        self.assertEqual(
            self.names("include: rules.d/*.yaml\n" + SOUND, self.RULES), ["games", "bets", "everything"]
        )

    def test_after(self):
        """Rules of files that are included below those of the policy come last."""
        text = (
            SOUND.partition("rules")[0] + "rules: [{name: news, what: {domain: news.example}, do: block}]\n"
        )
        rest = {"rest.yaml": "rules: [{name: rest, do: allow}]\n"}
        self.assertEqual(self.names(text + "include: rest.yaml\n", rest), ["news", "rest"])

    def test_tables_are_merged(self):
        """Groups of two files are one table."""
        groups = {"groups.yaml": "identity: {groups: {staff: [carol]}}\n"}
        loaded = load("include: groups.yaml\nidentity: {groups: {pupils: [amir]}}\n" + SOUND, groups)
        self.assertEqual(sorted(loaded.configuration.identity.groups), ["pupils", "staff"])

    def test_places(self):
        """A rule knows the file it stands in."""
        loaded = load("include: rules.d/*.yaml\n" + SOUND, self.RULES)
        self.assertEqual(
            loaded.configuration.policy.rules[0].place.file, str(FOLDER / "rules.d/10-games.yaml")
        )

    def test_texts(self):
        """All files that were read are given, by their paths in the folder, and all count for the version."""
        loaded = load("include: rules.d/*.yaml\n" + SOUND, self.RULES)
        self.assertEqual(sorted(loaded.texts), ["policy.yaml", *sorted(self.RULES)])
        changed = {**self.RULES, "rules.d/20-bets.yaml": "rules: []\n"}
        self.assertNotEqual(load("include: rules.d/*.yaml\n" + SOUND, changed).version, loaded.version)

    def test_broken_file_hides_nothing(self):
        """With one file broken, the shape of the others is still checked."""
        found = told(
            load(
                "include: [a.yaml, b.yaml]\nwatch: maybe\n" + SOUND, {"a.yaml": "a: [", "b.yaml": "sit: x\n"}
            )
        )
        self.assertEqual(
            [line.split()[2] for line in found], ["not-a-switch:", "not-yaml:", "unknown-field:"]
        )


class ForgivingTests(SynchronousTestCase):
    """A policy that ran before runs on when other files have changed."""

    def test_secret_gone(self):
        """A password file that is gone is an error, or a warning for a policy that ran before."""
        text = SOUND + "identity: {methods: [{basic: {htpasswd: gone}}]}\n"
        self.assertIsNone(load(text).configuration)
        forgiven = load(text, forgiving=True)
        self.assertIsNotNone(forgiven.configuration)
        self.assertEqual(
            [(one.code, one.severity) for one in forgiven.problems], [("secret-missing", "warning")]
        )


NAMES = sorted({name for _, table in tables_below(PolicyFile) for name in fields_of(table)})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=12),
    st.sampled_from(["10s", "64KiB", "allow", "GET", "10.0.0.0/8", "127.0.0.1:3128", "mon-fri", "a.example"]),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4),
    ),
    max_leaves=12,
)
POLICIES = st.dictionaries(st.sampled_from(sorted(fields_of(PolicyFile))), TREES, max_size=6)


class PropertyTests(SynchronousTestCase):
    """Whatever stands in the file, the reader gives problems or a configuration."""

    def check(self, octets):
        loaded = load(octets)
        self.assertEqual(loaded.configuration is None, bool(loaded.errors))
        for problem in loaded.problems:
            self.assertEqual(problem.place.file, str(POLICY))

    @EXAMPLES
    @given(st.binary(max_size=200))
    def test_any_octets(self, octets):
        """Any octets."""
        self.check(octets)

    @EXAMPLES
    @given(st.text(alphabet="abc: -[]{}#&*!|>'\"%@`,?\n\t0", max_size=80))
    def test_any_yaml(self, text):
        """Any text that looks like YAML."""
        self.check(text.encode())

    @EXAMPLES
    @given(POLICIES)
    def test_any_values(self, tree):
        """Any values in the fields that there are."""
        self.check(yaml.safe_dump(tree, allow_unicode=True).encode())

    @EXAMPLES
    @given(st.data())
    def test_damaged(self, data):
        """A good policy with some octets taken out or put in."""
        octets = SCHOOL.encode()
        at = data.draw(st.integers(0, len(octets)))
        cut = data.draw(st.integers(0, 30))
        self.check(octets[:at] + data.draw(st.binary(max_size=5)) + octets[at + cut :])


class SpeedTests(SynchronousTestCase):
    """A large policy loads quickly enough to be edited by hand."""

    def test_five_thousand_lines(self):
        """Five thousand lines are loaded in seconds on any machine; a second is the aim."""
        rules = "".join(
            f"  - name: rule {number}\n    who: {{group: g{number % 7}}}\n    what:\n"
            f"      domain: d{number}.example\n    do: {'block' if number % 2 else 'allow'}\n"
            for number in range(1000)
        )
        groups = ", ".join(f"g{number}: [a]" for number in range(7))
        text = SOUND.partition("rules")[0] + f"identity: {{groups: {{{groups}}}}}\nrules:\n{rules}"
        start = process_time()
        loaded = load(text + "  - {name: rest, do: allow}\n")
        self.assertLess(process_time() - start, 5)
        self.assertEqual(len(loaded.configuration.policy.rules), 1001)
