"""Running the pipeline's jobs as real Dagster runs, visible in the UI, with progress shown."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ecw_pipeline.cli.terminal import Step, progress
from ecw_pipeline.errors import EcwError, MachineError
from ecw_pipeline.stages.lake import Lake

if TYPE_CHECKING:
    import dagster as dg

_LOOK_SECONDS = 0.2
_SEE_RUN = "see the run in the UI: make dev"


def run_job(job_name: str, day: str, lake: Lake, title: str) -> None:
    """Run a job for one partition day in this process and wait for it.

    A type that fails keeps the load of the others from running in the same run; it is run after.

    Raises:
        EcwError: what made the run fail.
    """
    with progress(title) as step, _storage_errors(lake), _watched(lake, step):
        failure = _execute(job_name, day)
        if failure is not None and _waits_for_load(lake):
            _execute("load_landed", day)
    if failure is not None:
        raise failure


def _execute(job_name: str, day: str) -> EcwError | None:
    """Run a job; its first failure, or None."""
    import dagster as dg

    from ecw_pipeline.definitions import defs

    job = defs.resolve_job_def(job_name)
    quiet: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    is_partitioned = job.partitions_def is not None
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=day if is_partitioned else None,
            run_config=_job_config(job_name) | quiet,
            raise_on_error=False,
        )
    return None if result.success else _first_failure(result)


def _job_config(job_name: str) -> dict[str, Any]:
    is_full = job_name == "full_refresh"
    return {"ops": {"export_request": {"config": {"full": is_full}}}} if is_full else {}


def _first_failure(result: "dg.ExecuteInProcessResult") -> EcwError:
    """The first failure of a run, as the kind of error it was in the step."""
    event = next((event for event in result.all_events if event.is_step_failure), None)
    if event is None:
        return EcwError("the run failed; no step says why", _SEE_RUN)
    data = event.step_failure_data
    user = data.user_failure_data
    error = data.error.message.strip().splitlines()[-1] if data.error else "no reason given"
    said = (user.description if user else None) or error
    code = user.metadata.get("exit_code") if user else None
    kinds: dict[object, type[EcwError]] = {
        kind.exit_code: kind for kind in EcwError.__subclasses__()
    }
    kind = kinds.get(code.value if code else None, EcwError)
    return kind(f"{event.step_key}: {said}", _SEE_RUN)


@contextmanager
def _storage_errors(lake: Lake) -> Iterator[None]:
    """Say in words that Dagster could not keep its records."""
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.DBAPIError as error:
        raise MachineError(
            f"Dagster's records in {lake.folder.dagster} cannot be written: {error.orig}",
            "free space on its disk and make it writable, then run the same command again",
        ) from error


def _waits_for_load(lake: Lake) -> bool:
    return any(export.state == "landed" for export in lake.ledger.exports())


@contextmanager
def _watched(lake: Lake, step: Step) -> Iterator[None]:
    """Show what the ledger knows while a run is under way."""
    over = threading.Event()
    known = {export.export_id for export in lake.ledger.exports()}

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            with suppress(EcwError):  # the run meets it too, and tells
                _show(lake, known, step)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        with suppress(EcwError):
            _show(lake, known, step)


def _show(lake: Lake, known: set[str], step: Step) -> None:
    """Tell how many exports are complete, files landed and types loaded, of the new ones."""
    new = [export for export in lake.ledger.exports() if export.export_id not in known]
    if not new:
        return
    files = [file for export in new for file in lake.ledger.files(export.export_id)]
    types = [one for export in new for one in lake.ledger.types(export.export_id)]
    step("export", sum(export.has_arrived for export in new), len(new))
    if files:
        step("download", sum(file.state == "landed" for file in files), len(files))
        step("load", sum(one.state == "loaded" for one in types), len(types))
