"""The typed tree between FHIRPath and SQL.

Every node knows its kind (a FHIR type, see `kinds`), whether it is one value or many, and the
shape of the element it stands for, if any. One value is NULL when empty; many are a LIST without
NULLs, and a NULL list is empty too. Nothing here knows FHIRPath's syntax or SQL's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ecw_pipeline.sql_on_fhir.kinds import ANYTHING, CHOICE
from ecw_pipeline.sql_on_fhir.shapes import Shape


@dataclass(frozen=True)
class Root:
    """The resource itself: its elements are the columns that are read."""

    kind: str
    shape: Shape
    is_many: bool = False


@dataclass(frozen=True)
class Variable:
    """The item a lambda is at; ``shape`` is None for a primitive made by a function.

    A primitive also knows the list it is an item ``of``, and the lambda's name of its position.
    """

    name: str
    kind: str
    shape: Shape | None = None
    is_many: bool = False
    of: "Node | None" = None
    index: str = ""


@dataclass(frozen=True)
class Field:
    """An element of ``source``."""

    source: "Node"
    shape: Shape
    kind: str
    is_many: bool


@dataclass(frozen=True)
class Beside:
    """For each value of the element ``of`` of ``source``, what stands beside it, or NULL."""

    source: "Node"
    of: Shape
    shape: Shape
    kind: str = "Element"
    is_many: bool = True


@dataclass(frozen=True)
class Value:
    """A value written in the view."""

    value: str | int | bool
    kind: str
    shape: None = None
    is_many: bool = False


@dataclass(frozen=True)
class Empty:
    """``{}``, and elements FHIR does not know."""

    kind: str = ANYTHING
    shape: None = None
    is_many: bool = False


@dataclass(frozen=True)
class Position:
    """``%rowIndex`` or ``$index``; without a variable it is 0."""

    variable: str = ""
    kind: str = "integer"
    shape: None = None
    is_many: bool = False


@dataclass(frozen=True)
class Guard:
    """``source`` where ``condition`` is true, for one value."""

    source: "Node"
    condition: "Node"

    @property
    def kind(self) -> str:
        return self.source.kind

    @property
    def shape(self) -> Shape | None:
        return self.source.shape

    @property
    def is_many(self) -> bool:
        return False


@dataclass(frozen=True)
class Filter:
    """The items of ``source`` for which ``condition`` is true."""

    source: "Node"
    variable: str
    index: str
    condition: "Node"
    kind: str
    shape: Shape | None
    is_many: bool = True


@dataclass(frozen=True)
class Map:
    """``body`` for each item of ``source``, flattened."""

    source: "Node"
    variable: str
    index: str
    body: "Node"
    kind: str
    shape: Shape | None
    is_many: bool = True


@dataclass(frozen=True)
class Apply:
    """A row of the function table, applied."""

    function: str
    arguments: tuple["Node", ...]
    kind: str
    is_many: bool = False
    shape: Shape | None = None


@dataclass(frozen=True)
class Walk:
    """All nodes below ``source`` in pre-order, following ``steps`` from each (``repeat``)."""

    sources: tuple["Node", ...]
    variable: str
    steps: tuple["Node", ...]
    kind: str
    shape: Shape
    is_many: bool = True


@dataclass(frozen=True)
class Choice:
    """``value`` before it is known which form is meant; the resolver lets none through."""

    source: "Node"
    name: str
    is_many: bool
    kind: str = CHOICE
    shape: None = None


Node: TypeAlias = (
    Root
    | Variable
    | Field
    | Beside
    | Value
    | Empty
    | Position
    | Guard
    | Filter
    | Map
    | Apply
    | Walk
    | Choice
)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside a node."""
    for name in node.__match_args__:  # as `fields` gives them, in a tenth of the time
        value = getattr(node, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Node):
                yield part
