"""Which elements of the resource each column of a view is computed from."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ecw_pipeline.sql_on_fhir.ir import Node, children
from ecw_pipeline.sql_on_fhir.plan import Part, Plan, PlannedColumn, Union
from ecw_pipeline.sql_on_fhir.shapes import Shape


def elements_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Element paths by column, those of its conditions too: ``code.coding.code``.

    A path is from the resource on, also for a column inside of iterations. A column that holds a
    position or what the view itself says has none; a union's has those of all branches.
    """
    places = dict(_places(plan.root.shape, ""))
    found: dict[str, set[str]] = defaultdict(set)
    for column in _columns(plan.rows):
        found[column.name].update(_touched(column.node, places))
    return {name: tuple(_innermost(paths)) for name, paths in found.items()}


def _places(shape: Shape, above: str) -> Iterator[tuple[Shape, str]]:
    for name, child in shape.children.items():
        yield child, f"{above}{name}"
        yield from _places(child, f"{above}{name}.")


def _columns(part: Part) -> Iterator[PlannedColumn]:
    if not isinstance(part, Union):
        yield from part.columns
    for inner in part.branches if isinstance(part, Union) else part.parts:
        yield from _columns(inner)


def _touched(node: Node, places: Mapping[Shape, str]) -> Iterator[str]:
    if node.shape is not None and node.shape in places:
        yield places[node.shape]
    for inner in children(node):
        yield from _touched(inner, places)


def _innermost(paths: set[str]) -> list[str]:
    """The paths that lead to no other one."""
    return sorted(p for p in paths if not any(other.startswith(f"{p}.") for other in paths))
