"""Reload: new rules hold for the next exchange, and a broken edit changes nothing."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading

from corpproxy import reload as reload_module
from corpproxy.backends.policies.history import History
from corpproxy.cli import main
from corpproxy.reload import Reloaded
from tests.service.case import ALLOW, PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import Client, ask
from tests.support.rows import rows, tabular
from tests.support.running import free_ports

NO_GAMES = """
rules:
  - {name: no games, what: {domain: games.test}, do: block}
  - {name: everything else, do: allow}
"""


class ReloadCase(ServiceCase):
    """A service that is told to reload, as the command line tells it."""

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        """Give a command of the command line; exit code, output, complaints."""

        def run() -> tuple[int, str, str]:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(["--policy", str(self.file), *arguments])
            return code, out.getvalue(), err.getvalue()

        return await self.thread(run)

    async def take(self, policy: str, **more) -> None:
        """Put another policy into force."""
        self.write(policy, **more)
        code, out, err = await self.command("reload")
        self.assertEqual((code, err), (0, ""), out)

    async def outcome(self, text: str) -> float:
        return await self.metric(f'corpproxy_reloads_total{{outcome="{text}"}}')


class TakenTests(ReloadCase):
    """A policy that is sound."""

    async def test_command(self):
        """``corpproxy reload`` puts new rules into force for the next exchange, also of a kept connection."""
        client = Client(self.forward)
        self.addCleanup(client.close)
        self.assertEqual((await self.thread(client.ask, "GET", self.url("games.test"))).status, 200)
        await self.take(NO_GAMES)
        answer = await self.thread(client.ask, "GET", self.url("games.test"))
        self.assertEqual(answer.status, 403)
        self.assertEqual(await self.outcome("taken"), 1)
        first, second = await self.closed(2)
        self.assertEqual((first.rule, second.rule), ("everything else", "no games"))
        self.assertNotEqual(first.policy, second.policy)

    async def test_unchanged(self):
        """The same policy again is taken, and said to be the same."""
        code, out, _ = await self.command("reload")
        self.assertEqual((code, "nothing has changed" in out), (0, True))

    async def test_sighup(self):
        """SIGHUP does the same."""
        self.write(NO_GAMES)
        os.kill(os.getpid(), signal.SIGHUP)
        await self.until(lambda: self.service.configuration.policy.rules[0].name == "no games")
        self.assertEqual((await self.get("games.test")).status, 403)
        run = History(self.folder / "state").last_good().last
        self.assertEqual((run.by, run.why), ("SIGHUP", "reload"))

    async def test_running_exchange(self):
        """An exchange that runs ends under the policy that it began under."""
        before = self.service.configuration.version
        client = Client(self.forward)
        self.addCleanup(client.close)
        await self.thread(client.send_request, "GET", self.url("games.test", "/held"))
        await self.until(self.origin.arrived.is_set)
        await self.take(NO_GAMES)
        self.origin.release()
        self.assertEqual((await self.thread(client.answer)).status, 200)
        (record,) = await self.closed(1, path="/held")
        self.assertEqual((record.policy, record.rule), (before, "everything else"))

    async def test_tunnel(self):
        """A tunnel that is open and may stay so goes on."""
        client = Client(self.forward)
        self.addCleanup(client.close)
        await self.thread(client.ask, "CONNECT", f"news.test:{self.origin.echo_port}")
        self.assertEqual(await self.thread(client.echoes, b"before"), b"before")
        await self.take(NO_GAMES)
        await self.pause(0.5)
        self.assertEqual(await self.thread(client.echoes, b"after"), b"after")
        refused = await self.thread(ask, self.forward, f"games.test:{self.origin.echo_port}", "CONNECT")
        self.assertEqual(refused.status, 403)

    async def test_at_once(self):
        """Reloads that come together are done one after the other, and the last edit holds."""
        self.write(NO_GAMES)
        first = self.service.reload("one", 0)
        second = self.service.reload("two", 0)
        self.assertTrue((await first).changed)
        self.assertFalse((await second).changed)

    async def test_loads_beside(self):
        """Requests are answered while a long policy is read."""
        load, go_on = reload_module.loaded_for, threading.Event()

        def loaded_for(*arguments):
            go_on.wait(40)
            return load(*arguments)

        self.patch(reload_module, "loaded_for", loaded_for)
        ended: list[Reloaded] = []
        reloaded = self.service.reload("test", 0)
        reloaded.addCallback(lambda told: ended.append(told) or told)
        for _ in range(3):
            self.assertEqual((await self.get()).status, 200)
        self.assertEqual(ended, [])
        go_on.set()
        self.assertTrue((await reloaded).taken)

    async def test_while_it_ends(self):
        """A reload that is under way when the service ends changes nothing more."""
        self.write(NO_GAMES)
        reloaded, version = self.service.reload("test", 0), self.service.configuration.version
        service = self.service
        await self.stop()
        self.assertFalse((await reloaded).taken)
        self.assertEqual(service.configuration.version, version)


class WatchTests(ReloadCase):
    """``watch: yes``."""

    def setUp(self):
        self.patch(reload_module, "LOOK_SECONDS", 0.05)
        super().setUp()

    policy = "watch: yes\n" + ALLOW

    async def test_edit(self):
        """An edit is taken up by itself; a broken one is refused once, and the mended one taken."""
        self.write("watch: yes\n" + NO_GAMES)
        await self.until(lambda: self.service.configuration.policy.rules[0].name == "no games")
        self.write("watch: yes\nruls: []\n" + NO_GAMES)
        await self.until(lambda: self.service.refused)
        await self.pause(0.3)
        self.assertEqual(await self.outcome("refused"), 1)
        self.write("watch: yes\n" + ALLOW)
        await self.until(lambda: len(self.service.configuration.policy.rules) == 1)

    async def test_included(self):
        """A file that appears in an included folder is an edit, too."""
        folder = self.folder / "rules.d"
        folder.mkdir()
        (folder / "a.yaml").write_text("calendars: {a: {days: mon}}\n")
        self.write("watch: yes\ninclude: [rules.d/*.yaml]\n" + ALLOW)
        await self.until(lambda: "rules.d/a.yaml" in self.service.texts)
        (folder / "b.yaml").write_text("calendars: {b: {days: tue}}\n")
        await self.until(lambda: "rules.d/b.yaml" in self.service.texts)

    async def test_switched_off(self):
        """Without ``watch:`` an edit waits for the command."""
        await self.take(ALLOW)
        self.write(NO_GAMES)
        await self.pause(0.3)
        self.assertEqual(len(self.service.configuration.policy.rules), 1)


BAD_TEST = """
tests: [{get: "http://games.test/", expect: block}]
"""


@tabular
class BrokenTests(ReloadCase):
    """An edit that is broken: the old policy goes on."""

    @rows(
        syntax=("rules: [{name: a\n", ":15:1: "),
        unknown_field=("ruls: []\n" + ALLOW, ":14:1: unknown field 'ruls'"),
        unknown_group=(
            "rules:\n  - {name: a, who: {group: pupls}, do: block}\n  - {name: b, do: allow}\n",
            "there is no group 'pupls'",
        ),
        failing_test=(ALLOW + BAD_TEST, "policy.yaml:18:9: expected block"),
        missing_include=("include: [more.yaml]\n" + ALLOW, "there is no file"),
        no_final_rule=("rules:\n  - {name: a, what: {domain: games.test}, do: block}\n", "rule"),
        not_text=("site: \x00\n" + ALLOW, "policy.yaml"),
    )
    async def test_edit(self, policy, expected):
        """It is shown at its place, logged, counted, and the exit code is 1."""
        version = self.service.configuration.version
        self.write(policy)
        code, out, err = await self.command("reload")
        self.assertEqual((code, out), (1, ""))
        self.assertIn(str(self.file), err)
        self.assertIn(expected, err)
        self.assertIn(f"not taken up: version {version} goes on", err)
        self.assertEqual((await self.get()).status, 200)
        self.assertEqual(await self.outcome("refused"), 1)
        self.assertEqual(await self.metric("corpproxy_policy_is_last_good"), 1)
        self.assertEqual((await self.closed(1))[0].policy, version)
        self.assertEqual((await self.ask_admin("/ready")).status, 200)
        status = (await self.command("status"))[1:]
        self.assertIn("edit refused: yes", status[0])
        self.assertIn(expected, status[1])
        await self.take(NO_GAMES)
        self.assertEqual(await self.metric("corpproxy_policy_is_last_good"), 0)
        self.assertIn("edit refused: no", (await self.command("status"))[1])

    async def test_unreadable(self):
        """A file that cannot be read is one of them."""
        self.file.unlink()
        self.file.mkdir()
        reloaded = await self.service.reload("test", 0)
        self.assertFalse(reloaded.taken)
        self.assertIn("Is a directory", reloaded.problems[0].message)
        self.assertEqual((await self.get()).status, 200)

    async def test_gone(self):
        """So is a file that is gone."""
        self.file.unlink()
        self.assertEqual((await self.command("reload"))[0], 1)
        self.assertEqual((await self.get()).status, 200)

    async def test_fault(self):
        """A fault of ours in a reload is a refused one, told as such, and the next one works."""

        def loaded_for(*arguments):
            raise ZeroDivisionError

        self.patch(reload_module, "loaded_for", loaded_for)
        code, _, err = await self.command("reload")
        self.assertEqual((code, "a fault of corpproxy" in err), (1, True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(await self.outcome("refused"), 1)

    async def test_fault_in_the_middle(self):
        """When building the new fails nothing of it is in force."""
        from corpproxy import assembly

        def broken(*arguments, **more):
            raise ZeroDivisionError

        people = self.service.reception.people
        self.write(NO_GAMES)
        for part in ("Portal", "open_geography", "limits_of", "discretion_of"):
            patched = self.patch(assembly, part, broken)
            self.assertFalse((await self.service.reload("test", 0)).taken, part)
            patched.restore()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1, part)
            self.assertIs(self.service.reception.people, people, part)
            self.assertEqual((await self.get("games.test")).status, 200)


class BrokenStartTests(ReloadCase):
    """A start on a broken edit."""

    async def test_last_good(self):
        """The last good policy runs, and everybody who looks is told."""
        await self.take(NO_GAMES)
        version = self.service.configuration.version
        self.write("ruls: []\n" + ALLOW)
        await self.start_again()
        self.assertEqual((await self.get("games.test")).status, 403)
        self.assertEqual(self.service.configuration.version, version)
        ready = await self.ask_admin("/ready")
        self.assertEqual(ready.status, 503)
        self.assertIn("the last good policy runs", ready.text)
        self.assertEqual(await self.metric("corpproxy_policy_is_last_good"), 1)
        self.assertEqual(await self.metric("corpproxy_ready"), 0)
        _code, out, err = await self.command("status")
        self.assertIn("last good: yes", out)
        self.assertIn("unknown field 'ruls'", err)
        await self.take(ALLOW)
        self.assertEqual((await self.ask_admin("/ready")).status, 200)
        self.assertEqual((await self.get("games.test")).status, 200)

    async def test_failing_test(self):
        """A test that fails is a broken edit, too."""
        self.write(ALLOW + BAD_TEST)
        await self.start_again()
        self.assertTrue(self.service.is_last_good)

    async def test_last_good_is_not_kept_anew(self):
        """What runs as the last good one stays the last good one over further restarts."""
        self.write("ruls: []\n" + ALLOW)
        await self.start_again()
        await self.start_again()
        self.assertTrue(self.service.is_last_good)
        runs = History(self.folder / "state").last_good().runs
        self.assertEqual([run.why for run in runs], ["start"])


class RestartTests(ReloadCase):
    """What only a restart can change."""

    async def test_listeners(self):
        """A listener that comes, goes or changes its name is told at its place, each time."""
        (port,) = free_ports(1)
        text = self.yaml(ALLOW).replace(
            "listen:\n", f'listen:\n  - {{name: hall, forward: "127.0.0.1:{port}"}}\n'
        )
        text = text.replace("name: rooms", "name: halls").replace(
            f'portal: "127.0.0.1:{self.portal}', f'portal: "127.0.0.1:{free_ports(1)[0]}'
        )
        self.file.write_text(text)
        for _ in range(2):
            code, _, err = await self.command("reload")
            self.assertEqual(code, 0)
            self.assertIn(
                f"policy.yaml:5:5: warning: listener 'hall' at 127.0.0.1:{port} is new; restart", err
            )
            self.assertIn("policy.yaml:6:5: warning: the listener at", err)
            self.assertIn("is still called 'rooms'", err)
            self.assertIn("listener 'pac' at", err)
            self.assertIn("it goes on until corpproxy is restarted", err)
        self.assertEqual((await self.get()).status, 200)

    async def test_state(self):
        """Another state folder waits for a restart, and so do other transports."""
        self.file.write_text(
            self.yaml(ALLOW).replace("state: state", "state: elsewhere").replace("engine", "twisted")
        )
        _, _, err = await self.command("reload", "--socket", str(self.folder / "state" / "control.sock"))
        self.assertIn("the state folder is still", err)
        self.assertIn("the transports are still 'engine'", err)
        self.assertFalse((self.folder / "elsewhere").exists())
        await self.get()
        await self.closed(1)


GROUPS_FILE = """
identity:
  methods: [{basic: {htpasswd: users.htpasswd}}]
  groups_file: users.groups
