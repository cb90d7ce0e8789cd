"""What goes wrong while Dagster looks after a practice is repeated within bounds, then told."""

from functools import partial

import dagster as dg

from ecw_pipeline.defs.arrival import ARRIVES, EXPORT_REQUEST
from ecw_pipeline.defs.partitions import range_tags
from ecw_pipeline.defs.run_owners import hold
from ecw_pipeline.stages.troubles import MOST_EXPORTS_IN_A_ROW, PAUSE_BEFORE_NEXT
from ecw_pipeline_tests.defs.small import (
    Unattended,
    complaints,
    land_in_child,
    repeatable_sync,
    small_job,
)
from ecw_pipeline_tests.odd_server import raw
from ecw_pipeline_tests.stages.child import KILLED, in_child
from ecw_pipeline_tests.stages.practice import DAY
from ecw_pipeline_tests.stages.proxy import status

NEXT_DAY = "2026-01-06"
STATUS, FILES = "GET /fhir/r4/$export-status", "$export-file"
HOUR = 3600.0
# The server's word that the export failed; without an outcome it may have failed to say.
OUTCOME = b'{"resourceType": "OperationOutcome", "issue": [{"severity": "fatal"}]}'
FAILED = raw(500, OUTCOME)


def _check(one: Unattended) -> dg.AssetCheckEvaluation:
    """The newest outcome of the check of whether exports arrive."""
    key = dg.AssetCheckKey(EXPORT_REQUEST, ARRIVES)
    found = one.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])
    event = found[key].event
    assert event is not None
    return event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]


def test_a_file_that_failed_keeps_no_other_type_from_the_warehouse(one: Unattended) -> None:
    one.practice.proxy.spoil("Patient.001", status(400))

    assert not one.run("incremental_sync", DAY).success
    one.run_wanted()

    assert one.practice.rows("SELECT count(*) FROM core.condition") == [(10,)]
    assert one.practice.rows("SELECT count(*) FROM core.patient") == [(0,)]


def test_a_run_repeated_from_its_failure_fetches_only_the_file_that_failed(
    kept: Unattended,
) -> None:
    kept.practice.proxy.spoil("Patient.001", status(400))
    failed = kept.run("incremental_sync", DAY)
    kept.practice.proxy.spoils.clear()
    before = len(kept.practice.proxy.arrivals)

    with dg.execute_job(
        dg.reconstructable(repeatable_sync),
        kept.instance,
        tags=range_tags([DAY]),
        reexecution_options=dg.ReexecutionOptions.from_failure(failed.run_id, kept.instance),
    ) as again:
        assert again.success

    (fetched,) = [a for a in kept.practice.proxy.arrivals[before:] if FILES in a]
    assert "Patient.001" in fetched
    assert kept.practice.rows("SELECT count(*) FROM core.patient") == [(5,)]


def test_a_run_whose_process_was_killed_is_followed_by_one_that_finishes(kept: Unattended) -> None:
    kept.run("request_exports", DAY)
    (request,) = kept.wanted_when_complete()
    screened = "after ecw_pipeline.landing.landing.screen_file"
    ending = in_child(partial(land_in_child, dict(request.tags)), [screened])
    assert ending.exit_code == KILLED
    landing = kept.practice.lake.folder.landing
    whole = sum(file.suffix != ".part" for file in landing.glob("*/*/*/*.ndjson*"))
    asked = sum(kept.practice.fetches().values())

    (result,) = kept.run_wanted()

    assert result.success
    (killed,) = kept.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert killed.job_name == "land_exports"
    assert kept.practice.rows("SELECT count(*) FROM core.patient") == [(5,)]
    fetches = kept.practice.fetches()
    assert sum(fetches.values()) == asked + len(fetches) - whole  # what was whole, once


def test_a_run_whose_process_lives_is_left_alone(one: Unattended) -> None:
    job = small_job("land_exports")
    run = one.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    hold(one.practice.lake, run.run_id)

    one.tick()

    (left,) = one.instance.get_runs()
    assert left.status == dg.DagsterRunStatus.STARTED


def test_an_export_that_fails_at_the_server_is_asked_for_again_and_then_told(
    one: Unattended,
) -> None:
    one.practice.proxy.spoil(STATUS, lambda _: FAILED)
    one.run("request_exports", DAY)
    for _ in range(3 * MOST_EXPORTS_IN_A_ROW):
        one.practice.clock.advance(PAUSE_BEFORE_NEXT.total_seconds())
        one.run_wanted()

    assert len(one.practice.site.stats()["exports"]) == MOST_EXPORTS_IN_A_ROW
    check = _check(one)
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert "3 exports failed in a row" in str(check.metadata["trouble 1"].value)
    assert "HTTP 500" in str(check.metadata["trouble 1"].value)


def test_the_alarm_ends_when_an_export_arrives(one: Unattended) -> None:
    test_an_export_that_fails_at_the_server_is_asked_for_again_and_then_told(one)
    one.practice.proxy.spoils.clear()

    one.run("request_exports", NEXT_DAY)
    one.run_when_complete()

    assert _check(one).passed


def test_an_export_that_failed_is_not_asked_for_again_at_once(one: Unattended) -> None:
    one.practice.proxy.spoil(STATUS, lambda _: FAILED)
    one.run("request_exports", DAY)
    one.practice.clock.advance(60)

    assert one.wanted() == ()
    assert one.wanted() == ()
    assert [export.state for export in one.exports()] == ["failed"]


def test_an_export_that_is_refused_fails_the_step_that_asks(one: Unattended) -> None:
    one.practice.proxy.spoil("$export?", status(400))

    (complaint,) = complaints(one.run("request_exports", DAY))

    assert "HTTP 400" in complaint


def test_an_export_without_progress_for_an_hour_is_warned_of_and_later_cancelled(
    slow: Unattended,
) -> None:
    slow.run("request_exports", DAY)
    for seconds in (10.0, 0.9 * HOUR):
        slow.practice.clock.advance(seconds)
        slow.tick()
    assert _check(slow).passed
    slow.practice.clock.advance(0.2 * HOUR)
    slow.tick()
    warned = _check(slow)
    slow.practice.clock.advance(2 * HOUR)
    slow.tick()

    assert not warned.passed
    assert warned.severity == dg.AssetCheckSeverity.WARN
    assert "no progress" in str(warned.metadata["trouble 1"].value)
    (export,) = slow.exports()
    assert (export.state, "180 minutes" in export.error) == ("failed", True)
    assert slow.practice.proxy.arrived("DELETE /fhir/r4/$export-status") == 1


def test_what_is_wrong_is_told_once_not_at_every_tick(slow: Unattended) -> None:
    slow.run("request_exports", DAY)
    slow.practice.clock.advance(10.0)
    slow.tick()
    slow.practice.clock.advance(1.1 * HOUR)

    assert [len(slow.tick().asset_events) for _ in range(3)] == [1, 0, 0]


def test_that_nobody_asks_for_two_days_is_an_error_until_somebody_does(one: Unattended) -> None:
    one.run("incremental_sync", DAY)
    one.practice.clock.advance(49.9 * HOUR)
    assert one.tick().asset_events == []
    one.practice.clock.advance(0.2 * HOUR)
    one.tick()
    missed = _check(one)
    one.run("request_exports", NEXT_DAY)
    one.tick()

    assert (missed.passed, missed.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "nothing was asked for since 2024-01-01 12:00Z" in str(
        missed.metadata["trouble 1"].value
    )
    assert _check(one).passed
