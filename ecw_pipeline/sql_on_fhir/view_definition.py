"""A ViewDefinition as a checked value: what its JSON says, before any FHIRPath is read.

Every fault is collected with its JSON path; nothing here knows FHIR's elements or SQL.

Source: SQL on FHIR 2.0 and 3.0-ballot, "ViewDefinition".
"""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from ecw_pipeline.sql_on_fhir import declared_types
from ecw_pipeline.sql_on_fhir.constants import Constant, ConstantError, read_constant
from ecw_pipeline.sql_on_fhir.problems import Problems, did_you_mean

MAX_SELECT_DEPTH = 100
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_DIRECTIVES = ("forEach", "forEachOrNull", "repeat")
_SQL_TYPE_TAG = "ansi/type"
# The elements of a ViewDefinition by where they stand; what else is written there is a slip.
_EVERYWHERE = {"id", "extension", "modifierExtension"}
_OF_VIEW = _EVERYWHERE | {
    *("resourceType", "meta", "implicitRules", "language", "text", "contained", "url"),
    *("identifier", "version", "name", "title", "status", "experimental", "date", "publisher"),
    *("contact", "description", "useContext", "jurisdiction", "purpose", "copyright"),
    *("copyrightLabel", "profile", "fhirVersion", "resource", "constant", "where", "select"),
}
_OF_SELECT = {*_EVERYWHERE, *_DIRECTIVES, "column", "select", "unionAll"}
_OF_COLUMN = _EVERYWHERE | {"name", "path", "description", "collection", "type", "tag", "tags"}
_SHOWN_OF_KEY = 80
_NO_OBJECT: Mapping[str, Any] = {}
_OF_CONDITION = _EVERYWHERE | {"path", "description"}


@dataclass(frozen=True)
class ColumnDefinition:
    """One column as the view writes it; ``where`` is its JSON path, for messages."""

    where: str
    name: str
    path: str
    fhir_type: str = ""
    description: str = ""
    is_collection: bool = False
    sql_type: str = ""


@dataclass(frozen=True)
class SelectDefinition:
    """One select: at most one directive, then columns, child selects and a union."""

    where: str
    directive: str = ""
    paths: tuple[str, ...] = ()
    columns: tuple[ColumnDefinition, ...] = ()
    selects: tuple["SelectDefinition", ...] = ()
    union: tuple["SelectDefinition", ...] = ()


@dataclass(frozen=True)
class ViewDefinition:
    """A whole view; ``conditions`` are its ``where`` paths."""

    name: str
    title: str
    description: str
    resource: str
    selects: tuple[SelectDefinition, ...]
    conditions: tuple[str, ...]
    constants: Mapping[str, Constant]


def read_view(view: Any, problems: Problems) -> ViewDefinition:
    """Check the JSON of a view and give it names; faults go to ``problems``."""
    reader = _Reader(problems)
    view = reader.mapping(view, "", _OF_VIEW)
    reader.check_header(view)
    return ViewDefinition(
        name=reader.text(view, "name", ""),
        title=reader.text(view, "title", ""),
        description=reader.text(view, "description", ""),
        resource=reader.required_text(view, "resource", ""),
        selects=tuple(
            reader.select(item, f"select[{n}]", 0)
            for n, item in enumerate(reader.items(view, "select", "", required=True))
        ),
        conditions=tuple(
            reader.condition(item, f"where[{n}]")
            for n, item in enumerate(reader.items(view, "where", ""))
        ),
        constants=reader.constants(view),
    )


