"""What the service does beside serving: it has the record worked up, and reports made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from corpproxy.backends.afterwork import Afterwork
from corpproxy.backends.afterwork_job import AfterworkJob, zone_name

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService


class Errands:
    """The errands of a service; with workers they are those of the supervisor alone."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self.afterwork = Afterwork(service.reactor, self._job)

    def start(self) -> None:
        """Begin."""
        self.afterwork.start()

    def stop(self) -> Deferred[None]:
        """End; the Deferred fires when nothing is under way any more."""
        return self.afterwork.stop()

    def _job(self) -> AfterworkJob:
        configuration = self._service.configuration
        return AfterworkJob(
            str(self._service.state),
            zone_name(configuration.time_zone),
            site=configuration.site,
            reports=configuration.reports,
            mail=configuration.mail,
        )
