"""
Tables written short: ``when: lessons`` for ``when: {calendar: lessons}``.

It is done on the tree of nodes, before its shape is checked, so that whatever is wrong inside is still told
at its place.
"""

from __future__ import annotations

from functools import cache

from corpproxy.config.nodes import Node, Scalar, Sequence, plain
from corpproxy.config.nodes import Table as Nodes
from corpproxy.config.schema.table import Kind, Table, fields_of, kind_of

# What a list stands for when not all of its entries are texts.
_ONE_OF = "any"


def expand(node: Node, table: type[Table]) -> Node:
    """Give the node with every table below it that is written short written out; ``table`` is its schema."""
    if table.short_for and isinstance(node, Scalar) and plain(node) is not None:
        return _wrapped(node, table.short_for)
    if table.short_for and isinstance(node, Sequence):
        is_short = all(isinstance(one, Scalar) for one in node.items)
        node = _wrapped(node, table.short_for if is_short else _ONE_OF)
    if isinstance(node, Nodes):
        for name, kind in _tables_in(table).items():
            if name in node.fields:
                node.fields[name] = _below(node.fields[name], kind, kind.shape)
    return node


def _below(node: Node, kind: Kind, shape: tuple[str, ...]) -> Node:
    if not shape:
        return expand(node, kind.table) if kind.table is not None else node
    if isinstance(node, Sequence) and shape[0] == "list":
        node.items = [_below(one, kind, shape[1:]) for one in node.items]
    elif isinstance(node, Nodes) and shape[0] == "mapping":
        node.fields = {name: _below(one, kind, shape[1:]) for name, one in node.fields.items()}
    return node


def _wrapped(node: Node, name: str) -> Nodes:
    return Nodes(node.place, {name: node}, {name: node.place})


@cache
def _tables_in(table: type[Table]) -> dict[str, Kind]:
    """The fields of a table that hold tables."""
    kinds = {name: kind_of(field) for name, field in fields_of(table).items()}
    return {name: kind for name, kind in kinds.items() if kind.table is not None}
