"""The demo as a person runs it, and what is then looked at: with commands, and in Dagster's UI."""

import csv
import io
import json
import re
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from ecw_pipeline.cli.demo import QUESTIONS
from ecw_pipeline.cli.sandbox_connection import CONNECTION_ID
from ecw_pipeline.clock import SystemClock
from ecw_pipeline.layout import DataFolder
from ecw_pipeline.ledger import Ledger
from ecw_pipeline.sandbox.config import SandboxConfig
from ecw_pipeline_tests.browser import needs_chromium, open_browser
from ecw_pipeline_tests.cli.command import Finished, Place, processes_of_session

ON_A_TERMINAL = {"TTY_COMPATIBLE": "1", "TERM": "dumb", "COLUMNS": "80"}
GROUPS = (
    "export_request",
    "export_manifest",
    "raw",
    "flat",
    "core",
    "marts",
    "attachments",
    "report",
)
COUNT_PATIENTS = "SELECT count(*) AS patients FROM core.patient"


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
    answer = demo.stdout.partition(question)[2].split("\n\n")[0]

    assert len(answer.splitlines()) > 2


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
    header, row = demo_place.run("sql", COUNT_PATIENTS).stdout.splitlines()

    assert header == "patients"
    assert int(row) >= 5


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
    assert "connection sandbox-demo: the sandbox of ecw demo, which has ended" in shown
    assert "connection practice: not set up yet: ecw init" in shown
    assert re.search(r"^sandbox-demo  Patient +\d+  \d{4}-\d\d-\d\d \d\d:\d\dZ +0$", shown, re.M)


def test_status_fits_a_terminal(demo: Finished, demo_place: Place) -> None:
    _, *shown = demo_place.run("status", settings=ON_A_TERMINAL).stdout.splitlines()

    assert [line for line in shown if line.startswith("│ sandbox-demo │ Patient ")]
    assert max(map(len, shown)) <= 80


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


# --- Dagster's UI -----------------------------------------------------------------------------


@needs_chromium
def test_the_ui_shows_what_the_demo_made_and_makes_it_again(
    demo: Finished, demo_place: Place, pytestconfig: pytest.Config
) -> None:
    """Groups, a table's page, its checks, a plot; and a partition made anew. Pictures are kept."""
    assert pytestconfig.cache is not None
    pictures = pytestconfig.cache.mkdir("screenshots")
    port, sandbox_port = _free_ports()
    words = ("dev", "--port", str(port), "--sandbox-port", str(sandbox_port))
    with demo_place.start(*words) as child, open_browser() as browser:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url)
            page = browser.new_page(viewport={"width": 1400, "height": 1000}, base_url=url)
            page.set_default_timeout(30_000)
            _look_at_groups(page, pictures)
            _look_at_a_table(page, pictures)
            _look_at_a_plot(page, pictures)
            _make_a_partition(page, pictures)
        finally:
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=60)
    assert processes_of_session(child.pid) == ()


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/server_info").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("the UI did not start")


def _look_at_groups(page: Page, pictures: Path) -> None:
    page.goto("/asset-groups")
    for group in GROUPS:
        expect(page.get_by_text(group, exact=True).first).to_be_visible()
    page.screenshot(path=pictures / "groups.png")


def _look_at_a_table(page: Page, pictures: Path) -> None:
    page.goto("/assets/core/patient")
    for words in ("One row per patient", "medical_record_number", "First identifier of type MR"):
        expect(page.get_by_text(words).first).to_be_visible()
    page.screenshot(path=pictures / "table.png")
    page.goto("/assets/core/patient?view=checks&checkDetail=one_row_per_resource")
    about = "core.patient holds exactly one row per live Patient."
    expect(page.get_by_text(about)).to_be_visible()
    expect(page.get_by_text("Passed")).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()  # how many rows there were, each time
    page.screenshot(path=pictures / "check.png")
    page.goto("/assets/marts/message_response_time")
    for words in ("It is answered by the first message", "Hours to the answer of nine in ten"):
        expect(page.get_by_text(words).first).to_be_visible()
    page.screenshot(path=pictures / "mart.png")


def _look_at_a_plot(page: Page, pictures: Path) -> None:
    page.goto("/assets/raw/Patient")
    page.get_by_role("button", name="Plots").click()
    expect(page.get_by_text("lines_received")).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    page.screenshot(path=pictures / "plot.png")


def _make_a_partition(page: Page, pictures: Path) -> None:
    page.goto("/runs")
    done = page.get_by_text("Success", exact=True)
    expect(done).to_have_count(2)
    page.goto("/assets/raw/Patient")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Latest", exact=True).click()
    page.get_by_role("button", name="Launch 1 run").click()
    expect(page.get_by_text("Launched run")).to_be_visible()  # leaving before would call it off
    page.goto("/runs")
    expect(done).to_have_count(3, timeout=60_000)
    page.screenshot(path=pictures / "runs.png")
