"""What only a process shows: signals, exit codes, what stands on the screen, another user. These are slow."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.service.case import ALLOW
from tests.service.client import Client, ask
from tests.service.origin import Origin
from tests.service.whole import WholeService, policy_for
from tests.support.rows import rows, tabular
from tests.support.running import CHECKOUT, LOOK_SECONDS, START_SECONDS, STOP_SECONDS, accepts, free_ports

NO_GAMES = """
rules:
  - {name: no games, what: {domain: games.test}, do: block}
  - {name: everything else, do: allow}
"""
TWISTD = ["-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]


class WholeCase(SynchronousTestCase):
    """A service that is a process."""

    transports = "engine"

    def setUp(self):
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        self.service = WholeService(self.policy(ALLOW))
        self.addCleanup(self.service.forget)

    def policy(self, rules):
        return f"transports: {self.transports}\n" + policy_for(self.origin, rules)

    def url(self, host="origin.test", path="/hello"):
        return f"http://{host}:{self.origin.port}{path}"

    def get(self, host="origin.test", path="/hello"):
        return ask(self.service.forward, self.url(host, path))


@tabular
class SignalTests(WholeCase):
    """Signals of a service that runs."""

    @rows(term=(signal.SIGTERM,), interrupt=(signal.SIGINT,))
    def test_ends(self, number):
        """SIGTERM and Ctrl-C let what runs end; the exit code is 0, and the log has no traceback."""
        client = Client(self.service.forward)
        self.addCleanup(client.close)
        client.send_request("GET", self.url(path="/held"))
        self.origin.arrived.wait(START_SECONDS)
        tunnel = Client(self.service.forward)
        self.addCleanup(tunnel.close)
        tunnel.ask("CONNECT", f"origin.test:{self.origin.echo_port}")
        tunnel.echoes(b"hello")
        self.service.process.send_signal(number)
        time.sleep(0.3)
        self.origin.release()
        self.assertEqual(client.answer().status, 200)
        self.assertEqual(self.service.process.wait(STOP_SECONDS), 0)
        results = {str(one.result) for one in self.service.closed()}
        self.assertEqual(results, {"forwarded", "ended"})
        self.assertNotIn("Traceback", self.service.log_text())

    def test_twice(self):
        """Asked twice it ends at once, although an exchange runs that nobody answers."""
        client = Client(self.service.forward)
        self.addCleanup(client.close)
        client.send_request("GET", self.url(path="/held"))
        self.origin.arrived.wait(START_SECONDS)
        self.service.process.send_signal(signal.SIGTERM)
        # Two signals that wait for a program are one: the second is sent when the first has shown.
        until = time.monotonic() + START_SECONDS
        while accepts(self.service.forward) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
        self.assertEqual(self.service.ended(signal.SIGTERM), 0)
        self.assertEqual([str(one.result) for one in self.service.closed()], ["ended"])
        self.assertNotIn("Traceback", self.service.log_text())

    def test_hangup(self):
        """SIGHUP reloads; it never ends the process."""
        self.service.write_policy(self.policy(NO_GAMES))
        self.service.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + START_SECONDS
        while self.get("games.test").status != 403 and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(self.get("games.test").status, 403)

    def test_commands(self):
        """The commands of the command line reach it, with their exit codes."""
        self.service.write_policy("ruls: []\n" + self.policy(ALLOW))
        refused = self.service.command("reload")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("unknown field 'ruls'", refused.stderr)
        status = self.service.command("status")
        self.assertEqual(status.returncode, 0)
        self.assertIn("edit refused: yes", status.stdout)
        self.service.kill()
        self.service.start_again()
        self.assertIn("last good: yes", self.service.command("status").stdout)
        self.assertIn("the last good policy runs", self.service.log_text())
        self.assertEqual(self.get().status, 200)


class SignalOnTwistedTests(SignalTests):
    """The same on the transports of Twisted."""

    transports = "twisted"


class StartCase(SynchronousTestCase):
    """A start that is refused: said in lines, without a traceback, with exit code 1."""

    python = sys.executable
    path = str(CHECKOUT)

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="corpproxy-start-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.policy = self.folder / "policy.yaml"
        (self.port,) = free_ports(1)

    def start(self, address, *more, rules=ALLOW):
        listen = f"state: state\nlisten:\n  - {{name: rooms, forward: '{address}'}}\n"
        self.policy.write_text(listen + rules)
        environment = {**os.environ, "PYTHONPATH": self.path}
        command = [self.python, *TWISTD, *more, "corpproxy", "--policy", str(self.policy)]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        return done.stdout + done.stderr


class NotStartedTests(StartCase):
    """What can be in the way."""

    def test_taken(self):
        """A port in use is one line with its place."""
        with socket.socket() as there:
            there.bind(("127.0.0.1", self.port))
            there.listen()
            said = self.start(f"127.0.0.1:{self.port}")
        self.assertEqual(
            said,
            "corpproxy does not start.\n"
            f"{self.policy}:3:5: cannot listen on 127.0.0.1:{self.port}: Address already in use; "
            "another program is there; stop it, or change the port\n",
        )

    def test_elsewhere(self):
        """So is an address that this machine does not have."""
        rules = "identity: {networks: {a: {addresses: [10.0.0.0/8], user: a}}}\n" + ALLOW
        rules = rules.replace("{name: everything else, do: allow}", "{name: nobody, do: block}")
        self.assertIn("this machine does not have that address", self.start("192.0.2.1:3128", rules=rules))

    def test_broken(self):
        """All problems of a broken policy are there."""
        said = self.start(f"127.0.0.1:{self.port}", rules="ruls: []\nsyte: a\n" + ALLOW)
        self.assertIn(":4:1: unknown field 'ruls'", said)
        self.assertIn(":5:1: unknown field 'syte'", said)

    def test_state(self):
        """A state folder that cannot be used is one line of the log."""
        (self.folder / "state").write_text("")
        said = self.start(f"127.0.0.1:{self.port}")
        self.assertRegex(
            said, r"corpproxy does not start: \S+/state cannot be made: File exists; the service runs as"
        )


class BackgroundTests(WholeCase):
    """twistd in the background."""

    def test_second(self):
        """A second service on the same state folder ends, and so does the command that started it."""
        policy = self.service.folder / "second.yaml"
        text = self.service.policy.read_text()
        (port,) = free_ports(1)
        policy.write_text(text.replace(str(self.service.forward), str(port)))
        for used in filter(None, (self.service.portal, self.service.admin, self.service.forward6)):
            (port,) = free_ports(1)
            policy.write_text(policy.read_text().replace(f":{used}", f":{port}"))
        folder = self.service.folder
        command = ["-c", TWISTD[1], f"--pidfile={folder}/second.pid", f"--logfile={folder}/second.log"]
        done = subprocess.run(
            [sys.executable, *command, "corpproxy", "--policy", str(policy)],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("another corpproxy is running", done.stdout + done.stderr)
        self.assertIn("another corpproxy is running", (folder / "second.log").read_text())
        # The command ends when it is told so; the process behind it takes its file away a moment later.
        ends = time.monotonic() + START_SECONDS
        while (folder / "second.pid").exists() and time.monotonic() < ends:
            time.sleep(0.02)
        self.assertFalse((folder / "second.pid").exists())


def _python_of_nobody() -> tuple[str, str]:
    """A Python that the user nobody may run, and the path where it finds us; empty when there is none."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    for python in (sys.executable, "/usr/bin/python3"):
        path = os.pathsep.join([str(CHECKOUT), *packages])
        with contextlib.suppress(OSError):
            command = [python, "-c", "import corpproxy.service"]
            environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run(
                command, user="nobody", group="nogroup", extra_groups=[], cwd="/", env=environment,
                capture_output=True, check=False,
            )  # fmt: skip
            if done.returncode == 0:
                return python, path
    return "", ""


