"""What all tables of the policy file share: strictness, defaults, and finding a table by its path."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from corpproxy.config.nodes import Path
from corpproxy.config.schema.leaves import Leaf


class Table(BaseModel):
    """
    A table of the policy file; its fields carry the sentences of the manual.

    ``short_for`` is the field that is meant where a text or a list stands instead of the table.
    """

    short_for: ClassVar[str] = ""

    model_config = ConfigDict(
        defer_build=True, extra="forbid", strict=True, frozen=True, hide_input_in_errors=True
    )


_Table = TypeVar("_Table", bound=Table)


def as_in(settings: type, name: str, description: str, **more: Any) -> Any:
    """A field whose default is that of the settings dataclass which the value ends up in."""
    known = {one.name: one for one in dataclasses.fields(settings)}[name]
    if known.default is not dataclasses.MISSING:
        return Field(known.default, description=description, **more)
    if known.default_factory is not dataclasses.MISSING:
        return Field(default_factory=known.default_factory, description=description, **more)
    raise TypeError(f"{settings.__name__}.{name} has no default")


def optional(description: str, **more: Any) -> Any:
    """A field that may be left out."""
    return Field(None, description=description, **more)


def asked(description: str, **more: Any) -> Any:
    """A field that must be there."""
    return Field(description=description, **more)


def listing(description: str, **more: Any) -> Any:
    """A list that is empty when it is left out."""
    return Field(default_factory=_no_entries, description=description, **more)


def _no_entries() -> list[Any]:
    """
    Give an empty list.

    Pydantic looks what each factory takes.  Of ``list`` that is a text, which it parses each time anew.
    """
    return []


def left_out(table: type[_Table]) -> _Table:
    """
    Give a table that is left out: all of its fields are as when they are left out.

    To make it by calling it would build what checks it, at each start, whether it is in the policy or not.
    """
    return table.model_construct()


def mapping(description: str, **more: Any) -> Any:
    """A table with names of the administrator's choice, empty when it is left out."""
    return Field(default_factory=dict, description=description, **more)


def written_name(name: str, field: FieldInfo) -> str:
    """The name of a field as it stands in the file."""
    return field.alias or name


def fields_of(table: type[Table]) -> dict[str, FieldInfo]:
    """The fields of a table by the names that stand in the file."""
    return {written_name(name, field): field for name, field in table.model_fields.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """
    What a field may hold, taken apart.

    Exactly one of ``leaf`` and ``table`` is set for what lies innermost; ``shape`` is what is around it,
    from the outside: ``list``, ``mapping`` and ``one-or-many``.
    """

    leaf: Leaf | None
    table: type[Table] | None
    shape: tuple[str, ...] = ()


def kind_of(field: FieldInfo) -> Kind:
    """Take the annotation of a field apart."""
    return _kind(field.annotation, tuple(field.metadata))


def _kind(annotation: Any, metadata: tuple[Any, ...]) -> Kind:
    leaf = next((one for one in metadata if isinstance(one, Leaf)), None)
    if leaf is not None:
        return Kind(leaf, None)
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _kind(inner, (*metadata, *more))
    if get_origin(annotation) in {list, dict}:
        inner = _kind(get_args(annotation)[-1], ())
        some = any(type(one).__name__ == "_OneOrMany" for one in metadata)
        shape = "mapping" if get_origin(annotation) is dict else "one-or-many" if some else "list"
        return Kind(inner.leaf, inner.table, (shape, *inner.shape))
    members = [one for one in get_args(annotation) if one is not type(None)]
    if members:
        return _kind(members[0], metadata)
    return Kind(None, annotation if isinstance(annotation, type) and issubclass(annotation, Table) else None)


def table_at(root: type[Table], path: Path) -> type[Table] | None:
    """The table that a path leads to, or None when it leads to something else."""
    table: type[Table] | None = root
    shape: tuple[str, ...] = ()
    for step in path:
        if shape:
            shape = shape[1:]
            continue
        field = fields_of(table).get(str(step)) if table is not None else None
        if field is None:
            return None
        kind = kind_of(field)
        table, shape = kind.table, kind.shape
    return None if shape else table


def tables_below(
    root: type[Table], name: str = "", above: tuple[type[Table], ...] = ()
) -> Iterator[tuple[str, type[Table]]]:
    """
    The root and every table below it with its dotted name in the manual, in the order of the fields.

    A table inside a table of its own kind is not gone into.
    """
    yield name, root
    for written, field in fields_of(root).items():
        kind = kind_of(field)
        if kind.table is None or kind.table in (root, *above):
            continue
        below = f"{name}.{written}" if name else written
        below += "".join(".NAME" if shape == "mapping" else "[]" for shape in kind.shape)
        yield from tables_below(kind.table, below, (root, *above))
