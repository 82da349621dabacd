"""What methods promise."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.http1.methods import is_idempotent, is_safe
from tests.support.rows import rows, tabular


@tabular
class MethodTests(SynchronousTestCase):
    """Which requests may be sent again."""

    @rows(
        get=(b"GET", True, True),
        head=(b"HEAD", True, True),
        propfind=(b"PROPFIND", True, True),
        put=(b"PUT", False, True),
        delete=(b"DELETE", False, True),
        post=(b"POST", False, False),
        patch=(b"PATCH", False, False),
        lock=(b"LOCK", False, False),
        connect=(b"CONNECT", False, False),
        unknown=(b"RPC_IN_DATA", False, False),
        lower_case=(b"get", False, False),
    )
    def test_promises(self, method, safe, idempotent):
        """The registry says which methods are safe and which idempotent; of others we assume nothing."""
        self.assertEqual((is_safe(method), is_idempotent(method)), (safe, idempotent))
