"""What the dictionary calls left out is in no table, and all else is in one.

Every value of every example is changed in a copy of its own: rows differ, or the path is listed.
"""

import copy
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from ecw_pipeline.dictionary.left_out import OF_EVERY_TYPE, in_groups, left_out
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline_tests.view_definitions.tables import (
    built_in_tables,
    example,
    rows_of,
    screened_file,
)

TYPES = sorted({table.resource_type for table in built_in_tables().values()})
# What the dictionary says in general, below "What is in no table".
BY_RULE = (
    *("high.unit", "high.code", "high.system", "dueDuration.code", "dueDuration.system"),
    *("medium.text", "bodySite.text", "conclusionCode.text", "targetDisease.text"),
    *("presentedForm.data", "attachment.data"),
)
Place = tuple[str | int, ...]


def _values(value: Any, place: Place = ()) -> Iterator[Place]:
    """The place of every primitive value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _values(inner, (*place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _values(inner, (*place, number))
    elif value is not None:
        yield place


def _changed(resource: dict[str, Any], place: Place) -> dict[str, Any]:
    made = copy.deepcopy(resource)
    *way, last = place
    inside: Any = made
    for step in way:
        inside = inside[step]
    inside[last] = _another(inside[last])
    return made


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if not isinstance(value, str):
        return value + 1
    if value[:4].isdecimal() and value[4:5] in ("", "-"):
        return f"1999{value[4:]}"
    if value[2:3] == ":" and value[5:6] == ":":
        return f"{value[:-1]}{(int(value[-1]) + 1) % 10}"
    return f"{value}x"


def _rows(name: str, resources: list[dict[str, Any]]) -> dict[int, list[str]]:
    """Each resource's rows, by its line."""
    found: dict[int, list[str]] = defaultdict(list)
    with screened_file(resources) as path:
        for row in rows_of(name, path):
            found[row.pop("source_line")].append(str(row))
    return {line: sorted(rows) for line, rows in found.items()}


def _path(place: Place) -> str:
    return ".".join(step for step in place if isinstance(step, str))


def _is_listed(place: Place, listed: tuple[str, ...]) -> bool:
    names = [step for step in place if isinstance(step, str)]
    if OF_EVERY_TYPE & {name.lstrip("_") for name in names} or any(n[0] == "_" for n in names):
        return True
    path = _path(place)
    return any(path == one or path.startswith(f"{one}.") for one in listed)


@pytest.mark.parametrize("kind", TYPES)
def test_every_value_is_in_a_table_or_listed(kind: str) -> None:
    resource = example(snake_case(kind))["resource"]
    tables = [table for table in built_in_tables().values() if table.resource_type == kind]
    listed = left_out(tables)
    places = [place for place in _values(resource) if place not in (("resourceType",), ("id",))]
    copies = [resource, *(_changed(resource, place) for place in places)]
    seen = [_rows(table.name, copies) for table in tables]

    told = {
        place
        for line, place in enumerate(places, start=2)
        if any(rows.get(line) != rows.get(1) for rows in seen)
    }

    paths = set(map(_path, told))
    unlisted = {_path(p) for p in places if not _is_listed(p, listed)} - paths
    assert sorted(path for path in unlisted if not path.endswith(BY_RULE)) == []
    assert paths.isdisjoint(listed)


def test_what_paths_share_is_said_once() -> None:
    paths = ["text", "photo", "name.use", "name.period", "name.given.x", "link.other.type"]

    assert in_groups(paths) == ["text, photo", "name.{use, period}", "name.given.x",
                                "link.other.type"]  # fmt: skip
