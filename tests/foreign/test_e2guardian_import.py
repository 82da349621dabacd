"""A folder of e2guardian becomes a policy: its storyboards are followed, and each way is a rule."""

# Storyboards and sentences stand here whole, each on the line of its case.
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.foreign.e2guardian.policy import import_e2guardian
from tests.config.support import MemoryFiles
from tests.foreign.importing import SITE, loads, rules_of
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

FOLDER = Path("/backup/e2guardian")
MAIN = "filterip = 127.0.0.1\nfilterports = 8080\n"
GROUP = "groupname = 'pupils'\n"
STORY = "storyboard = '/etc/e2guardian/f1.story'\n"


def e2guardian(main: str = MAIN, group: str = GROUP, **beside: str):
    """Import a folder with these files; ``lists__x`` is ``lists/x``, ``f1_story`` is ``f1.story``."""
    texts = {FOLDER / "e2guardian.conf": main, FOLDER / "e2guardianf1.conf": group}
    for name, content in beside.items():
        texts[FOLDER / name.replace("__", "/").replace("_", ".")] = content
    return import_e2guardian(
        FOLDER, MemoryFiles({path: text.encode("latin-1") for path, text in texts.items()}), SITE
    )


def said(made) -> list[str]:
    """The problems, with paths below the folder."""
    return [f"{one}".replace(f"{FOLDER}/", "") for one in (*made.problems, *made.open)]


