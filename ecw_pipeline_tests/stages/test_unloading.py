"""The published tables as Parquet: whole, with their comments, readable by other tools."""

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from ecw_pipeline.cli.app import app
from ecw_pipeline.errors import ConfigurationError, EcwError, MachineError
from ecw_pipeline.stages.loading import build_marts
from ecw_pipeline.stages.unloading import unload
from ecw_pipeline.warehouse.database import read_published
from ecw_pipeline_tests.stages.interrupted import write_data
from ecw_pipeline_tests.stages.practice import Practice, practice


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder = tmp_path_factory.mktemp("unload")
    with practice(folder, data=write_data(folder / "lines")) as one:
        one.set("ECW_RESOURCE_TYPES", "Patient,Condition")
        one.pull()
        build_marts(one.lake, [one.lake.marts["patients_by_age_band"]], [])
        yield one


def _unload(target: Path, *words: str) -> str:
    result = CliRunner().invoke(
        app, ["unload", "--parquet", str(target), *words], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def _refusal(target: Path, *words: str) -> EcwError:
    with pytest.raises(EcwError) as caught:
        _unload(target, *words)
    return caught.value


def test_every_table_has_its_rows(pulled: Practice, tmp_path: Path) -> None:
    target = tmp_path / "out"

    _unload(target)

    contents = json.loads((target / "tables.json").read_text("utf-8"))["tables"]
    names = {f"{one['schema']}.{one['table']}" for one in contents}
    published = pulled.rows(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
        " WHERE schema_name IN ('core', 'history', 'marts')"
    )
    assert names == {name for (name,) in published} | {"core.attachment"}  # which is a view
    with read_published(pulled.site.data / "warehouse.duckdb") as warehouse:
        for one in contents:
            name, file = f"{one['schema']}.{one['table']}", target / one["file"]
            rows = duckdb.sql(f"FROM '{file}' ORDER BY ALL").fetchall()
            assert rows == warehouse.execute(f"FROM {name} ORDER BY ALL").fetchall(), name
            assert len(rows) == one["rows"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_tells_what_its_table_and_columns_are(pulled: Practice, tmp_path: Path) -> None:
    _unload(tmp_path / "out", "--table", "patient")

    file = tmp_path / "out" / "core" / "patient" / "patient.parquet"
    schema = pyarrow.parquet.read_schema(file)
    ((about,),) = pulled.rows(
        "SELECT comment FROM duckdb_columns() WHERE schema_name = 'core'"
        " AND table_name = 'patient' AND column_name = 'birth_date'"
    )
    assert schema.field("birth_date").metadata[b"comment"].decode() == about
    assert schema.metadata[b"comment"]
    assert set(polars.read_parquet(file)["patient_id"]) == {"ann", "bob", "cyd", "dan", "eva"}
    assert file.stat().st_mode & 0o077 == 0


def test_only_what_is_named_is_written_and_what_was_unloaded_before_goes(
    pulled: Practice, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    _unload(target, "--table", "patient", "--table", "condition")

    said = _unload(target, "--table", "history.condition", "--table", "history.condition")

    assert {path.name for path in target.iterdir()} == {"tables.json", "history"}
    assert "1 tables, 0 rows" in said


def test_a_folder_of_other_things_is_left_alone(pulled: Practice, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    assert "was not unloaded there" in _refusal(tmp_path).message
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert isinstance(_refusal(tmp_path / "thesis.txt"), ConfigurationError)


def test_a_file_put_beside_the_tables_is_not_lost(pulled: Practice, tmp_path: Path) -> None:
    target = tmp_path / "out"
    _unload(target, "--table", "patient")
    notes = target / "core" / "notes.md"
    notes.write_text("what I found")

    assert str(notes) in _refusal(target).message
    assert notes.read_text() == "what I found"


@pytest.mark.parametrize("text", ["[]", "{", '{"tables": [{"file": "a.parquet"}]}'])
def test_contents_of_another_kind_are_left_alone(
    pulled: Practice, tmp_path: Path, text: str
) -> None:
    (tmp_path / "tables.json").write_text(text)
    (tmp_path / "a.parquet").write_text("not ours")

    assert isinstance(_refusal(tmp_path), ConfigurationError)
    assert {path.name for path in tmp_path.iterdir()} == {"tables.json", "a.parquet"}


def test_folders_beside_it_are_left_alone(pulled: Practice, tmp_path: Path) -> None:
    beside = [tmp_path / name for name in ("out.part", "out.old", "out.x.unloading")]
    for folder in beside:
        folder.mkdir()
        (folder / "kept").write_text("")
    _unload(tmp_path / "out", "--table", "patient")

    _unload(tmp_path / "out", "--table", "condition")

    assert sorted(tmp_path.iterdir()) == sorted([*beside, tmp_path / "out"])
    assert all((folder / "kept").exists() for folder in beside)


def test_the_books_are_written_when_named(pulled: Practice, tmp_path: Path) -> None:
    _unload(tmp_path / "out", "--table", "ops.load")

    rows = polars.read_parquet(tmp_path / "out" / "ops" / "load" / "load.parquet")
    assert len(rows) == len(pulled.rows("FROM ops.load"))


def test_a_table_that_is_not_there_is_said(pulled: Practice, tmp_path: Path) -> None:
    error = _refusal(tmp_path / "out", "--table", "pateint")

    assert (error.message, error.next_step) == (
        "there is no table pateint",
        "did you mean core.patient?",
    )
    assert list(tmp_path.iterdir()) == []


def test_what_is_stopped_half_way_leaves_the_folder_as_it_was(
    pulled: Practice, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    _unload(target, "--table", "patient")
    before = (target / "tables.json").read_bytes()

    def stop(_name: str, done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unload(pulled.lake.folder.warehouse, target, step=stop)

    assert (target / "tables.json").read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_place_that_cannot_be_written_is_said(pulled: Practice, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert isinstance(_refusal(tmp_path / "file" / "out"), MachineError)


def test_without_a_warehouse_it_says_how_to_fill_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECW_DATA", str(tmp_path))

    assert "there is no warehouse" in _refusal(tmp_path / "out").message
