"""A practice and a code location with few tables and marts: a run of all of them takes long."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg

from ecw_pipeline.cli.dagster_home import dagster_home
from ecw_pipeline.clock import Clock, SystemClock
from ecw_pipeline.defs.attachments import attachments
from ecw_pipeline.defs.automation import EXECUTOR, JOBS, land_finished_exports
from ecw_pipeline.defs.connection_check import connections_answer
from ecw_pipeline.defs.core import core_assets
from ecw_pipeline.defs.exports import export_manifest, export_request
from ecw_pipeline.defs.flat import flat_assets
from ecw_pipeline.defs.marts import mart_assets
from ecw_pipeline.defs.partitions import range_tags
from ecw_pipeline.defs.raw import raw_assets
from ecw_pipeline.defs.resources import LakeResource, resources
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.settings import Settings
from ecw_pipeline_tests.stages.child import TABLES, TYPES, SmallLake
from ecw_pipeline_tests.stages.interrupted import write_data
from ecw_pipeline_tests.stages.practice import Practice, practice

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class SmallLakeResource(LakeResource):
    """The lake of the environment with few tables and marts, and the clock of a test."""

    clock: ClassVar[Clock] = SystemClock()

    def open(self) -> SmallLake:
        return SmallLake(Settings.from_environment(), self.clock)


def small_definitions() -> dg.Definitions:
    """What `defs/` makes, of few tables and marts."""
    lake = SmallLakeResource().open()
    tables = list(lake.tables.values())
    return dg.Definitions(
        assets=[
            export_request,
            export_manifest,
            *raw_assets(TYPES),
            *flat_assets(tables),
            core_assets(tables),
            mart_assets(lake.marts, frozenset(TABLES)),
            attachments,
        ],
        asset_checks=[connections_answer],
        jobs=JOBS,
        resources=resources() | {"lake": SmallLakeResource()},
        executor=EXECUTOR,
    )


def small_job(name: str) -> dg.JobDefinition:
    """One of its jobs."""
    return small_definitions().resolve_job_def(name)


def repeatable_sync() -> dg.JobDefinition:
    """The job that does everything, as Dagster finds it again to repeat what failed."""
    return small_job("incremental_sync")


@dataclass
class Unattended:
    """A practice that Dagster looks after: its sensor, its runs."""

    practice: Practice
    instance: dg.DagsterInstance
    cursor: str = ""

    def tick(self) -> dg.SensorResult:
        """What the daemon does every few seconds: ask the sensor, keep what it says."""
        context = dg.build_sensor_context(
            instance=self.instance, resources={"lake": SmallLakeResource()}, cursor=self.cursor
        )
        answer = land_finished_exports(context)
        assert isinstance(answer, dg.SensorResult)
        self.cursor = answer.cursor or ""
        for event in answer.asset_events:
            self.instance.report_runless_asset_event(event)
        return answer

    def wanted(self) -> Sequence[dg.RunRequest]:
        return self.tick().run_requests or ()

    def execute(self, job_name: str, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
        return small_job(job_name).execute_in_process(
            instance=self.instance, tags=tags, run_config=QUIET, raise_on_error=False
        )

    def run(self, job_name: str, *days: str) -> dg.ExecuteInProcessResult:
        """Run a job for the days from the first to the last."""
        return self.execute(job_name, range_tags(days))

    def wanted_when_complete(self) -> Sequence[dg.RunRequest]:
        """Tick until the server is done and the sensor asks for runs."""
        while not (wanted := self.wanted()):
            assert any(export.is_open for export in self.exports())
            self.practice.clock.advance(1.0)
        return wanted

    def run_when_complete(self) -> None:
        """Do what the daemon does once the server is done."""
        for one in self.wanted_when_complete():
            assert self.execute(one.job_name or "", dict(one.tags)).success

    def run_wanted(self) -> list[dg.ExecuteInProcessResult]:
        """Tick once, and run what the sensor asks for."""
        return [self.execute(one.job_name or "", dict(one.tags)) for one in self.wanted()]

    def exports(self) -> list[Export]:
        return self.practice.lake.ledger.exports()


def land_in_child(tags: dict[str, str]) -> None:
    """Run the landing job in this process, which need not survive it."""
    warnings.simplefilter("ignore", dg.BetaWarning)
    with dg.DagsterInstance.get() as instance:
        small_job("land_exports").execute_in_process(instance=instance, tags=tags, run_config=QUIET)


def complaints(result: dg.ExecuteInProcessResult) -> list[str]:
    """What the failed steps of a run say."""
    data = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return [one.user_failure_data.description or "" for one in data if one.user_failure_data]


@contextmanager
def unattended(folder: Path, *, is_kept: bool = False, **config: Any) -> Iterator[Unattended]:
    """A small practice behind a proxy; Dagster's records are in memory where nobody else reads."""
    options: dict[str, Any] = {"data": write_data(folder / "lines"), "lines_per_file": 5} | config
    with practice(folder, **options) as one:
        one.environment.setattr(SmallLakeResource, "clock", one.clock)
        one.set("ECW_RESOURCE_TYPES", ",".join(TYPES))
        one.set("DAGSTER_HOME", str(dagster_home(one.lake.settings)))
        records = dg.DagsterInstance.get if is_kept else dg.DagsterInstance.ephemeral
        with records() as instance:
            yield Unattended(one, instance)
