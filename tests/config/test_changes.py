"""What an edit of the policy changed is said in words."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.config.changes import MAX_CHANGES, changes
from tests.support.rows import rows, tabular

BEFORE = """\
site: Hillside
identity: {groups: {pupils: [amir, beth], staff: [carol]}}
rules:
  - {name: games, who: {group: pupils}, what: {category: games}, do: block}
  - {name: news, what: {domain: [a.example, b.example]}, do: block}
  - {name: rest, do: allow}
"""


def edited(*pairs: tuple[str, str]) -> list[str]:
    """What is said of an edit that puts some texts in the place of others."""
    after = BEFORE
    for old, new in pairs:
        assert old in after
        after = after.replace(old, new)
    return changes({"policy.yaml": BEFORE.encode()}, {"policy.yaml": after.encode()})


@tabular
class ChangeTests(SynchronousTestCase):
    """One edit."""

    @rows(
        value=([("Hillside", "Hill")], ["site: Hillside -> Hill"]),
        rule=([("games}, do: block", "games}, do: warn")], ["rule 'games' changed: do: block -> warn"]),
        secret=(
            [("site: Hillside", "site: https://me:hunter2@lists.example/")],
            ["site: Hillside -> https://me:***@lists.example/"],
        ),
        more=(
            [("games}, do: block", "games}, do: block, say: Later., when: lessons")],
            ["rule 'games' changed: say added: Later.; when added: lessons"],
        ),
        added=(
            [("  - {name: rest", "  - {name: new, what: {domain: c.example}, do: block}\n  - {name: rest")],
            ["rule 'new' added: what (domain c.example), do block"],
        ),
        removed=([("  - {name: rest, do: allow}\n", "")], ["rule 'rest' removed"]),
        renamed=([("name: rest", "name: all")], ["rule 'rest' removed", "rule 'all' added: do allow"]),
        people=([("[amir, beth]", "[beth, dora]")], ["identity.groups.pupils: +dora -amir"]),
        order=([("[amir, beth]", "[beth, amir]")], ["identity.groups.pupils: in another order"]),
        group=([(", staff: [carol]", "")], ["identity.groups.staff removed: [carol]"]),
        table=([("site: Hillside", "site: Hillside\nwatch: yes")], ["watch added: yes"]),
        entry=([("[a.example, b.example]", "[a.example]")], ["rule 'news' changed: what.domain: -b.example"]),
        comment=([("site: Hillside", "# a comment\nsite: Hillside")], ["nothing but how it is written"]),
        other_kind=([("[a.example, b.example]", "a.example")],
                    ["rule 'news' changed: what.domain: [a.example, b.example] -> a.example"]),
    )  # fmt: skip
    def test_words(self, pairs, said) -> None:
        """Each kind of edit has its words."""
        self.assertEqual(edited(*pairs), said)

    def test_moved(self) -> None:
        """Where a rule stands decides: one that moved is named, and not those that it passed."""
        first, second, last = BEFORE.splitlines(keepends=True)[-3:]
        self.assertEqual(
            edited((first + second + last, second + last + first)), ["rule 'games' moved to the end"]
        )
        self.assertEqual(
            edited((first + second + last, last + first + second)), ["rule 'rest' moved before 'games'"]
        )

    def test_nothing(self) -> None:
        """No edit has no words."""
        self.assertEqual(edited(), [])

    def test_files(self) -> None:
        """A rule that went to another file is the same rule."""
        head, rules = BEFORE.split("rules:\n")
        split = {"policy.yaml": head.encode(), "rules.d/a.yaml": b"rules:\n" + rules.encode()}
        self.assertEqual(changes({"policy.yaml": BEFORE.encode()}, split), ["nothing but how it is written"])

    def test_many(self) -> None:
        """Another policy altogether is not told word by word."""
        after = "rules:\n" + "".join(f"  - {{name: r{number}, do: allow}}\n" for number in range(500))
        said = changes({"policy.yaml": BEFORE.encode()}, {"policy.yaml": after.encode()})
        self.assertEqual(len(said), MAX_CHANGES + 1)
        self.assertTrue(said[-1].endswith("more"))
        self.assertLess(len("; ".join(said)), 8000)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.binary(max_size=80),
        st.sampled_from([b"rules: [{name: a}, {name: a}, {name: [b]}]", b"- 1", b"", b"a: &x [*x]"]),
    )
    def test_any(self, octets, other) -> None:
        """Whatever stands in a file, something is said and nothing breaks."""
        for one, another in ((octets, other), (other, octets)):
            self.assertIsInstance(changes({"a": one}, {"a": another}), list)
