"""Announces corpproxy to twistd; it imports nothing else, because every start of twistd may import it."""

from twisted.application.service import ServiceMaker

corpproxy = ServiceMaker(  # type: ignore[no-untyped-call]
    "corpproxy",
    "corpproxy.tap",
    "The filtering forward proxy of a school or an office.",
    "corpproxy",
)
