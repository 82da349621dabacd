"""Names that can be given to people and groups."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.names import MAX_NAME_CHARACTERS, fault_of_name, normal_name
from tests.support.rows import rows, tabular


@tabular
class NameTests(SynchronousTestCase):
    """What a name may be."""

    @rows(
        plain=("amir",),
        mail=("amir@hillside.example",),
        space=("Amir Khan",),
        utf8=("jürgen",),
        cjk=("李雷",),
    )
    def test_good(self, name):
        """Names of people everywhere are taken."""
        self.assertEqual(fault_of_name(name), "")

    @rows(
        empty=("", "empty"),
        colon=("a:b", "':'"),
        comma=("a,b", "','"),
        line_end=("a\nb", "line ends"),
        padded=(" amir", "spaces around"),
        comment=("#amir", "'#'"),
        long=("x" * (MAX_NAME_CHARACTERS + 1), "longer"),
        control=("a\x07", "control"),
    )
    def test_bad(self, name, words):
        """What would break a file or a page is refused with the reason."""
        self.assertIn(words, fault_of_name(name))

    def test_normal(self):
        """Two ways to type one name are one name; two spellings in case are two."""
        self.assertEqual(normal_name("ju\u0308rgen"), "jürgen")
        self.assertNotEqual(normal_name("Amir"), normal_name("amir"))
