"""The commands as a person runs them: real processes, real HTTP, real Dagster runs."""

import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import httpx
import pytest

from ecw_pipeline.sandbox.faults.table import FAULTS
from ecw_pipeline.sandbox.server import RunningSandbox
from ecw_pipeline_tests.cli.command import Finished, Place, processes_of_session, settings_for
from ecw_pipeline_tests.empty_warehouse import empty_warehouse

COUNT_PATIENTS = "SELECT count(*) AS patients FROM core.patient"


def test_the_console_script_lists_the_commands(place: Place) -> None:
    script = str(Path(sys.executable).with_name("ecw"))

    assert "sandbox" in place.run("--help", program=(script,)).stdout


# --- ecw sandbox ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)]
)
def test_the_sandbox_says_where_it_is_and_stops_when_told(
    place: Place, number: signal.Signals, exit_code: int
) -> None:
    with place.start("sandbox", "--port", "0", "--patients", "3") as child:
        assert child.stdout is not None
        url = child.stdout.readline().removeprefix("sandbox ready: ").strip()
        assert httpx.get(f"{url}/metadata").json()["resourceType"] == "CapabilityStatement"

        child.send_signal(number)
        _, stderr = child.communicate(timeout=20)

    assert (child.returncode, stderr) == (exit_code, "")
    assert processes_of_session(child.pid) == ()
    assert (place.listing(), list(place.temporary.iterdir())) == ([], [])
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_the_sandbox_has_the_faults_of_a_file(place: Place) -> None:
    script = place.folder / "faults.toml"
    script.write_text('[html_401]\non = "fhir"\n', encoding="utf-8")
    words = ("sandbox", "--port", "0", "--patients", "3", "--faults", str(script))
    with place.start(*words) as child:
        assert child.stdout is not None
        url = child.stdout.readline().removeprefix("sandbox ready: ").strip()
        reply = httpx.get(f"{url}/metadata")
        child.send_signal(signal.SIGINT)

    assert (reply.status_code, reply.headers["content-type"][:9]) == (401, "text/html")


def test_the_faults_are_listed(place: Place) -> None:
    listed = place.run("sandbox", "--list-faults").stdout

    assert [name for name, fault in FAULTS.items() if name not in listed] == []


def test_a_port_in_use_is_named_with_the_way_out(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = place.run("sandbox", "--port", str(port), "--patients", "3")

    assert ended.exit_code == 8
    assert ended.stderr.startswith(f"error: port {port} on 127.0.0.1 is in use\n  next: ")
    assert "--port" in ended.stderr


# --- ecw export -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def first_export(filled: Place, sandbox: RunningSandbox) -> Finished:
    return filled.run("export", settings=settings_for(sandbox, "Patient"))


def test_an_export_fills_the_warehouse(first_export: Finished, filled: Place) -> None:
    assert first_export.exit_code == 0
    assert f" deleted: {filled.data / 'warehouse.duckdb'}\n" in first_export.stdout


def test_a_first_export_asks_from_the_beginning(first_export: Finished) -> None:
    assert "requested, changes since the beginning\n" in first_export.stdout


def test_a_second_export_without_changes_brings_none(
    first_export: Finished, filled: Place, sandbox: RunningSandbox
) -> None:
    again = filled.run("export", settings=settings_for(sandbox, "Patient"))

    assert "\n0 resources new or changed, 0 deleted: " in again.stdout


@pytest.mark.parametrize(
    ("words", "what"),
    [((), "everything"), (("--table", "patient"), "core.patient and history.patient")],
)
def test_a_rebuild_needs_no_connection_and_says_how_far_it_is(
    first_export: Finished, filled: Place, words: tuple[str, ...], what: str
) -> None:
    before = filled.run("sql", COUNT_PATIENTS).stdout

    ended = filled.run("rebuild", *words)

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "rebuild: check files 1/1\n" in ended.stdout
    assert f"{what} made anew: {filled.data / 'warehouse.duckdb'}\n" in ended.stdout
    assert filled.run("sql", COUNT_PATIENTS).stdout == before


def test_status_says_which_types_are_late(place: Place) -> None:
    empty_warehouse(place.data / "warehouse.duckdb")
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:00}Z"
    with duckdb.connect(str(place.data / "warehouse.duckdb")) as warehouse:
        for resource_type, at in (("Patient", now), ("Task", "2020-01-01T00:00:00Z")):
            warehouse.execute(
                "INSERT INTO ops.load (export_id, connection_id, resource_type, transaction_time,"
                " lines_quarantined) VALUES ('x', 'practice', ?, ?, 0)",
                [resource_type, at],
            )

    told = place.run("status").stdout

    assert "2020-01-01 00:00Z, late" in told
    assert told.count("late") == 1


def test_status_of_an_empty_folder_says_how_to_begin(place: Place) -> None:
    ended = place.run("status")

    assert "nothing has been asked for yet: ecw export" in ended.stdout
    assert not place.data.exists()
