"""What the newest export of a type made new, other, or let vanish: told where it is no chance."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from ecw_pipeline.warehouse.database import working_warehouse
from ecw_pipeline.warehouse.drift import Drift, drift, validity

Use = tuple[str, str, int]


@pytest.fixture
def ops(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with working_warehouse(tmp_path / "warehouse.duckdb") as connection:
        yield connection


def _load(
    ops: duckdb.DuckDBPyConnection,
    day: int,
    uses: list[Use],
    *,
    lines: int = 1000,
    invalid: int | None = 0,
    restricted: bool = False,
) -> None:
    at = datetime(2026, 1, day, tzinfo=UTC)
    ops.execute(
        "INSERT INTO ops.load (export_id, connection_id, resource_type, transaction_time,"
        " is_restricted, lines_sampled, lines_invalid) VALUES (?, 'p', 'Patient', ?, ?, ?, ?)",
        [f"e{day}", at, restricted, lines, invalid],
    )
    for path, json_type, count in uses:
        ops.execute(
            "INSERT INTO ops.element_profile VALUES (?, 'p', 'Patient', ?, ?, ?)",
            [f"e{day}", path, json_type, count],
        )


def _changes(ops: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return [(one.kind, one.path) for one in drift(ops, "Patient")]


def test_a_first_export_changes_nothing(ops: duckdb.DuckDBPyConnection) -> None:
    _load(ops, 1, [("id", "string", 1000)])

    assert _changes(ops) == []


def test_what_is_new_gone_or_other_is_told(ops: duckdb.DuckDBPyConnection) -> None:
    _load(ops, 1, [("id", "string", 1000), ("name", "object[]", 900), ("gender", "string", 500)])
    _load(ops, 2, [("id", "string", 1000), ("name", "object", 900), ("shoe", "number", 3)])

    assert drift(ops, "Patient") == [
        Drift("p", "new", "shoe", "", "number"),
        Drift("p", "type", "name", "object[]", "object"),
        Drift("p", "vanished", "gender", "string", ""),
    ]


def test_what_may_be_chance_is_not_told(ops: duckdb.DuckDBPyConnection) -> None:
    _load(ops, 1, [("id", "string", 1000), ("rare", "string", 100), ("gender", "string", 900)])
    _load(ops, 2, [("id", "string", 50)], lines=50)

    assert _changes(ops) == []


def test_after_few_lines_all_is_new_and_nothing_is_told(ops: duckdb.DuckDBPyConnection) -> None:
    _load(ops, 1, [("id", "string", 50)], lines=50)
    _load(ops, 2, [("id", "string", 1000), ("name", "object[]", 900)])

    assert _changes(ops) == []


def test_an_empty_list_or_null_is_no_other_type(ops: duckdb.DuckDBPyConnection) -> None:
    _load(ops, 1, [("name", "object[]", 900), ("gender", "string", 900)])
    _load(ops, 2, [("name", "[]", 10), ("name", "object[]", 900), ("gender", "null", 5)])

    assert _changes(ops) == [("vanished", "gender")]


def test_exports_of_some_resources_tell_nothing(ops: duckdb.DuckDBPyConnection) -> None:
    _load(ops, 1, [("id", "string", 1000)])
    _load(ops, 2, [("id", "string", 1000), ("shoe", "number", 900)], restricted=True)

    assert _changes(ops) == []


def test_validity_is_of_the_newest_export_with_its_rules(ops: duckdb.DuckDBPyConnection) -> None:
    _load(ops, 1, [], lines=1000, invalid=1000)
    _load(ops, 2, [], lines=200, invalid=50)
    for export_id, path in (("e1", "old"), ("e2", "birthDate")):
        ops.execute(
            "INSERT INTO ops.validation VALUES"
            " (?, 'p', 'Patient', ?, 'date_type', 50, 'Patient/00000.ndjson', 7)",
            [export_id, path],
        )

    found = validity(ops, "Patient")

    assert (found.lines_sampled, found.lines_invalid, found.invalid_share) == (200, 50, 0.25)
    assert found.rules == ("birthDate date_type: 50, first Patient/00000.ndjson line 7",)


def test_what_was_not_validated_is_not_valid_or_invalid(ops: duckdb.DuckDBPyConnection) -> None:
    _load(ops, 1, [], invalid=None)

    found = validity(ops, "Patient")

    assert (found.lines_sampled, found.invalid_share, found.rules) == (0, 0.0, ())
