"""A squid.conf becomes a policy that an administrator could have written."""

# Sentences that are told stand here whole, each on the line of its case.
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.policies.files import DISK
from corpproxy.foreign import tables
from corpproxy.foreign.draft import report
from corpproxy.foreign.squid.policy import import_squid
from corpproxy.objections import objections
from tests.foreign.importing import SITE, loaded, loads, rules_of, said, squid
from tests.support.examples import EXAMPLES
from tests.support.realdata import real_data
from tests.support.rows import rows, tabular

SAMPLES = Path(__file__).parent / "samples" / "squid"
END = "http_access deny all\n"
NETWORK = "acl lan src 10.0.0.0/8\nhttp_access deny !lan\n"


@tabular
class RuleTests(SynchronousTestCase):
    """Each line of acls, and the rule that it is."""

    @rows(
        below=("acl a dstdomain .a.example", "what: {domain: a.example}"),
        exact=("acl a dstdomain a.example", "what: {host: a.example}"),
        both=("acl a dstdomain .a.example b.example", "what: {any: [{domain: a.example}, {host: b.example}]}"),
        covered=("acl a dstdomain .a.example x.a.example", "what: {domain: a.example}"),
        source=("acl a src 10.1.0.0/255.255.0.0 10.2.0.1", "who: {network: [10.1.0.0/16, 10.2.0.1]}"),
        span=("acl a src 10.1.0.0-10.1.0.3", "who: {network: 10.1.0.0/30}"),
        bits_behind=("acl a src 10.1.0.77/24", "who: {network: 10.1.0.0/24}"),
        loopback=("acl a dst 127.0.0.0/8", "what: {address: 127.0.0.0/8}"),
        private=(
            "acl a dst 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16", "what: {address: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]}",
        ),
        own_net=("acl a dst 203.0.113.0/24", "what: {address: 203.0.113.0/24}"),
        ports=("acl a port 80 8000-8080", "what: {port: [80, 8000-8080]}"),
        method=("acl a method GET POST", "what: {method: [GET, POST]}"),
        http=("acl a proto HTTP", "what: {not: {method: CONNECT}}"),
        agent=("acl a browser -i firefox", "who: {agent: '(?i)firefox'}"),
        address=("acl a url_regex ^http://x", "what: {expression: '^http://x'}"),
        any_of=("acl x method GET\nacl y port 80\nacl a any-of x y", "what: {any: [{method: GET}, {port: 80}]}"),
        all_of=("acl x method GET\nacl y port 80\nacl a all-of x !y", "what: {method: GET, not: {port: 80}}"),
        listener=("http_port 3128\nhttp_port 3129 name=lab\nacl a myportname lab", "who: {listener: lab}"),
        local_port=("http_port 3128\nhttp_port 3129\nacl a localport 3129", "who: {listener: 3129}"),
    )  # fmt: skip
    def test_acl(self, written, expected):
        """An acl is a condition of our grammar."""
        made = squid(f"{written}\n{NETWORK}http_access deny a\nhttp_access allow lan\n{END}")
        self.assertEqual(said(made), [])
        self.assertEqual(rules_of(made)[1], f"a | {expected} | do: block")
        self.assertTrue(loads(made))

    def test_order(self):
        """Lines stay in their order; the last one says what becomes of the rest."""
        made = squid(
            "acl a dstdomain .a.example\nacl b method POST\nacl lan src 10.0.0.0/8\n"
            "http_access deny a !b\nhttp_access allow lan\n"
        )
        self.assertEqual(
            rules_of(made),
            [
                "'a, not b' | what: {domain: a.example, not: {method: POST}} | do: block",
                "lan | who: {network: 10.0.0.0/8} | do: allow",
                "everything else | do: block",
            ],
        )

    def test_implicit_end(self):
        """Without a last line for all, Squid does the opposite of the last one; without any, nothing."""
        self.assertEqual(rules_of(squid(NETWORK))[-1], "everything else | do: allow")
        self.assertEqual(rules_of(squid("http_port 3128\n")), ["everything else | do: block"])

    def test_sides(self):
        """What one side of our grammar cannot hold becomes two rules, one after the other."""
        made = squid(
            "acl a src 10.0.0.0/8\nacl b dstdomain .b.example\nacl c any-of a b\n"
            f"http_access deny c\n{NETWORK}http_access allow lan\n{END}"
        )
        self.assertEqual(
            rules_of(made)[:2],
            [
                "c | who: {network: 10.0.0.0/8} | do: block",
                "c (line 4) | what: {domain: b.example} | do: block",
            ],
        )

    def test_hours(self):
        """Days are letters, hours end with their last minute, and not is not."""
        made = squid(
            "acl lunch time MTWHF 12:00-13:00\nacl shop time A 09:00-11:59 S\n"
            + NETWORK
            + "http_access deny lan lunch\nhttp_access allow lan !shop\n"
            + END
        )
        policy = made.files["policy.yaml"].decode()
        self.assertIn("lunch: {days: mon-fri, hours: '12:00-13:01'}", policy)
        self.assertIn("shop: {any: [{days: sat, hours: '09:00-12:00'}, {days: sun}]}", policy)
        self.assertEqual(
            rules_of(made)[1:3],
            [
                "'lan, lunch' | who: {network: 10.0.0.0/8} | when: lunch | do: block",
                "'lan, not shop' | who: {network: 10.0.0.0/8} | when: {not: {calendar: shop}} | do: allow",
            ],
        )

    def test_people(self):
        """Who signs in is asked when a line asks for it, and for what stands before it in the line."""
        made = squid(
            "auth_param basic program /usr/lib/squid/basic_ncsa_auth /etc/squid/passwd\n"
            "auth_param basic realm Hillside\nacl in proxy_auth REQUIRED\nacl x proxy_auth_regex ^a\n"
            "acl video urlpath_regex \\.mp4$\nhttp_access deny x video\nhttp_access allow in\n" + END,
            passwd="amir:$apr1$abcdefgh$x\nbeth:$apr1$abcdefgh$x\n",
        )
        self.assertEqual(said(made), [])
        self.assertEqual(made.files["users.htpasswd"].decode().splitlines()[0], "amir:$apr1$abcdefgh$x")
        self.assertIn("  ask: when-needed\n  realm: Hillside\n", made.files["policy.yaml"].decode())
        self.assertEqual(
            [rule.partition(" | ")[0] for rule in rules_of(made)],
            ["'sign in for x, video'", "'x, video'", "in", "everything else"],
        )
        self.assertIn("who: {user: amir}", rules_of(made)[1])

    def test_long_list(self):
        """Many values get a name, and very many a file."""
        names = " ".join(f".n{number}.example" for number in range(10))
        many = "\n".join(f".m{number}.example" for number in range(100))
        made = squid(
            f'acl a dstdomain {names}\nacl b dstdomain "/etc/squid/many.txt"\n{NETWORK}'
            f"http_access deny a\nhttp_access deny b\nhttp_access allow lan\n{END}",
            many_txt=many,
        )
        self.assertEqual(made.files["lists/b.txt"].decode().splitlines()[:2], ["m0.example", "m1.example"])
        self.assertEqual(
            rules_of(made)[1:3], ["a | what: {list: a} | do: block", "b | what: {list: b} | do: block"]
        )
        self.assertTrue(loads(made))

    def test_very_long_list(self):
        """More names than a policy is read with become a category, whose list has an index."""
        self.patch(tables, "MAX_LISTED", 70)
        many = "\n".join(f".m{number}.example" for number in range(100))
        made = squid(
            f'acl b dstdomain "/etc/squid/many.txt"\nacl n dst 203.0.113.0/24\n{NETWORK}'
            f"http_access deny b\nhttp_access deny n\nhttp_access allow lan\n{END}",
            many_txt=many,
        )
        policy = made.files["policy.yaml"].decode()
        self.assertIn("categories:\n  # Long lists", policy)
        self.assertIn("    - name: b\n      format: names\n      path: lists/b.txt\n", policy)
        self.assertIn("what: {address: 203.0.113.0/24}\n", policy)
        self.assertEqual(rules_of(made)[1], "b | what: {category: b} | do: block")
        self.assertTrue(loads(made))

    def test_redirect(self):
        """Where Squid led those whom it refused, a rule leads them."""
        made = squid(
            f"acl a dstdomain .a.example\n{NETWORK}http_access deny a\ndeny_info 302:http://in.example/?u=%u a\n"
            "http_access allow lan\n" + END
        )
        self.assertIn("do: redirect | to: 'http://in.example/?u={uri}'", rules_of(made)[1])

    def test_useless(self):
        """A line that never matters becomes a comment, and so does what only Squid has."""
        made = squid(
            f"{NETWORK}http_access allow lan\nhttp_access allow lan\nhttp_access deny manager\n{END}"
        )
        self.assertEqual(len(rules_of(made)), 3)
        policy = made.files["policy.yaml"].decode()
        self.assertIn("# http_access allow lan: nothing is left for it, for 'lan' at line", policy)
        self.assertIn(
            "# http_access deny manager: this never matches here: pages of Squid about itself", policy
        )

    def test_ports(self):
        """A port that is there twice is told; ports with one name get another."""
        made = squid(
            "http_port 3128\nhttp_port 127.0.0.1:3128\nhttp_port 81 name=a\nhttp_port 82 name=a\n" + NETWORK
        )
        self.assertEqual(said(made), ["squid.conf:2:1: port 3128 is taken by a line before this one"])
        policy = made.files["policy.yaml"].decode()
        self.assertIn("- {name: '0.0.0.0:82', forward: '0.0.0.0:82'}", policy)
        self.assertTrue(loads(made))

    def test_strangers(self):
        """A proxy that everybody could use listens to its own machine until somebody is named."""
        made = squid("http_port 3128\nhttp_access allow all\n")
        self.assertIn("forward: '127.0.0.1:3128'", made.files["policy.yaml"].decode())
        self.assertTrue(loads(made))

    def test_settings(self):
        """Waits, limits and names have their counterparts."""
        made = squid(
            NETWORK + "via off\nconnect_timeout 1 minute\nrequest_body_max_size 10 MB\nforwarded_for delete\n"
            "dns_nameservers 10.0.0.53\ncache_mgr it@hillside.example\nvisible_hostname proxy.hillside.example\n"
        )
        policy = made.files["policy.yaml"].decode()
        for line in ("via: no", "connect: 1m", "content_octets: 10MiB", "mail: it@hillside.example",
                     "site: proxy.hillside.example", "servers: [10.0.0.53]"):  # fmt: skip
            self.assertIn(line, policy)
        self.assertTrue(loads(made))


