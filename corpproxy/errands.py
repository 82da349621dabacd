"""What the service does beside serving: it has the record worked up, reports made, and deeds recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from corpproxy.backends.afterwork.child import Afterwork
from corpproxy.backends.afterwork.job import AfterworkJob, zone_name
from corpproxy.backends.records.deed_spool import left, recorded
from corpproxy.edits import Edits
from corpproxy.repeating import every

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()


class Errands:
    """The errands of a service; with workers they are those of the supervisor alone."""

    # How often it is looked whether a command has left a deed.
    LOOK_SECONDS = 5.0

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self.afterwork = Afterwork(service.reactor, self._job)
        self.edits = Edits(service)
        # Files of deeds that the writer has, and that may not be on the disk yet.
        self._taken: list[Path] = []

    def start(self) -> None:
        """Begin; what commands left while the service did not run is recorded at once."""
        self.afterwork.start()
        self._take_away_recorded()
        self._loop = every(self.LOOK_SECONDS, self.look, self._service.reactor)
        self.look()

    def look(self) -> None:
        """Record what commands have left, and take away what is on the disk."""
        if not self._service.writer.waiting:
            self._take_away()
        try:
            found = [(path, deed) for path, deed in left(self._service.state) if path not in self._taken]
        except OSError as error:
            log.error("deeds that commands left cannot be read: {reason}", reason=str(error))
            return
        for path, deed in found:
            if deed is None:
                log.error("{path} is no deed; it is set aside", path=str(path))
                path.rename(path.with_suffix(".odd"))
                continue
            self._service.books.deed(deed, self._service.configuration.version)
            self._taken.append(path)

    def stop(self) -> Deferred[None]:
        """End; the Deferred fires when nothing is under way any more."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._loop.stop()
        await self.afterwork.stop()
        await self.edits.settle()

    def written(self) -> None:
        """All records are on the disk: called when the writer has closed."""
        if not self._service.writer.is_failing:
            self._take_away()

    def _take_away_recorded(self) -> None:
        """Take away what was recorded just before a crash: it is not to stand in the record twice."""
        state = self._service.state
        try:
            deeds = [(path, deed) for path, deed in left(state) if deed is not None]
            there = recorded(state, deeds)
            for path, deed in deeds:
                if deed.request in there:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.error("deeds that commands left cannot be read: {reason}", reason=str(error))

    def _take_away(self) -> None:
        for path in self._taken:
            path.unlink(missing_ok=True)
        self._taken.clear()

    def _job(self) -> AfterworkJob:
        configuration = self._service.configuration
        return AfterworkJob(
            str(self._service.state),
            zone_name(configuration.time_zone),
            site=configuration.site,
            reports=configuration.reports,
            mail=configuration.mail,
            store=self._service.store_address,
            day_begins=configuration.day_begins,
        )
