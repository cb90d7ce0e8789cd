"""Several views of one resource type over one reading of its lines.

What each view touches is joined to one set of columns. Two views that want an element in different
ways, one as JSON and one taken apart, cannot share a reading, unless the first only asks whether
there is one, or how many.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ecw_pipeline.quoting import identifier
from ecw_pipeline.sql_on_fhir.ir import Apply
from ecw_pipeline.sql_on_fhir.kinds import PRIMITIVES
from ecw_pipeline.sql_on_fhir.plan import Plan, nodes_of
from ecw_pipeline.sql_on_fhir.shapes import Shape

_COUNTING = frozenset({"exists_one", "exists_many", "count", "one_value"})


class CommonReading:
    """The columns that all views taken so far can be made from."""

    def __init__(self) -> None:
        self._elements: dict[str, _Element] = {}

    def takes(self, plan: Plan) -> bool:
        """Join a view's columns to these; False, and nothing changed, where it wants others."""
        try:
            self._elements = _joined(self._elements, _elements(plan.root.shape, _looked_at(plan)))
        except _ReadOtherwiseError:
            return False
        return True

    @property
    def columns(self) -> dict[str, str]:
        """Top-level element to the DuckDB type it is read with."""
        return {name: element.sql_type for name, element in self._elements.items()}


class _ReadOtherwiseError(Exception):
    """Two views want one element in different ways."""


@dataclass(frozen=True)
class _Element:
    """An element as it is read: taken apart into ``inside``, or as ``item_sql``.

    ``is_free`` says that it may be read in any way.
    """

    item_sql: str
    is_list: bool
    is_free: bool
    inside: "Mapping[str, _Element]"

    @property
    def sql_type(self) -> str:
        item = self.item_sql
        if self.inside:
            fields = (f"{identifier(name)} {one.sql_type}" for name, one in self.inside.items())
            item = f"STRUCT({', '.join(fields)})"
        return item + "[]" * self.is_list


def _elements(shape: Shape, looked_at: frozenset[int]) -> dict[str, _Element]:
    return {name: _element(child, looked_at) for name, child in shape.children.items()}


def _element(shape: Shape, looked_at: frozenset[int]) -> _Element:
    if shape.kind in PRIMITIVES or shape.is_json:
        is_free = shape.kind not in PRIMITIVES and not shape.is_whole and id(shape) not in looked_at
        return _Element(shape.item_sql, shape.is_list, is_free, {})
    return _Element("", shape.is_list, False, _elements(shape, looked_at))


def _joined(ours: Mapping[str, _Element], theirs: Mapping[str, _Element]) -> dict[str, _Element]:
    both = {name: _one_of(ours[name], theirs[name]) for name in ours if name in theirs}
    return {**ours, **theirs, **both}


def _one_of(one: _Element, other: _Element) -> _Element:
    if one.inside and other.inside:
        return _Element("", one.is_list, False, _joined(one.inside, other.inside))
    if other.is_free:
        return one
    if one.is_free or one == other:
        return other
    raise _ReadOtherwiseError


def _looked_at(plan: Plan) -> frozenset[int]:
    """The shapes whose value a function is given, other than to count it."""
    return frozenset(
        id(argument.shape)
        for node in nodes_of(plan.rows, *plan.conditions)
        if isinstance(node, Apply) and node.function not in _COUNTING
        for argument in node.arguments
        if argument.shape is not None
    )
