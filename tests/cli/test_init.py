"""``corpproxy init`` makes a first site that is safe and passes its own tests."""

from __future__ import annotations

import re
from pathlib import Path

from corpproxy.backends.people import htpasswd_edit
from corpproxy.backends.people.htpasswd_edit import is_right
from corpproxy.backends.policies.files import DISK
from corpproxy.cli import init as init_module
from corpproxy.cli.asked_policy import asked_policy
from corpproxy.config.load import load_policy
from corpproxy.policy.question import facts_for
from tests.cli.sites import SiteCase

MONDAY = 1795428000.0
SHIPPED = Path(init_module.__file__).parents[2] / "policies"


def deciding(path: Path) -> set[str]:
    """The rules that decide on a policy's own tests, on a Monday morning where a test has no time."""
    site = asked_policy(path)
    found = set()
    for case in site.configuration.cases:
        asked = facts_for(case.question(case.at or MONDAY), site.surroundings)
        if not asked.is_challenged:
            found.add(site.policy.decide(asked.facts).rule)
    return found


class InitTests(SiteCase):
    """What is made, and what is kept."""

    def setUp(self):
        super().setUp()
        self.site = self.folder / "site"

    def init(self, *options):
        return self.run_command("init", self.site, *options)

    def test_fresh(self):
        """Every preset loads without a problem and passes its tests."""
        for preset in init_module.PRESETS:
            self.site = self.folder / preset
            self.assertEqual(self.init("--preset", preset)[0], 0)
            code, out, _ = self.run_command("check", self.site / "policy.yaml")
            self.assertEqual(code, 0, out)
            self.assertRegex(out, r"\Aok: ")

    def test_former_name(self):
        """A preset is found by the name that it had before."""
        self.assertEqual(self.init("--preset", "school")[0], 0)
        policy = (self.site / "policy.yaml").read_text()
        self.assertIn("pastime waits until after lessons", policy)

    def test_password(self):
        """The password that is printed is the one that is right, and it is stored hashed."""
        _, out, _ = self.init()
        password = re.search(r"password  (\S+)\n", out)[1]
        stored = (self.site / "users.htpasswd").read_bytes()
        self.assertTrue(is_right(stored, "admin", password))
        self.assertFalse(is_right(stored, "admin", "admin"))
        self.assertNotIn(password.encode(), stored)
        self.assertIn(b"argon2id", stored)

    def test_not_for_everybody(self):
        """Others on the machine can read neither the hashes nor what is kept."""
        self.init()
        for name in ("users.htpasswd", "state"):
            self.assertEqual((self.site / name).stat().st_mode & 0o007, 0)

    def test_again(self):
        """A second run keeps what the first one made."""
        self.init()
        (self.site / "policy.yaml").write_text("# mine\n")
        before = (self.site / "users.htpasswd").read_bytes()
        code, out, _ = self.init()
        self.assertEqual(code, 0)
        self.assertEqual((self.site / "policy.yaml").read_text(), "# mine\n")
        self.assertEqual((self.site / "users.htpasswd").read_bytes(), before)
        self.assertNotIn("password  ", out)

    def test_names(self):
        """The names of the site and of the user are those that are given, quotes and all."""
        for preset in init_module.PRESETS:
            self.site = self.folder / preset
            self.init("--preset", preset, "--site", "St. John's: \\1 School", "--user", "o'neil")
            loaded = load_policy(self.site / "policy.yaml", DISK)
            self.assertEqual(loaded.problems, ())
            self.assertEqual(loaded.configuration.site, "St. John's: \\1 School")
            self.assertEqual(loaded.configuration.identity.realm, "St. John's: \\1 School")
            self.assertEqual(loaded.configuration.identity.groups["staff"], ("o'neil",))

    def test_bad_user(self):
        """A name that nobody can have is refused in a sentence."""
        code, _, err = self.init("--user", "a:b")
        self.assertEqual(code, 1)
        self.assertIn("':'", err)

    def test_folder_is_a_file(self):
        """A file in the place of the folder is told."""
        self.site.write_text("")
        code, _, err = self.init()
        self.assertEqual((code, err), (1, f"{self.site} is a file; name a folder\n"))

    def test_disk_full(self):
        """A disk that is full is told, and a second run goes on where the first one stopped."""
        real = init_module.replace_file

        def full(path, octets):
            raise OSError(28, "No space left on device", str(path))

        self.patch(htpasswd_edit, "replace_file", full)
        code, _, err = self.init()
        self.assertEqual(code, 1)
        self.assertIn("No space left on device", err)
        self.patch(htpasswd_edit, "replace_file", real)
        self.assertIn("password  ", self.init()[1])

    def test_this_machine(self):
        """The PAC file names this machine, or localhost when it has no name and no address."""
        self.patch(init_module.socket, "getfqdn", lambda: "proxy.hillside.example")
        self.assertIn('proxy: ["proxy.hillside.example:3128"]', init_module.preset("office"))
        self.patch(init_module.socket, "getfqdn", lambda: "localhost")
        self.patch(init_module, "_own_address", lambda: "")
        self.assertIn('proxy: ["localhost:3128"]', init_module.preset("office"))


class ShippedPolicyTests(SiteCase):
    """The policies that are shipped are loaded as they are."""

    def test_shipped(self):
        """Each shipped policy loads without a problem, passes its tests and has some."""
        shipped = sorted(SHIPPED.glob("*.yaml"))
        self.assertEqual([one.stem for one in shipped], sorted(init_module.PRESETS))
        for policy in shipped:
            code, out, _ = self.run_command("check", policy)
            self.assertEqual(code, 0, out)
            self.assertNotIn("warning", out)
            self.assertGreaterEqual(len(load_policy(policy, DISK).configuration.cases), 10)

    def test_every_rule_is_tried(self):
        """No rule of a shipped policy is without a test that reaches it."""
        for name in init_module.PRESETS:
            path = SHIPPED / f"{name}.yaml"
            rules = load_policy(path, DISK).configuration.policy.rules
            self.assertEqual({rule.name for rule in rules} - deciding(path), set(), name)