class OwnTests(SynchronousTestCase):
    """An imported policy brings tests, which it passes."""

    def test_each_rule(self):
        """A rule is reached by a test where a plain request reaches it."""
        made = squid(
            "auth_param basic program /usr/lib/squid/basic_ncsa_auth /etc/squid/passwd\n"
            "acl in proxy_auth REQUIRED\nacl a dstdomain .a.example\nacl night time 20:00-24:00\n"
            "acl lan src 10.0.0.0/8\nhttp_access deny a\nhttp_access deny night\nhttp_access allow lan in\n"
            + END,
            passwd="",
        )
        configuration = loaded(made)
        self.assertEqual(
            {case.rule or case.expect for case in configuration.cases},
            {"a", "night", "lan, in", "everything else", "challenge"},
        )
        self.assertEqual(objections(configuration, None, 0.0), [])

    def test_samples(self):
        """All that is written passes when it is loaded."""
        for name in ("office.conf", "kinds.conf", "library.conf"):
            configuration = loaded(import_squid(SAMPLES / name, DISK, SITE))
            self.assertGreaterEqual(len(configuration.cases), 5)
            self.assertEqual(objections(configuration, None, 0.0), [], name)


class MapTests(SynchronousTestCase):
    """Nothing of the source is lost without a word."""

    def test_every_line(self):
        """Each line has a place in the policy, or a comment there."""
        for name in ("office.conf", "kinds.conf", "library.conf"):
            made = import_squid(SAMPLES / name, DISK, SITE)
            lost = [
                one.text for one in made.mapped if not one.came and not one.text.startswith("configuration_")
            ]
            self.assertEqual(lost, [], name)
            lines = made.files["policy.yaml"].decode().splitlines()
            for one in made.mapped:
                for came in one.came:
                    self.assertEqual(lines[came.line - 1].lstrip().startswith("#"), came.is_comment, one)

    def test_report(self):
        """The report tells the line of the policy below each line of the source."""
        made = squid(f"{NETWORK}cache_mem 8 MB\n")
        text = report(made.mapped, "policy.yaml")
        self.assertRegex(text, r"squid\.conf:1: acl lan src 10\.0\.0\.0/8\n    policy\.yaml:\d+ \(line\)\n")
        self.assertRegex(text, r"squid\.conf:3: cache_mem 8 MB\n    policy\.yaml:\d+ \(comment\)\n")

    def test_comments_stay(self):
        """What the author said above a rule stands above ours."""
        made = squid(f"acl a dstdomain .a.example\n# The boss said so.\nhttp_access deny a\n{NETWORK}{END}")
        self.assertIn("  # The boss said so.\n  - name: a", made.files["policy.yaml"].decode())

    def test_no_counterpart(self):
        """Every directive of Squid has a reason, or its place in the policy."""
        made = squid(f"{NETWORK}cache_peer p.example parent 3128 0\nssl_bump bump all\nicap_enable on\n")
        policy = made.files["policy.yaml"].decode()
        self.assertIn(
            "# Requests go to their servers directly; there are no parent proxies:\n#     squid.conf:3",
            policy,
        )
        self.assertIn("# TLS is not opened", policy)


