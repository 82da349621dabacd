"""``corpproxy audit`` reads the record, also one that a crash cut or that is being written."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.record import decode, encode
from corpproxy.audit.results import Kind, ResultCode
from tests.audit.test_record import a_record
from tests.cli.reading import output_of

FIRST = "records-20261122T090000Z-0001.jsonl"
AT = "2026-11-23T10:59:00.000Z"
SECOND = "records-20261123T090000Z-0001.jsonl"


def a_line(number: int, **fields) -> bytes:
    """A record of the numbered minute after ten on 23 November."""
    return encode(a_record(id=f"id{number:03d}", at=f"2026-11-23T10:{number:02d}:00.000Z", **fields))


class AuditTestCase(SynchronousTestCase):
    """A folder of records."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.patch(os, "environ", {**os.environ, "TZ": "Europe/London"})
        self.add(FIRST, *(a_line(number, user="amir", host="www.a.example") for number in range(5)))
        self.add(SECOND, *(a_line(number, user="beth", host="b.example") for number in range(5, 10)))

    def add(self, name: str, *lines: bytes) -> None:
        with (self.folder / name).open("ab") as file:
            file.writelines(lines)

    def ids(self, *arguments: str) -> list[str]:
        """The ids of the records that a command prints."""
        code, out, _ = output_of("audit", *arguments, "--records", str(self.folder), "--json")
        self.assertEqual(code, 0)
        return [decode(line.encode()).id for line in out.splitlines()]

    def errors(self, *arguments: str) -> list[str]:
        """The complaints of a command."""
        return output_of("audit", *arguments, "--records", str(self.folder))[2].splitlines()


