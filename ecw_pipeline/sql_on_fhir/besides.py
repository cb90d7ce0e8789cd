"""What stands beside a primitive: ``birthDate.extension`` is ``_birthDate.extension`` in JSON.

A list of primitives and the list beside it agree by position, nulls counted. What has only an
extension is no value to FHIRPath's functions here, so `first()` is the first that has one, and what
is beside it is found by its position.

Source: R4, "JSON Representation of primitive elements".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecw_pipeline.fhir.structure import Element
from ecw_pipeline.sql_on_fhir.ir import (
    Apply,
    Beside,
    Empty,
    Field,
    Filter,
    Guard,
    Map,
    Node,
    Position,
    Variable,
)
from ecw_pipeline.sql_on_fhir.problems import PathError

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver

_ELEMENTS = {
    "id": Element("id", "string", False),
    "extension": Element("extension", "Extension", True),
}
# The functions that take some of their items by position.
_SELECTING = frozenset({"first", "last", "at", "tail", "skip", "take", "single"})


def element(resolver: Resolver, source: Node, name: str, at: int) -> Node:
    """``id`` or ``extension`` of a primitive; it has no other elements."""
    if name not in _ELEMENTS:
        return resolver.unknown(source.kind, name, at, tuple(_ELEMENTS))
    beside = _beside(resolver, source)
    if beside is None:
        raise PathError(f"`{name}` of a {source.kind} needs the element just before it", at)
    return resolver.field(beside, _ELEMENTS[name])


def _beside(resolver: Resolver, source: Node) -> Node | None:
    match source:
        case Field(source=parent) if parent.shape is not None:
            return resolver.field(parent, _element_beside(source))
        case Guard(source=guarded, condition=condition):
            found = _beside(resolver, guarded)
            return found and Guard(found, condition)
        case Variable(of=items, index=index) if items is not None:
            return _item_beside(resolver, items, index)
    return _all_beside(source)


def _item_beside(resolver: Resolver, items: Node, index: str) -> Node | None:
    """What is beside the item that a lambda is at."""
    if not items.is_many:
        return _beside(resolver, items)
    return _at(_all_beside(items), index)


def _at(besides: Node | None, index: str) -> Node | None:
    if besides is None:
        return None
    return Apply("at", (besides, Position(index)), besides.kind, shape=besides.shape)


def _all_beside(items: Node) -> Node | None:
    """What is beside each value, or beside those that a function selects."""
    match items:
        case Field(source=parent) if items.is_many and parent.shape is not None:
            return Beside(parent, items.shape, parent.shape.child(_element_beside(items)))
        case Filter(source=source, variable=variable, index=index, condition=condition):
            if (beside := _at(_all_beside(source), index)) is None:
                return None
            alone = Apply("alone", (beside,), beside.kind, is_many=True, shape=beside.shape)
            found = (condition, alone, Empty())
            body = Apply("if", found, beside.kind, is_many=True, shape=beside.shape)
            return Map(source, variable, index, body, beside.kind, beside.shape)
        case Apply(function=function, arguments=(source, *others)) if function in _SELECTING:
            if (besides := _all_beside(source)) is None:
                return None
            selected = (besides, *others)
            return Apply(function, selected, besides.kind, items.is_many, besides.shape)
    return None


def _element_beside(field: Field) -> Element:
    return Element(f"_{field.shape.name}", "Element", field.shape.is_list)
