"""What the proxies forward to: nginx for plain requests, a program of our own for tunnels."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.fixtures import Fixtures
from benchmarks.place import Place, host_address
from benchmarks.programs import Program

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
    log_format octets '$request_length $bytes_sent';
    access_log {log};
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    sendfile_max_chunk 1m;
    open_file_cache max=16 inactive=1h;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 0.0.0.0:{port} backlog=4096;
        root {web};
    }}
}}
"""


class NotThere(Exception):
    """A program that the benchmark needs is not installed, or does not start; the message says which."""


def compiled(name: str, folder: Path) -> Path:
    """Compile one of our C programs."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NotThere("no C compiler: install gcc")
    target, source = folder / name, Path(__file__).with_name(f"{name}.c")
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(target), str(source)], check=True)
    return target


class Origin:
    """Both servers, on the core of the load."""

    def __init__(self, place: Place, fixtures: Fixtures, *, counts: bool = False) -> None:
        """``counts`` lets the origin write down the octets of each exchange; see `octets`."""
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if nginx is None:
            raise NotThere("no origin: install nginx-light")
        folder = place.folder / "origin"
        folder.mkdir()
        self._octets = folder / "octets"
        log = f"{self._octets} octets buffer=256k flush=1s" if counts else "off"
        text = NGINX.format(folder=folder, port=place.web_port, web=fixtures.web, log=log)
        (folder / "nginx.conf").write_text(text)
        far_end = compiled("tunnel_origin", folder)
        commands = [
            [nginx, "-c", str(folder / "nginx.conf")],
            [str(far_end), str(place.tunnel_port), str(fixtures.web / "large")],
        ]
        self._programs = [Program(command, place.load_core, folder / "output") for command in commands]
        self._await(place, folder)

    def _await(self, place: Place, folder: Path) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until and all(program.runs() for program in self._programs):
            with contextlib.suppress(OSError):
                wire = http.client.HTTPConnection(host_address(0), place.web_port, timeout=2)
                wire.request("GET", "/s200")
                if wire.getresponse().status == 200:
                    return
            time.sleep(0.02)
        self.stop()
        raise NotThere(f"the origin does not start: {(folder / 'output').read_text()[-500:]}")

    def seconds(self) -> float:
        """Processor time so far."""
        return sum(program.seconds() for program in self._programs)

    def octets(self) -> tuple[int, int, int]:
        """How many plain exchanges there were, and the octets of their requests and answers, so far."""
        exchanges = asked = answered = 0
        with self._octets.open() as lines:
            for line in lines:
                request, answer = line.split()
                exchanges, asked, answered = exchanges + 1, asked + int(request), answered + int(answer)
        return exchanges, asked, answered

    def stop(self) -> None:
        """End both."""
        for program in self._programs:
            program.stop()
