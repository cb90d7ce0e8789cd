"""Every built-in view: it compiles, is described, and is named as the others are."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from ecw_pipeline.fhir.resource_types import BRIEF_TYPES, snake_case
from ecw_pipeline.sql_on_fhir.compiler import compile_view
from ecw_pipeline.view_definitions.catalog import built_in_views

VIEWS = built_in_views()
MAIN = sorted(name for name, view in VIEWS.items() if name == snake_case(view["resource"]))
CHILDREN = sorted(set(VIEWS) - set(MAIN))
DATES = ("date", "dateTime", "instant")
DIRECTIVES = ("forEach", "forEachOrNull", "repeat", "unionAll")

every_view = pytest.mark.parametrize("name", sorted(VIEWS))
every_main = pytest.mark.parametrize("name", MAIN)
every_child = pytest.mark.parametrize("name", CHILDREN)


def selects_in(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for inner in (*item.get("select", ()), *item.get("unionAll", ())):
        yield inner
        yield from selects_in(inner)


def columns_in(view: dict[str, Any]) -> list[dict[str, Any]]:
    return [column for select in selects_in(view) for column in select.get("column", ())]


@every_view
def test_it_compiles_with_the_pipelines_keys_and_without_a_warning(name: str) -> None:
    compiled = compile_view(VIEWS[name], with_keys=True)

    assert compiled.warnings == ()


@every_view
def test_it_is_described_and_so_is_each_column(name: str) -> None:
    view = VIEWS[name]

    assert view["title"]
    assert view["description"].endswith(".")
    assert [column["name"] for column in columns_in(view) if not column.get("description")] == []


@every_view
def test_what_is_kept_as_a_date_was_received_is_also_a_moment_or_a_day(name: str) -> None:
    columns = compile_view(VIEWS[name], with_keys=True).columns
    typed = [c.path for c in columns if c.sql_type in ("DATE", "TIMESTAMP WITH TIME ZONE")]
    received = [c for c in columns if c.fhir_type in DATES and c.sql_type == "VARCHAR"]

    assert [c.name for c in received if not any(c.path in path for path in typed)] == []


@every_view
def test_it_is_named_as_its_file_and_after_its_type(name: str) -> None:
    view = VIEWS[name]
    main = snake_case(view["resource"])

    assert name == main or name.startswith(f"{main}_")
    assert (view["resourceType"], view["status"]) == ("ViewDefinition", "active")
    assert view["fhirVersion"] == ["4.0.1"]


@every_view
def test_its_columns_are_in_snake_case(name: str) -> None:
    columns = [column["name"] for column in columns_in(VIEWS[name])]

    assert [c for c in columns if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", c)] == []


def test_every_type_of_the_brief_has_a_main_table() -> None:
    assert {snake_case(name) for name in BRIEF_TYPES} <= set(MAIN)


@every_main
def test_a_main_table_neither_iterates_nor_selects(name: str) -> None:
    view = VIEWS[name]

    assert "where" not in view
    assert [s for s in selects_in(view) if any(word in s for word in DIRECTIVES)] == []


@every_child
def test_a_child_table_says_where_each_row_stood(name: str) -> None:
    positions = [c["name"] for c in columns_in(VIEWS[name]) if c["path"] == "%rowIndex"]

    assert "ordinal" in positions
    assert snake_case(VIEWS[name]["resource"]) in MAIN


@every_view
def test_a_decimal_keeps_its_exact_text_beside_the_number(name: str) -> None:
    columns = {column["name"]: column for column in columns_in(VIEWS[name])}
    numbers = [c for c in columns.values() if {"name": "ansi/type", "value": "DOUBLE"} in tags(c)]

    assert [c["name"] for c in numbers if columns[f"{c['name']}_text"]["path"] != c["path"]] == []
    decimals = {c.name for c in compile_view(VIEWS[name]).columns if c.fhir_type == "decimal"}
    assert decimals == {name for c in numbers for name in (c["name"], f"{c['name']}_text")}


def tags(column: dict[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = column.get("tag", [])
    return found
