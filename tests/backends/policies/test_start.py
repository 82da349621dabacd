"""A start with a broken edit runs on the last good policy."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.policies.files import DISK, Kept, fits
from corpproxy.backends.policies.history import History, Run
from corpproxy.backends.policies.start import possible_state_folders, start_configuration
from corpproxy.config.load import load_policy
from corpproxy.errors import Place, Problem
from tests.support.rows import rows, tabular

GOOD = """\
site: Good
listen: [{name: proxy, forward: "127.0.0.1:3128"}]
rules: [{name: everything, do: allow}]
"""


class StartTests(SynchronousTestCase):
    """What runs after a start."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.policy = self.folder / "policy.yaml"

    def ran(self, text=GOOD, state="state", more=()):
        """Let a policy have run."""
        self.policy.write_text(text)
        for name, octets in more:
            (self.folder / name).write_bytes(octets)
        loaded = load_policy(self.policy, DISK)
        self.assertIsNotNone(loaded.configuration, loaded.problems)
        History(self.folder / state).keep(loaded.texts, self.policy, Run(1.0, "root", 0, "start"))

    def start(self, text, **more):
        self.policy.write_text(text)
        return start_configuration(self.policy, **more)

    def test_sound(self):
        """A sound policy runs itself."""
        started = self.start(GOOD)
        self.assertEqual((started.configuration.site, started.is_last_good), ("Good", False))
        self.assertEqual(started.texts, {"policy.yaml": GOOD.encode()})

    def test_broken(self):
        """With a broken edit the last good policy runs, and the problems are those of the edit."""
        self.ran()
        started = self.start(GOOD + "watch: maybe\n")
        self.assertEqual((started.configuration.site, started.is_last_good), ("Good", True))
        self.assertEqual([problem.code for problem in started.problems], ["not-a-switch"])
        self.assertEqual(started.texts, {"policy.yaml": GOOD.encode()})

    def test_not_yaml(self):
        """Also when the edit is no YAML, or the file is gone."""
        self.ran()
        self.assertTrue(self.start(GOOD + "rules: [").is_last_good)
        self.policy.unlink()
        self.assertTrue(start_configuration(self.policy).is_last_good)

    def test_nothing_kept(self):
        """Without a kept policy nothing runs, and the problems say why."""
        started = self.start("rules: [")
        self.assertIsNone(started.configuration)
        self.assertEqual([problem.code for problem in started.problems], ["not-yaml"])

    def test_state_elsewhere(self):
        """The state folder is found by its line in a file that is no YAML any more."""
        self.ran(GOOD + "state: 'kept here'\n", "kept here")
        self.assertTrue(self.start(GOOD + "state: 'kept here'  # our disk\nrules: [\n").is_last_good)

    def test_other_policy(self):
        """What was kept for another policy file is not taken."""
        self.ran()
        other = self.folder / "other.yaml"
        other.write_text("rules: [")
        self.assertIsNone(start_configuration(other).configuration)

    def test_objection(self):
        """A policy that loads and fails its tests does not run either."""
        self.ran()

        def object_to(configuration):
            return (
                [Problem(Place("policy.yaml", 1), "test-failed", "no")] if configuration.site == "New" else []
            )

        started = self.start(GOOD.replace("Good", "New"), objections=object_to)
        self.assertEqual((started.configuration.site, started.is_last_good), ("Good", True))
        self.assertEqual([problem.code for problem in started.problems], ["test-failed"])

    def test_included_files(self):
        """Included files are those that were kept: what was added since is not read."""
        self.ran("include: more-*.yaml\n" + GOOD, more=[("more-a.yaml", b"rules: []\n")])
        (self.folder / "more-a.yaml").write_text("rules: [")
        (self.folder / "more-b.yaml").write_text("rules: [{name: new, do: block}]\n")
        started = start_configuration(self.policy)
        self.assertTrue(started.is_last_good)
        self.assertEqual([rule.name for rule in started.configuration.policy.rules], ["everything"])

    def test_password_file_gone(self):
        """The last good policy runs on although its password file is gone."""
        secret = ("users.htpasswd", b"")
        self.ran(GOOD + "identity: {methods: [{basic: {htpasswd: users.htpasswd}}]}\n", more=[secret])
        (self.folder / "users.htpasswd").unlink()
        self.assertTrue(self.start("rules: [").is_last_good)

    def test_damaged_history(self):
        """A kept policy whose files were changed does not run."""
        self.ran()
        for file in (self.folder / "state" / "policies").rglob("000-*"):
            file.write_text(GOOD.replace("allow", "block"))
        self.assertIsNone(self.start("rules: [").configuration)


@tabular
class StateFolderTests(SynchronousTestCase):
    """Where the state may be."""

    @rows(
        field=(b"state: /var/lib/corpproxy\n", ["/var/lib/corpproxy", "state"]),
        none=(b"site: x\n", ["state"]),
        broken=(b"state: here # comment\nrules: [", ["here", "state"]),
        quoted=(b'rules: [\nstate: "over there"\n', ["over there", "state"]),
        not_a_text=(b"state: [a]\n", ["[a]", "state"]),
        not_text_at_all=(b"\xff\xfe", ["state"]),
        null=(b"state: a\0b\n", ["state"]),
    )
    def test_found(self, octets, expected):
        """The field, else the line, else the default."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "policy.yaml").write_bytes(octets)
        found = list(possible_state_folders(folder / "policy.yaml"))
        self.assertEqual(found, [folder / one for one in expected])


@tabular
class DiskTests(SynchronousTestCase):
    """The disk as the reader of policies sees it."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def test_secrets(self):
        """Whether everybody may read a file is seen by its mode."""
        file = self.folder / "secret"
        file.write_text("x")
        for mode, is_open in ((0o640, False), (0o644, True), (0o604, True)):
            file.chmod(mode)
            self.assertIs(DISK.is_open_to_all(file), is_open)
        self.assertFalse(DISK.is_open_to_all(self.folder / "none"))

    def test_odd_names(self):
        """Names that no file can have are files that are not there."""
        for name in ("a\0b", "x" * 5000):
            self.assertFalse(DISK.exists(self.folder / name))
            self.assertFalse(DISK.is_open_to_all(self.folder / name))
            self.assertRaises((OSError, ValueError), DISK.read, self.folder / name)

    def test_glob(self):
        """A pattern gives files, not folders, in the order of their names."""
        for name in ("b.yaml", "a.yaml", "c.txt"):
            (self.folder / name).write_text("")
        (self.folder / "d.yaml").mkdir()
        self.assertEqual([one.name for one in DISK.glob(self.folder, "*.yaml")], ["a.yaml", "b.yaml"])
        self.assertEqual(DISK.glob(self.folder, "../*\0"), [])
        self.assertEqual(DISK.glob(self.folder, "/etc/*"), [])

    @rows(
        file=("a.yaml", "*.yaml", True),
        folder=("rules.d/a.yaml", "rules.d/*.yaml", True),
        star_stops=("rules.d/a.yaml", "*.yaml", False),
        deep=("a/b/c.yaml", "a/**/*.yaml", True),
        deep_none=("a/c.yaml", "a/**/*.yaml", True),
        other=("a/c.yml", "a/*.yaml", False),
    )
    def test_kept_patterns(self, name, pattern, fit):
        """A pattern finds among kept files what it finds on the disk."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text("")
        self.assertIs(fits(self.folder / name, self.folder, pattern), fit)
        kept = Kept({name: b""}, self.folder)
        self.assertEqual(kept.glob(self.folder, pattern), DISK.glob(self.folder, pattern))