@tabular
class RuleTests(SynchronousTestCase):
    """Lists and storyboards, and the rules that they are."""

    @rows(
        sites=("sitelist", "a.example\n# b\n.gov\n", "what: {domain: [a.example, gov]}"),
        urls=("urllist", "a.example/x\n", "what: {url: a.example/x}"),
        regexps=("regexpboollist", "casino[0-9]+\n", "what: {expression: '(?i)casino[0-9]+'}"),
        addresses=("ipsitelist", "192.0.2.7\n", "what: {domain: 192.0.2.7}"),
        networks=("ipsitelist", "192.0.2.0/24\n", "what: {category: l}"),
    )
    def test_list(self, kind, content, expected):
        """A list is a condition of our grammar."""
        made = e2guardian(
            group=f"{GROUP}{STORY}{kind} = 'name=bad,path=/etc/e2guardian/lists/l'\n",
            f1_story="function(checkrequest)\nif(urlin, bad) return setblock\n",
            lists__l=content,
        )
        self.assertEqual(said(made), [])
        self.assertEqual(rules_of(made), [f"bad | {expected} | do: block", "everything else | do: allow"])
        self.assertTrue(loads(made))

    def test_extension_of_answers(self):
        """What looks at the name that an answer gives its file is taken over for URLs, and told to be open."""
        made = e2guardian(
            group=f"{GROUP}{STORY}fileextlist = 'name=ext,path=lists/e'\nmimelist = 'name=mime,path=lists/m'\n",
            f1_story="function(checkresponse)\nif(mimein, mime) return setblock\nif(extensionin, ext) return setblock\n",
            lists__e=".exe\n", lists__m="audio/mpeg\n",
        )  # fmt: skip
        self.assertEqual(
            rules_of(made)[:2],
            [
                "mime | what: {media_type: audio/mpeg} | do: block",
                "ext | what: {extension: exe} | do: block",
            ],
        )
        (told,) = made.open
        self.assertIn("a part of 'ext' has no counterpart: e2guardian looks at the name", told.message)

    def test_extension_and_agent(self):
        """The ends of files and what clients say they are."""
        made = e2guardian(
            group=f"{GROUP}{STORY}fileextlist = 'name=ext,path=lists/e'\nregexpboollist = 'name=old,path=lists/o'\n",
            f1_story="function(checkrequest)\nif(urlin, ext) return setblock\nif(useragentin, old) return setblock\n",
            lists__e=".EXE # programs\n.scr\n", lists__o="^msie\n",
        )  # fmt: skip
        self.assertEqual(
            rules_of(made)[:2],
            [
                "ext | what: {extension: [exe, scr]} | do: block",
                "old | who: {agent: '(?i)^msie'} | do: block",
            ],
        )

    def test_before_storyboards(self):
        """Versions 3 and 4 had an order of their own, and a setting for each list."""
        made = e2guardian(
            group=f"{GROUP}bannedsitelist = '/etc/dg/lists/b'\nexceptionsitelist = '/etc/dg/lists/e'\n"
            "greysitelist = '/etc/dg/lists/g'\n",
            lists__b="bad.example\n", lists__e="good.bad.example\n", lists__g="grey.bad.example\n",
        )  # fmt: skip
        self.assertEqual(
            [one.partition(" | ")[0] for one in rules_of(made) if "CONNECT" not in one],
            ["exception", "grey", "banned", "everything else"],
        )

    def test_not(self):
        """What is not in a list is what is left when the list has been asked."""
        made = e2guardian(
            group=f"{GROUP}{STORY}sitelist = 'name=only,path=lists/o'\n",
            f1_story="function(checkrequest)\nifnot(urlin, only) return setblock\n",
            lists__o="lessons.example\n",
        )
        self.assertEqual(
            rules_of(made),
            ["only | what: {domain: lessons.example} | do: allow", "everything else | do: block"],
        )

    def test_functions(self):
        """Functions call others, go on after some and return from some; a later one takes the place of the first."""
        made = e2guardian(
            group=f"{GROUP}{STORY}sitelist = 'name=a,path=lists/a'\nsitelist = 'name=b,path=lists/b'\n",
            f1_story=".Include</etc/e2guardian/library.story>\nfunction(closed)\nif(urlin, b) return setblock\n",
            library_story="function(checkrequest)\nif(urlin, a) setgrey\nifnot(greyset) returnif closed\n"
            "if(true) setgrey\nfunction(closed)\nif(true) return setblock\n",
            lists__a="a.example\n", lists__b="example\n",
        )  # fmt: skip
        self.assertEqual(
            rules_of(made),
            ["a | what: {domain: a.example} | do: allow", "b | what: {domain: example} | do: block",
             "everything else | do: allow"],
        )  # fmt: skip

    def test_hours(self):
        """A list that counts for some hours becomes a rule of these hours."""
        made = e2guardian(
            group=f"{GROUP}{STORY}sitelist = 'name=games,path=lists/g'\n",
            f1_story="function(checkrequest)\nif(urlin, games) return setblock\n",
            lists__g="#time: 9 0 17 30 01234\ngames.example\n",
        )
        self.assertIn("times of g: {days: mon-fri, hours: '09:00-17:30'}", made.files["policy.yaml"].decode())
        self.assertIn("when: times of g", rules_of(made)[0])

    def test_groups(self):
        """Who is in a group comes first; who is in none is in the first group."""
        made = e2guardian(
            MAIN + "filtergroups = 2\nfiltergroupslist = 'lists/people'\nauthplugin = 'ip.conf'\n"
            "authplugin = 'basic.conf'\n",
            e2guardianf2_conf="groupname = 'staff'\ngroupmode = 2\n",
            lists__people="carol=filter2\ndora = filter7\n",
            ip_conf="plugname = 'ip'\nipgroups = 'lists/ips'\n",
            basic_conf="plugname = 'proxy-basic'\n",
            lists__ips="10.1.0.0-10.1.0.3 = filter2\n",
        )
        self.assertEqual(
            rules_of(made),
            ["sign in first | who: {anonymous: yes} | do: block",
             "'staff: everything else' | who: {group: staff} | do: allow",
             "'pupils: everything else' | do: allow"],
        )  # fmt: skip
        policy = made.files["policy.yaml"].decode()
        self.assertIn("groups:\n    staff: [carol]", policy)
        self.assertIn(
            "addresses: 10.1.0.0/30" if "addresses: 10.1.0.0/30" in policy else "[10.1.0.0/30]", policy
        )
        self.assertEqual(
            said(made),
            ["lists/people:2:1: 'dora = filter7' names no group; write NAME=filter1 to filter2"],
        )

    def test_defined(self):
        """Names that a file defines stand for what they say, and paths may go up."""
        made = e2guardian(
            group=f"{GROUP}{STORY}.Define LISTDIR </etc/e2guardian/lists/a>  # for a start\n"
            "sitelist = 'name=bad,path=__LISTDIR__/../common/l'\n",
            f1_story="function(checkrequest)\nif(urlin, bad) return setblock\n",
            lists__common__l="a.example\n",
        )
        self.assertEqual(said(made), [])
        self.assertIn("domain: a.example", rules_of(made)[0])

    def test_contents(self):
        """What it knows of contents has no counterpart, and a comment says so."""
        made = e2guardian(MAIN + "weightedphrasemode = 2\ncontentscanner = 'clamd'\n")
        policy = made.files["policy.yaml"].decode()
        self.assertIn(
            "# Pages are not read: phrases and their weights count for nothing here:\n#     e2g", policy
        )
        self.assertIn("# Contents are not scanned for viruses:", policy)


