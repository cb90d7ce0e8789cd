"""Dagster's records with connections kept: the same files, told of as Dagster's own are."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ecw_pipeline.defs import records
from ecw_pipeline.defs.records import KeptSqliteStorage

QUIET = {"telemetry": {"enabled": False}}


@dg.asset
def told() -> None:
    """An asset to tell of."""


@contextmanager
def instance_of(folder: Path, *, is_kept: bool) -> Iterator[dg.DagsterInstance]:
    """An instance with its records in a folder, by our storage or by Dagster's."""
    custom = {
        "module": KeptSqliteStorage.__module__,
        "class": KeptSqliteStorage.__name__,
        "config": {"base_dir": str(folder)},
    }
    storage: Any = {"custom": custom} if is_kept else {"sqlite": {"base_dir": str(folder)}}
    overrides = QUIET | {"storage": storage}
    with dg.DagsterInstance.local_temp(str(folder), overrides=overrides) as instance:
        name = type(instance.event_log_storage).__name__
        assert name == ("_KeptEventLog" if is_kept else "SqliteEventLogStorage")
        yield instance


def events_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [str(entry.dagster_event_type) for entry in instance.all_logs(run_id)]


@pytest.mark.parametrize("is_kept_first", [True, False])
def test_either_storage_reads_what_the_other_wrote(tmp_path: Path, is_kept_first: bool) -> None:
    with instance_of(tmp_path, is_kept=is_kept_first) as instance:
        run = dg.materialize([told], instance=instance)
        written = events_of(instance, run.run_id)

    with instance_of(tmp_path, is_kept=not is_kept_first) as instance:
        assert events_of(instance, run.run_id) == written
        found = instance.get_latest_materialization_event(dg.AssetKey("told"))
        assert found is not None
        assert found.run_id == run.run_id


def test_whoever_watches_a_run_hears_of_it(tmp_path: Path) -> None:
    run_id, heard_of_its_end = str(uuid.uuid4()), threading.Event()

    def hear(entry: Any, _: str) -> None:
        if entry.dagster_event_type is dg.DagsterEventType.RUN_SUCCESS:
            heard_of_its_end.set()

    job = dg.define_asset_job("one", [told])
    with instance_of(tmp_path, is_kept=True) as instance:
        instance.watch_event_logs(run_id, None, hear)

        dg.Definitions([told], jobs=[job]).resolve_job_def("one").execute_in_process(
            instance=instance, run_id=run_id
        )

        assert heard_of_its_end.wait(20)


def test_of_many_runs_few_are_kept_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_MOST_ENGINES", 2)
    with instance_of(tmp_path, is_kept=True) as instance:
        runs = [dg.materialize([told], instance=instance).run_id for _ in range(3)]

        assert all("ASSET_MATERIALIZATION" in "".join(events_of(instance, run)) for run in runs)
        kept: Any = instance.event_log_storage
        assert len(kept._engines) == 2
