"""``corpproxy policy``: the policies that ran, and back to one of them."""

from __future__ import annotations

from corpproxy.backends.policies.files import DISK
from corpproxy.backends.policies.history import History, Run
from corpproxy.cli import policy as policy_module
from corpproxy.config.load import load_policy
from corpproxy.net.ask import ControlError
from tests.cli.sites import GOOD, SiteCase

OLD = GOOD.replace("Hillside", "Valley")


class HistoryCase(SiteCase):
    """A site whose old policy ran before the present one."""

    def setUp(self):
        super().setUp()
        self.asked = []
        self.answer = {"version": "abc"}
        self.patch(policy_module, "ask", self.ask)
        self.old = self.ran(OLD, 1000.0)
        self.new = self.ran(GOOD, 2000.0)

    def ask(self, path, command, **arguments):
        self.asked.append((path.name, command, arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def ran(self, text, at):
        self.policy.write_text(text)
        loaded = load_policy(self.policy, DISK)
        run = Run(at, "carol", 0, "reload")
        return History(self.folder / "state").keep(loaded.texts, self.policy, run).version

    def command(self, *words):
        return self.run_command("policy", *words, "--policy", self.policy)


class LogTests(HistoryCase):
    """The versions that ran."""

    def test_log(self):
        """The last one first, with time, person and reason, and which one runs."""
        code, out, _ = self.command("log")
        first, second = out.splitlines()
        self.assertEqual(code, 0)
        self.assertRegex(
            first,
            rf"\A{self.new}  1970-01-0\d \d\d:\d\d  reload by carol  \(last good, the files as they are\)\Z",
        )
        self.assertRegex(second, rf"\A{self.old}  .* reload by carol\Z")

    def test_broken_file(self):
        """The log can be read while the policy is broken."""
        self.policy.write_text("rules: [")
        code, out, _ = self.command("log")
        self.assertEqual((code, len(out.splitlines())), (0, 2))

    def test_nothing(self):
        """A site that never ran is told so."""
        other = self.folder / "elsewhere"
        other.mkdir()
        code, _, err = self.run_command("policy", "log", "--policy", other / "policy.yaml")
        self.assertEqual(code, 1)
        self.assertIn("no policy has run yet", err)

    def test_show(self):
        """A version is printed as it was; the beginning of its name is enough."""
        self.assertEqual(self.command("show", self.old[:8]), (0, OLD, ""))

    def test_unknown(self):
        """An unknown version is told."""
        code, _, err = self.command("show", "nothing")
        self.assertEqual((code, err), (1, "there is no version 'nothing'\n"))

    def test_diff(self):
        """Two versions are compared, or one with the files."""
        code, out, _ = self.command("diff", self.old)
        self.assertEqual(code, 0)
        self.assertIn("\n-site: Valley\n+site: Hillside\n", out)
        self.assertEqual(self.command("diff", self.old, self.new)[1].splitlines()[2:], out.splitlines()[2:])
        self.assertEqual(self.command("diff", self.new)[1], "")


class RollbackTests(HistoryCase):
    """Back to an earlier version."""

    def test_rollback(self):
        """The files are those of the version again, and the service takes them up."""
        code, out, _ = self.command("rollback", self.old)
        self.assertEqual((code, self.policy.read_text()), (0, OLD))
        self.assertEqual(self.asked, [("control.sock", "reload", {"why": "rollback"})])
        self.assertIn(f"is version {self.old} again", out)

    def test_present_is_kept(self):
        """The files as they were are kept first, broken as they may be, so that nothing is lost."""
        self.policy.write_text("rules: [")
        self.command("rollback", self.old)
        texts = [
            History(self.folder / "state").texts(one) for one in History(self.folder / "state").versions()
        ]
        self.assertIn({"policy.yaml": b"rules: ["}, texts)

    def test_not_running(self):
        """A service that does not run is no failure."""
        self.answer = ControlError("not-running", "corpproxy is not running")
        code, out, _ = self.command("rollback", self.old)
        self.assertEqual((code, self.policy.read_text()), (0, OLD))
        self.assertIn("will start with this version", out)

    def test_refused(self):
        """A service that refuses goes on as before, and the command says so."""
        self.answer = ControlError("not-taken", "a test fails")
        code, _, err = self.command("rollback", self.old)
        self.assertEqual(code, 1)
        self.assertIn("goes on as before: a test fails", err)

    def test_included_files(self):
        """Included files come and go with their version."""
        rules = self.folder / "rules.d"
        rules.mkdir()
        (rules / "a.yaml").write_text("rules: [{name: a, what: {domain: a.example}, do: block}]\n")
        with_a = self.ran("include: rules.d/*.yaml\n" + GOOD, 3000.0)
        (rules / "a.yaml").write_text("rules: []\n")
        (rules / "b.yaml").write_text("rules: [{name: b, what: {domain: b.example}, do: block}]\n")
        code, out, _ = self.command("rollback", with_a)
        self.assertEqual(code, 0)
        loaded = load_policy(self.policy, DISK)
        self.assertEqual(loaded.version, with_a)
        self.assertEqual([rule.name for rule in loaded.configuration.policy.rules][:1], ["a"])
        self.assertTrue((rules / f"b.yaml.not-in-{with_a}").exists())
        self.assertIn("b.yaml did not belong to it", out)

    def test_disk_full(self):
        """When the present files cannot be kept, nothing is written over them."""
        self.policy.write_text("site: precious\n")

        def full(*arguments):
            raise policy_module.HistoryError("not-kept", "the policy cannot be kept: No space left on device")

        self.patch(History, "put_aside", full)
        code, _, err = self.command("rollback", self.old)
        self.assertEqual((code, self.policy.read_text()), (1, "site: precious\n"))
        self.assertIn("No space left", err)
