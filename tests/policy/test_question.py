"""A URL as the proxy sees it, and who asks for it."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.model import AddressClass, Match
from corpproxy.identity.model import ANONYMOUS, EXEMPT, Identity
from corpproxy.identity.people import People
from corpproxy.identity.settings import IdentitySettings, NetworkIdentity
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.exempt import Exemption, Exemptions
from corpproxy.policy.question import Question, Surroundings, facts_for, read_request
from tests.policy.builders import LESSONS, MONDAY, local
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

SETTINGS = IdentitySettings(
    groups={"pupils": ("amir",)},
    networks=(NetworkIdentity("print-room", (ip_network("10.1.4.0/24"),), "print-room", ("devices",)),),
)


def classify(host, scheme, port, path):
    """One list that knows one name."""
    if host.name == "www.miniclip.com":
        return ("games",), (Match("games", "ut1", "miniclip.com"),)
    return (), ()


EXEMPTIONS = Exemptions(
    [
        Exemption(what=What(domain=("windowsupdate.com",))),
        Exemption(Who(agent=("^apt/",)), What(category=("games",)), (LESSONS,)),
    ]
)
SURROUNDINGS = Surroundings(classify, People(SETTINGS), "rooms", asks_to_sign_in=True, exemptions=EXEMPTIONS)


def ask(url="http://www.miniclip.com/", **more):
    """The facts of a question."""
    return facts_for(Question(url, **{"at": MONDAY, **more}), SURROUNDINGS)


@tabular
class RequestTests(SynchronousTestCase):
    """What the proxy sees of a URL."""

    @rows(
        http=("GET", "http://Example.com", ("GET", "http", "example.com", 80, "/")),
        path=("POST", "http://example.com/a?b#c", ("POST", "http", "example.com", 80, "/a?b")),
        query=("GET", "http://example.com?b", ("GET", "http", "example.com", 80, "/?b")),
        port=("GET", "http://example.com:8080/", ("GET", "http", "example.com", 8080, "/")),
        https=("GET", "https://example.com/a", ("CONNECT", "https", "example.com", 443, "")),
        https_port=("POST", "HTTPS://example.com:8443/a", ("CONNECT", "https", "example.com", 8443, "")),
        websocket=("GET", "ws://example.com/a", ("CONNECT", "http", "example.com", 80, "")),
        secure_websocket=("GET", "wss://example.com/a", ("CONNECT", "https", "example.com", 443, "")),
        connect=("CONNECT", "example.com:22", ("CONNECT", "https", "example.com", 22, "")),
        connect_ipv6=("CONNECT", "[2001:db8::1]:443", ("CONNECT", "https", "2001:db8::1", 443, "")),
        ipv6=("GET", "http://[2001:db8::1]/", ("GET", "http", "2001:db8::1", 80, "/")),
        ipv6_port=("GET", "http://[2001:db8::1]:81/", ("GET", "http", "2001:db8::1", 81, "/")),
        colon_alone=("GET", "http://example.com:/", ("GET", "http", "example.com", 80, "/")),
    )
    def test_seen(self, method, url, expected):
        """Of https only a CONNECT is seen, without path."""
        seen = read_request(method, url)
        self.assertEqual((seen.method, seen.scheme, seen.host.name, seen.port, seen.path), expected)

    @rows(
        no_scheme=("GET", "example.com", "write http:// or https://"),
        ftp=("GET", "ftp://example.com/", "is no URL that a proxy serves"),
        no_host=("GET", "http:///a", "cannot be asked for"),
        userinfo=("GET", "http://amir@example.com/", "cannot be asked for"),
        port=("GET", "http://example.com:99999/", "cannot be asked for"),
        connect_without_port=("CONNECT", "example.com", "cannot be asked for"),
    )
    def test_refused(self, method, url, said):
        """What no proxy serves is said so."""
        error = self.assertRaises(ValueError, read_request, method, url)
        self.assertIn(said, str(error))

    @EXAMPLES
    @given(
        st.sampled_from(["GET", "CONNECT"]),
        st.sampled_from(["", "http://", "https://x"]),
        st.text(max_size=20),
    )
    def test_any_text(self, method, scheme, text):
        """Any text gives a request or a ValueError."""
        try:
            seen = read_request(method, scheme + text)
        except ValueError:
            return
        self.assertTrue(1 <= seen.port <= 65535 and seen.host.name)


@tabular
class WhoTests(SynchronousTestCase):
    """Who asks, as the proxy would know it."""

    def test_user(self):
        """A user has the groups of the policy, or those that the question gives."""
        self.assertEqual(ask(user="amir").facts.identity, Identity("amir", ("pupils",)))
        self.assertEqual(ask(user="amir", groups=("staff", "a")).facts.identity.groups, ("a", "staff"))
        self.assertFalse(ask(user="amir").is_challenged)

    def test_nobody(self):
        """Somebody who did not sign in is asked to, where there is a way to sign in."""
        asked = ask()
        self.assertEqual((asked.facts.identity, asked.is_challenged), (ANONYMOUS, True))
        without = Surroundings(classify, People(SETTINGS), "rooms", asks_to_sign_in=False)
        self.assertFalse(facts_for(Question("http://a.example/", MONDAY), without).is_challenged)

    def test_network(self):
        """A room is known by its address."""
        asked = ask(client="10.1.4.9")
        self.assertEqual((asked.facts.identity.name, asked.is_challenged), ("print-room", False))
        self.assertIsNone(asked.exemption)

    def test_exempt(self):
        """What is exempt is reached without a name."""
        asked = ask("https://download.windowsupdate.com/")
        self.assertEqual((asked.facts.identity, asked.is_challenged), (EXEMPT, False))

    @rows(
        all_of_it=({"agent": "apt/2.6"}, False),
        another_agent=({"agent": "curl/8"}, True),
        another_category=({"agent": "apt/2.6", "url": "http://a.example/"}, True),
        another_hour=({"agent": "apt/2.6", "at": local("2026-11-23T20:00")}, True),
    )
    def test_exempt_by(self, question, is_challenged):
        """An exemption counts with all that it asks: agent, category and time."""
        asked = facts_for(
            Question(**{"url": "http://www.miniclip.com/", "at": MONDAY, **question}), SURROUNDINGS
        )
        self.assertIs(asked.is_challenged, is_challenged)
        self.assertIs(asked.exemption, None if is_challenged else EXEMPTIONS.entries[1])

    def test_facts(self):
        """Categories come with their evidence, the listener is the site's first."""
        asked = ask(user="amir")
        self.assertEqual(asked.facts.categories, ("games",))
        self.assertEqual(asked.matches, (Match("games", "ut1", "miniclip.com"),))
        self.assertEqual((asked.facts.listener, asked.facts.at), ("rooms", MONDAY))
        self.assertEqual(ask(listener="office").facts.listener, "office")

    def test_no_client(self):
        """A client that is no address is told so."""
        error = self.assertRaises(ValueError, ask, client="room 4")
        self.assertEqual(str(error), "'room 4' is no IP address of a client")

    def test_address(self):
        """Nothing is looked up: a name counts as public unless the question says otherwise."""
        private = frozenset({AddressClass.PRIVATE})
        self.assertEqual(ask().facts.address_classes, {AddressClass.PUBLIC})
        self.assertEqual(ask(addresses=frozenset({"10.0.0.9"})).facts.address_classes, private)
        self.assertEqual(ask("http://10.0.0.1/").facts.address_classes, private)
