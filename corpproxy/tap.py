"""The plugin of ``twistd`` and ``twist``: its options, and the service they make."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from types import TracebackType

from twisted.application.service import IService
from twisted.python import usage

from corpproxy import __version__
from corpproxy.cli import policy_path


class Options(usage.Options):
    """What ``twistd corpproxy`` takes."""

    synopsis = "[--policy FILE]"
    longdesc = (
        "Runs corpproxy, the filtering forward proxy of a school or an office, by one policy file. "
        "'corpproxy init FOLDER' writes a first one, 'corpproxy check' tells what is wrong with one."
    )
    optParameters = [
        ["policy", "p", None, "The policy file; without it $CORPPROXY_POLICY, then the usual places."],
    ]

    def opt_version(self) -> None:
        """Print the version of corpproxy."""
        from corpproxy import twins

        print(f"corpproxy {__version__}, {twins.described()}")
        raise SystemExit(0)


def makeService(options: Options) -> IService:
    """
    Make the service.

    A policy that cannot run (and no last good one), or an address that is taken, ends the start with its
    problems and without a traceback.
    """
    # Nothing of what imports make is garbage for long: looking for it again and again takes a tenth of them.
    gc.disable()
    try:
        return _made(options)
    finally:
        # Once more when all of it stands would take as long as a third of the imports, for a few thousand
        # objects that nobody uses.
        gc.freeze()
        gc.enable()


def _made(options: Options) -> IService:
    from twisted.internet import reactor

    from corpproxy.backends.open_files import raise_open_files
    from corpproxy.errors import CorpproxyError
    from corpproxy.resident import keep_little
    from corpproxy.service import NotStarted
    from corpproxy.start import start_service
    from corpproxy.steady import keep_steady

    keep_little()
    keep_steady(reactor)
    _without_traceback(NotStarted)
    raise_open_files()
    try:
        return start_service(policy_path(options["policy"] and Path(options["policy"])), reactor)
    except CorpproxyError as error:
        # twistd would print a usage error of this moment with its traceback.
        raise SystemExit(f"corpproxy does not start.\n{error.message}") from None


def _without_traceback(told: type[Exception]) -> None:
    """Print nothing when this exception ends the process: the log has said why, in a line."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, told):
            before(kind, error, trace)

    sys.excepthook = hook