class _Reader:
    """Reads JSON values, noting what is not as it should be and going on."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def check_header(self, view: Mapping[str, Any]) -> None:
        kind = view.get("resourceType", "ViewDefinition")
        if not isinstance(kind, str) or kind.rsplit("/", 1)[-1] != "ViewDefinition":
            self._problems.add("resourceType", "expected ViewDefinition")
        versions = view.get("fhirVersion")
        listed = versions if isinstance(versions, list) else [versions]
        if versions and not any(str(version).startswith("4.0") for version in listed):
            others = ", ".join(map(str, listed))
            message = f"the view is for FHIR {others}; this compiler reads R4: expected 4.0.1"
            self._problems.add("fhirVersion", message)
        name = view.get("name")
        if isinstance(name, str) and not _NAME.fullmatch(name):
            self._problems.add("name", f"{name!r} is not a name (letters, digits, _)")

    def condition(self, item: Any, where: str) -> str:
        return self.required_text(self.mapping(item, where, _OF_CONDITION), "path", where)

    def constants(self, view: Mapping[str, Any]) -> dict[str, Constant]:
        found: dict[str, Constant] = {}
        for n, item in enumerate(self.items(view, "constant", "")):
            where = f"constant[{n}]"
            constant = self._constant(self.mapping(item, where), where)
            if constant.name in found:
                self._problems.add(where, f"constant {constant.name} is defined twice")
            found[constant.name] = constant
        return found

    def _constant(self, item: Mapping[str, Any], where: str) -> Constant:
        name = self.required_text(item, "name", where)
        if name and not _NAME.fullmatch(name):
            self._problems.add(where, f"{name!r} is not a name (letters, digits, _)")
        values = [key for key in item if key.startswith("value") and item[key] is not None]
        if len(values) != 1:
            self._problems.add(where, f"constant {name} needs exactly one value[x]")
            return Constant(name, "string", "")
        try:
            return read_constant(name, values[0], item[values[0]])
        except ConstantError as error:
            self._problems.add(f"{where}.{values[0]}", str(error))
            return Constant(name, "string", "")

    def select(self, item: Any, where: str, depth: int) -> SelectDefinition:
        if depth > MAX_SELECT_DEPTH:
            self._problems.add(where[:80], f"selects nest more than {MAX_SELECT_DEPTH} deep")
            return SelectDefinition(where)
        item = self.mapping(item, where, _OF_SELECT)
        if "path" in item:
            self._problems.add(where, 'columns stand inside: {"column": [{"name": …, "path": …}]}')
        if "where" in item:
            message = "conditions stand at the top of the view, or in a path: forEach: x.where(…)"
            self._problems.add(f"{where}.where", message)
        directive, paths = self._directive(item, where)
        return SelectDefinition(
            where,
            directive,
            paths,
            tuple(
                self._column(c, f"{where}.column[{n}]")
                for n, c in enumerate(self.items(item, "column", where))
            ),
            self._children(item, "select", where, depth),
            self._children(item, "unionAll", where, depth),
        )

    def _children(
        self, item: Mapping[str, Any], key: str, where: str, depth: int
    ) -> tuple[SelectDefinition, ...]:
        return tuple(
            self.select(child, f"{where}.{key}[{n}]", depth + 1)
            for n, child in enumerate(self.items(item, key, where))
        )

    def _directive(self, item: Mapping[str, Any], where: str) -> tuple[str, tuple[str, ...]]:
        given = [key for key in _DIRECTIVES if item.get(key) is not None]
        if len(given) > 1:
            self._problems.add(where, f"{' and '.join(given)} cannot stand in one select")
        if not given:
            return "", ()
        directive = given[0]
        paths = item[directive] if directive == "repeat" else [item[directive]]
        if (
            not isinstance(paths, list)
            or not paths
            or not all(isinstance(p, str) and p for p in paths)
        ):
            expected = "a list of FHIRPaths" if directive == "repeat" else "a FHIRPath"
            self._problems.add(f"{where}.{directive}", f"expected {expected}")
            return "", ()
        return directive, tuple(paths)

    def _column(self, item: Any, where: str) -> ColumnDefinition:
        item = self.mapping(item, where, _OF_COLUMN)
        name = self.required_text(item, "name", where)
        if name and not _NAME.fullmatch(name):
            self._problems.add(where, f"{name!r} is not a column name (letters, digits, _)")
        collection = item.get("collection", False)
        if not isinstance(collection, bool):
            self._problems.add(f"{where}.collection", "expected true or false")
        return ColumnDefinition(
            where,
            name,
            self.required_text(item, "path", where),
            declared_types.type_name(self.text(item, "type", where)),
            self.text(item, "description", where),
            collection is True,
            self._sql_type(item, where),
        )

    def _sql_type(self, item: Mapping[str, Any], where: str) -> str:
        for key in ("tag", "tags"):
            for tag in self.items(item, key, where):
                tag = self.mapping(tag, f"{where}.{key}")
                if tag.get("name") == _SQL_TYPE_TAG:
                    return self.required_text(tag, "value", f"{where}.{key}")
        return ""

    def mapping(
        self, value: Any, where: str, elements: Set[str] = frozenset()
    ) -> Mapping[str, Any]:
        """The value, where it is an object; keys that are none of ``elements`` are warned of."""
        if not isinstance(value, Mapping):
            self._problems.add(where, "expected a JSON object")
            return _NO_OBJECT
        for key in value:
            if elements and key not in elements and not key.startswith("_"):
                message = f"no such element, so it is ignored{did_you_mean(key, elements)}"
                shown = key[:_SHOWN_OF_KEY]
                self._problems.warn(f"{where}.{shown}" if where else shown, message)
        return value

    def items(
        self, item: Mapping[str, Any], key: str, where: str, *, required: bool = False
    ) -> list[Any]:
        value = item.get(key)
        place = f"{where}.{key}" if where else key
        if value is None and not required:
            return []
        if isinstance(value, list) and (value or not required):
            return value
        self._problems.add(place, "expected a list" + (" with something in it" * required))
        return []

    def text(self, item: Mapping[str, Any], key: str, where: str) -> str:
        value = item.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        self._problems.add(f"{where}.{key}" if where else key, "expected text")
        return ""

    def required_text(self, item: Mapping[str, Any], key: str, where: str) -> str:
        if item.get(key) in (None, ""):
            # Of what is no object at all, that was said.
            if item is not _NO_OBJECT or not where:
                self._problems.add(f"{where}.{key}" if where else key, "is missing")
            return ""
        return self.text(item, key, where)
