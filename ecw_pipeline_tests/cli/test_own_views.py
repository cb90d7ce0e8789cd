"""What the commands say of the user's own views: replaced, failing, and with which exit code."""

import json
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.sandbox.server import RunningSandbox
from ecw_pipeline_tests.cli.command import Finished, Place, settings_for
from ecw_pipeline_tests.stages.practice import view


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("own_views"))


@pytest.fixture(scope="module")
def views(place: Place) -> Path:
    """A broken file, a view that fails on the data, and one in a built-in view's place."""
    folder = place.folder / "views"
    folder.mkdir()
    (folder / "broken.json").write_text("{", encoding="utf-8")
    given = view("given", "name.given")
    (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
    telecom = view("patient_telecom", "gender")
    (folder / "patient_telecom.json").write_text(json.dumps(telecom), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def settings(views: Path, sandbox: RunningSandbox) -> dict[str, str]:
    return settings_for(sandbox, "Patient") | {"ECW_VIEW_DEFINITIONS": str(views)}


@pytest.fixture(scope="module")
def exported(place: Place, settings: dict[str, str]) -> Finished:
    return place.run("export", settings=settings)


@pytest.fixture(scope="module")
def status(exported: Finished, place: Place, settings: dict[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(place.run("status", "--json", settings=settings).stdout)
    return document


def test_an_export_says_which_built_in_view_is_replaced(exported: Finished, views: Path) -> None:
    line = (
        f"core.patient_telecom: {views / 'patient_telecom.json'}, in place of the built-in view\n"
    )

    assert exported.stdout.count(line) == 1


def test_an_export_warns_of_a_file_that_holds_no_view(exported: Finished, views: Path) -> None:
    (warning,) = [line for line in exported.stderr.splitlines() if line.startswith("warning: ")]

    assert warning.startswith(f"warning: core.broken is left as it is: {views / 'broken.json'} is")
    assert warning.endswith("→ mend the file")


def test_an_export_loads_everything_else_and_ends_with_the_code_of_a_failing_view(
    exported: Finished, place: Place, settings: dict[str, str]
) -> None:
    count = "SELECT count(answer) AS patients FROM core.patient_telecom"
    rows = json.loads(place.run("sql", count, "--format", "json", settings=settings).stdout)

    assert exported.exit_code == 7
    assert rows == [{"patients": 3}]
    assert "3 resources new or changed" in exported.stdout


def test_an_export_ends_with_the_tables_that_are_left_and_what_is_new_of_them(
    exported: Finished,
) -> None:
    _, _, end = exported.stderr.partition("error: ")
    first, second, next_step = end.splitlines()

    assert first == "everything is loaded but broken, given: their views fail"
    assert second.startswith("core.given: table given fails on the data of export")
    assert next_step.startswith("  next: mend the views and run again")


def test_status_lists_own_views_with_file_and_failure(status: dict[str, Any], views: Path) -> None:
    found = {one["table"]: (one["view"], one["fails"]) for one in status["views"]}

    assert set(found) == {"core.broken", "core.given", "core.patient_telecom"}
    assert found["core.patient_telecom"] == (
        f"{views / 'patient_telecom.json'}, in place of the built-in view",
        "",
    )
    assert found["core.given"][0] == str(views / "given.json")
    assert "fails on the data" in found["core.given"][1]
    assert f"{views / 'broken.json'} is not JSON" in found["core.broken"][1]


def test_status_shows_them_to_people(
    exported: Finished, place: Place, views: Path, settings: dict[str, str]
) -> None:
    ended = place.run("status", settings=settings)

    broken, telecom = views / "broken.json", views / "patient_telecom.json"
    assert ended.exit_code == 0
    assert f"\ncore.patient_telecom: {telecom}, in place of the built-in view\n" in ended.stdout
    assert f"\ncore.broken: {broken}\n  fails: {broken} is not JSON: " in ended.stdout


def test_with_the_views_mended_the_next_export_ends_well(
    exported: Finished, place: Place, views: Path, settings: dict[str, str]
) -> None:
    for name in ("broken", "given"):
        mended = view(name, "name.given.first()")
        (views / f"{name}.json").write_text(json.dumps(mended), encoding="utf-8")

    ended = place.run("export", settings=settings)

    assert (ended.exit_code, ended.stderr) == (0, "")
