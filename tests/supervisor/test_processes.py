"""Two workers as real processes, on real sockets."""

from __future__ import annotations

from collections import Counter

from tests.supervisor.case import WorkersCase


class ServingTests(WorkersCase):
    """What clients see."""

    async def test_both_serve(self) -> None:
        """Connections are spread over all workers, and each writes its own segments."""
        await self.serving()
        answers = [await self.get() for _ in range(40)]
        self.assertEqual({answer.status for answer in answers}, {200})
        records = await self.closed(40)
        self.assertEqual(len(records), 40)
        names = {path.name.split("-")[2] for path in (self.folder / "state" / "records").iterdir()}
        self.assertEqual(names, {"w1", "w2"})
        self.assertEqual(Counter(record.listener for record in records), {"rooms": 40})
