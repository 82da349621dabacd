"""``corpproxy explain --ref``: what was decided on an exchange, by its record and the policy of that time."""

from __future__ import annotations

import json
import shutil

from corpproxy.audit.results import Kind, ResultCode
from corpproxy.backends.policies.history import History, Run
from tests.cli.test_replay import ReplayCase

REFERENCE = "0wpf3s9k2m0004"


class ReferenceCase(ReplayCase):
    """A site whose policy ran, and records."""

    def setUp(self):
        super().setUp()
        self.history = History(self.folder / "state")
        texts = {"policy.yaml": self.policy.read_bytes()}
        self.history.keep(texts, self.policy, Run(1_795_420_000.0, "carol", 1000, "reload"))

    def game(self, **more):
        """Amir asks for a game, and is refused."""
        values = {
            "id": REFERENCE, "rule": "no games", "decision": "block", "status": 403, "seconds": 0.0123,
            "place": "policy.yaml:10:5", "reason": "category games; group pupils", "category": "games",
            "categories": ("chat", "games"), "list": "fun", "entry": "games.example",
            "groups_from": ("file",), "received": 321, "sent": 4567,
        }  # fmt: skip
        self.exchange("www.games.example", **{**values, **more})
        self.save()

    def explain(self, *words, code=0, reference=REFERENCE):
        """What the command says."""
        got, out, err = self.run_command("explain", "--policy", self.policy, "--ref", reference, *words)
        self.assertEqual(got, code, err)
        return out if code == 0 else err

    def json(self):
        """The same for programs."""
        return json.loads(self.explain("--json"))