@tabular
class ProblemTests(SynchronousTestCase):
    """What is wrong is told at its place; what Squid would refuse is not written."""

    @rows(
        type=("acl a dstdomian .x\n", "squid.conf:1:7: there is no acl type 'dstdomian'; did you mean 'dstdomain'?"),
        missing=("http_access allow lna\n", "squid.conf:1:19: there is no acl 'lna' before this line"),
        two_types=(
            "acl a src 10.0.0.1\nacl a port 80\n",
            "squid.conf:2:7: acl 'a' is of type src at squid.conf:1:1, and cannot be port too",
        ),
        word=("http_access permit all\n", "squid.conf:1:13: after 'http_access' comes allow or deny, then the names of acls"),
        address=("acl a src 10.0.0\nhttp_access allow a\n", "squid.conf:1:11: '10.0.0' is no address and no network: '10.0.0' does not appear to be an IPv4 or IPv6 address"),
        port=("acl a port 99999\nhttp_access allow a\n", "squid.conf:1:12: '99999' is no port and no range of ports"),
        time=("acl a time 17:00-08:00\nhttp_access allow a\n", "squid.conf:1:1: '17:00-08:00' ends before it begins, which Squid refuses; write two spans"),
        file=('acl a src "/etc/squid/gone"\n', "squid.conf:1:11: there is no file gone; copy it beside the configuration"),
        include=("include gone.conf\n", "squid.conf:1:9: there is no file gone.conf"),
        circle=("include squid.conf\n", "squid.conf:1:1: files include each other too deep; is it a circle?"),
        no_endif=("if true\n", "squid.conf: an 'if' has no 'endif'; the file ends before it"),
        itself=("acl a any-of a\nhttp_access allow a\n", "squid.conf:1:1: acl 'a' contains itself"),
        listens=("http_port what\n", "squid.conf:1:11: 'what' is no port, nor an address with a port"),
        duration=("connect_timeout soon\n", "squid.conf:1:17: 'connect_timeout' wants a duration, not 'soon'"),
        octets=("a\0b\n", "squid.conf: this is no text: there are NUL octets in it"),
    )  # fmt: skip
    def test_error(self, written, expected):
        """Nothing is written, and the problem has file, line and column."""
        made = squid(written)
        self.assertEqual(made.files, {})
        self.assertIn(expected, [one[: len(expected)] for one in said(made)])

    @rows(
        directive=("frobnicate 3\n", "squid.conf:3:1: Squid has no directive 'frobnicate'"),
        no_acls=("http_access deny\n", "squid.conf:3:1: there is no acl in this line; Squid passes over it, and so does this"),
        no_value=("acl a src\n", "squid.conf:3:1: acl 'a' gets no value here, and so matches nothing by this line"),
        behind=('acl a port "/etc/squid/f" 80\n', "squid.conf:3:27: Squid does not read '80' behind a file of values; give it a line of its own"),
        open=("acl a maxconn 5\nhttp_access deny a\n", "squid.conf:4:1: 'http_access deny a' refuses, and the policy does not: no counterpart: how many connections an address may have stands in connections: per_address"),
        open_part=("acl a url_regex bad (x)\\1\nhttp_access deny a\n", "squid.conf:4:1: 'http_access deny a' refuses, and the policy does not: a part has no counterpart: '(x)\\1' cannot be said as an expression of RE2: \\1 refers back to a group, which RE2 does not do"),
    )  # fmt: skip
    def test_warning(self, written, expected):
        """The policy is written, and what to look at is told."""
        made = squid(NETWORK + written, f="1\n")
        self.assertTrue(loads(made), said(made))
        self.assertIn(expected, said(made))

    def test_allow_without_counterpart(self):
        """What cannot be said and would let something through lets nothing through, and is not open."""
        made = squid(f"acl a random 0.5\nhttp_access allow a\n{NETWORK}{END}")
        self.assertEqual(made.open, ())
        self.assertIn("chance decides nothing", made.files["policy.yaml"].decode())

    @EXAMPLES
    @given(st.lists(st.sampled_from([
        "acl a src 10.0.0.0/8", "acl b dstdomain .x y", "acl c time MT 10:00-11:00", "acl d any-of a !b",
        "acl e all-of a c", "acl f port 1-5 9", "acl g proxy_auth REQUIRED", "acl h url_regex -i a|b$ [",
        "http_access allow a", "http_access deny !b c", "http_access allow d e", "http_access deny f !d",
        "http_access allow g a", "http_access deny all", "http_reply_access deny h", "http_port 3128",
        "auth_param basic program /x/basic_ncsa_auth /y", "deny_info http://a/ b", "if false", "endif", "else",
        "acl", "http_access", "acl i", "\\", '"', "include", "acl j dst 10.0.0.0/8", "external_acl_type",
    ]), max_size=14))  # fmt: skip
    def test_any_lines(self, lines):
        """Any lines give a policy that loads, or problems with places; never anything else."""
        made = squid("\n".join(lines) + "\n")
        if made.files:
            self.assertTrue(loads(made))
        else:
            self.assertTrue(any(one.is_error for one in made.problems))
        self.assertEqual([one for one in made.problems if not one.place.file], [])


class RealDataTests(SynchronousTestCase):
    """Configurations that people use."""

    def test_real(self):
        """Each becomes a policy that loads."""
        for path in sorted(real_data("squid-conf").glob("squid.conf.*")):
            made = import_squid(path, DISK, SITE)
            self.assertTrue(loads(made), (path, made.problems))
