"""What the lists said then, by the versions that are kept: just what a service would have made of them."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.assembly import list_versions
from corpproxy.backends.lists.build import Job, build
from corpproxy.backends.lists.files import index_path, open_index
from corpproxy.backends.lists.past import PastLists, leave
from corpproxy.backends.lists.past_job import PastJob, keep_past
from corpproxy.backends.policies.files import DISK
from corpproxy.config.load import load_policy
from corpproxy.destination.classifier import Classifier
from corpproxy.destination.host import normal_host
from corpproxy.destination.sources import ListSource
from corpproxy.replay.categories import CategoriesThen
from corpproxy.replay.facts import facts_of, gaps_of
from tests.audit.test_record import a_record

HOSTS = ("a.example", "b.example", "www.a.example", "c.example")
PATHS = ("", "/", "/play/1", "/work")
ENTRIES = (*HOSTS, "a.example/play", "b.example/work")
CATEGORIES = ("games", "news", "bad")

entries = st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=4, unique=True)
own = st.dictionaries(st.sampled_from(CATEGORIES), entries, max_size=2)
# Which lists a policy has, each in a category.
lists = st.dictionaries(st.sampled_from(("fun", "work")), st.sampled_from(CATEGORIES), max_size=2)

POLICY = """\
site: Hillside
time_zone: Europe/London
listen: [{name: rooms, forward: "127.0.0.1:3128"}]
rules: [{name: all, do: allow}]
"""


class VersionsTests(SynchronousTestCase):
    """A policy is rehearsed over the record of another one, in which lists and own entries differ."""

    @given(st.tuples(entries, entries), lists, lists, own, own, own, own)
    @settings(max_examples=60, deadline=None)
    def test_as_a_service_would(
        self, contents, then_lists, now_lists, then_own, then_taken, now_own, now_taken
    ):
        """The categories are those that the lists of then give under the policy that is rehearsed."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.write(folder, dict(zip(("fun", "work"), contents, strict=True)))
            then = self.policy(folder, then_lists, then_own, then_taken)
            now = self.policy(folder, now_lists, now_own, now_taken)
            index = self.built(folder / "then", then.lists)
            leave(folder / "then")
            keep_past(PastJob(str(folder / "then"), [one.name for one in then.lists if one.category]), 0.0)
            # Those that the policy of then did not have are not known, whatever they say.
            shared = [one for one in now.lists if one.name in then_lists]
            truth = Classifier(self.built(folder / "now", shared), now.own, now.exceptions)
            asked = CategoriesThen(now, None, truth, lambda _: then, PastLists(folder / "then"))
            recorded = Classifier(index, then.own, then.exceptions)
            for host in HOSTS:
                for path in PATHS:
                    seen = recorded.classify(normal_host(host), "http", 80, path)[0]
                    record = a_record(host=host, port=80, path=path, method="GET" if path else "CONNECT",
                                      categories=seen, lists=list_versions(index), policy="then")  # fmt: skip
                    found, unknown = asked.of(record, facts_of(record), gaps_of(record))
                    expected = truth.classify(normal_host(host), "http", 80, path)[0]
                    self.assertEqual((found, unknown), (expected, frozenset()), (host, path))

    def write(self, folder, contents):
        for name, lines in contents.items():
            (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
        (folder / "policy.yaml").write_text(POLICY)

    def policy(self, folder, in_lists, own, taken):
        """A policy with lists and entries of its own."""
        loaded = load_policy(folder / "policy.yaml", DISK).configuration
        sources = [
            ListSource(name, "urls", folder / f"{name}.txt", one) for name, one in sorted(in_lists.items())
        ]
        return replace(loaded, lists=tuple(sources), own=own, exceptions=taken)

    def built(self, state, sources):
        """The index of some lists."""
        state.mkdir()
        build(Job.of(sources, index_path(state)), 0.0)
        return open_index(state)
