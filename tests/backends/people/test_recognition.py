"""Credentials that were checked before, known again, as strict as ever: in Python and compiled."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.people import reception as desk
from corpproxy.backends.people.reception import Reception
from corpproxy.backends.people.recognition import RecognitionInPython, tell_twin
from corpproxy.backends.people.sign_in import SignIn, SignInCounts
from corpproxy.identity.memory import MAX_PER_NAME
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People
from corpproxy.identity.settings import BasicMethod, IdentitySettings
from tests.backends.by_hand import AtOnce
from tests.backends.people.test_passwords import APACHE_SHA1
from tests.backends.people.test_sign_in import basic
from tests.support.examples import EXAMPLES

compiled: Any = import_module("corpproxy._ahead")
CLASSES: dict[str, type] = {
    "reception": Reception,
    "sign_in": SignIn,
    "counts": SignInCounts,
    "people": People,
}

NAMES = ("amir", "beth")
GROUPS = {"pupils": ("amir",)}
BEGINNING = 1_700_000_000.0
LIFE_SECONDS = 7200


class Site:
    """A reception with its password file, and who stands behind credentials that were checked before."""

    def __init__(self, folder: Path, kind: Any) -> None:
        folder.mkdir()
        self.clock = Clock()
        self.clock.advance(BEGINNING)
        self.path = folder / "users"
        self.write(*NAMES)
        self.settings = IdentitySettings(
            methods=(BasicMethod(self.path),), remember_seconds=LIFE_SECONDS, groups=GROUPS
        )
        self.reception: Any = Reception(self.clock, self.clock.seconds, self.settings, b"k" * 32)
        self.known = {name: kind(self.reception, self.digest(name)) for name in NAMES}
        for name in NAMES:
            self.signs_in(name)

    def write(self, *names: str) -> None:
        """Write the password file, with a line for each of some names."""
        self.path.write_text("".join(f"{name}:{APACHE_SHA1}\n" for name in names))
        self.path.chmod(0o640)

    def digest(self, name: str) -> bytes:
        digest: bytes = self.reception._memory.digest(basic(name))
        return digest

    def signs_in(self, name: str) -> None:
        """Somebody's credentials are checked, and right."""
        self.reception._memory.remember(basic(name), name, self.clock.seconds())

    def take(self, **changes: Any) -> None:
        """Another policy is put into force."""
        self.settings = replace(self.settings, **changes)
        self.reception.take(self.settings)

    def who(self, name: str) -> Identity | None:
        """Who stands behind the credentials of somebody now."""
        identity: Identity | None = self.known[name](self.clock.seconds())
        return identity


class RecognitionInPythonTests(SynchronousTestCase):
    """What the next exchange like one before is told of its person."""

    kind: Any = RecognitionInPython

    def setUp(self) -> None:
        self.patch(desk, "BoundedThreads", lambda reactor: AtOnce())
        tell_twin(compiled, CLASSES)
        self.site = Site(Path(self.mktemp()), self.kind)

    def test_known(self) -> None:
        """Who signed in is the same person each time, with the groups of the policy, and is counted."""
        first = self.site.who("amir")
        self.assertEqual(first, Identity("amir", ("pupils",)))
        self.assertIs(self.site.who("amir"), first)
        self.assertEqual(self.site.who("beth"), Identity("beth"))
        self.assertEqual(self.site.reception.counts.remembered, 3)

    def test_life(self) -> None:
        """After its life a sign-in is nobody's, and is not counted."""
        self.site.clock.advance(LIFE_SECONDS)
        self.assertIsNone(self.site.who("amir"))
        self.assertEqual(self.site.reception.counts.remembered, 0)

    def test_last_moment(self) -> None:
        """It holds up to the end of its life."""
        self.site.clock.advance(LIFE_SECONDS - 0.5)
        self.assertIsNotNone(self.site.who("amir"))

    def test_clock_jumps_back(self) -> None:
        """A clock that jumps back before the sign-in ends it, too."""
        self.site.clock.rightNow -= 10
        self.assertIsNone(self.site.who("amir"))

    def test_password_changed(self) -> None:
        """A person whose password is another one now is nobody; all others stay who they are."""
        self.site.path.write_text(f"amir:$apr1$x$other\nbeth:{APACHE_SHA1}\n")
        self.site.reception._htpasswd.load()
        self.assertIsNone(self.site.who("amir"))
        self.assertIsNotNone(self.site.who("beth"))

    def test_person_gone(self) -> None:
        """A person who is taken out of the password file is nobody."""
        self.site.write("beth")
        self.site.reception._htpasswd.load()
        self.assertIsNone(self.site.who("amir"))

    def test_found_wrong(self) -> None:
        """Credentials that another process found wrong since are nobody's."""
        self.site.reception._memory.remember_wrong(basic("amir"), "amir", self.site.clock.seconds())
        self.assertIsNone(self.site.who("amir"))

    def test_too_many_spellings(self) -> None:
        """The oldest of too many spellings of one password is forgotten."""
        for number in range(MAX_PER_NAME):
            self.site.reception._memory.remember(b"basic %d" % number, "amir", self.site.clock.seconds())
        self.assertIsNone(self.site.who("amir"))

    def test_signs_in_again(self) -> None:
        """Who signs in again after the end of the life is known again."""
        self.site.clock.advance(LIFE_SECONDS)
        self.site.signs_in("amir")
        self.assertEqual(self.site.who("amir"), Identity("amir", ("pupils",)))

    def test_other_groups(self) -> None:
        """With a policy that has other groups a person is another one, who is decided about again."""
        before = self.site.who("amir")
        self.site.take(groups={"staff": ("amir",)})
        self.assertEqual(self.site.who("amir"), Identity("amir", ("staff",)))
        self.assertIsNot(self.site.who("amir"), before)

    def test_same_policy_again(self) -> None:
        """A policy that is read again makes its people anew: each is decided about again."""
        before = self.site.who("amir")
        self.site.take()
        self.assertIsNot(self.site.who("amir"), before)

    def test_groups_file(self) -> None:
        """A groups file that has changed counts from then on."""
        before = self.site.who("beth")
        self.site.reception._regrouped({"beth": ("choir",)})
        self.assertEqual(self.site.who("beth"), Identity("beth", ("choir",)))
        self.assertIsNot(self.site.who("beth"), before)

    def test_other_life(self) -> None:
        """A policy that remembers sign-ins for another time forgets those that were."""
        self.site.take(remember_seconds=60)
        self.assertIsNone(self.site.who("amir"))

    def test_other_file(self) -> None:
        """With another password file everybody signs in again, also those whose line is the same."""
        other = self.site.path.with_name("others")
        other.write_text(self.site.path.read_text())
        other.chmod(0o640)
        self.site.take(methods=(BasicMethod(other),))
        self.assertIsNone(self.site.who("beth"))

    def test_no_sign_in(self) -> None:
        """Where nobody can sign in any more, credentials are nobody's, until they are checked again."""
        self.site.take(methods=())
        self.assertIsNone(self.site.who("amir"))
        self.site.take(methods=(BasicMethod(self.site.path),))
        self.assertIsNone(self.site.who("amir"))
        self.site.signs_in("amir")
        self.assertIsNotNone(self.site.who("amir"))

    def test_value_is_not_kept(self) -> None:
        """What says who it was is given a digest, not the credentials."""
        given = mock.Mock()
        self.patch(desk, "Recognition", given)
        self.site.reception.recognise(basic("amir"))
        given.assert_called_once_with(self.site.reception, self.site.digest("amir"))

    def test_fault(self) -> None:
        """A fault in finding out is told as it is."""
        self.patch(People, "identity", _faulty)
        self.assertRaises(ZeroDivisionError, self.site.who, "amir")


