"""Jobs, the daily schedule, and the sensor that waits for exports and lands them."""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from ecw_pipeline.defs.arrival import news_of_arrival
from ecw_pipeline.defs.connection_check import CONNECTIONS_ANSWER
from ecw_pipeline.defs.exports import EXPORT_TAG, SINCE_TAG
from ecw_pipeline.defs.partitions import LANDS_TAG, range_tags
from ecw_pipeline.defs.resources import LakeResource
from ecw_pipeline.defs.run_owners import bury_dead_runs
from ecw_pipeline.errors import EcwError
from ecw_pipeline.fhir.resource_types import BRIEF_TYPES
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages import exports
from ecw_pipeline.stages.alerts import alert
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.plans import is_on_its_way
from ecw_pipeline.stages.troubles import export_to_repeat

# Steps share one process: starting thirty processes costs ten times what the steps do.
EXECUTOR = dg.in_process_executor
# A landing run that keeps failing needs a person, not another run.
MOST_LANDING_RUNS = 3
# The sensor itself requests another run; Dagster's own repeats of a crashed one would double it.
MAX_RETRIES_TAG = "dagster/max_retries"
_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

# It speaks to every server, so it is run when somebody asks.
_DOCTOR = dg.AssetSelection.checks(CONNECTIONS_ANSWER)
_REQUEST = dg.AssetSelection.assets("export_request") - _DOCTOR
_LOAD = dg.AssetSelection.groups("core", "marts", "report")
# Documents may take hours, which no landing should wait for: they have a job of their own.
_ATTACHMENTS = dg.AssetSelection.groups("attachments")
_ALL = dg.AssetSelection.all() - _DOCTOR - _ATTACHMENTS

request_exports = dg.define_asset_job(
    "request_exports",
    _REQUEST,
    executor_def=EXECUTOR,
    description="Ask every connection for changes; the sensor lands them when they are ready.",
)
land_exports = dg.define_asset_job(
    "land_exports",
    _ALL - _REQUEST,
    executor_def=EXECUTOR,
    description="Land, flatten and load exports that are complete at the server.",
)
load_landed = dg.define_asset_job(
    "load_landed",
    _LOAD,
    executor_def=EXECUTOR,
    description="Load what has landed, and build the marts.",
)
incremental_sync = dg.define_asset_job(
    "incremental_sync",
    _ALL,
    executor_def=EXECUTOR,
    description="Everything in one run: ask for changes, wait, land, load, build the marts.",
)
full_refresh = dg.define_asset_job(
    "full_refresh",
    _ALL,
    executor_def=EXECUTOR,
    config={"ops": {"export_request": {"config": {"full": True}}}},
    description="As incremental_sync, but asks for everything anew.",
)
enhanced_sync = dg.define_asset_job(
    "enhanced_sync",
    _ALL,
    executor_def=EXECUTOR,
    config={"ops": {"export_request": {"config": {"types": list(BRIEF_TYPES)}}}},
    description="As incremental_sync, of the seven standard and five enhanced types alone.",
)
fetch_attachments = dg.define_asset_job(
    "fetch_attachments",
    _ATTACHMENTS,
    executor_def=EXECUTOR,
    description="Fetch the documents that current resources name, last of all requests.",
)
doctor = dg.define_asset_job(
    "doctor",
    _DOCTOR,
    executor_def=EXECUTOR,
    description="Check every link to each server, as `ecw doctor` does.",
)
JOBS = (
    request_exports,
    land_exports,
    load_landed,
    incremental_sync,
    full_refresh,
    enhanced_sync,
    fetch_attachments,
    doctor,
)
daily_attachments = dg.ScheduleDefinition(
    name="daily_attachments",
    job=fetch_attachments,
    cron_schedule="0 5 * * *",
    execution_timezone="UTC",
    description="Fetches documents at 05:00 UTC, after the day's changes.",
)


