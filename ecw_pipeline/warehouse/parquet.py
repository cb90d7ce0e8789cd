"""Flat files: the rows one export gives one table, as Parquet, stamped with their view."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet

from ecw_pipeline.errors import MachineError
from ecw_pipeline.files import (
    PRIVATE_FILE_MODE,
    finished_file,
    machine_errors,
    part_path,
    private_folder,
    rename_whole,
)
from ecw_pipeline.quoting import literal

STAMP = "ecw_fingerprint"


def write_parquet(
    connection: duckdb.DuckDBPyConnection, select: str, path: Path, fingerprint: str = ""
) -> int:
    """Stream a query's rows into a Parquet file that is whole or absent; returns the row count.

    Raises:
        MachineError: the disk is full.
        duckdb.Error: the query cannot be run on its input.
    """
    private_folder(path.parent)
    unfinished = part_path(path)
    with machine_errors(path):
        try:
            counted = connection.execute(
                f"COPY ({select}) TO {literal(str(unfinished))} (FORMAT parquet,"
                f" COMPRESSION zstd, KV_METADATA {{{STAMP}: {literal(fingerprint)}}})"
            ).fetchone()
            unfinished.chmod(PRIVATE_FILE_MODE)
            rename_whole(unfinished, path)
        except duckdb.IOException as error:
            unfinished.unlink(missing_ok=True)
            raise MachineError(
                f"{path} could not be written (is the disk full?)",
                "free some space and run the same command again: what was whole is kept",
            ) from error
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    return int(counted[0]) if counted else 0


@contextmanager
def parquet_file(path: Path, fingerprint: str) -> Iterator[Callable[[pyarrow.Table], None]]:
    """A Parquet file to which rows are added a table at a time; whole or absent.

    Raises:
        MachineError: the disk is full.
    """
    with finished_file(path) as stream, ExitStack() as closing:
        writer: pyarrow.parquet.ParquetWriter | None = None

        def add(rows: pyarrow.Table) -> None:
            nonlocal writer
            if writer is None:
                schema = rows.schema.with_metadata({STAMP: fingerprint})
                writer = closing.enter_context(
                    pyarrow.parquet.ParquetWriter(stream, schema, compression="zstd")
                )
            if rows.num_rows:
                writer.write_table(rows.replace_schema_metadata(writer.schema.metadata))

        yield add


def stamp_of(path: Path) -> str | None:
    """The fingerprint a flat file was written with; None where there is no readable file."""
    try:
        metadata = pyarrow.parquet.read_metadata(path).metadata or {}
    except (OSError, pyarrow.ArrowInvalid):
        return None
    stamp = metadata.get(STAMP.encode())
    return stamp.decode() if stamp else None
