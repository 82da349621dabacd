"""What is copied from one that was made before, and what its class makes."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
from corpproxy.accounting.accounts import Account
from corpproxy.born import born
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.net.downstream import Downstream, downstreams
from corpproxy.net.held import Held
from corpproxy.net.upstream import Upstream
from tests.support.rows import rows, tabular

compiled: Any = import_module("corpproxy._born")


class Named:
    """Two members that are given, one of its own, and itself."""

    __slots__ = ("__weakref__", "itself", "left", "own", "right", "unset")

    def __init__(self, left: Any, right: Any) -> None:
        self.left = left
        self.right = right
        self.itself = self
        self.own = Owned(self)


class Owned:
    """Something that each has for itself."""

    __slots__ = ("count", "owner")

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.count = 0


class Loose:
    """It has a dictionary."""


def members(one: object) -> dict[str, Any]:
    """The members of an object with nothing but ``__slots__``, those that are set."""
    names = [name for each in type(one).__mro__ for name in vars(each).get("__slots__", ())]
    return {name: getattr(one, name) for name in names if name != "__weakref__" and hasattr(one, name)}


EXCHANGE = ("in_force", "mode", "listener", "client", "started", "reference")
UPSTREAM = ("server", "keeper", "deadlines", "timeouts", "_limits")


@tabular
class BornTests(SynchronousTestCase):
    """Who is born as a copy is as its class would have made it."""

    def setUp(self) -> None:
        self.patch(twins, "born", compiled)

    @rows(
        exchange=(Exchange, EXCHANGE, ("account",)),
        upstream=(Upstream, UPSTREAM, ()),
        account=(Account, ("user", "groups", "categories", "host", "device", "rule"), ()),
    )
    def test_same(self, made_by: Any, given: Any, fresh: Any) -> None:
        """Exchanges, accounts and connections to servers have the members that their class gives them."""
        words = [object() for _ in given]
        one, other = members(born(made_by, *given, fresh=fresh)(*words)), members(made_by(*words))
        self.assertEqual(one.keys(), other.keys())
        for name, value in other.items():
            if name in fresh:
                self.assertEqual(members(one[name]), members(value))
            elif not isinstance(value, made_by):
                self.assertEqual(one[name], value, name)

    def test_same_connection(self) -> None:
        """The connection of a client has what its class gives it, and the time limits in force then."""
        proxy: Any = SimpleNamespace(deadlines=object(), in_force=SimpleNamespace(timeouts=object()))
        make = downstreams(proxy, Mode.FORWARD, "rooms")
        proxy.in_force = SimpleNamespace(timeouts=object())
        made = make(proxy.deadlines, proxy.in_force.timeouts)
        like = Downstream(proxy, Mode.FORWARD, "rooms")
        one, other = members(made), members(like)
        self.assertEqual(one.keys(), other.keys())
        differ = {name for name in one if one[name] is not other[name]}
        self.assertEqual(differ, {"held", "sink"})
        self.assertIs(made.sink, made)
        self.assertIs(made.held._downstream, made)

    def test_each_its_own(self) -> None:
        """What each has for itself no other one changes, and it knows whose it is."""
        make = born(Named, "left", "right", fresh=("own",))
        one, other = make(1, 2), make(3, 4)
        one.own.count += 1
        self.assertEqual((one.own.count, other.own.count), (1, 0))
        self.assertEqual([each.left for each in (one, other)], [1, 3])
        for each in (one, other):
            self.assertIs(each.itself, each)
            self.assertIs(each.own.owner, each)
        self.assertFalse(hasattr(one, "unset"))

    def test_nothing_kept(self) -> None:
        """Of what one was given the next ones keep nothing."""
        make = born(Named, "left", "right", fresh=("own",))
        words = [Owned(None), Owned(None)]
        one = make(*words)
        del one
        self.assertEqual([members(word)["count"] for word in words], [0, 0])
        self.assertIsNot(make(1, 2).left, words[0])

    @rows(
        dictionary=(Loose, (), (), "Loose has more than __slots__"),
        number=(int, (), (), "int has more than __slots__"),
        unknown=(Named, ("left", "other"), (), "no attribute 'other'"),
        fresh_unset=(Named, ("left", "right"), ("unset",), "not set"),
        fresh_loose=(Named, ("left", "right"), ("left",), "not set"),
    )
    def test_refused(self, made_by: Any, given: Any, fresh: Any, said: str) -> None:
        """What copying its members would not make another one of is refused when the program starts."""
        with self.assertRaisesRegex((TypeError, AttributeError), said):
            born(made_by, *given, fresh=fresh)

    @rows(few=((1,), {}), many=((1, 2, 3), {}), named=((1,), {"right": 2}))
    def test_called_otherwise(self, words: Any, named: Any) -> None:
        """It is called with as many words as are given, by their places."""
        with self.assertRaisesRegex(TypeError, "takes 2 members"):
            born(Named, "left", "right")(*words, **named)

    def test_in_python(self) -> None:
        """Where nothing is compiled the class makes them."""
        self.patch(twins, "born", None)
        self.assertIs(born(Held, "_downstream"), Held)
