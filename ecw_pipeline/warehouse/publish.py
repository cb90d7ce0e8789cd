"""Publishing: readers get a complete copy, replaced in one step, and never block the pipeline."""

import shutil
from pathlib import Path

import duckdb

from ecw_pipeline.files import (
    PRIVATE_FILE_MODE,
    finished_file,
    machine_errors,
    part_path,
    private_folder,
)
from ecw_pipeline.quoting import qualified
from ecw_pipeline.warehouse.database import working_warehouse

_REBUILD = "rebuild"
# Deleted rows keep their room until the others are moved together, which writes all of them anew:
# so not for every load, but before they take a fourth of it.
MOST_DELETED = 0.25
LARGE_TABLE_ROWS = 100_000


def publish(working: Path, published: Path) -> None:
    """Replace the published warehouse with what the working one holds now.

    The checkpoint comes first: without it a copied file silently lacks committed rows.

    Raises:
        MachineError: the disk is full; the old copy stays.
    """
    with working_warehouse(working) as connection:
        if share_deleted(connection) > MOST_DELETED:
            # Rows are moved together only by a checkpoint that has something to write.
            connection.execute("SET max_vacuum_tasks = 100")
            connection.execute(
                "CREATE OR REPLACE TABLE ops.written (n INTEGER)"
            )  # again after a kill
            connection.execute("DROP TABLE ops.written")
        connection.execute("CHECKPOINT")
        with finished_file(published):
            # By its path, so that the kernel copies; through Python it takes twice the CPU time.
            shutil.copyfile(working, part_path(published))
    forget_promise(working)


def share_deleted(connection: duckdb.DuckDBPyConnection) -> float:
    """The share of the rows in large tables' storage that are deleted; small ones waste little."""
    stored = connection.execute(
        "SELECT schema_name, table_name, estimated_size FROM duckdb_tables()"
        " WHERE database_name = current_database() AND estimated_size > ?",
        [LARGE_TABLE_ROWS],
    ).fetchall()
    live = 0
    for schema, table, _ in stored:
        found = connection.execute(f"SELECT count(*) FROM {qualified(f'{schema}.{table}')}")
        live += (found.fetchone() or (0,))[0]
    return 1 - live / max(sum(rows for *_, rows in stored), 1) if stored else 0.0


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
