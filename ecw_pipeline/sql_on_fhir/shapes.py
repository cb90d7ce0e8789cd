"""Which elements a view touches, as the types DuckDB reads them with.

One tree of `Shape` per view, filled while paths are resolved and read when SQL is written. An
element that is touched but not entered is read as JSON; so is a recursive one (`is_whole`).
"""

import json
from typing import Any

from ecw_pipeline.fhir.structure import Element
from ecw_pipeline.quoting import identifier
from ecw_pipeline.sql_on_fhir.kinds import PRIMITIVES, held_sql


class Shape:
    """One element of the data as the view needs it.

    ``is_whole`` says the element is read as JSON, and taken apart with from_json where needed;
    ``is_output`` that this JSON itself is a column's value.
    """

    def __init__(self, name: str, kind: str, *, is_list: bool = False) -> None:
        self.name = name
        self.kind = kind
        self.is_list = is_list
        self.is_whole = False
        self.is_output = False
        self.children: dict[str, Shape] = {}

    def child(self, element: Element) -> "Shape":
        """Touch an element of this one."""
        name = element.json_name
        if name not in self.children:
            self.children[name] = Shape(name, element.element_type, is_list=element.is_list)
        return self.children[name]

    @property
    def is_json(self) -> bool:
        return self.kind not in PRIMITIVES and (self.is_whole or not self.children)

    @property
    def item_sql(self) -> str:
        """The DuckDB type of one of it."""
        if self.kind in PRIMITIVES:
            return held_sql(self.kind)
        if self.is_json:
            return "JSON"
        fields = (f"{identifier(name)} {c.sql_type}" for name, c in self.children.items())
        return f"STRUCT({', '.join(fields)})"

    @property
    def sql_type(self) -> str:
        """The DuckDB type it is read with."""
        return self.item_sql + "[]" * self.is_list

    @property
    def structure_json(self) -> str:
        """What from_json needs to take one of it apart."""
        return json.dumps(self._inside(), separators=(",", ":"))

    def _inside(self) -> Any:
        return {name: child._as_json() for name, child in self.children.items()}

    def _as_json(self) -> Any:
        if self.kind in PRIMITIVES:
            item: Any = held_sql(self.kind)
        else:
            item = "JSON" if self.is_json else self._inside()
        return [item] if self.is_list else item


def whole_shape(kind: str) -> Shape | None:
    """The shape of elements that come from several places: JSON, taken apart where needed."""
    if kind in PRIMITIVES:
        return None
    shape = Shape(kind, kind)
    shape.is_whole = True
    return shape
