"""The user's own views in Dagster: each an asset that works, or says in its check why not."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._core.definitions.reconstruct import (
    initialize_repository_def_from_pointer,
    reconstruct_repository_def_from_pointer,
)

from ecw_pipeline.defs.assembly import definitions
from ecw_pipeline.defs.marts import mart_assets
from ecw_pipeline.defs.resources import resources
from ecw_pipeline.marts.catalog import Mart
from ecw_pipeline_tests.pipeline.harness import Site, site
from ecw_pipeline_tests.stages.practice import view, write_lines

DAY = "2026-01-05"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
ANN = {"resourceType": "Patient", "id": "ann", "gender": "female", "name": [{"given": ["A", "B"]}]}
AMOXICILLIN = {"resourceType": "Medication", "id": "amox", "code": {"text": "Amoxicillin"}}
VIEWS = {
    "medication": {**view("medication", "code.text"), "resource": "Medication"},
    "given": view("given", "name.given"),
    "bad_path": {**view("bad_path", "code.frist()"), "resource": "Medication"},
    "telecom": view("patient_telecom", "gender"),
}
# The tables that the run below makes: enough of each kind.
TABLES = ("patient", "patient_telecom", "medication", "given", "bad_path", "broken")


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a type that has no built-in table, and views of which three are wrong."""
    folder = tmp_path_factory.mktemp("own_views")
    views = folder / "views"
    views.mkdir()
    (views / "broken.json").write_text("{", encoding="utf-8")
    for stem, document in VIEWS.items():
        (views / f"{stem}.json").write_text(json.dumps(document), encoding="utf-8")
    write_lines(folder / "lines", "Patient", ANN)
    data = write_lines(folder / "lines", "Medication", AMOXICILLIN)
    with site(folder, data=data) as one, pytest.MonkeyPatch.context() as environment:
        environment.setenv("ECW_VIEW_DEFINITIONS", str(views))
        yield one


@pytest.fixture(scope="module")
def location(practice: Site) -> dg.Definitions:
    return definitions()


@pytest.fixture(scope="module")
def run(location: dg.Definitions) -> dg.ExecuteInProcessResult:
    """A sync of everything that arrives, into some of the tables."""
    chosen = ["export_request", "export_manifest", "raw/Patient", "raw/Medication"]
    chosen += [f"{layer}/{name}" for layer in ("flat", "core") for name in TABLES]
    job = location.resolve_job_def("incremental_sync")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            instance=instance,
            partition_key=DAY,
            run_config=QUIET,
            asset_selection=[dg.AssetKey(name.split("/")) for name in chosen],
        )


def asset(location: dg.Definitions, *key: str) -> dg.AssetSpec:
    (spec,) = [spec for spec in location.resolve_all_asset_specs() if spec.key.path == list(key)]
    return spec


def views_folder(practice: Site) -> Path:
    return practice.data.parent / "views"


def test_a_view_that_fails_fails_its_check_and_nothing_else(
    practice: Site, run: dg.ExecuteInProcessResult
) -> None:
    failed = {
        f"{e.asset_key.to_user_string()}: {e.check_name}"
        for e in run.get_asset_check_evaluations()
        if not e.passed
    }

    assert run.success
    assert failed == {f"flat/{name}: view_works" for name in ("bad_path", "broken", "given")}
    assert practice.rows("SELECT count(*) FROM core.patient") == [(1,)]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("broken", "{folder}/broken.json is not JSON"),
        ("bad_path", "{folder}/bad_path.json: view bad_path cannot be compiled"),
        ("given", "table given fails on the data of export"),
    ],
)
def test_a_failed_check_says_why_and_what_to_do(
    practice: Site, run: dg.ExecuteInProcessResult, table: str, says: str
) -> None:
    (evaluation,) = [
        e for e in run.get_asset_check_evaluations() if e.asset_key.path == ["flat", table]
    ]

    reason = str(evaluation.metadata["reason"].value)
    assert reason.startswith(says.format(folder=views_folder(practice)))
    assert " → " in reason


def test_a_type_without_a_built_in_table_is_landed_and_loaded(
    practice: Site, run: dg.ExecuteInProcessResult
) -> None:
    rows = practice.rows("SELECT medication_id, answer FROM core.medication")

    assert rows == [("amox", "Amoxicillin")]
    assert dg.AssetKey(["raw", "Medication"]) in {
        event.asset_key for event in run.get_asset_materialization_events()
    }


def test_a_main_table_of_such_a_type_is_checked_as_the_others_are(
    run: dg.ExecuteInProcessResult,
) -> None:
    passed = {
        e.asset_key.to_user_string(): e.passed
        for e in run.get_asset_check_evaluations()
        if e.check_name == "one_row_per_resource"
    }

    assert passed == {"core/patient": True, "core/medication": True}


@pytest.mark.parametrize("layer", ["flat", "core"])
def test_an_asset_says_that_its_view_is_in_place_of_the_built_in_one(
    practice: Site, location: dg.Definitions, layer: str
) -> None:
    origin = f"{views_folder(practice) / 'telecom.json'}, in place of the built-in view"
    spec = asset(location, layer, "patient_telecom")

    assert spec.metadata["view_definition"] == origin
    assert f"From {origin}." in (spec.description or "")


def test_the_asset_of_a_wrong_file_says_so_before_any_run(
    practice: Site, location: dg.Definitions
) -> None:
    spec = asset(location, "core", "broken")

    assert f"{views_folder(practice) / 'broken.json'} is not JSON" in (spec.description or "")
    assert "is not JSON" in str(spec.metadata["view_fails"])


def test_a_table_that_is_left_as_it_was_says_so_in_its_materialization(
    run: dg.ExecuteInProcessResult,
) -> None:
    stale = {
        event.asset_key.path[-1]: event.materialization.metadata["stale"].value
        for event in run.get_asset_materialization_events()
        if event.asset_key and event.asset_key.path[0] == "core"
    }

    assert {name for name, reason in stale.items() if reason != "no"} == {
        "broken",
        "bad_path",
        "given",
    }


def test_a_mart_that_cannot_run_fails_its_step_when_the_others_are_built(
    practice: Site, run: dg.ExecuteInProcessResult
) -> None:
    marts = {
        "bad": Mart("bad", "Which column is not there?", "SELECT nothing FROM core.patient"),
        "good": Mart("good", "How many are there?", "SELECT count(*) AS n FROM core.patient"),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [mart_assets(marts, frozenset())],
            instance=instance,
            resources=resources(),
            run_config=QUIET,
            raise_on_error=False,
        )

    assert not result.success
    assert [e.asset_key for e in result.get_asset_materialization_events()] == [
        dg.AssetKey(["marts", "good"])
    ]
    assert practice.rows("FROM marts.good") == [(1,)]


def test_a_run_that_was_planned_before_the_folder_changed_finds_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process loads the code location once more, as Dagster does here."""
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    monkeypatch.setenv("ECW_VIEW_DEFINITIONS", str(tmp_path))
    pointer = CodePointer.from_module("ecw_pipeline.defs.assembly", "definitions", None)
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext.get()):
        loaded = initialize_repository_def_from_pointer(pointer)
        broken.unlink()
        again = reconstruct_repository_def_from_pointer(pointer, loaded.repository_load_data)

    planned, found = (
        {node.name for node in one.get_job("incremental_sync").graph.nodes}
        for one in (loaded, again)
    )
    assert "flat_of_no_type" in planned
    assert found == planned
