"""Several views over one reading of lines give the rows that each gives over its own."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecw_pipeline.sql_on_fhir.compiler import (
    CompiledView,
    common_columns,
    compile_view,
    ndjson_relation,
)

PATIENTS: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "a", "name": [{"family": "Ash", "given": ["Ann", "Al"]}]},
    {"resourceType": "Patient", "id": "b", "name": [{"family": "Ash"}, {"family": "Ash"}]},
    {"resourceType": "Patient", "id": "c", "active": True},
]


def _view(*paths: str, **select: Any) -> CompiledView:
    columns = [{"name": f"c{n}", "path": path} for n, path in enumerate(paths)]
    view = {"name": "t", "resource": "Patient", "select": [{**select, "column": columns}]}
    return compile_view(view)


FAMILIES = _view("getResourceKey()", "name.family.first()")
GIVEN_NAMES = _view("$this", forEach="name.given")
COUNTS = _view("name.count()", "name.exists()", "active")
WHOLE_NAMES = _view("name.first()")
DISTINCT_NAMES = _view("name.distinct().count()")


def _rows(view: CompiledView, columns: dict[str, str], folder: Path) -> list[tuple[Any, ...]]:
    path = folder / "lines.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in PATIENTS), encoding="utf-8")
    with duckdb.connect() as connection:
        return connection.execute(view.select(ndjson_relation([path], columns))).fetchall()


@pytest.mark.parametrize("views", [(FAMILIES, GIVEN_NAMES, COUNTS), (COUNTS, GIVEN_NAMES)])
def test_views_that_go_together_give_their_own_rows(
    views: tuple[CompiledView, ...], tmp_path: Path
) -> None:
    columns, taken = common_columns(views)

    assert taken == list(views)
    for view in views:
        assert _rows(view, columns, tmp_path) == _rows(view, dict(view.read_columns), tmp_path)


def test_an_element_is_read_as_whoever_takes_it_apart_wants_it() -> None:
    columns, _ = common_columns([COUNTS, FAMILIES, GIVEN_NAMES])

    assert columns["name"] == 'STRUCT("family" VARCHAR, "given" VARCHAR[])[]'


@pytest.mark.parametrize("view", [WHOLE_NAMES, DISTINCT_NAMES])
def test_a_view_that_looks_at_the_whole_of_it_does_not_go_together(view: CompiledView) -> None:
    assert common_columns([FAMILIES, view])[1] == [FAMILIES]
    assert common_columns([view, FAMILIES])[1] == [view]


def test_a_view_that_does_not_go_together_changes_nothing() -> None:
    assert common_columns([FAMILIES, WHOLE_NAMES])[0] == dict(FAMILIES.read_columns)


def test_two_views_that_want_the_same_whole_go_together() -> None:
    assert common_columns([WHOLE_NAMES, COUNTS, DISTINCT_NAMES])[1] == [
        WHOLE_NAMES,
        COUNTS,
        DISTINCT_NAMES,
    ]
