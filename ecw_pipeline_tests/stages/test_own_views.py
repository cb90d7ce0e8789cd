"""The user's own views over what has landed: taken in, mended, replaced, given up."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.stages.loading import build_marts
from ecw_pipeline.stages.sync import stale_tables
from ecw_pipeline_tests.stages.practice import Practice, practice, small_data, view, write_lines

AMOXICILLIN = {"resourceType": "Medication", "id": "amox", "code": {"text": "Amoxicillin"}}
# Reserved in SQL, or the names of schemas and tables elsewhere in the same file.
AWKWARD_NAMES = (
    "select",
    "order",
    "table",
    "main",
    "core",
    "ops",
    "temp",
    "rowid",
    "moved",
    "file",
)


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    """Three patients, a practitioner and a medication, landed and loaded."""
    folder = tmp_path_factory.mktemp("own_views")
    small_data(folder / "lines")
    data = write_lines(folder / "lines", "Medication", AMOXICILLIN)
    with practice(folder, data=data) as made:
        made.pull()
        (folder / "views").mkdir()
        made.set("ECW_VIEW_DEFINITIONS", folder / "views")
        yield made


@pytest.fixture
def one(pulled: Practice) -> Practice:
    """The same, with no view of the user's own."""
    for file in (pulled.site.data.parent / "views").iterdir():
        file.unlink()
    pulled.load()
    return pulled


def _put(one: Practice, stem: str, content: str | dict[str, Any]) -> Path:
    path = one.site.data.parent / "views" / f"{stem}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def _answers(one: Practice, table: str) -> list[Any]:
    return [answer for (answer,) in one.rows(f'SELECT answer FROM core."{table}" ORDER BY ALL')]


def _core(one: Practice) -> set[str]:
    rows = one.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core'")
    return {name for (name,) in rows}


def test_files_that_hold_no_view_stop_nothing_and_are_told_with_file_and_next_step(
    one: Practice,
) -> None:
    broken = _put(one, "broken", "{")
    _put(one, "a", view("twin", "id"))
    _put(one, "b", view("twin", "gender"))
    _put(one, "fine", view("fine", "gender"))

    one.load()

    assert _answers(one, "fine") == ["female"] * 3
    assert one.rows("SELECT count(*) FROM core.patient") == [(3,)]
    stale = stale_tables(one.lake)
    assert set(stale) == {"broken", "twin"}
    assert stale["broken"].startswith(f"{broken} is not JSON")
    assert stale["broken"].endswith("→ mend the file")
    assert _core(one).isdisjoint({"broken", "twin"})


def test_a_table_outlives_that_its_file_cannot_be_read_and_goes_on_when_it_can(
    one: Practice,
) -> None:
    _put(one, "any_file", view("mine", "gender"))
    one.load()

    broken = _put(one, "any_file", "{")
    one.load()
    assert _answers(one, "mine") == ["female"] * 3
    assert str(broken) in stale_tables(one.lake)["mine"]

    _put(one, "any_file", view("mine", "id"))
    one.load()
    assert _answers(one, "mine") == ["ann", "bob", "cyd"]
    assert stale_tables(one.lake) == {}


def test_a_view_that_is_taken_away_and_comes_back_has_its_rows_again(one: Practice) -> None:
    file = _put(one, "mine", view("mine", "gender"))
    one.load()
    file.unlink()
    one.load()
    assert "mine" not in _core(one)

    _put(one, "mine", view("mine", "gender"))
    one.load()

    assert _answers(one, "mine") == ["female"] * 3


def test_a_broken_file_that_is_taken_away_leaves_no_trace(one: Practice) -> None:
    broken = _put(one, "broken", "{")
    one.load()
    broken.unlink()

    one.load()

    assert stale_tables(one.lake) == {}


def test_a_view_of_ones_own_takes_a_built_in_ones_place_until_it_is_taken_away(
    one: Practice,
) -> None:
    file = _put(one, "patients", view("patient", "gender"))
    one.load()
    assert _answers(one, "patient") == ["female"] * 3

    _put(one, "patients", view("patient", "gender.nonsense()"))
    one.load()
    assert _answers(one, "patient") == ["female"] * 3
    assert str(file) in stale_tables(one.lake)["patient"]

    file.unlink()
    one.load()
    assert one.rows("SELECT family_name FROM core.patient ORDER BY 1") == [
        ("Ann",),
        ("Bob",),
        ("Cyd",),
    ]
    assert stale_tables(one.lake) == {}


def test_a_type_without_a_built_in_table_gets_one_from_what_landed_before(one: Practice) -> None:
    before = len(one.proxy.arrivals)

    _put(one, "medication", {**view("medication", "code.text"), "resource": "Medication"})
    one.load()

    assert one.rows("SELECT medication_id, answer FROM core.medication") == [
        ("amox", "Amoxicillin")
    ]
    assert len(one.proxy.arrivals) == before


def test_marts_that_lack_a_column_of_a_replaced_table_keep_no_other_from_being_built(
    one: Practice,
) -> None:
    _put(one, "patient", view("patient", "gender"))
    one.load()
    marts, errors = built_in_marts(), []  # type: ignore[var-annotated]

    built = build_marts(one.lake, marts.values(), errors)

    failed = {name for name in marts if any(f"marts/{name}.sql" in str(e) for e in errors)}
    assert failed
    assert built.keys() == marts.keys() - failed
    assert all("core.patient" in marts[name].sql for name in failed)


def test_names_that_mean_something_in_sql_are_names_of_tables(one: Practice) -> None:
    for name in AWKWARD_NAMES:
        _put(one, name, view(name, "id", column="select"))

    one.load()

    assert stale_tables(one.lake) == {}
    for name in AWKWARD_NAMES:
        current = one.rows(f'SELECT "select" FROM core."{name}" ORDER BY 1')
        assert current == [("ann",), ("bob",), ("cyd",)]
        as_of = f"SELECT \"select\" FROM as_of('{name}', TIMESTAMPTZ '2100-01-01') ORDER BY 1"
        assert one.rows(as_of) == current
