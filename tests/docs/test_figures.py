"""Figures and tables that sentences of the manual give: they are those of the program."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends import watched_file
from corpproxy.backends.lists import watch as list_watch
from corpproxy.cli import POLICY_PLACES
from corpproxy.errors import NOWHERE
from corpproxy.identity import attempts
from corpproxy.net import (
    deadlines,
    look_up,
    name_answer,
    name_query,
    name_servers,
    names,
    performer,
    relay,
    system_names,
)
from corpproxy.net.engine import listening, loop, pump, read_write
from corpproxy.pages import refusals
from corpproxy.policy import safe_search
from corpproxy.policy.model import Safety
from corpproxy.policy.rules import WARN_SECONDS
from tests.docs.manual import directives, pages
from tests.docs.snippets import load_fragment
from tests.support.rows import rows, tabular

NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 8: "eight", 20: "twenty"}


@tabular
class FigureTests(SynchronousTestCase):
    """Each row is a sentence as the figures of the program make it, and the page that has it."""

    @rows(
        answers=(
            "howto/internal-names.rst",
            f"at least {name_answer.MIN_SECONDS:.0f} second "
            f"and at most {name_answer.MAX_SECONDS / 3600:.0f} hour",
        ),
        no_answers=(
            "howto/internal-names.rst",
            f"at least {name_answer.MIN_NEGATIVE_SECONDS:.0f} and "
            f"at most {name_answer.MAX_NEGATIVE_SECONDS:.0f} seconds",
        ),
        failed=("howto/internal-names.rst", f"\n     - {names.FAILED_SECONDS:.0f} seconds\n"),
        library=("howto/internal-names.rst", f"\n     - {system_names.SYSTEM_SECONDS:.0f} seconds\n"),
        silent=("howto/internal-names.rst", f"silent after {name_query.PATIENCE_SECONDS} seconds"),
        look_up=("howto/internal-names.rst", f"ends after {look_up.LOOK_UP_SECONDS:.0f} seconds"),
        pair=(
            "explanation/sign-in.rst",
            f"{NUMBERS[attempts.FREE_PER_PAIR]} wrong passwords are free",
        ),
        delay=("explanation/sign-in.rst", f"up to {attempts.MAX_DELAY_SECONDS:.0f}."),
        address=(
            "explanation/sign-in.rst",
            f"{NUMBERS[int(attempts.FREE_PER_ADDRESS)]} wrong passwords are free",
        ),
        address_delay=(
            "explanation/sign-in.rst",
            f"up to {NUMBERS[int(attempts.ADDRESS_MAX_DELAY_SECONDS)]} seconds",
        ),
        warn_rule=("howto/write-rules.rst", f"({NUMBERS[WARN_SECONDS // 3600]} hours when left out)"),
        warn_page=("howto/block-page.rst", f"({NUMBERS[WARN_SECONDS // 3600]} hours where it is left out)"),
        portal=("reference/pages.rst", f"the last {refusals.MAX_ENTRIES} hosts, for a day"),
        lists=("howto/category-lists.rst", f"every {NUMBERS[int(list_watch.LOOK_SECONDS)]} seconds"),
        people=(
            "howto/users-and-groups.rst",
            f"within {NUMBERS[2 * int(watched_file.LOOK_SECONDS)]} seconds",
        ),
        accepts=("explanation/life-of-an-exchange.rst", f"up to {listening.MAX_ACCEPTS} in one turn"),
        drained=(
            "explanation/life-of-an-exchange.rst",
            f"If it ends within {performer.MAX_DRAINED_OCTETS >> 20} MiB",
        ),
        drain=(
            "explanation/life-of-an-exchange.rst",
            f"at most {NUMBERS[int(performer.DRAIN_SECONDS)]} seconds",
        ),
        events=("decisions/0002-own-transports.rst", f"at most {loop.MAX_EVENTS} events"),
        turn=("decisions/0002-own-transports.rst", f"at most {read_write.TURN_OCTETS >> 20} MiB in a turn"),
        pumped=(
            "decisions/0011-moved-by-the-kernel.rst",
            f"of which {relay.PUMPED_OCTETS >> 10} KiB or more",
        ),
        pump_turn=(
            "decisions/0011-moved-by-the-kernel.rst",
            f"at most {pump.TURN_OCTETS >> 20} MiB in a turn",
        ),
        pipes=("decisions/0011-moved-by-the-kernel.rst", f"a pipe of {pump.PIPE_OCTETS >> 10} KiB"),
        places=(
            "tutorial/first-hour.rst",
            f":file:`{POLICY_PLACES[0]}`, then in :file:`{POLICY_PLACES[1]}`",
        ),
    )
    def test_figure(self, page: str, sentence: str) -> None:
        """The manual and the program have the same figure."""
        self.assertIn(sentence.lower(), pages()[page].lower())

    def test_times_in_words(self) -> None:
        """What the manual says in words is so long in the program."""
        self.assertEqual(refusals.LIFE_SECONDS, 24 * 3600)
        self.assertEqual(attempts.FORGET_SECONDS, 15 * 60)
        self.assertEqual(name_servers.ASIDE_SECONDS, 30)
        self.assertEqual(deadlines.TICK_SECONDS, 1)

    def test_safety_defaults(self) -> None:
        """The safety table that is shown as the default is the default."""
        page = "explanation/threats.rst"
        (shown,) = [one for one in directives(page, pages()[page]) if one.argument == "yaml"]
        loaded = load_fragment(shown.content)
        assert loaded.configuration is not None
        safety = loaded.configuration.policy.rules[-1].safety or loaded.configuration.policy.safety
        self.assertEqual(replace(safety, place=NOWHERE), Safety())

    def test_safe_search(self) -> None:
        """Every engine has a row with the strict host that is connected to."""
        text = pages()["howto/safe-search.rst"]
        for engine, (strict, _) in safe_search._STRICT_HOSTS.items():
            row = text.partition(f"   * - ``{engine}``\n")[2].partition("   * - ")[0]
            self.assertIn(f"     - ``{strict}``\n", row, engine)
