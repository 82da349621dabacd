"""What a start imports and makes before anybody is served: no more than serving takes."""

import functools
import json
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.support.rows import rows, tabular
from tests.support.running import CHECKOUT

# All that a supervisor and its workers import, as `corpproxy.tap` and the template do it.
STARTED = """
import gc
gc.disable()
from twisted.internet import reactor
gc.collect()
gc.freeze()
import corpproxy.tap, corpproxy.start, corpproxy.supervisor.service
import corpproxy.worker, corpproxy.net.engine.connecting
import json, sys
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.config.schema.table import Table
def below(kind):
    return [kind, *(each for one in kind.__subclasses__() for each in below(one))]
built = [one.__name__ for one in below(Table) if one.__pydantic_complete__]
print(json.dumps({"modules": list(sys.modules), "built": built, "garbage": gc.collect()}))
"""


@functools.cache
def started():
    """Import it all in an interpreter of its own; gives what was found there."""
    done = subprocess.run([sys.executable, "-c", STARTED], cwd=CHECKOUT, capture_output=True, check=True)
    return json.loads(done.stdout)


@tabular
class StartUpTests(SynchronousTestCase):
    @rows(
        pages_of_administrators=("twisted.web",),
        library_of_metrics=("prometheus_client",),
        command_line=("corpproxy.cli.check",),
        directories=("ldap3",),
        postgresql=("psycopg",),
        fetching_of_lists=("corpproxy.backends.lists.update",),
        making_of_reports=("corpproxy.backends.reports.make",),
        calendars=("icalendar",),
    )
    def test_not_imported(self, name):
        """What only some sites or some commands need is not imported by each start."""
        self.assertNotIn(name, started()["modules"])

    def test_no_table_is_built(self):
        """What checks a table of the policy is built when a policy is read, once for the whole file."""
        self.assertEqual(started()["built"], [])

    def test_garbage(self):
        """Imports leave next to nothing that nobody uses, so that nobody has to look for it."""
        self.assertLess(started()["garbage"], 700)
