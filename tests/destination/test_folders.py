"""Folders of categories as UT1 and squidGuard publish them, and the list of public suffixes."""

from __future__ import annotations

from pathlib import Path

import publicsuffixlist
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.folders import category_aliases, category_files, usage_words
from corpproxy.destination.suffixes import public_suffixes
from tests.support.rows import rows, tabular


@tabular
class FolderTests(SynchronousTestCase):
    """What the files of a folder are."""

    @rows(
        flat=(["games/domains", "games/urls"], [("games", "names"), ("games", "urls")]),
        in_a_folder=(
            ["blacklists/games/domains", "blacklists/ads/expressions"],
            [("games", "names"), ("ads", "expressions")],
        ),
        with_a_dot=(["./bl/games/domains", "./bl/ads/domains"], [("games", "names"), ("ads", "names")]),
        one_category=(["blacklists/games/domains"], [("games", "names")]),
        nested=(
            ["BL/finance/banking/domains", "BL/ads/urls"],
            [("finance/banking", "names"), ("ads", "urls")],
        ),
        no_folder=(["domains"], [("list", "names")]),
        compressed=(["games/domains.gz", "games/usage"], [("games", "names"), ("games", "usage")]),
        others=(["README", "games/very_restrictive_expression", "games/domains.bak"], []),
    )
    def test_files(self, paths: list[str], expected: list[tuple[str, str]]) -> None:
        """A file's folder is its category, its name says what its lines are."""
        self.assertEqual([(file.category, file.format) for file in category_files(paths, "list")], expected)

    @rows(
        beside=({"bl/ads": "publicite"}, {"ads": "publicite"}),
        round_about=({"bl/ads": "../bl/publicite/"}, {"ads": "publicite"}),
        to_nowhere=({"bl/ads": "other"}, {}),
        outside=({"bl/ads": "../../etc"}, {}),
        absolute=({"bl/ads": "/etc"}, {}),
        of_a_category=({"bl/games": "publicite"}, {}),
    )
    def test_aliases(self, links: dict[str, str], expected: dict[str, str]) -> None:
        """A link to a category's folder is another name of the category."""
        files = category_files(["bl/publicite/domains", "bl/games/domains"], "list")
        self.assertEqual(category_aliases(links, files), expected)

    def test_usage(self) -> None:
        """A usage file has words, and perhaps comments."""
        self.assertEqual(
            usage_words("white\n# all right\nblack bank\x00\n\tbank\n"), ["white", "black", "bank"]
        )


class SuffixTests(SynchronousTestCase):
    """The list of public suffixes that comes with the library."""

    def test_real(self) -> None:
        """Suffixes of registries are suffixes; names below, and companies' suffixes, are not."""
        with Path(publicsuffixlist.PSLFILE).open(encoding="utf-8") as lines:
            is_public_suffix = public_suffixes(lines)
        theirs = publicsuffixlist.PublicSuffixList(only_icann=True)
        names = (
            "com co.uk kobe.jp a.kobe.jp city.kobe.jp ck x.ck www.ck ac.uk github.io example.com bbc.co.uk"
        )
        for name in names.split():
            self.assertEqual(is_public_suffix(name), theirs.is_public(name), name)
