"""Publishing: readers get a complete copy, replaced in one step, and never block the pipeline."""

import shutil
from pathlib import Path

from ecw_pipeline.files import (
    CHUNK_BYTES,
    PRIVATE_FILE_MODE,
    finished_file,
    machine_errors,
    private_folder,
)
from ecw_pipeline.warehouse.database import working_warehouse

_REBUILD = "rebuild"


def publish(working: Path, published: Path) -> None:
    """Replace the published warehouse with what the working one holds now.

    The checkpoint comes first: without it a copied file silently lacks committed rows.

    Raises:
        MachineError: the disk is full; the old copy stays.
    """
    with working_warehouse(working) as connection:
        connection.execute("CHECKPOINT")
        with working.open("rb") as source, finished_file(published) as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
    forget_promise(working)


def promise_publish(working: Path) -> None:
    """Say on the disk that what is about to be loaded is not published yet.

    A load that is killed, or whose publish fails, is so made up for by the next one.
    """
    private_folder(working.parent)
    with machine_errors(working):
        _promise(working).touch(PRIVATE_FILE_MODE)


def promise_rebuild(working: Path) -> None:
    """Say on the disk that a warehouse made anew is being filled, until it is published."""
    with machine_errors(working):
        _promise(working).write_text(_REBUILD, encoding="utf-8")


def is_rebuild_promised(working: Path) -> bool:
    """Whether a warehouse made anew is still being filled."""
    promise = _promise(working)
    return promise.exists() and promise.read_text(encoding="utf-8") == _REBUILD


def forget_promise(working: Path) -> None:
    """Say that nothing is left to publish."""
    with machine_errors(working):
        _promise(working).unlink(missing_ok=True)


def is_publish_due(working: Path, published: Path) -> bool:
    """Whether the readers' copy is missing, or an earlier load did not come to publish."""
    return _promise(working).exists() or not published.exists()


def _promise(working: Path) -> Path:
    return working.with_suffix(".unpublished")