def _free_low_port() -> int:
    """A port that only root may listen on, and nobody does."""
    for port in range(700, 1024):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise SkipTest("no low port is free")


class PrivilegeTests(StartCase):
    """``twistd --uid``: bound as root, run as somebody else."""

    def setUp(self):
        if os.geteuid() != 0:
            raise SkipTest("only root can become another user")
        super().setUp()
        self.python, self.path = _python_of_nobody()
        if not self.python:
            raise SkipTest("the user nobody may not read this Python")

    def test_drops(self):
        """It listens on a low port, writes as nobody, and ends well."""
        shutil.chown(self.folder, "nobody")
        port, served = _free_low_port(), 0
        listen = f"state: state\nlisten:\n  - {{name: rooms, forward: '127.0.0.1:{port}'}}\n"
        self.policy.write_text(listen + ALLOW)
        environment = {**os.environ, "PYTHONPATH": self.path}
        command = [self.python, *TWISTD, "--uid", "nobody", "corpproxy", "--policy", str(self.policy)]
        with subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE) as process:
            try:
                until = time.monotonic() + START_SECONDS
                while not served and time.monotonic() < until:
                    with contextlib.suppress(OSError):
                        served = ask(port, "http://proxy.internal/").status
                    time.sleep(0.05)
            finally:
                process.terminate()
            self.assertEqual(served, 200)
            self.assertEqual(process.wait(STOP_SECONDS), 0)
        owners = {path.owner() for path in (self.folder / "state").rglob("*")}
        self.assertEqual(owners, {"nobody"})

    def test_not_writable(self):
        """A folder that nobody may not write to is told with the name of the user."""
        self.folder.chmod(0o755)
        said = self.start(f"127.0.0.1:{self.port}", "--uid", "nobody")
        self.assertIn("state cannot be made: Permission denied; the service runs as the user nobody", said)