class RecognitionTests(RecognitionInPythonTests):
    """The same by the compiled twin."""

    kind = compiled.Recognition

    def test_not_as_expected(self) -> None:
        """What is not as it is expected is asked in Python."""
        self.assertEqual(self.site.known["amir"](int(BEGINNING)), Identity("amir", ("pupils",)))
        self.assertRaises(TypeError, self.site.known["amir"])
        self.assertRaises(TypeError, self.site.known["amir"], now=BEGINNING)
        self.assertRaises(TypeError, compiled.Recognition, self.site.reception, "amir")
        self.assertRaises(AttributeError, compiled.Recognition(object(), b"amir"), BEGINNING)
        self.site.reception._sign_in._right[b"odd"] = ("amir", 0, BEGINNING + 1)
        self.assertEqual(compiled.Recognition(self.site.reception, b"odd")(BEGINNING).name, "amir")

    def test_classes(self) -> None:
        """A twin takes nothing but classes."""
        self.addCleanup(tell_twin, compiled, CLASSES)
        self.assertRaises(TypeError, tell_twin, compiled, {**CLASSES, "people": "none"})


STEPS = st.lists(
    st.sampled_from(
        [
            lambda site: site.signs_in("amir"),
            lambda site: site.signs_in("beth"),
            lambda site: site.clock.advance(LIFE_SECONDS / 2),
            lambda site: setattr(site.clock, "rightNow", site.clock.rightNow - 1000),
            lambda site: (site.write("beth"), site.reception._htpasswd and site.reception._htpasswd.load()),
            lambda site: (site.write(*NAMES), site.reception._htpasswd and site.reception._htpasswd.load()),
            lambda site: site.take(groups={"staff": ("beth",)}),
            lambda site: site.take(methods=()),
            lambda site: site.take(methods=(BasicMethod(site.path),)),
            lambda site: site.take(remember_seconds=site.settings.remember_seconds + 1),
            lambda site: site.reception._regrouped({"amir": ("choir",)}),
            lambda site: site.reception._memory.remember_wrong(basic("beth"), "beth", site.clock.seconds()),
            lambda site: site.reception._memory.clear(),
        ]
    ),
    max_size=12,
)


class RecognitionTwinTests(SynchronousTestCase):
    """Both twins, through whatever happens."""

    def setUp(self) -> None:
        self.patch(desk, "BoundedThreads", lambda reactor: AtOnce())
        tell_twin(compiled, CLASSES)

    @EXAMPLES
    @given(STEPS)
    def test_same(self, steps: Any) -> None:
        """Both know the same people at each moment, and count the same."""
        sites = [Site(Path(self.mktemp()), kind) for kind in (compiled.Recognition, RecognitionInPython)]
        for step in steps:
            for site in sites:
                step(site)
            one, other = ([site.who(name) for name in NAMES] for site in sites)
            self.assertEqual(one, other)
        one, other = (site.reception.counts for site in sites)
        self.assertEqual(one, other)


def _faulty(*_: object) -> None:
    raise ZeroDivisionError
