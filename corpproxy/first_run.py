"""
What ``make run`` does: a site folder, a few words that help to try it, and the service in the foreground.

The words come when the service answers, behind the lines that it logs while it starts; a process of its own
waits for that, so that this one can become twistd itself and Ctrl-C goes straight to it.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from corpproxy.backends.policies.files import DISK
from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.cli.failed import CommandFailed
from corpproxy.cli.init import FIRST_USER, POLICY_FILE, make_site, this_machine
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.config.load import load_policy

# A start takes half a second; who waits longer than this has lines of the log to read.
WAIT_SECONDS = 20.0
LOOK_SECONDS = 0.05
ANSWER_SECONDS = 2.0

# struct ucred: pid, uid and gid of the process at the other end.
_CREDENTIALS = struct.Struct("3i")

_EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})


def main(arguments: list[str]) -> None:
    """Make the site folder where it is missing, then become the service; ends only when that cannot be."""
    folder = Path(arguments[0] if arguments else "site")
    try:
        password = make_site(folder)
    except CommandFailed as failed:
        raise SystemExit(str(failed)) from failed
    policy = folder / POLICY_FILE
    configuration = load_policy(policy, DISK).configuration
    if configuration is not None:
        words = first_words(configuration, policy, password, beside(sys.executable, "corpproxy"))
        ours, socket_path = os.getpid(), configuration.state / CONTROL_SOCKET
        tell_when(lambda: serves(socket_path, ours) and answers(configuration.listeners), words)
    sys.stdout.flush()
    twistd = beside(sys.executable, "twistd")
    os.execv(twistd, [twistd, "--nodaemon", "--pidfile=", "corpproxy", "--policy", str(policy)])


def beside(executable: str, name: str) -> str:
    """A command of the environment that runs this, as people can paste it."""
    whole = str(Path(executable).with_name(name))
    return min(os.path.relpath(whole), whole, key=len)


def first_words(configuration: Configuration, policy: Path, password: str | None, command: str) -> str:
    """What to tell at the start; ``password`` is that of the first user when it was made just now."""
    rows = [("proxy", reached(one)) for one in _of(configuration, Purpose.FORWARD)]
    rows += [
        ("PAC file", f"http://{reached(one)}/proxy.pac") for one in _of(configuration, Purpose.PORTAL)[:1]
    ]
    for one in _of(configuration, Purpose.FORWARD)[:1]:
        rows.append(("try it", curl_line(configuration, one, password)))
    if configuration.identity.htpasswd is not None and password is None:
        rows.append(("password", f"{command} users passwd {FIRST_USER} --policy {shlex.quote(str(policy))}"))
    rows.append(("policy", f"{policy}; after an edit: {command} reload --policy {shlex.quote(str(policy))}"))
    rows.append(("the end", "Ctrl-C"))
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {said}" for name, said in rows]
    return "\n".join(["", f"corpproxy runs for {configuration.site}.", "", *lines, "", ""])


def curl_line(configuration: Configuration, listener: Listener, password: str | None) -> str:
    """A line that can be pasted: it asks for the person's own page, which needs no Internet."""
    here = address_here(listener)
    words = ["curl", "--proxy", f"http://{here}"]
    if configuration.identity.htpasswd is not None:
        # Without the password curl asks for it.
        words += ["--proxy-user", FIRST_USER if password is None else f"{FIRST_USER}:{password}"]
    return shlex.join([*words, f"http://{configuration.portal.name}/"])


def reached(listener: Listener) -> str:
    """The address at which others reach a listener."""
    if listener.address in _EVERY_ADDRESS:
        return f"{this_machine()}:{listener.port}"
    return str(listener)


def address_here(listener: Listener) -> str:
    """The address at which programs on this machine reach a listener."""
    if listener.address in _EVERY_ADDRESS:
        return f"{'[::1]' if listener.address == '::' else '127.0.0.1'}:{listener.port}"
    return str(listener)


def answers(listeners: tuple[Listener, ...], seconds: float = ANSWER_SECONDS) -> bool:
    """Whether the service answers; that it accepts says little, for it binds its sockets before."""
    paths = {Purpose.ADMIN: "health", Purpose.PORTAL: "proxy.pac", Purpose.FORWARD: ""}
    asked = min(listeners, key=lambda one: list(paths).index(one.purpose))
    try:
        # Nothing from the environment: a proxy that is set there is not what we ask.
        url = f"http://{address_here(asked)}/{paths[asked.purpose]}"
        with build_opener(ProxyHandler({})).open(url, timeout=seconds):
            return True
    except URLError as error:
        # An answer that is a refusal is an answer.
        return hasattr(error, "code")
    except OSError:
        return False


def serves(socket_path: Path, pid: int) -> bool:
    """Whether it is this process that takes commands there: another proxy may have the addresses already."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(socket_path))
        except OSError:
            return False
        told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(told)[0] == pid)


def _of(configuration: Configuration, purpose: Purpose) -> list[Listener]:
    return [one for one in configuration.listeners if one.purpose is purpose]


def tell_when(is_ready: Callable[[], bool], words: str) -> None:
    """Print ``words`` when ``is_ready``, from a process that nobody has to wait for."""
    parent = os.getpid()
    sys.stdout.flush()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until and is_alive(parent):
        if is_ready():
            print(words, flush=True)
            break
        time.sleep(LOOK_SECONDS)
    os._exit(0)


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
