"""Who may let whom through, for how long, and whole classes of them or not."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.policy.approvals import Approval, Approvals, Party
from corpproxy.policy.conditions import Who
from tests.support.rows import rows, tabular

AMIR = Party(Identity("amir", ("9b", "pupils")), "10.1.2.3")
BETH = Party(Identity("beth", ("teachers",)), "10.1.9.9")
CAROL = Party(Identity("carol", ("heads", "teachers")), "10.1.9.9")
NOBODY = Party(ANONYMOUS, "10.1.2.3")
TABLE = Approvals(
    [
        Approval(Who(group=("teachers",)), Who(group=("pupils",)), 7200.0),
        Approval(Who(group=("heads",)), Who(user=("amir",)), 86_400.0),
        Approval(Who(group=("heads",)), Who(group=("teachers",)), 600.0),
    ]
)


@tabular
class ApprovalsTests(SynchronousTestCase):
    """The ``approve:`` table."""

    @rows(pupil=(AMIR, True), teacher=(BETH, True), nobody=(NOBODY, False))
    def test_may_ask(self, asker, may):
        """Who fits no ``for`` asks in vain, and is not offered to."""
        self.assertEqual(TABLE.may_ask(asker), may)

    @rows(
        teacher=(BETH, True),
        pupil=(AMIR, False),
        nobody=(NOBODY, False),
        room=(Party(Identity("staff room", ("teachers",), "network"), "10.1.9.9"), False),
    )
    def test_may_decide(self, decider, may):
        """Only people who signed in decide: a room is nobody whom a record could name."""
        self.assertEqual(TABLE.may_decide(decider), may)

    @rows(
        teacher=(BETH, AMIR, 7200.0),
        head=(CAROL, AMIR, 86_400.0),
        head_for_teacher=(CAROL, BETH, 600.0),
        themselves=(CAROL, CAROL, 600.0),
        teacher_for_teacher=(BETH, CAROL, 0.0),
        pupil=(AMIR, AMIR, 0.0),
    )
    def test_at_most(self, decider, asker, seconds):
        """The entry that allows the most counts; without one there is nothing to allow."""
        self.assertEqual(TABLE.at_most(decider, asker), seconds)

    def test_among(self):
        """A class or room is let through among the groups of ``for``, and not where it is about a person."""
        self.assertEqual(TABLE.among(BETH, AMIR), ("pupils",))
        by_name = Approvals([Approval(Who(group=("teachers",)), Who(user=("amir",)))])
        self.assertIsNone(by_name.among(BETH, AMIR))
        for_all = Approvals([Approval(Who(group=("teachers",)))])
        self.assertEqual(for_all.among(BETH, AMIR), ())

    def test_nothing(self):
        """Without the table nobody may ask and nobody decides."""
        empty = Approvals()
        self.assertFalse(empty or empty.may_ask(AMIR) or empty.may_decide(BETH))

    def test_network(self):
        """Who may ask can be a room."""
        room = Approvals(
            [Approval(Who(group=("teachers",)), Who(network=("lab",)))], {"lab": [ip_network("10.1.2.0/24")]}
        )
        self.assertTrue(room.may_ask(NOBODY))
        self.assertEqual(room.at_most(BETH, NOBODY), 86_400.0)
        self.assertIsNone(room.among(BETH, NOBODY))
