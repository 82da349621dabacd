"""A supervisor inside the test, with workers that are processes of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from corpproxy.service import CorpproxyService
from tests.service.case import ServiceCase


class WorkersCase(ServiceCase):
    """A test with a service of two workers."""

    workers: ClassVar[int] = 2

    async def serving(self) -> Any:
        """Wait until all workers serve, and give their seats."""
        seats = self.service.crew.seats
        await self.until(lambda: all(seat.is_serving for seat in seats), "all workers serve")
        return seats

    def start(self) -> CorpproxyService:
        """Start; the test waits for the workers with `serving`."""
        return super().start()
