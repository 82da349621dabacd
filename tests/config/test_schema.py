"""
The JSON Schema says of a policy what the reader says of its shape: the case files are held against both.

Editors read YAML as its core schema has it, so numbers, switches and nothing are not texts here.  The
validator knows the words that our schema is written in, and refuses others, so that none is passed over.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import corpproxy
from corpproxy.config.nodes import Scalar, Sequence, compose
from corpproxy.config.reference import schema_text
from tests.config.support import POLICY
from tests.config.test_problems import CASES

SCHEMA = json.loads(schema_text())
CHECKOUT = Path(corpproxy.__file__).parents[1]

# What the schema tells, too; the other problems of values are in how a text is written.
OF_SHAPE = {"unknown-field", "missing-field", "unknown-word", "not-a-switch", "wrong-kind"}
# Problems of how a value is written, which the schema may pass over or not.
OF_VALUES = re.compile("bad-.*|not-a-.*|one-.*|empty-value|out-of-range|unknown-time-zone")


def has_value_problems(case):
    """Whether a case is about how values are written."""
    return any(OF_VALUES.fullmatch(code) for code in case.codes - OF_SHAPE)


_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
# Words that say nothing of what is valid.
_TOLD = {"$defs", "$schema", "title", "description", "default"}


def read_as_editors_do(node):
    """A tree of nodes as the values of YAML's core schema."""
    if isinstance(node, Sequence):
        return [read_as_editors_do(one) for one in node.items]
    if not isinstance(node, Scalar):
        return {key: read_as_editors_do(one) for key, one in node.fields.items()}
    if node.quoted:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    if re.fullmatch("[-+]?[0-9]+", node.text):
        return int(node.text)
    return None if node.text in ("", "~", "null") else node.text


def refusals(value, schema=SCHEMA, at="policy"):
    """What the schema has against a value."""
    for word, wanted in schema.items():
        if word not in _TOLD:
            yield from _WORDS[word](value, wanted, schema, at)


def _ref(value, wanted, schema, at):
    yield from refusals(value, SCHEMA["$defs"][wanted.rpartition("/")[2]], at)


def _type(value, wanted, schema, at):
    kinds = [wanted] if isinstance(wanted, str) else wanted
    is_switch = isinstance(value, bool)
    if not any(isinstance(value, _TYPES[kind]) and (not is_switch or kind == "boolean") for kind in kinds):
        yield f"{at}: {value!r} is not {wanted}"


def _any_of(value, wanted, schema, at):
    if all(list(refusals(value, one, at)) for one in wanted):
        yield f"{at}: {value!r} is none of what it may be"


def _enum(value, wanted, schema, at):
    if value not in wanted:
        yield f"{at}: {value!r} is not one of {wanted}"


def _properties(value, wanted, schema, at):
    for name, below in value.items() if isinstance(value, dict) else ():
        if name in wanted:
            yield from refusals(below, wanted[name], f"{at}.{name}")


def _additional(value, wanted, schema, at):
    for name, below in value.items() if isinstance(value, dict) else ():
        if name in schema.get("properties", {}):
            continue
        if wanted is False:
            yield f"{at}: there is no {name}"
        elif wanted is not True:
            yield from refusals(below, wanted, f"{at}.{name}")


def _required(value, wanted, schema, at):
    if isinstance(value, dict):
        yield from (f"{at}: there must be {name}" for name in wanted if name not in value)


def _items(value, wanted, schema, at):
    for number, one in enumerate(value) if isinstance(value, list) else ():
        yield from refusals(one, wanted, f"{at}[{number}]")


def _pattern(value, wanted, schema, at):
    if isinstance(value, str) and not re.search(wanted, value):
        yield f"{at}: {value!r} does not fit {wanted}"


def _minimum(value, wanted, schema, at):
    if isinstance(value, int) and value < wanted:
        yield f"{at}: {value} is less than {wanted}"


def _maximum(value, wanted, schema, at):
    if isinstance(value, int) and value > wanted:
        yield f"{at}: {value} is more than {wanted}"


_WORDS = {
    "$ref": _ref,
    "type": _type,
    "anyOf": _any_of,
    "enum": _enum,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
}


def problems_of(octets):
    """What the schema has against a policy; None where it is no YAML, or is put together of several files."""
    root, problems = compose(octets, "policy.yaml")
    if root is None or problems or {"include", "include_exceptions"} & root.fields.keys():
        return None
    return list(refusals(read_as_editors_do(root)))


class SchemaTests(SynchronousTestCase):
    """One method for each policy of a case file, and the shipped ones; made below."""

    def check(self, name):
        case = CASES[name]
        if POLICY in case.files.broken or POLICY not in case.files.texts:
            return
        told = problems_of(case.files.texts[POLICY])
        if told is None or case.bounds:
            return
        if case.codes & OF_SHAPE:
            self.assertNotEqual(told, [], f"the reader says {sorted(case.codes & OF_SHAPE)}")
        elif not has_value_problems(case):
            self.assertEqual(told, [])

    def test_shipped(self):
        """What is shipped is right by the schema."""
        shipped = [*CHECKOUT.glob("policies/*.yaml"), *CHECKOUT.glob("corpproxy/cli/presets/*.yaml")]
        self.assertGreater(len(shipped), 3)
        for path in shipped:
            self.assertEqual(problems_of(path.read_bytes()), [], path.name)

    def test_enough(self):
        """There are cases of both kinds."""
        shape = [case for case in CASES.values() if case.codes & OF_SHAPE]
        others = [case for case in CASES.values() if not case.codes & OF_SHAPE]
        meaning = [case for case in others if not has_value_problems(case)]
        self.assertTrue(len(shape) > 5 and len(meaning) > 50, (len(shape), len(meaning)))


for _name in CASES:
    setattr(
        SchemaTests,
        f"test_{_name.replace('-', '_')}",
        lambda self, name=_name: self.check(name),
    )
