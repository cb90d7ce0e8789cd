"""Rows that are there twice, or of nothing that lives, are found; so are references to nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.warehouse.bookkeeping import insert_rows
from ecw_pipeline.warehouse.mart_runner import build_mart, complete_up_to, note_completeness
from ecw_pipeline.warehouse.reconciliation import Soundness, references, soundness
from ecw_pipeline.warehouse.schema import WarehouseColumn, WarehouseTable
from ecw_pipeline_tests.warehouse.versions import (
    NAME,
    PATIENT,
    PRACTICE,
    Books,
    Brought,
    ann,
    books,
    brought,
    day,
)

# The family name stands for the id of another patient here.
_LINKS = ("patient_id", "linked_id", "linked_type")
LINK = replace(
    PATIENT,
    name="patient_link",
    columns=tuple(WarehouseColumn(name, "VARCHAR", name) for name in _LINKS),
)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Books]:
    with books(tmp_path) as one:
        one.load(brought(1, ann("Smith", 1, "Ann", "Mary"), ann("ann", 1, "Bob", name="bob")))
        yield one


def _linked(one: Books, kind: str = "'Patient'") -> WarehouseTable:
    one.rows(
        "CREATE OR REPLACE TABLE core.patient_link AS SELECT connection_id, patient_id,"
        f" family AS linked_id, {kind} AS linked_type FROM core.patient"
    )
    return LINK


@pytest.mark.parametrize("table", [PATIENT, NAME])
def test_tables_as_they_are_loaded_are_sound(warehouse: Books, table: WarehouseTable) -> None:
    assert soundness(warehouse.connection, table) == Soundness(0, 0)


@pytest.mark.parametrize("table", [PATIENT, NAME])
def test_a_row_that_is_there_twice_is_found(warehouse: Books, table: WarehouseTable) -> None:
    warehouse.rows(f"INSERT INTO {table.core_name} FROM {table.core_name} LIMIT 1")

    found = soundness(warehouse.connection, table)

    assert found == Soundness(repeated_rows=1, stray_rows=0)
    assert not found.is_sound


def test_rows_that_nothing_tells_apart_are_not_called_repeated(warehouse: Books) -> None:
    warehouse.rows("INSERT INTO core.patient_name FROM core.patient_name")

    assert soundness(warehouse.connection, replace(NAME, row_key=())) == Soundness(0, 0)


def test_the_row_of_a_resource_that_is_gone_is_found(warehouse: Books) -> None:
    warehouse.rows("UPDATE ops.resource_span SET valid_to = now() WHERE source_line = 1")

    assert soundness(warehouse.connection, PATIENT) == Soundness(0, stray_rows=1)
    assert soundness(warehouse.connection, NAME) == Soundness(0, stray_rows=2)


def test_a_reference_to_nothing_is_found(warehouse: Books) -> None:
    found = references(warehouse.connection, _linked(warehouse))

    assert (found.references, found.unresolved) == (2, 1)
    assert found.unresolved_share == 0.5


def test_a_reference_to_a_type_that_was_never_loaded_says_nothing(warehouse: Books) -> None:
    found = references(warehouse.connection, _linked(warehouse, "'Group'"))

    assert (found.references, found.unresolved, found.unresolved_share) == (0, 0, 0.0)


def test_a_reference_to_a_resource_that_was_deleted_leads_nowhere(warehouse: Books) -> None:
    table = _linked(warehouse)
    warehouse.load(brought(2, deleted=["ann"]))

    assert references(warehouse.connection, table).unresolved == 2


def test_a_mart_is_complete_up_to_its_type_that_is_furthest_behind(warehouse: Books) -> None:
    for resource_type, at in (("Task", day(3)), ("Group", day(4))):
        load = {"resource_type": resource_type, "transaction_time": at}
        insert_rows(warehouse.connection, "ops.load", [{"connection_id": PRACTICE, **load}])

    for types in (["Patient", "Task", "Group", "Encounter"], ["Task", "Group"]):
        note_completeness(warehouse.connection, "work", types)

    assert warehouse.rows("FROM ops.mart") == [("work", PRACTICE, day(3), "Task")]
    assert complete_up_to(warehouse.connection, "work") == day(3)
    assert complete_up_to(warehouse.connection, "unknown") is None


def test_what_incremental_exports_missed_is_counted_at_each_complete_one(warehouse: Books) -> None:
    smith, bob = ann("Smith", 1), ann("ann", 1, name="bob")
    cyd = ann("Elm", 2, name="cyd")
    warehouse.empty()
    warehouse.load(
        _complete(1, smith, bob),
        brought(4, cyd, deleted=["bob"]),  # announced, which is no error
        # Ann was changed on day 3 and Dee made then; the export of day 4 should have said so.
        _complete(6, ann("Jones", 3), cyd, ann("Oak", 3, name="dee"), ann("Ash", 5, name="eve")),
        _complete(8, ann("Jones", 3), cyd, ann("Ash", 5, name="eve")),  # Dee is gone, unsaid
    )

    mart = built_in_marts()["reconciliation"]
    build_mart(warehouse.connection, mart.name, mart.question, mart.sql)

    assert warehouse.rows(
        "SELECT export_id, known_up_to, resources, unannounced_deletions, missed_versions,"
        " error_share FROM marts.reconciliation"
    ) == [("day-06", day(4), 4, 0, 2, 0.5), ("day-08", day(6), 3, 1, 0, 0.333333)]


def _complete(day_number: int, *lines: dict[str, Any]) -> Brought:
    return replace(brought(day_number, *lines), is_complete=True)