@dg.schedule(
    job=request_exports,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    description="Asks for the day's changes at 02:00 UTC.",
)
def daily_sync(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> dg.RunRequest:
    """The day it runs on, and the days before it that it was off."""
    today = context.scheduled_execution_time.date().isoformat()
    return dg.RunRequest(
        run_key=today, tags=range_tags([today, _first_day_due(lake.open(), today)])
    )


def _first_day_due(lake: Lake, today: str) -> str:
    """The day after the last one that all connections were asked for; today where none was."""
    yesterday = (date.fromisoformat(today) - timedelta(days=1)).isoformat()
    asked = [lake.ledger.answered_days(one.connection_id) for one in lake.settings.connections()]
    last = min(max((day for day in days if day < today), default=yesterday) for days in asked)
    first = (date.fromisoformat(last) + timedelta(days=1)).isoformat()
    return max(first, lake.settings.partitions_start)


@dg.sensor(
    name="land_finished_exports",
    jobs=[request_exports, land_exports, load_landed],
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Polls open exports, starts the landing run of each that is complete, and asks"
    " again where one failed.",
)
def land_finished_exports(
    context: dg.SensorEvaluationContext, lake: LakeResource
) -> dg.SensorResult:
    opened = lake.open()
    waiting = list(bury_dead_runs(context.instance, opened))
    waiting += [_step(opened, e) for e in opened.ledger.exports() if e.is_open]
    requests = [*_wanted_runs(context.instance, opened), *_repeated_requests(opened)]
    words, news = news_of_arrival(opened, context.cursor or "")
    if news:
        told = words or "exports arrive again"
        waiting += filter(None, [alert(opened.settings, f"ecw_pipeline: {told}")])
    idle = "no export is open and nothing waits to be loaded"
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "; ".join(waiting) or idle,
        cursor=words,
        asset_events=news,
    )


def _repeated_requests(lake: Lake) -> Iterator[dg.RunRequest]:
    """Ask once more where an export failed; how often is bounded."""
    for connection in lake.settings.connections():
        if failed := export_to_repeat(lake, connection.connection_id):
            yield dg.RunRequest(
                run_key=f"{request_exports.name}-{failed.export_id}",
                job_name=request_exports.name,
                tags=range_tags(lake.ledger.days_of(failed.export_id)),
            )


def _step(lake: Lake, export: Export) -> str:
    """Take an export one step; say what it waits for."""
    name = f"export {export.export_id} of {export.connection_id}"
    try:
        now = exports.advance_export(lake, export.export_id)
    except EcwError as error:
        return f"{name}: {error}"
    if now.next_poll_at is None:
        return f"{name}: {now.state} {now.error}".rstrip()
    seconds = max(0, round((now.next_poll_at - lake.clock.now()).total_seconds()))
    return f"{name}: {now.progress or now.error or now.state}, next poll in {seconds} s"


def _wanted_runs(instance: dg.DagsterInstance, lake: Lake) -> Iterator[dg.RunRequest]:
    """Level-triggered on the ledger: whatever waits and has no run gets one."""
    for export in lake.ledger.exports():
        if export.state not in ("completed", "landed"):
            continue
        states = {one.state for one in lake.ledger.types(export.export_id)}
        job = land_exports if is_on_its_way(lake.ledger, export) else load_landed
        if states & {"pending", "landed"} and (
            request := _run_for(instance, lake, export, job.name)
        ):
            yield request


def _run_for(
    instance: dg.DagsterInstance, lake: Lake, export: Export, job_name: str
) -> dg.RunRequest | None:
    tag = f"{EXPORT_TAG}/{export.export_id}"
    runs = instance.get_runs(dg.RunsFilter(tags={tag: export.connection_id}))
    if any(run.status in _ACTIVE for run in runs):
        return None
    attempts = sum(run.job_name == job_name for run in runs)
    if attempts >= MOST_LANDING_RUNS:
        return None
    tags = {tag: export.connection_id, LANDS_TAG: export.export_id, MAX_RETRIES_TAG: "0"}
    tags |= {f"{SINCE_TAG}/{export.export_id}": exports.describe(export)["since"]}
    tags |= range_tags(lake.ledger.days_of(export.export_id))
    run_key = f"{job_name}-{export.export_id}-{attempts}"
    return dg.RunRequest(run_key=run_key, job_name=job_name, tags=tags)
