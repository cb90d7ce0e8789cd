"""The unattended path: asked, awaited by the sensor, landed and loaded by the run it requests."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from ecw_pipeline.defs.automation import MOST_LANDING_RUNS, daily_sync
from ecw_pipeline.defs.partitions import RANGE_END, RANGE_START
from ecw_pipeline.fhir.instants import parse_instant
from ecw_pipeline_tests.defs.small import (
    QUIET,
    SmallLakeResource,
    Unattended,
    complaints,
    small_job,
)
from ecw_pipeline_tests.stages.practice import DAY

NEXT_DAY = "2026-01-06"
CONDITIONS = "SELECT condition_id FROM core.condition ORDER BY 1"


def _schedule(one: Unattended, day: datetime) -> dg.RunRequest:
    context = dg.build_schedule_context(
        instance=one.instance,
        scheduled_execution_time=day,
        resources={"lake": SmallLakeResource()},
    )
    request = daily_sync(context)
    assert isinstance(request, dg.RunRequest)
    return request


def _partitions(one: Unattended, *key: str) -> list[str]:
    """The days of an asset that have been materialised."""
    return sorted(one.instance.get_materialized_partitions(dg.AssetKey(key)))


def test_with_nothing_asked_the_sensor_says_so(one: Unattended) -> None:
    answer = one.tick()

    assert not answer.run_requests
    assert "no export is open" in str(answer.skip_reason)


def test_the_sensor_waits_then_requests_the_run_that_lands_and_loads(one: Unattended) -> None:
    one.run("request_exports", DAY)
    assert "next poll in" in str(one.tick().skip_reason)

    one.run_when_complete()

    assert one.practice.rows("SELECT count(*) FROM core.patient") == [(5,)]
    assert one.wanted() == ()


def test_a_backfill_of_thirty_days_is_one_export_and_two_runs(one: Unattended) -> None:
    days = [f"2026-01-{number:02d}" for number in range(1, 31)]
    one.run("request_exports", *days)

    (request,) = one.wanted_when_complete()

    assert len(one.practice.site.stats()["exports"]) == 1
    assert _partitions(one, "export_request") == days
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (days[0], days[-1])


def test_a_day_that_begins_before_the_last_has_arrived_shares_its_export(one: Unattended) -> None:
    one.run("request_exports", DAY)
    one.run("request_exports", NEXT_DAY)
    one.run_when_complete()

    assert len(one.practice.site.stats()["exports"]) == 1
    assert _partitions(one, "raw", "Patient") == [DAY, NEXT_DAY]


def test_a_week_off_is_made_up_for_by_one_export_for_all_its_days(one: Unattended) -> None:
    one.run("incremental_sync", DAY)
    one.practice.site.advance(days=2)

    request = _schedule(one, datetime(2026, 1, 12, 2, tzinfo=UTC))
    one.execute("request_exports", dict(request.tags))
    one.run_when_complete()

    days = [f"2026-01-{number:02d}" for number in range(5, 13)]
    assert _partitions(one, "raw", "Condition") == days
    assert len(one.practice.site.stats()["exports"]) == 2
    live = sorted((resource["id"],) for resource in one.practice.site.truth("Condition"))
    assert one.practice.rows(CONDITIONS) == live


def test_the_first_schedule_asks_for_its_own_day_only(one: Unattended) -> None:
    request = _schedule(one, datetime(2026, 1, 12, 2, tzinfo=UTC))

    assert set(request.tags.values()) == {"2026-01-12"}


def test_an_export_that_a_run_by_hand_is_landing_gets_no_second_run(one: Unattended) -> None:
    """While the run fetches its first file, the schedule asks and the sensor looks."""
    seen: list[object] = []

    def meanwhile() -> None:
        scheduled = _schedule(one, datetime(2026, 1, 5, 2, tzinfo=UTC))
        seen.append(one.execute("request_exports", dict(scheduled.tags)).success)
        seen.append(one.wanted())

    one.practice.proxy.then("$export-file", meanwhile)

    assert one.run("incremental_sync", DAY).success

    assert seen == [True, ()]
    assert len(one.practice.site.stats()["exports"]) == 1
    assert set(one.practice.fetches().values()) == {1}


@pytest.mark.parametrize(
    ("config", "since"),
    [
        ({"force": True}, "the first"),
        ({"since": "2026-01-01T00:00:00Z"}, parse_instant("2026-01-01T00:00:00Z")),
        ({"full": True}, None),
    ],
)
def test_a_day_that_is_answered_is_asked_again_on_request(
    one: Unattended, config: dict[str, Any], since: object
) -> None:
    one.run("request_exports", DAY)
    one.run_when_complete()
    run_config = QUIET | {"ops": {"export_request": {"config": config}}}

    small_job("request_exports").execute_in_process(
        instance=one.instance, partition_key=DAY, run_config=run_config
    )

    first, second = one.exports()
    assert second.since == (first.transaction_time if since == "the first" else since)


def test_landing_runs_that_keep_failing_are_not_repeated_forever(one: Unattended) -> None:
    one.run("request_exports", DAY)
    one.practice.arrive()
    keys = []
    while wanted := one.wanted():
        keys.append(wanted[0].run_key)
        tags = dict(wanted[0].tags)
        job = small_job("land_exports")
        one.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.FAILURE)

    assert len(keys) == len(set(keys)) == MOST_LANDING_RUNS


def test_a_day_that_nobody_asked_for_is_told_so(one: Unattended) -> None:
    result = one.run("land_exports", DAY)

    (complaint,) = complaints(result)
    assert "materialise export_request" in complaint
