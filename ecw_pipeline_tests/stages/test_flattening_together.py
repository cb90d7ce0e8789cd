"""Tables made from one reading of lines hold what each would hold alone."""

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecw_pipeline.errors import MachineError
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.landing.landing import LandingPaths, screen_file
from ecw_pipeline.stages import flattening_together
from ecw_pipeline.stages.flattening_together import Lines, Wanted, write_together
from ecw_pipeline.stages.tables import Table, all_tables, tables_of
from ecw_pipeline.warehouse.parquet import stamp_of
from ecw_pipeline_tests.builders import line, mode_of, names_below, no_room_for_files, patient
from ecw_pipeline_tests.view_definitions.sources import population
from ecw_pipeline_tests.view_definitions.tables import example, screened_file

TYPES = sorted({table.resource_type for table in all_tables(None).values()})


def _screened(folder: Path, *patients: dict[str, Any]) -> Path:
    paths = LandingPaths(folder, "Patient/00000.ndjson")
    paths.received.parent.mkdir()
    paths.received.write_bytes(b"\n".join(map(line, patients)))
    screen_file(paths, "Patient")
    return paths.screened


def _wanted(folder: Path, tables: list[Table]) -> list[Wanted]:
    return [Wanted(table, folder / "flat" / f"{table.name}.parquet", "v1") for table in tables]


def _lines(screened: Path) -> Lines:
    return Lines("practice", "export", [("00000.ndjson", screened)])


def _rows(query: str) -> tuple[list[tuple[str, str]], Counter[str]]:
    """Names and types of the columns, and the rows in any order."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(query)
        named = [(column[0], str(column[1])) for column in found.description or ()]
        return named, Counter(map(repr, found.fetchall()))


def _alone(table: Table, screened: Path) -> tuple[list[tuple[str, str]], Counter[str]]:
    return _rows(table.flat_select("practice", "export", "00000.ndjson", screened))


def _table(name: str, path: str, sql_type: str = "") -> Table:
    column: dict[str, Any] = {"name": "value", "path": path}
    if sql_type:
        column["tag"] = [{"name": "ansi/type", "value": sql_type}]
    return Table(name, {"name": name, "resource": "Patient", "select": [{"column": [column]}]})


PATIENTS = [patient(f"p{n}", gender="other", name=[{"family": f"F{n}"}]) for n in range(40)]


@pytest.mark.parametrize("resource_type", TYPES)
def test_each_table_is_as_it_would_be_alone(
    resource_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flattening_together, "PART_BYTES", 20_000)
    resources = [example(snake_case(resource_type))["resource"], *population()[resource_type][:60]]
    wanted = _wanted(tmp_path, tables_of(all_tables(None), resource_type))

    with screened_file(resources) as screened:
        rows = write_together(wanted, _lines(screened), tmp_path / "part")

        for one in wanted:
            if one.table.name in rows:
                alone = _alone(one.table, screened)
                assert _rows(f"FROM read_parquet('{one.path}')") == alone
                assert rows[one.table.name] == alone[1].total()


def test_nearly_all_tables_can_be_written_together(tmp_path: Path) -> None:
    tables = tables_of(all_tables(None), "Observation")
    wanted = _wanted(tmp_path, tables)

    with screened_file(population()["Observation"][:9]) as screened:
        rows = write_together(wanted, _lines(screened), tmp_path / "part")

    assert set(rows) == {table.name for table in tables}
    assert {(stamp_of(one.path), mode_of(one.path)) for one in wanted} == {("v1", 0o600)}


def test_types_that_arrow_lacks_are_left_to_be_written_alone(tmp_path: Path) -> None:
    tables = [
        _table("families", "name.family.first()"),
        _table("genders", "gender"),
        _table("large", "name.count()", "HUGEINT"),
    ]
    screened = _screened(tmp_path, *PATIENTS)

    rows = write_together(_wanted(tmp_path, tables), _lines(screened), tmp_path / "part")

    assert rows == {"families": 40, "genders": 40}


def test_a_view_that_fails_on_the_data_leaves_all_to_be_written_alone(tmp_path: Path) -> None:
    tables = [_table("genders", "gender"), _table("names", "name.family")]
    screened = _screened(tmp_path, patient(name=[{"family": "A"}, {"family": "B"}]))

    rows = write_together(_wanted(tmp_path, tables), _lines(screened), tmp_path / "part")

    assert (rows, [n for n in names_below(tmp_path) if "parquet" in n]) == ({}, [])


def test_one_table_is_left_to_be_written_alone(tmp_path: Path) -> None:
    tables = [_table("genders", "gender")]
    screened = _screened(tmp_path, *PATIENTS)

    assert write_together(_wanted(tmp_path, tables), _lines(screened), tmp_path / "part") == {}


@pytest.mark.parametrize("part_bytes", [64 * 1024 * 1024, 1000])
def test_a_full_disk_is_said_and_leaves_nothing(
    part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flattening_together, "PART_BYTES", part_bytes)
    tables = [_table("families", "name.family.first()"), _table("genders", "gender")]
    screened = _screened(tmp_path, *PATIENTS)

    with no_room_for_files(), pytest.raises(MachineError):
        write_together(_wanted(tmp_path, tables), _lines(screened), tmp_path / "part")

    assert [n for n in names_below(tmp_path) if "parquet" in n or "part" in n] == []


def test_without_lines_nothing_is_written(tmp_path: Path) -> None:
    tables = [_table("families", "name.family.first()"), _table("genders", "gender")]

    rows = write_together(
        _wanted(tmp_path, tables), Lines("practice", "export", []), tmp_path / "part"
    )

    assert (rows, names_below(tmp_path)) == ({}, [])
