"""Alerts: runs that fail, and checks that fail in runs that do not, told by webhook and e-mail."""

from collections.abc import Iterator

import dagster as dg

from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.alerts import alert

_MOST_CHECKS = 10


@dg.run_failure_sensor(
    name="alert_of_failed_runs",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells webhook and e-mail (ECW_ALERT_…) of each run that fails, with what to do.",
)
def alert_of_failed_runs(context: dg.RunFailureSensorContext) -> dg.SkipReason:
    run = context.dagster_run
    steps = [event.step_failure_data.error for event in context.get_step_failure_events()]
    said = next((one.message for one in steps if one), context.failure_event.message or "")
    return _told(f"{run.job_name} failed (run {run.run_id[:8]}): {' '.join(said.split())[:500]}")


@dg.run_status_sensor(
    name="alert_of_failed_checks",
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells webhook and e-mail (ECW_ALERT_…) of checks that fail with severity ERROR.",
)
def alert_of_failed_checks(context: dg.RunStatusSensorContext) -> dg.SkipReason:
    run = context.dagster_run
    failed = sorted(_failed_checks(context.instance, run.run_id))
    if not failed:
        return dg.SkipReason("no check failed")
    names = ", ".join(failed[:_MOST_CHECKS])
    more = f" and {len(failed) - _MOST_CHECKS} more" if len(failed) > _MOST_CHECKS else ""
    return _told(f"{run.job_name}: failed checks: {names}{more}")


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[str]:
    records = instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    for record in records.records:
        event = record.event_log_entry.dagster_event
        found = event.asset_check_evaluation_data if event else None
        if found and not found.passed and found.severity == dg.AssetCheckSeverity.ERROR:
            yield f"{found.check_name} of {found.asset_key.to_user_string()}"


def _told(words: str) -> dg.SkipReason:
    """Send, and leave in the sensor's own record what was said or what went wrong."""
    problem = alert(Settings.from_environment(), f"ecw_pipeline: {words}")
    return dg.SkipReason(problem or words)
