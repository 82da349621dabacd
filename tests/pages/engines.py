"""Programs that others wrote, which run a PAC text as a browser would."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from unittest import SkipTest

import quickjs

FindProxy = Callable[[str], tuple[str, ...]]

LIBRARIES = ("libpacparser.so.1", "/usr/lib/libpacparser.so.1", "/usr/local/lib/libpacparser.so.1")

# The names that a browser lends to a PAC file.  Ours must need none of them: each ends the test.
FORBIDDEN = "dnsResolve isInNet isResolvable myIpAddress shExpMatch weekdayRange timeRange alert".split()


def run_in_quickjs(pac: bytes) -> FindProxy:
    """Load a PAC text into QuickJS; the answer takes a host and gives the ways, in order."""
    engine = quickjs.Context()
    engine.set_memory_limit(64 * 1024 * 1024)
    for name in FORBIDDEN:
        engine.eval(f"function {name}() {{ throw new Error('{name} was called'); }}")
    engine.eval(pac.decode("ascii"))
    find = engine.get("FindProxyForURL")
    return lambda host: _ways(find(f"http://{host}/", host))


def run_in_pacparser(pac: bytes) -> FindProxy:
    """Load a PAC text into libpacparser (an old engine), or skip the test with the reason."""
    library = _pacparser()
    if not library.pacparser_init():
        raise SkipTest("libpacparser does not start")
    if not library.pacparser_parse_pac_string(pac):
        raise AssertionError("libpacparser does not take the PAC text")

    def find(host: str) -> tuple[str, ...]:
        answer = library.pacparser_find_proxy(b"http://example/", host.encode())
        if answer is None:
            raise AssertionError(f"libpacparser has no answer for {host!r}")
        return _ways(answer.decode())

    return find


def _ways(answer: str) -> tuple[str, ...]:
    return tuple(way.strip() for way in answer.split(";"))


def _pacparser() -> ctypes.CDLL:
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.pacparser_find_proxy.restype = ctypes.c_char_p
        return library
    raise SkipTest("libpacparser is not installed; make test-deps installs it")
