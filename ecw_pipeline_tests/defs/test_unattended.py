"""The unattended path: asked, awaited by the sensor, landed and loaded by the run it requests."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ecw_pipeline.clock import SystemClock
from ecw_pipeline.definitions import defs
from ecw_pipeline.defs.automation import MOST_LANDING_RUNS, land_finished_exports
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.defs.run_owners import hold
from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline_tests.pipeline.harness import Site, site

ONE_DAY = {"dagster/partition": "2026-01-05"}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
FIVE_DAYS = {
    "dagster/asset_partition_range_start": "2026-01-05",
    "dagster/asset_partition_range_end": "2026-01-09",
}


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, patients=2) as one:
        yield one


@pytest.fixture
def instance(practice: Site) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def tick(instance: dg.DagsterInstance) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(instance=instance, resources={"lake": LakeResource()})
    answer = land_finished_exports(context)
    assert isinstance(answer, dg.SensorResult | dg.SkipReason)
    return answer


def requests(answer: dg.SensorResult | dg.SkipReason) -> list[dg.RunRequest]:
    return list(answer.run_requests or []) if isinstance(answer, dg.SensorResult) else []


def wait_until_complete(practice: Site) -> None:
    """Let the sandbox finish and our own patience run out."""
    lake = practice.lake
    for export in lake.ledger.exports():
        past = lake.clock.now() - timedelta(seconds=1)
        lake.ledger.mark_requested(export.export_id, export.status_url, "", 0.5, past)
    SystemClock().sleep(0.2)


def execute(
    instance: dg.DagsterInstance, job_name: str, tags: dict[str, str]
) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def(job_name)
    return job.execute_in_process(instance=instance, tags=tags, run_config=QUIET)


def test_with_nothing_asked_the_sensor_says_so(instance: dg.DagsterInstance) -> None:
    answer = tick(instance)

    assert isinstance(answer, dg.SkipReason)
    assert "no export is open" in (answer.skip_message or "")


def test_the_sensor_waits_then_requests_the_run_that_lands_and_loads(
    practice: Site, instance: dg.DagsterInstance
) -> None:
    execute(instance, "request_exports", ONE_DAY)
    waiting = tick(instance)
    assert isinstance(waiting, dg.SkipReason)
    assert "next poll in" in (waiting.skip_message or "")

    wait_until_complete(practice)
    (request,) = requests(tick(instance))
    execute(instance, request.job_name or "", dict(request.tags))

    assert practice.rows("SELECT count(*) FROM core.patient") == [(2,)]
    assert isinstance(tick(instance), dg.SkipReason)


def test_a_backfill_of_five_days_is_one_export(
    practice: Site, instance: dg.DagsterInstance
) -> None:
    execute(instance, "request_exports", FIVE_DAYS)

    (export,) = practice.lake.ledger.exports()
    assert practice.lake.ledger.days_of(export.export_id) == [f"2026-01-0{d}" for d in range(5, 10)]


@pytest.mark.parametrize(
    ("config", "since"),
    [
        ({"force": True}, "the first"),
        ({"since": "2026-01-01T00:00:00Z"}, parse_instant("2026-01-01T00:00:00Z")),
    ],
)
def test_a_day_that_is_answered_is_asked_again_on_request(
    practice: Site,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, Any],
    since: object,
) -> None:
    monkeypatch.setenv("ECW_RESOURCE_TYPES", "Location")
    practice.sync("2026-01-05")
    job = defs.resolve_job_def("request_exports")
    run_config = QUIET | {"ops": {"export_request": {"config": config}}}

    job.execute_in_process(instance=instance, partition_key="2026-01-05", run_config=run_config)

    first, second = practice.lake.ledger.exports()
    assert second.since == (first.transaction_time if since == "the first" else since)


def test_an_export_with_a_run_under_way_gets_no_second_one(
    practice: Site, instance: dg.DagsterInstance
) -> None:
    execute(instance, "request_exports", ONE_DAY)
    wait_until_complete(practice)
    (request,) = requests(tick(instance))
    job = defs.resolve_job_def("land_exports")
    instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.STARTING)

    assert requests(tick(instance)) == []


def test_landing_runs_that_keep_failing_are_not_repeated_forever(
    practice: Site, instance: dg.DagsterInstance
) -> None:
    execute(instance, "request_exports", ONE_DAY)
    wait_until_complete(practice)
    job = defs.resolve_job_def("land_exports")
    keys = []
    while wanted := requests(tick(instance)):
        keys.append(wanted[0].run_key)
        tags = dict(wanted[0].tags)
        instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.FAILURE)

    assert len(keys) == len(set(keys)) == MOST_LANDING_RUNS


def test_a_run_whose_process_was_killed_is_marked_failed(
    practice: Site, instance: dg.DagsterInstance
) -> None:
    job = defs.resolve_job_def("land_exports")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    code = (
        "import os, signal\n"
        "from ecw_pipeline.defs.run_owners import hold\n"
        "from ecw_pipeline.stages.lake import Lake\n"
        f"hold(Lake.from_environment(), {run.run_id!r})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    subprocess.run(command, env=dict(os.environ), check=False)

    tick(instance)

    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]


def test_a_run_whose_process_lives_is_left_alone(
    practice: Site, instance: dg.DagsterInstance
) -> None:
    job = defs.resolve_job_def("land_exports")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    hold(practice.lake, run.run_id)

    tick(instance)

    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED  # type: ignore[union-attr]
