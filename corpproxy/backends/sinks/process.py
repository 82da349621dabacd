"""
The process that serves the sinks: ``python -m corpproxy.backends.sinks.process``.

It reads its job from the first line of its input and tells once a second, in a line of JSON, how each sink
does.  The end of its input tells it to end.  It is a process of its own so that a sink, however slow, and
however much work a format is, costs those who serve clients nothing.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import msgspec

from corpproxy.audit.sinks import SinkKind, SinkSettings, SinksJob
from corpproxy.backends.sinks.delivery import Delivery, Sink

TELL_SECONDS = 1.0
# How long it delivers what is there when it is told to end; the rest waits for the next start.
END_SECONDS = 3.0

# Those who serve clients come first.
_NICE = 5


def make_sink(settings: SinkSettings, job: SinksJob) -> Sink:
    """Make what sends to a sink."""
    if settings.kind is SinkKind.SYSLOG:
        from corpproxy.backends.sinks.syslog import SyslogSink

        return SyslogSink(settings, job.host)
    if settings.kind is SinkKind.HTTP:
        from corpproxy.backends.sinks.http import HttpSink

        return HttpSink(settings, job.program)
    if settings.kind is SinkKind.POSTGRESQL:
        from corpproxy.backends.sinks.postgresql import PostgresqlSink

        return PostgresqlSink(settings)
    if settings.kind is SinkKind.MAIL:
        from corpproxy.backends.sinks.mail import MailSink

        return MailSink(settings, job.host)
    from corpproxy.backends.sinks.file import FileSink

    return FileSink(settings)


def serve(job: SinksJob, ends: threading.Event) -> None:
    """Deliver to all sinks until ``ends`` is set."""
    positions = Path(job.positions)
    positions.mkdir(mode=0o700, parents=True, exist_ok=True)
    deliveries = [
        Delivery(one, make_sink(one, job), Path(job.records), positions, job.program) for one in job.sinks
    ]
    threads = [threading.Thread(target=one.run, daemon=True) for one in deliveries]
    for thread in threads:
        thread.start()
    while not ends.wait(TELL_SECONDS):
        _tell(deliveries)
        if not all(thread.is_alive() for thread in threads):
            # A bug, which the traceback of the thread tells: the service starts another process.
            sys.exit(1)
    for one in deliveries:
        one.stop(END_SECONDS)
    for thread in threads:
        thread.join(END_SECONDS + 1)
    _tell(deliveries)


def _tell(deliveries: list[Delivery]) -> None:
    line = msgspec.json.encode([one.state for one in deliveries]) + b"\n"
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def main() -> None:
    """Read the job and serve it until the input ends."""
    os.nice(_NICE)
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=SinksJob)
    ends = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        ends.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    serve(job, ends)
    sys.stdout.flush()
    # A thread that still waits for a server has nothing to lose.
    os._exit(0)


if __name__ == "__main__":
    main()