class SearchTests(AuditTestCase):
    """Finding records."""

    def test_all(self) -> None:
        """Without a condition everything is found, the oldest first."""
        self.assertEqual(self.ids("search"), [f"id{number:03d}" for number in range(10)])

    def test_conditions(self) -> None:
        """All conditions must hold."""
        self.assertEqual(
            self.ids("search", "--host", "a.example", "--since", "2026-11-23T10:03"), ["id003", "id004"]
        )
        self.assertEqual(self.ids("search", "--user", "beth", "--until", "2026-11-23T10:06"), ["id005"])
        self.assertEqual(self.ids("search", "--ref", "id007"), ["id007"])
        self.assertEqual(self.ids("search", "--result", "blocked"), [])

    def test_limit(self) -> None:
        """A limit ends it."""
        self.assertEqual(self.ids("search", "--limit", "2"), ["id000", "id001"])

    def test_old_segments(self) -> None:
        """Segments that were last written before the time asked for are not read at all."""
        (self.folder / FIRST).write_bytes(b"not a record\n")
        os.utime(self.folder / FIRST, (0, 0))
        self.assertEqual(self.errors("search", "--since", "2026-11-23"), [])
        self.assertEqual(len(self.errors("search")), 1)

    def test_readable(self) -> None:
        """Without --json the lines are for people, in the time of the site; colours are for terminals."""
        _, out, _ = output_of("audit", "search", "--records", str(self.folder), "--limit", "1")
        self.assertTrue(out.startswith("2026-11-23 10:00:00 id000 - amir forwarded"), out)
        self.assertNotIn("\x1b", out)

    def test_compressed(self) -> None:
        """Segments that logrotate moved and compressed are read too."""
        path = self.folder / FIRST
        (self.folder / f"{FIRST}.1.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        self.assertEqual(len(self.ids("search")), 10)
        self.assertEqual(self.ids("tail", "-n", "7")[0], "id003")

    def test_damaged_compressed(self) -> None:
        """A compressed segment that is damaged is told, and the others are read."""
        whole = gzip.compress((self.folder / FIRST).read_bytes())
        (self.folder / f"{FIRST}.1.gz").write_bytes(whole[: len(whole) // 2])
        (self.folder / FIRST).unlink()
        self.assertIn("id009", self.ids("search"))
        self.assertIn("damaged", self.errors("search")[-1])

    def test_escapes(self) -> None:
        """Also as JSON a record cannot speak to the terminal, and stays JSON."""
        self.add(SECOND, encode(a_record(id="odd", agent="\x9b2J\x1b[2J\u202e\U000e0001")))
        _, out, _ = output_of("audit", "search", "--records", str(self.folder), "--json", "--ref", "odd")
        self.assertTrue(out.strip().isprintable())
        self.assertEqual(decode(out.encode()).agent, "\x9b2J\x1b[2J\u202e\U000e0001")

    def test_newest(self) -> None:
        """The newest may come first, and then a limit keeps them."""
        self.assertEqual(self.ids("search", "--order", "newest", "--limit", "2"), ["id009", "id008"])

    def test_columns(self) -> None:
        """Only the fields that are named are printed, the moment in the time of the site."""
        _, out, _ = output_of(
            "audit",
            "search",
            "--records",
            str(self.folder),
            "--ref",
            "id003",
            "--columns",
            "time,user,groups",
        )
        self.assertEqual(out, "2026-11-23 10:03:00\tamir\t\n")

    def test_unknown_column(self) -> None:
        """A field that no record has is told with the nearest that is."""
        code, _, err = output_of("audit", "search", "--records", str(self.folder), "--csv", "usr")
        self.assertEqual(code, 2)
        self.assertIn("a record has no field 'usr'; did you mean 'user'?", err)

    def test_csv(self) -> None:
        """A table for a spreadsheet has no formula and no octet that a terminal would obey."""
        odd = a_record(id="odd", at=AT, user='=cmd|"x"', agent="a,b\x1b[2J\n", path="-1")
        self.add(SECOND, encode(odd))
        _, out, _ = output_of(
            "audit",
            "search",
            "--records",
            str(self.folder),
            "--ref",
            "odd",
            "--csv",
            "user,agent,path,status",
        )
        self.assertEqual(out, 'user,agent,path,status\n"\'=cmd|""x""","a,b\\x1b[2J\\n",\'-1,0\n')

    def test_odd_octets(self) -> None:
        """Octets that are no UTF-8 are found as the record has them."""
        self.add(SECOND, encode(a_record(id="odd", at=AT, agent="", method=r"G\xff")))
        self.assertEqual(self.ids("search", "--method", "G\udcff"), ["odd"])

    def test_deeds(self) -> None:
        """What people did to the access of others is found by itself, and by whom it was about."""
        deed = {"kind": Kind.DEED, "result": ResultCode.DONE, "deed": "grant-given", "grant": "g1"}
        self.add(SECOND, encode(a_record(id="deed", at=AT, user="carol", whom="amir", **deed)))
        self.assertEqual(self.ids("search", "--deeds"), ["deed"])
        self.assertEqual(self.ids("search", "--whom", "amir"), ["deed"])
        self.assertEqual(self.ids("search", "--whom", "beth"), [])
        self.assertEqual(self.ids("search", "--grant", "g1", "--deed", "grant-given"), ["deed"])

    def test_bad_limit(self) -> None:
        """A limit is a number from 1."""
        code, _, err = output_of("audit", "search", "--records", str(self.folder), "--limit", "-1")
        self.assertEqual(code, 2)
        self.assertIn("'-1' is no number from 1", err)

    def test_nowhere(self) -> None:
        """A folder that is not there is told by its path."""
        code, out, err = output_of("audit", "search", "--records", "nowhere")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("nowhere", err)

    def test_odd_moment(self) -> None:
        """A moment that is none is told with the forms that are."""
        code, _, err = output_of("audit", "search", "--records", str(self.folder), "--until", "soon")
        self.assertEqual(code, 2)
        self.assertIn("'soon' is no moment", err)

    def test_state_folder(self) -> None:
        """Without a folder it is that of the policy."""
        site = Path(self.mktemp())
        site.mkdir()
        (site / "policy.yaml").write_text("state: kept\n")
        (site / "kept").mkdir()
        self.folder.rename(site / "kept" / "records")
        code, out, _ = output_of("audit", "search", "--policy", str(site / "policy.yaml"))
        self.assertEqual((code, len(out.splitlines())), (0, 10))


class DamageTests(AuditTestCase):
    """Lines that are no records."""

    def test_cut(self) -> None:
        """A line that a crash cut is told with its file; the records around it are found."""
        self.add(FIRST, b'{"v":1,"id":"half')
        self.assertEqual(len(self.ids("search")), 10)
        (said,) = self.errors("search")
        self.assertIn(FIRST, said)
        self.assertIn("cut after 17 octets", said)
        self.assertEqual(len(self.ids("tail")), 10)
        self.assertIn("cut after 17 octets", self.errors("tail")[0])

    def test_being_written(self) -> None:
        """The half line at the end of the last segment may be under the pen: no complaint."""
        self.add(SECOND, b'{"v":1,"id":"half')
        self.assertEqual(self.errors("search"), [])
        self.assertEqual(self.errors("tail"), [])

    def test_many(self) -> None:
        """Of many bad lines the first ten are told, with their numbers, and the rest counted."""
        self.add(FIRST, *[b"\xff\x00 garbage\n"] * 25)
        said = self.errors("search")
        self.assertEqual(len(said), 11)
        self.assertIn(f"{FIRST}:6: not a record", said[0])
        self.assertEqual(said[-1], "15 more lines are no records")
        self.assertEqual(len(self.ids("search")), 10)

    def test_later_format(self) -> None:
        """A record of a later format is told, not guessed at."""
        self.add(FIRST, a_line(3).replace(b'"v":1', b'"v":2'))
        self.assertIn("Invalid value 2", self.errors("search")[0])

    def test_empty(self) -> None:
        """Empty segments and an empty folder are no trouble."""
        (self.folder / "records-20261121T090000Z-0001.jsonl").touch()
        (self.folder / "records-20261124T090000Z-0001.jsonl").touch()
        self.assertEqual(len(self.ids("search")), 10)
        self.assertEqual(len(self.ids("tail")), 10)
        for segment in self.folder.iterdir():
            segment.unlink()
        self.assertEqual((self.ids("search"), self.ids("tail")), ([], []))


class TailTests(AuditTestCase):
    """The last records."""

    def test_last(self) -> None:
        """The last so many are shown in their order, over segments."""
        self.assertEqual(self.ids("tail", "-n", "3"), ["id007", "id008", "id009"])
        self.assertEqual(len(self.ids("tail", "-n", "7")), 7)
        self.assertEqual(len(self.ids("tail")), 10)
        self.assertEqual(self.ids("tail", "-n", "0"), [])

    def test_filtered(self) -> None:
        """The last so many that fit."""
        self.assertEqual(self.ids("tail", "-n", "2", "--user", "amir"), ["id003", "id004"])

    def test_long_segment(self) -> None:
        """A long segment is read from its end, and gives the same as from its beginning."""
        agents = ["x" * (37 * number % 4000) for number in range(300)]
        lines = (encode(a_record(id=f"n{number}", agent=agent)) for number, agent in enumerate(agents))
        self.add(SECOND, *lines)
        everything = self.ids("search")
        for count in (1, 50, 299, 305, 400):
            self.assertEqual(self.ids("tail", "-n", str(count)), everything[-count:])

    def follow(self, *steps, asked=("tail", "-n", "2")) -> str:
        """Follow the record; before each look one step happens, then Ctrl-C."""
        waiting = list(steps)

        def sleep(_: float) -> None:
            if not waiting:
                raise KeyboardInterrupt
            waiting.pop(0)()

        self.patch(time, "sleep", sleep)
        code, out, err = output_of("audit", *asked, "-f", "--json", "--records", str(self.folder))
        self.assertEqual((code, err), (130, ""))
        return " ".join(decode(line.encode()).id for line in out.splitlines())

    def test_follow(self) -> None:
        """What is added is shown once, whole lines only, on into the next segment."""
        line = a_line(20)
        later = "records-20261124T000000Z-0001.jsonl"
        self.assertEqual(
            self.follow(
                lambda: self.add(SECOND, a_line(10)),
                lambda: self.add(SECOND, line[:30]),
                lambda: self.add(SECOND, line[30:]),
                lambda: self.add(later, a_line(21)),
                lambda: None,
            ),
            "id008 id009 id010 id020 id021",
        )

    def test_follow_search(self) -> None:
        """A search goes on as well, over all workers; what comes is shown once."""
        other = "records-20261124T000000Z-w2-0001.jsonl"
        shown = self.follow(
            lambda: self.add(SECOND, a_line(10, user="amir"), a_line(11, user="beth")),
            lambda: self.add(other, a_line(12, user="amir")),
            lambda: None,
            asked=("search", "--user", "amir", "--since", "2026-11-23T10:03"),
        )
        self.assertEqual(shown, "id003 id004 id010 id012")

    def test_follow_half(self) -> None:
        """A line that was half there at the beginning is shown when it is whole."""
        line = a_line(20)
        self.add(SECOND, line[:30])
        self.assertEqual(self.follow(lambda: self.add(SECOND, line[30:])), "id008 id009 id020")

    def test_follow_logrotate(self) -> None:
        """A segment that is moved away is not shown again."""
        moved = self.folder / f"{SECOND}.1"
        self.assertEqual(
            self.follow(
                lambda: (self.folder / SECOND).rename(moved),
                lambda: self.add("records-20261124T000000Z-0001.jsonl", a_line(21)),
            ),
            "id008 id009 id021",
        )

    def test_colours(self) -> None:
        """On a terminal what went wrong has a colour, unless NO_COLOR asks for none."""
        self.add(SECOND, a_line(30, result=ResultCode.FAILED))
        for variables, has_colour in (({}, True), ({"NO_COLOR": "1"}, False)):
            self.patch(os, "environ", {"TZ": "UTC", **variables})
            _, out, _ = output_of("audit", "tail", "--records", str(self.folder), is_terminal=True)
            self.assertEqual("\x1b[31m" in out, has_colour)
