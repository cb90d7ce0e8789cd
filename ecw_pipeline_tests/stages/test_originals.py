"""A resource as it was received, by its name, now or then."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from ecw_pipeline.cli.app import app
from ecw_pipeline.errors import BadDataError, ConfigurationError, EcwError, MachineError
from ecw_pipeline_tests.stages.practice import Practice, practice, write_lines

# Digits, spaces and the order of elements are the server's.
LINE = '{"id": "ann", "resourceType":"Patient","extension":[{"url":"u:1","valueDecimal":1.10}]}'


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder = tmp_path_factory.mktemp("originals")
    data = write_lines(folder / "lines", "Patient", {"resourceType": "Patient", "id": "bob"}, LINE)
    with practice(folder, data=data) as one:
        one.set("ECW_RESOURCE_TYPES", "Patient")
        one.pull()
        yield one


def _say(*words: str) -> str:
    result = CliRunner().invoke(app, ["resource", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _refusal(*words: str) -> EcwError:
    with pytest.raises(EcwError) as caught:
        CliRunner().invoke(app, ["resource", *words], catch_exceptions=False)
    return caught.value


def test_a_resource_is_printed_byte_for_byte(pulled: Practice) -> None:
    assert _say("Patient/ann") == LINE + "\n"


@pytest.mark.parametrize(
    ("word", "next_step"),
    [
        ("Patient/zoe", "look for its id: ecw sql 'from core.patient'"),
        ("Patent/ann", "did you mean Patient?"),
        ("Task/ann", "what is there: Patient"),
    ],
)
def test_where_to_look_for_what_is_not_there_is_said(
    pulled: Practice, word: str, next_step: str
) -> None:
    assert _refusal(word).next_step == next_step


def test_it_can_be_asked_for_of_one_connection_and_at_an_instant(pulled: Practice) -> None:
    (connection,) = pulled.lake.connections()

    assert _say("Patient/ann", "--connection", connection.connection_id, "--at", "2099-01-01")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("Patient/zoe",), "Patient/zoe is not in the warehouse"),
        (("Observation/ann",), "Observation/ann is not in the warehouse"),
        (("Patient/ann", "--connection", "elsewhere"), "of connection elsewhere"),
        (("Patient/ann", "--at", "1999-01-01"), "was not there then"),
    ],
)
def test_what_is_not_there_is_said(pulled: Practice, words: tuple[str, ...], said: str) -> None:
    error = _refusal(*words)

    assert isinstance(error, ConfigurationError)
    assert said in error.message


@pytest.fixture
def later(pulled: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Another data folder with a copy of the warehouse, to change; returns the connection."""
    shutil.copy(pulled.lake.folder.warehouse, tmp_path / "warehouse.duckdb")
    (connection,) = pulled.lake.connections()
    monkeypatch.setenv("ECW_DATA", str(tmp_path))
    return connection.connection_id


def _change(folder: Path, *statements: str) -> None:
    with duckdb.connect(folder / "warehouse.duckdb") as warehouse:
        for statement in statements:
            warehouse.execute(statement)


def test_of_a_resource_that_is_gone_it_is_said_since_when(later: str, tmp_path: Path) -> None:
    _change(
        tmp_path,
        "UPDATE ops.resource_span SET closed_by = 'deleted', valid_to = '2030-01-01T00:00:00Z'",
    )

    error = _refusal("Patient/ann")

    assert "Patient/ann is gone since 2030-01-01T00:00:00Z (deleted)" in error.message
    assert error.next_step.startswith("see it as it was: --at ")
    assert isinstance(
        _refusal("Patient/ann", "--at", "2029-12-31"), MachineError
    )  # no landing here


def test_a_resource_of_several_connections_is_asked_for_of_one(later: str, tmp_path: Path) -> None:
    _change(
        tmp_path,
        "INSERT INTO ops.load (connection_id, resource_type) VALUES ('other', 'Patient')",
        "INSERT INTO ops.resource_span SELECT * REPLACE ('other' AS connection_id,"
        " md5_number('other/Patient/ann') AS resource_key) FROM ops.resource_span LIMIT 1",
    )

    error = _refusal("Patient/ann")

    assert "in several connections" in error.message
    assert error.next_step == f"choose: --connection other or {later}"


@pytest.mark.parametrize("word", ["ann", "Patient/", "../etc/passwd"])
def test_what_is_no_reference_is_refused(word: str) -> None:
    result = CliRunner().invoke(app, ["resource", word])

    assert result.exit_code == 2
    assert "is not of the form" in result.output


def test_a_received_file_that_is_gone_or_was_cut_is_said(pulled: Practice) -> None:
    (received,) = pulled.lake.folder.landing.glob("*/*/Patient/*.ndjson*")
    kept = received.read_bytes()
    try:
        received.write_bytes(kept.splitlines(keepends=True)[0])
        assert isinstance(_refusal("Patient/ann"), BadDataError)
        received.unlink()
        assert isinstance(_refusal("Patient/ann"), MachineError)
    finally:
        received.write_bytes(kept)


def test_without_a_warehouse_it_says_how_to_fill_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECW_DATA", str(tmp_path))

    assert "there is no warehouse" in _refusal("Patient/ann").message
