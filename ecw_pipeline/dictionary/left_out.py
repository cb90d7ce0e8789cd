"""What of a resource type is in no table: found by what the views of its tables read."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from ecw_pipeline.fhir.structure import type_structure
from ecw_pipeline.sql_on_fhir.shapes import Shape
from ecw_pipeline.stages.tables import Table

# Of no type alone; said once for all.
OF_EVERY_TYPE = frozenset(
    ("id", "extension", "modifierExtension", "contained", "implicitRules", "language")
)
_ENVELOPE = frozenset(("resourceType", "id"))


def left_out(tables: Iterable[Table]) -> tuple[str, ...]:
    """The JSON paths that no table of one resource type reads, a path for all that is below it."""
    shapes = [table.compiled.plan.root.shape for table in tables]
    return tuple(_unread(shapes[0].kind, shapes, "")) if shapes else ()


def _unread(kind: str, shapes: Sequence[Shape], path: str) -> Iterator[str]:
    structure = type_structure(kind)
    for element in structure.elements.values() if structure else ():
        name = element.json_name
        if name in OF_EVERY_TYPE or (not path and name in _ENVELOPE):
            continue
        here = f"{path}.{name}" if path else name
        found = [shape.children[name] for shape in shapes if name in shape.children]
        if not found:
            yield here
        elif not element.is_primitive and not any(_is_told_whole(shape) for shape in found):
            yield from _unread(element.element_type, found, here)


def _is_told_whole(shape: Shape) -> bool:
    """Whether a column holds all of an element, or how many there are."""
    return shape.is_output or not shape.children


def in_groups(paths: Iterable[str]) -> list[str]:
    """Paths with what they share said once: ``identifier.{type, use}``."""
    told = []
    for parent, group in groupby(paths, lambda path: path.rpartition(".")[0]):
        names = [path.rpartition(".")[2] for path in group]
        inside = names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"
        told.append(f"{parent}.{inside}" if parent else ", ".join(names))
    return told
