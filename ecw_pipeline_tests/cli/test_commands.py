"""The commands as a person runs them: real processes, real HTTP, real Dagster runs."""

import csv
import io
import json
import re
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from ecw_pipeline.cli.demo import QUESTIONS
from ecw_pipeline.cli.sandbox_connection import CONNECTION_ID
from ecw_pipeline.clock import SystemClock
from ecw_pipeline.layout import DataFolder
from ecw_pipeline.ledger import Ledger
from ecw_pipeline.sandbox.config import SandboxConfig
from ecw_pipeline.sandbox.faults.table import FAULTS
from ecw_pipeline.sandbox.server import RunningSandbox
from ecw_pipeline_tests.cli.command import Finished, Place, processes_of_session, settings_for

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


# --- ecw demo ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def demo(demo_place: Place) -> Finished:
    """A demo in the folder of somebody who has configured a real practice."""
    demo_place.work.mkdir()
    (demo_place.work / ".env").write_text("ECW_CONNECTIONS=practices.toml\n", encoding="utf-8")
    real = {"ECLINICALWORKS_CLIENT_ID": "real", "ECW_EXPORT_LEVEL": "group", "ECW_GROUP_ID": "9"}
    ended = demo_place.run("demo", "--patients", "5", settings=real)
    (demo_place.work / ".env").unlink()
    return ended


def test_the_demo_succeeds_whatever_else_is_configured(demo: Finished) -> None:
    assert (demo.exit_code, demo.stderr) == (0, "")


@pytest.mark.parametrize("title", ["first full sync", "incremental sync"])
def test_the_demo_shows_each_sync_to_its_end(demo: Finished, title: str) -> None:
    assert f"{title}: load 17/17" in demo.stdout


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_demo_answers_each_question_with_rows(demo: Finished, question: str) -> None:
    answer = demo.stdout.partition(question)[2].split("└")[0]

    assert answer.count("│") > 0


def test_the_demo_leaves_no_process_and_no_temporary_file(
    demo: Finished, demo_place: Place
) -> None:
    assert (demo.left_over, list(demo_place.temporary.iterdir())) == ((), [])


def test_the_demo_says_how_to_ask_a_question_of_ones_own(demo: Finished) -> None:
    assert 'sql "select …"' in demo.stdout


def test_nothing_of_patients_or_secrets_reaches_dagster(demo: Finished, demo_place: Place) -> None:
    query = "SELECT patient_id, family_name FROM core.patient"
    (_, *rows) = csv.reader(io.StringIO(demo_place.run("sql", query, "--format", "csv").stdout))
    token = (demo_place.data / "state" / "tokens" / f"{CONNECTION_ID}.json").read_text("utf-8")
    private = {word for row in rows for word in row} | {json.loads(token)["value"]}
    private.add(SandboxConfig().client_secret)

    stored = [path for path in (demo_place.data / "dagster").rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in stored)

    assert len(rows) >= 5
    assert b"core" in kept
    assert [word for word in private if word.encode() in kept] == []


def test_what_is_written_is_readable_by_its_owner_only(demo: Finished, demo_place: Place) -> None:
    assert [p for p in demo_place.data.rglob("*") if p.stat().st_mode & 0o077] == []


def test_rows_come_as_a_table(demo: Finished, demo_place: Place) -> None:
    assert "┃ patients ┃" in demo_place.run("sql", COUNT_PATIENTS).stdout


def test_rows_come_as_csv(demo: Finished, demo_place: Place) -> None:
    text = demo_place.run("sql", COUNT_PATIENTS, "--format", "csv").stdout
    header, row = csv.reader(io.StringIO(text))

    assert header == ["patients"]
    assert int(row[0]) >= 5


def test_rows_come_as_json(demo: Finished, demo_place: Place) -> None:
    query = "SELECT 1 AS one, NULL AS none, 'ä' AS text"
    text = demo_place.run("sql", query, "--format", "json").stdout

    assert json.loads(text) == [{"one": 1, "none": None, "text": "ä"}]


def test_the_warehouse_is_not_written_by_a_query(demo: Finished, demo_place: Place) -> None:
    ended = demo_place.run("sql", "DELETE FROM core.patient")

    assert ended.exit_code == 3
    assert "read-only" in ended.stderr


def test_a_failing_query_is_told_in_words(demo: Finished, demo_place: Place) -> None:
    ended = demo_place.run("sql", "SELECT * FROM core.patients")

    assert ended.exit_code == 3
    assert ended.stderr.startswith("error: the query failed: ")
    assert "next: correct it" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_status_shows_exports_and_tables(demo: Finished, demo_place: Place) -> None:
    shown = demo_place.run("status").stdout

    assert "Newest exports" in shown
    assert re.search(r"│ Patient +│ +\d+ │ \d{4}-\d\d-\d\d \d\d:\d\dZ │ +0 │", shown)
    assert max(map(len, shown.splitlines()[1:])) <= 80


def test_status_tells_scripts_of_two_loaded_exports(demo: Finished, demo_place: Place) -> None:
    state = json.loads(demo_place.run("status", "--json").stdout)
    exports = [(export["connection_id"], export["state"]) for export in state["exports"]]

    assert exports == [("sandbox-demo", "loaded")] * 2


def test_status_tells_scripts_what_there_is_of_each_type(demo: Finished, demo_place: Place) -> None:
    state = json.loads(demo_place.run("status", "--json").stdout)
    rows = json.loads(demo_place.run("sql", COUNT_PATIENTS, "--format", "json").stdout)

    (patients,) = [one for one in state["types"] if one["resource_type"] == "Patient"]
    assert patients["resources"] == rows[0]["patients"]
    assert patients["data_as_of"] <= patients["last_loaded_at"]
    assert state["problems"] == []


def test_status_counts_the_rows_of_each_table(demo: Finished, demo_place: Place) -> None:
    state = json.loads(demo_place.run("status", "--json").stdout)
    rows = json.loads(demo_place.run("sql", COUNT_PATIENTS, "--format", "json").stdout)
    counts = {table["table"]: table["rows"] for table in state["tables"]}

    assert counts["core.patient"] == rows[0]["patients"]


def test_the_demo_refuses_a_folder_that_the_ledger_gives_to_another(place: Place) -> None:
    ledger = Ledger(DataFolder(place.data).ledger, SystemClock())
    ledger.intend_export("main-street", "system", "", ["Patient"], None, ["2026-01-01"])
    before = place.listing()
    ended = place.run("demo", "--patients", "1")

    assert ended.exit_code == 3
    assert f"error: {place.data} holds data of main-street\n  next: " in ended.stderr
    assert place.listing() == before


def test_the_demo_refuses_a_folder_where_another_has_landed(place: Place) -> None:
    (place.data / "landing" / "main-street").mkdir(parents=True)
    ended = place.run("demo", "--patients", "1")

    assert "holds data of main-street" in ended.stderr
    assert (place.data / "landing" / "main-street").exists()


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


def test_status_of_an_empty_folder_says_how_to_begin(place: Place) -> None:
    ended = place.run("status")

    assert "nothing has been asked for yet: ecw export" in ended.stdout
    assert not place.data.exists()