rules:
  - {name: no games, who: {group: pupils}, what: {domain: games.test}, do: block}
  - {name: everything else, do: allow}
tests: [{user: amir, get: "http://games.test/", expect: block}]
"""


class GroupsFileTests(ReloadCase):
    """Groups in a file of their own."""

    people = PEOPLE
    policy = SIGN_IN + ALLOW

    async def test_tests_know(self):
        """The tests of a policy know the groups file, at a reload and at a start."""
        (self.folder / "users.groups").write_text("amir: pupils\n")
        await self.take(GROUPS_FILE)
        self.assertEqual((await self.get("games.test", user="amir")).status, 403)
        self.assertEqual((await self.get("games.test", user="beth")).status, 200)
        await self.start_again()
        self.assertFalse(self.service.is_last_good)

    async def test_test_fails(self):
        """A test that the groups file makes fail refuses the policy."""
        (self.folder / "users.groups").write_text("beth: pupils\n")
        self.write(GROUPS_FILE)
        self.assertEqual((await self.command("reload"))[0], 1)

    async def test_edit(self):
        """An edit of the groups file holds without a reload."""
        (self.folder / "users.groups").write_text("amir: pupils\n")
        await self.take(GROUPS_FILE)
        (self.folder / "users.groups").write_text("beth: pupils\n")
        await self.until(lambda: self.service.reception.people.identity("beth").groups)
        self.assertEqual((await self.get("games.test", user="beth")).status, 403)
        self.assertEqual((await self.get("games.test", user="amir")).status, 200)