@tabular
class ProblemTests(SynchronousTestCase):
    """What is wrong is told at its place."""

    def test_no_folder(self):
        """A folder without the main file is told."""
        made = import_e2guardian(FOLDER, MemoryFiles(), SITE)
        self.assertEqual(
            (made.files, said(made)), ({}, [f"{FOLDER}: there is no e2guardian.conf in {FOLDER}"])
        )

    @rows(
        setting=({"main": MAIN + "what is this\n"}, "e2guardian.conf:3:1: 'what is this' is no setting"),
        story=({"f1_story": "function(checkrequest)\nif urlin\n"}, "f1.story:2:1: 'if urlin' is no line of a storyboard"),
        time=({"lists__l": "#time: 17 0 9 0 01\n"}, "lists/l:1:1: a time is hours and minutes"),
        circle=({"lists__l": ".Include<lists/l>\n"}, "lists/l:1:1: files include each other too deep"),
        itself=({"f1_story": "function(checkrequest)\nif(true) checkrequest\n"}, "checkrequest: the storyboard cannot be followed: function 'checkrequest' calls itself"),
    )  # fmt: skip
    def test_error(self, files, expected):
        """Nothing is written."""
        group = f"{GROUP}{STORY}sitelist = 'name=bad,path=lists/l'\n"
        story = {
            "f1_story": "function(checkrequest)\nif(urlin, bad) return setblock\n",
            "lists__l": "a.example\n",
        }
        made = e2guardian(
            files.get("main", MAIN), group, **{**story, **{k: v for k, v in files.items() if k != "main"}}
        )
        self.assertEqual(made.files, {})
        self.assertIn(expected, [one[: len(expected)] for one in said(made)])

    def test_odd_entries(self):
        """An entry that says nothing is left out, and told."""
        made = e2guardian(
            group=f"{GROUP}{STORY}sitelist = 'name=bad,path=lists/l'\nregexpboollist = 'name=bad,path=lists/r'\n",
            f1_story="function(checkrequest)\nif(urlin, bad) return setblock\n",
            lists__l="**\na b.example\nok.example\n", lists__r="(\n",
        )  # fmt: skip
        self.assertEqual(len(said(made)), 3)
        self.assertTrue(loads(made))
        self.assertIn("domain: ok.example", rules_of(made)[0])

    def test_story_includes_itself(self):
        """A storyboard that includes itself, however often, is read once, and told of."""
        made = e2guardian(
            group=f"{GROUP}{STORY}sitelist = 'name=bad,path=lists/l'\n",
            f1_story=".Include<f1.story>\n" * 9 + "function(checkrequest)\nif(urlin, bad) return setblock\n",
            lists__l="a.example\n",
        )  # fmt: skip
        self.assertEqual(len([one for one in said(made) if "includes itself here" in one]), 9)
        self.assertTrue(loads(made))
        self.assertIn("bad", rules_of(made)[0])

    @EXAMPLES
    @given(st.lists(st.sampled_from([
        "function(checkrequest)", "function(a)", "if(urlin, bad) return setblock", "if(sitein, bad) setgrey",
        "ifnot(greyset) returnif a", "if(connect) return a", "ifnot(urlin,bad) setexception", "if(true) a",
        "if(returnset) return setdone", "if(siteisip,,505) return setblock", "if(true) setblock", "if()", "x",
        "function(checkresponse)", "if(mimein, m) return setblock", ".Include<f1.story>",
    ]), max_size=12))  # fmt: skip
    def test_any_story(self, lines):
        """Any storyboard gives a policy that loads, or problems."""
        made = e2guardian(
            group=f"{GROUP}{STORY}sitelist = 'name=bad,path=lists/l'\n",
            f1_story="\n".join(lines) + "\n",
            lists__l="a.example\n",
        )
        self.assertTrue(loads(made) if made.files else made.problems)
