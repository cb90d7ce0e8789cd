"""A slow, plain reading of views, written from the specification, to compare the compiler with.

It shares no code with the compiler, and no parser: paths are trees that can be written down as
FHIRPath and can be evaluated over JSON. Every value is a list, as in FHIRPath.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One step of a path: an element, or a function with what it needs."""

    name: str
    number: int = 0
    test: "Test | None" = None

    def __str__(self) -> str:
        match self.name:
            case "[]":
                return f"[{self.number}]"
            case "where":
                return f".where({self.test})"
            case "skip" | "take":
                return f".{self.name}({self.number})"
            case "first" | "last" | "tail":
                return f".{self.name}()"
        return f".{self.name}"

    def over(self, items: list[Any]) -> list[Any]:
        match self.name:
            case "[]":
                return items[self.number : self.number + 1]
            case "where":
                return [item for item in items if self.test and self.test.of(item) is True]
            case "skip":
                return items[self.number :]
            case "take":
                return items[: self.number]
            case "first":
                return items[:1]
            case "last":
                return items[-1:]
            case "tail":
                return items[1:]
        found = []
        for item in items:
            value = item.get(self.name)
            found += [v for v in (value if isinstance(value, list) else [value]) if v is not None]
        return found


@dataclass(frozen=True)
class Path:
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "$this" + "".join(map(str, self.steps))

    def of(self, item: Any) -> list[Any]:
        items = [item]
        for step in self.steps:
            items = step.over(items)
        return items


@dataclass(frozen=True)
class Test:
    """Something true, false or empty (None) of an item."""

    __test__ = False  # not a test of ours

    operator: str
    path: Path | None = None
    literal: str | int = 0
    sides: "tuple[Test, ...]" = ()

    def __str__(self) -> str:
        match self.operator:
            case "exists" | "empty":
                return f"{self.path}.{self.operator}()"
            case "count":
                return f"{self.path}.count() >= {self.literal}"
            case "not":
                return f"({self.sides[0]}).not()"
            case "and" | "or":
                return f"(({self.sides[0]}) {self.operator} ({self.sides[1]}))"
        written = f"'{self.literal}'" if isinstance(self.literal, str) else self.literal
        return f"{self.path}.first() {self.operator} {written}"

    def of(self, item: Any) -> bool | None:
        found = self.path.of(item) if self.path else []
        match self.operator:
            case "exists":
                return bool(found)
            case "empty":
                return not found
            case "count":
                return len(found) >= int(self.literal)
            case "not" | "and" | "or":
                return self._logic([side.of(item) for side in self.sides])
        if not found:
            return None
        value: Any = found[0]
        literal: Any = self.literal
        match self.operator:
            case "=":
                return bool(value == literal)
            case "!=":
                return bool(value != literal)
            case "<":
                return bool(value < literal)
        return bool(value >= literal)

    def _logic(self, values: list[bool | None]) -> bool | None:
        if self.operator == "not":
            return None if values[0] is None else not values[0]
        decides = self.operator == "or"
        if decides in values:
            return decides
        return None if None in values else not decides


@dataclass(frozen=True)
class Column:
    name: str
    path: Path | None  # None is %rowIndex
    is_collection: bool

    def json(self) -> Row:
        path = str(self.path) if self.path else "%rowIndex"
        return {"name": self.name, "path": path, "collection": self.is_collection}

    def of(self, item: Any, index: int) -> Any:
        if self.path is None:
            return index
        found = self.path.of(item)
        if self.is_collection:
            return found
        return found[0] if found else None


@dataclass(frozen=True)
class Select:
    directive: str
    path: Path | None
    columns: tuple[Column, ...]
    selects: "tuple[Select, ...]" = ()
    union: "tuple[Select, ...]" = ()

    def json(self) -> Row:
        directive = {self.directive: str(self.path)} if self.directive else {}
        return directive | {
            "column": [column.json() for column in self.columns],
            "select": [select.json() for select in self.selects],
            "unionAll": [branch.json() for branch in self.union],
        }

    def rows(self, item: Any, index: int = 0) -> list[Row]:
        if not self.directive:
            return self._of_one(item, index)
        found = self.path.of(item) if self.path else []
        if not found and self.directive == "forEachOrNull":
            return [self.null_row()]
        return [row for n, each in enumerate(found) for row in self._of_one(each, n)]

    def _of_one(self, item: Any, index: int) -> list[Row]:
        rows = [{column.name: column.of(item, index) for column in self.columns}]
        parts = [select.rows(item, index) for select in self.selects]
        if self.union:
            parts.append([row for branch in self.union for row in branch.rows(item, index)])
        for part in parts:
            rows = [left | right for left in rows for right in part]
        return rows

    def null_row(self) -> Row:
        row = {column.name: 0 if column.path is None else None for column in self.columns}
        for select in (*self.selects, *self.union[:1]):
            row |= select.null_row()
        return row
