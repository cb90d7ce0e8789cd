"""Which runs still have a process. Dagster's local launcher cannot tell a dead run from a slow one.

A run's process holds a lock on a file of the run's name for as long as it lives; the operating
system lets go of it however the process ends.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from ecw_pipeline.files import PRIVATE_FILE_MODE, machine_errors, private_folder
from ecw_pipeline.stages.lake import Lake

# A run that was just started may not have reached its first step, which takes the lock.
GRACE_SECONDS = 300.0
_HELD: dict[Path, int] = {}


def hold(lake: Lake, run_id: str) -> None:
    """Take the run's lock and keep it until this process ends."""
    path = _lock_path(lake, run_id)
    if path not in _HELD:
        private_folder(path.parent)
        with machine_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE_MODE)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _HELD[path] = descriptor


def bury_dead_runs(instance: dg.DagsterInstance, lake: Lake) -> Iterator[str]:
    """Mark runs failed whose process is gone, and say so; Dagster then retries them."""
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    for record in instance.get_run_records(started):
        run = record.dagster_run
        began = record.start_time or record.create_timestamp.timestamp()
        if _is_dead(lake, run.run_id, began):
            instance.report_run_failed(run, "The process of this run is gone (killed or crashed).")
            _lock_path(lake, run.run_id).unlink(missing_ok=True)
            yield f"run {run.run_id[:8]} had no process any more"


def _is_dead(lake: Lake, run_id: str, began: float) -> bool:
    path = _lock_path(lake, run_id)
    if not path.exists():
        age_seconds = lake.clock.now().timestamp() - began
        return age_seconds > GRACE_SECONDS
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _lock_path(lake: Lake, run_id: str) -> Path:
    return lake.folder.state / "runs" / f"{run_id}.lock"