class ExplainTests(ReferenceCase):
    """Who was refused calls with a reference."""

    def test_blocked(self):
        """What was decided, by which rule, list and entry, for whom; why the others did not match."""
        self.game()
        out = self.explain()
        for said in (
            "0wpf3s9k2m0004: blocked. A rule or the safety table refused it.\n",
            "began 2026-11-23T10:00:00.000Z, took 0.012 s, answered 403, 321 octets from the client, ",
            f"policy: version {self.version}, in force from Mon 2026-11-23 07:46 (reload by carol)\n",
            "lists then: fun=0123456789ab (not those of now: fun=0123456789ab)\n",
            "GET http://www.games.example/\n",
            "who: amir (basic), groups pupils (groups file), from 10.1.2.3, listener rooms\n",
            "category games: list fun, entry games.example\n",
            "->  no games (block) at ",
            "not reached; matches: group pupils\n",
            "block by 'no games'",
            "would be refused later too, by 'everything else'\n",
            "not known: which lists have it in chat; a record has the evidence of its rule alone\n",
        ):
            self.assertIn(said, out)
        self.assertNotIn("by the record it was", out)

    def test_evidence_of_then(self):
        """Where the versions of the lists are kept, each category has its list and entry."""
        (self.folder / "fun.txt").write_text("games.example\nwww.games.example\n")
        self.run_command("lists", "--policy", self.policy, "build")
        cited = self.keep_lists()
        (self.folder / "fun.txt").write_text("other.example\n")
        self.game(
            lists=cited,
            categories=("games",),
            category="",
            list="",
            entry="",
            decision="allow",
            rule="people",
        )
        self.assertIn("category games: list fun, entry www.games.example\n", self.explain())

    def test_exempt(self):
        """By which exemption nobody was asked to sign in, and what that asked."""
        exempt = "identity:\n  exempt: [{what: {domain: games.example}, who: {network: 10.0.0.0/8}}]\n"
        self.edit("identity:\n", exempt)
        texts = {"policy.yaml": self.policy.read_bytes()}
        kept = self.history.keep(texts, self.policy, Run(1_795_421_000.0, "carol", 1000, "reload"))
        place = f"{self.policy.absolute()}:5:12"
        nobody = {"user": "", "groups": (), "groups_from": (), "source": "exempt", "exemption": place}
        self.game(**nobody, policy=kept.version)
        said = f"nobody was asked to sign in: the exemption at {place} held"
        self.assertIn(f"{said} (network 10.0.0.0/8; domain games.example)\n", self.explain())
        self.assertEqual(self.json()["record"]["exemption"], place)
        shutil.rmtree(self.history.folder)
        self.assertIn(f"{said}\n", self.explain())

    def test_policy_of_then(self):
        """It is the policy of then that explains it, whatever it says now, even where that is broken."""
        self.game()
        self.edit("do: block}\n  - {name: no watching", "do: alow}\n  - {name: no watching")
        self.assertIn("block by 'no games'", self.explain())

    def test_run_of_then(self):
        """A version that ran several times is told with the run that the record is from."""
        texts = {"policy.yaml": self.policy.read_bytes()}
        for at, why in ((1_795_425_000.0, "rollback"), (1_795_500_000.0, "start")):
            self.history.keep(texts, self.policy, Run(at, "dora", 1000, why))
        self.history.put_aside(texts, self.policy, Run(1_795_600_000.0, "carol", 1000, "put aside"))
        self.game()
        self.assertIn("in force from Mon 2026-11-23 09:10 (rollback by dora)\n", self.explain())

    def test_policy_gone(self):
        """Where its text is not kept, the record tells what it can, and the rest is said to be unknown."""
        self.game()
        shutil.rmtree(self.history.folder)
        out = self.explain()
        self.assertIn(f"policy: version {self.version}, whose text is not kept any more\n", out)
        self.assertIn("block by 'no games' at policy.yaml:10:5: category games; group pupils\n", out)
        self.assertIn("category games: list fun, entry games.example\n", out)
        self.assertIn("not known: what the other rules were", out)

    def test_json(self):
        """Programs get the whole record, the versions and the explanation."""
        self.game()
        told = self.json()
        self.assertEqual((told["reference"], told["record"]["rule"]), (REFERENCE, "no games"))
        self.assertEqual((told["policy"]["version"], told["policy"]["is_kept"]), (self.version, True))
        self.assertEqual(told["policy"]["runs"][0]["by"], "carol")
        self.assertEqual(told["explanation"]["also_refusing"], ["everything else"])
        self.assertEqual(told["explanation"]["asked"]["groups_from"], ["file"])
        self.assertTrue(told["agrees"])

    def test_query_left_out(self):
        """What was left out is said, and which rule it may have mattered to."""
        self.exchange("video.example", id=REFERENCE, path="/watch", left_out=("query",), rule="no watching",
                      decision="block")  # fmt: skip
        self.save()
        out = self.explain()
        self.assertIn("not known: the query, which the table audit: keeps out of the record\n", out)
        self.assertIn("not known: whether 'no watching' matches, which asks for the query\n", out)
        self.assertIn("by the record it was block by 'no watching'", out)

    def test_challenged(self):
        """An exchange that no rule was asked about is said to be one."""
        self.exchange(id=REFERENCE, result=ResultCode.CHALLENGED, decision="", rule="", user="", status=407,
                      failure="credentials-missing")  # fmt: skip
        self.save()
        out = self.explain()
        self.assertIn("challenged. Credentials were missing or wrong; the client was asked for them.\n", out)
        self.assertIn("failure: credentials-missing\n", out)
        self.assertIn("no rule was asked: it ended before\n", out)

    def test_running_tunnel(self):
        """A tunnel that still runs is explained by its opening."""
        self.exchange(id=REFERENCE, kind=Kind.OPENING, result=ResultCode.OPEN, method="CONNECT", port=443,
                      scheme="https", path="", status=200)  # fmt: skip
        self.save()
        out = self.explain()
        self.assertIn(f"{REFERENCE}: it still runs, or its closing record was lost\n", out)
        self.assertIn("CONNECT www.example.com:443\n", out)

    def test_granted(self):
        """A confirmed warning is told as what it was."""
        self.edit("do: block}\n  - {name: no watching", "do: warn}\n  - {name: no watching")
        texts = {"policy.yaml": self.policy.read_bytes()}
        version = self.history.keep(texts, self.policy, Run(1_795_421_000.0, "carol", 1000, "reload")).version
        until = {"granted": "2026-11-23T11:00:00.000Z", "reason": "warning confirmed"}
        self.game(decision="allow", status=200, result=ResultCode.FORWARDED, policy=version, **until)
        out = self.explain()
        self.assertIn("let past by grant of a confirmed warning until 2026-11-23T11:00:00.000Z\n", out)
        self.assertIn("allow by 'no games'", out)
        self.assertIn("warning confirmed until Mon 2026-11-23 11:00\n", out)

    def test_octets_of_the_wire(self):
        """What came from the wire cannot speak to the terminal."""
        self.game(path="/\x1b[2Jred", decision="", rule="", result=ResultCode.CHALLENGED)
        self.assertNotIn("\x1b", self.explain())

    def test_octets_of_the_wire_explained(self):
        """Nor where the policy of then explains it."""
        self.game(path="/\x1b[2Jred", user="ami\x9br")
        out = self.explain()
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\x9b", out)

    def test_unknown(self):
        """A reference that no record has says why that may be."""
        self.game()
        said = self.explain(code=1, reference="0wpf3s9k2m0009")
        self.assertIn("no record has the reference 0wpf3s9k2m0009", said)

    def test_no_reference(self):
        """What is no reference is the mistake of whoever asks."""
        self.assertIn("'page 7' is no reference", self.explain(code=2, reference="page 7"))

    def test_url_or_reference(self):
        """A URL and a reference are two questions."""
        self.assertIn("not allowed with", self.explain("--url", "http://a.example/", code=2))
