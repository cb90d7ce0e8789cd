"""A slow, plain reading of ViewDefinitions, from the processing algorithm of SQL on FHIR."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import localcontext
from functools import partial
from typing import Any, TypeAlias

from ecw_pipeline_tests.sql_on_fhir.plain_functions import Items, one
from ecw_pipeline_tests.sql_on_fhir.plain_reading import Reading
from ecw_pipeline_tests.sql_on_fhir.plain_values import Item, item_of

# A column is read when its row is known to be one.
Row: TypeAlias = dict[str, Callable[[], Items | None]]


def plain_rows(
    view: Mapping[str, Any], resources: Iterable[Mapping[str, Any]], *, is_eager: bool = False
) -> list[dict[str, Items | None]]:
    """The rows of a view; a column holds its items, or None in a row of nulls."""
    with localcontext(prec=80):
        rows = unread_rows(view, resources, is_eager)
        return [{name: read_items() for name, read_items in row.items()} for row in rows]


def unread_rows(
    view: Mapping[str, Any], resources: Iterable[Mapping[str, Any]], is_eager: bool
) -> list[Row]:
    found: list[Row] = []
    for resource in resources:
        if resource.get("resourceType") != view["resource"]:
            continue
        root = item_of(resource, view["resource"])
        reading = Reading(root, constants_of(view), [root], is_eager=is_eager)
        if all(is_true(reading, test["path"]) for test in view.get("where", [])):
            found += product(reading, view["select"])
    return found


def is_true(reading: Reading, path: str) -> bool:
    item = one(reading.of(path))
    return item is not None and item.value is True


def constants_of(view: Mapping[str, Any]) -> dict[str, Item]:
    found = {}
    for constant in view.get("constant", []):
        key = next(name for name in constant if name.startswith("value"))
        kind = key[5].lower() + key[6:]
        found[constant["name"]] = item_of(constant[key], kind)
    return found


def product(reading: Reading, selects: list[Mapping[str, Any]]) -> list[Row]:
    rows: list[Row] = [{}]
    for select in selects:
        found = rows_of(reading, select)
        rows = [left | right for left in rows for right in found]
    return rows


def rows_of(reading: Reading, select: Mapping[str, Any]) -> list[Row]:
    if "repeat" in select:
        return iterated(select, reading, walked(reading, select["repeat"]))
    if "forEach" in select:
        return iterated(select, reading, reading.of(select["forEach"]))
    if "forEachOrNull" in select:
        found = reading.of(select["forEachOrNull"])
        return iterated(select, reading, found) if found else [null_row(select)]
    return rows_of_one(reading, select)


def iterated(select: Mapping[str, Any], reading: Reading, items: Items) -> list[Row]:
    return [
        row
        for n, item in enumerate(items)
        for row in rows_of_one(replace(reading, context=[item], row_index=n), select)
    ]


def walked(reading: Reading, paths: list[str]) -> Items:
    found: Items = []
    for path in paths:
        for item in reading.of(path):
            found += [item, *walked(replace(reading, context=[item]), paths)]
    return found


def rows_of_one(reading: Reading, select: Mapping[str, Any]) -> list[Row]:
    columns = select.get("column", [])
    if reading.is_eager:
        for column in columns:
            value(reading, column)
    rows: list[Row] = [{c["name"]: partial(value, reading, c) for c in columns}]
    parts = [rows_of(reading, child) for child in select.get("select", [])]
    if branches := select.get("unionAll"):
        parts.append([row for branch in branches for row in rows_of(reading, branch)])
    for part in parts:
        rows = [left | right for left in rows for right in part]
    return rows


def value(reading: Reading, column: Mapping[str, Any]) -> Items:
    found = reading.of(column["path"])
    if not column.get("collection"):
        one(found)
    return found


def null_row(select: Mapping[str, Any]) -> Row:
    """All columns null; only %rowIndex is 0, as the official tests ask."""
    row: Row = {c["name"]: partial(null, c) for c in select.get("column", [])}
    for inner in (*select.get("select", []), *select.get("unionAll", [])[:1]):
        row |= null_row(inner)
    return row


def null(column: Mapping[str, Any]) -> Items | None:
    is_index = column["path"] == "%rowIndex" and not column.get("collection")
    return [Item(0, "integer")] if is_index else None
