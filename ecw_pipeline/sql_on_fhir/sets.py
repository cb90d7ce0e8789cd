"""Collections side by side: joined, without doubles, equal, one inside the other.

Values are held as text where FHIR's text matters (1.0 and 1.00), so before they are compared each
becomes a form in which equal values are equal in SQL. What is equal only perhaps, 2024 and
2024-05, counts as different here, except to ``=`` itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ecw_pipeline.sql_on_fhir import syntax
from ecw_pipeline.sql_on_fhir.calls import argument_of, no_arguments, source_of
from ecw_pipeline.sql_on_fhir.ir import Apply, Empty, Filter, Guard, Map, Node, Value, Variable
from ecw_pipeline.sql_on_fhir.kinds import (
    ANYTHING,
    INTEGERS,
    NUMBER,
    common_kind,
    family,
    shared_family,
)
from ecw_pipeline.sql_on_fhir.problems import PathError
from ecw_pipeline.sql_on_fhir.shapes import whole_shape
from ecw_pipeline.sql_on_fhir.type_forms import exists_node

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.resolver import Resolver, Scope

# The function that gives a family's comparable form; others are comparable as they are.
_FORMS = {NUMBER: NUMBER, "moment": "string", "time": "time"}


def distinct(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    no_arguments(call)
    return once_each(resolver, source_of(resolver, call, scope))


def is_distinct(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    no_arguments(call)
    source = source_of(resolver, call, scope)
    if source.kind == ANYTHING or not source.is_many:
        return Value(True, "boolean")
    return Apply("same_count", (source, once_each(resolver, source)), "boolean")


def combine(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source, other = source_of(resolver, call, scope), argument_of(resolver, call, scope)
    return joined(resolver, source, other, call.at)


def union(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    return once_each(resolver, combine(resolver, call, scope))


def intersect(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source, other = source_of(resolver, call, scope), argument_of(resolver, call, scope)
    if other.kind == ANYTHING:
        return other
    return _filtered(resolver, once_each(resolver, source), other, call.at, keeps=True)


def exclude(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source, other = source_of(resolver, call, scope), argument_of(resolver, call, scope)
    if other.kind == ANYTHING:
        return source
    return _filtered(resolver, source, other, call.at, keeps=False)


def subset_of(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source, other = source_of(resolver, call, scope), argument_of(resolver, call, scope)
    return _all_in(resolver, source, other, call.at)


def superset_of(resolver: Resolver, call: syntax.Call, scope: Scope) -> Node:
    source, other = source_of(resolver, call, scope), argument_of(resolver, call, scope)
    return _all_in(resolver, other, source, call.at)


def membership(resolver: Resolver, item: Node, items: Node, at: int) -> Node:
    """``item in items``: empty without an item, false without items."""
    item = resolver.one(item, at)
    if item.kind == ANYTHING:
        return Empty("boolean")
    if items.kind == ANYTHING:
        return Guard(Value(False, "boolean"), exists_node(item))
    return _has(resolver, items, item)


def equal(resolver: Resolver, left: Node, right: Node) -> Node:
    """``=`` where a side may have many items: as many, in the same order, all equal."""
    sides = (resolver.many(left), resolver.many(right))
    shared = shared_family(left.kind, right.kind) or ""
    if shared == "moment":
        return Apply("all moments =", sides, "boolean")
    return Apply("all =", tuple(comparable(resolver, side, shared) for side in sides), "boolean")


def equivalent(resolver: Resolver, left: Node, right: Node) -> Node:
    """``~`` where a side may have many items: as many, in any order, all equivalent."""
    shared = shared_family(left.kind, right.kind) or ""
    sides = tuple(equivalence_form(resolver, resolver.many(side), shared) for side in (left, right))
    return Apply("all numbers ~" if shared == NUMBER else "all ~", sides, "boolean")


def joined(resolver: Resolver, left: Node, right: Node, at: int) -> Node:
    """Two collections as one list, doubles kept."""
    known = [node for node in (left, right) if node.kind != ANYTHING]
    if len(known) < 2:
        return resolver.many(known[0]) if known else left
    (left, right), kind = alike(resolver, known, at)
    for side in (left, right):
        resolver.take_whole(side)
    sides = (resolver.many(left), resolver.many(right))
    return Apply("combine", sides, kind, is_many=True, shape=whole_shape(kind))


def once_each(resolver: Resolver, node: Node) -> Node:
    """A collection without doubles; the first of equal values stays."""
    if node.kind == ANYTHING or not node.is_many:
        return node
    resolver.take_whole(node)
    form = family(node.kind)
    has_form = form in _FORMS and node.kind not in INTEGERS
    name = f"distinct {form}" if has_form else "distinct"
    return Apply(name, (node,), node.kind, is_many=True, shape=node.shape)


def alike(resolver: Resolver, nodes: Iterable[Node], at: int) -> tuple[list[Node], str]:
    """Values of several kinds as values of one that can hold them all.

    Raises:
        PathError: there is no such kind.
    """
    nodes = list(nodes)
    kinds = [node.kind for node in nodes if node.kind != ANYTHING]
    kind = common_kind(kinds)
    if kind is None:
        names = " and ".join(dict.fromkeys(kinds))
        raise PathError(f"{names} cannot be in one collection or column", at)
    if kind == NUMBER:
        nodes = [_as_number(resolver, node) for node in nodes]
    return nodes, kind


def comparable(resolver: Resolver, node: Node, shared: str) -> Node:
    """A value, or each of many, in the form in which equal values of a family are equal in SQL."""
    resolver.take_whole(node)
    if shared not in _FORMS or node.kind in {*INTEGERS, NUMBER}:
        return node
    return resolver.mapped(node, shared, _FORMS[shared])


def equivalence_form(resolver: Resolver, node: Node, shared: str) -> Node:
    """The form in which equivalent values are equal in SQL; numbers are compared as such."""
    if shared == "text":
        return resolver.mapped(node, "folded", "string")
    return comparable(resolver, node, shared)


def _as_number(resolver: Resolver, node: Node) -> Node:
    return node if node.kind in {NUMBER, ANYTHING} else resolver.mapped(node, "number", NUMBER)


def _has(resolver: Resolver, items: Node, item: Node) -> Node:
    shared = shared_family(items.kind, item.kind) or ""
    items = resolver.many(comparable(resolver, items, shared))
    return Apply("has", (items, comparable(resolver, item, shared)), "boolean")


def _filtered(resolver: Resolver, items: Node, others: Node, at: int, *, keeps: bool) -> Node:
    """The items that are, or are not, among others."""
    if items.kind == ANYTHING:
        return items
    items, condition = resolver.many(items), _own_is_in(resolver, items, others, at)
    condition = condition if keeps else Apply("not", (condition,), "boolean")
    return Filter(items, "own", "", condition, items.kind, items.shape)


def _all_in(resolver: Resolver, items: Node, others: Node, at: int) -> Node:
    if items.kind == ANYTHING:
        return Value(True, "boolean")
    if others.kind == ANYTHING:
        return Apply("not", (exists_node(items),), "boolean")
    items, condition = resolver.many(items), _own_is_in(resolver, items, others, at)
    return Apply("all_of", (Map(items, "own", "", condition, "boolean", None),), "boolean")


def _own_is_in(resolver: Resolver, items: Node, others: Node, at: int) -> Node:
    alike(resolver, (items, others), at)  # refuses what can never be equal
    resolver.take_whole(items)
    return _has(resolver, others, Variable("own", items.kind, items.shape))
