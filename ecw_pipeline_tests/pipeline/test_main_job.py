"""The main job on real Synthea patients, whole, through HTTP and Dagster."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.stages.tables import all_tables
from ecw_pipeline_tests.pipeline.harness import Site, site, source_lines
from ecw_pipeline_tests.shared_data import shared_folder

MAIN_TABLES = {
    table.resource_type: table.name for table in all_tables(None).values() if table.is_main
}


@pytest.fixture(scope="module")
def source() -> dict[str, list[dict[str, Any]]]:
    return source_lines(shared_folder("synthea"))


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("synthea"), data=shared_folder("synthea")) as one:
        one.run("full_refresh", "2026-01-05")
        yield one


def test_every_line_served_is_a_row_of_its_main_table(
    synced: Site, source: dict[str, list[dict[str, Any]]]
) -> None:
    with_tables = {name: lines for name, lines in source.items() if name in MAIN_TABLES}
    assert len(with_tables) >= 12

    rows = {
        name: synced.rows(f"SELECT count(*) FROM core.{MAIN_TABLES[name]}")[0][0]
        for name in with_tables
    }

    assert rows == {name: len(lines) for name, lines in with_tables.items()}


def test_every_line_served_of_a_type_without_a_table_is_landed(
    synced: Site, source: dict[str, list[dict[str, Any]]]
) -> None:
    landed = dict(synced.rows("SELECT resource_type, sum(lines_landed) FROM ops.load GROUP BY ALL"))

    assert landed == {name: len(lines) for name, lines in source.items()}
    assert set(source) - set(MAIN_TABLES), "some type has no table"


def test_nothing_is_quarantined(synced: Site) -> None:
    assert synced.rows("FROM ops.quarantine") == []
    assert synced.rows("SELECT sum(lines_quarantined) FROM ops.load") == [(0,)]


def test_the_received_files_are_as_served(
    synced: Site, source: dict[str, list[dict[str, Any]]]
) -> None:
    files = synced.rows("SELECT resource_type, lines_received, manifest_count FROM ops.file")

    assert {name: (lines, count) for name, lines, count in files} == {
        name: (len(lines), len(lines)) for name, lines in source.items()
    }


def _by_id(synced: Site, table: str, columns: str) -> dict[str, tuple[Any, ...]]:
    rows = synced.rows(f"SELECT {table}_id, {columns} FROM core.{table}")
    return {row[0]: row[1:] for row in rows}


def _reference(resource: dict[str, Any], name: str) -> str | None:
    reference = resource.get(name, {}).get("reference")
    return reference.split("/")[-1].removeprefix("urn:uuid:") if reference else None


def test_patients_carry_the_values_of_their_lines(
    synced: Site, source: dict[str, list[dict[str, Any]]]
) -> None:
    expected = {p["id"]: (p["gender"], p["birthDate"]) for p in source["Patient"]}

    assert _by_id(synced, "patient", "gender, birth_date::VARCHAR") == expected


def test_observation_quantities_keep_their_exact_text(synced: Site) -> None:
    text = _by_id(synced, "observation", "value_quantity_text")
    exact = _exact_quantities(shared_folder("synthea") / "Observation.ndjson.gz")

    assert {key: value for key, (value,) in text.items()} == exact


def _exact_quantities(path: Path) -> dict[str, str | None]:
    """The text of each quantity as it stands in the file."""
    import gzip
    import json

    found = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            resource = json.loads(line, parse_float=str, parse_int=str)
            found[resource["id"]] = resource.get("valueQuantity", {}).get("value")
    return found


@pytest.mark.parametrize(
    ("resource_type", "element"),
    [("Condition", "subject"), ("Encounter", "subject"), ("Immunization", "patient")],
)
def test_rows_name_their_patient(
    synced: Site, source: dict[str, list[dict[str, Any]]], resource_type: str, element: str
) -> None:
    rows = _by_id(synced, snake_case(resource_type), "patient_id")

    assert rows == {r["id"]: (_reference(r, element),) for r in source[resource_type]}


def test_rows_name_the_line_they_came_from(
    synced: Site, source: dict[str, list[dict[str, Any]]]
) -> None:
    rows = _by_id(synced, "procedure", "source_line")

    lines = {r["id"]: (number,) for number, r in enumerate(source["Procedure"], start=1)}
    assert rows == lines
