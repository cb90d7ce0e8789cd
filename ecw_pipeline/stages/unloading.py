"""The published tables as Parquet files for other tools: a folder per table, each file with its
comments, and ``tables.json`` that names them all.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.files import finished_file, machine_errors, private_folder, write_json
from ecw_pipeline.quoting import identifier
from ecw_pipeline.stages.progress import Step, silent
from ecw_pipeline.warehouse.database import read_published

SCHEMAS = ("core", "history", "marts")
CONTENTS = "tables.json"
_BATCH_ROWS = 50_000


@dataclass(frozen=True)
class UnloadedColumn:
    """A column of an unloaded table; ``type`` is DuckDB's name of its type."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Unloaded:
    """A table that was written out."""

    schema: str
    table: str
    comment: str
    file: str
    rows: int
    columns: tuple[UnloadedColumn, ...]


def unload(
    warehouse: Path,
    target: Path,
    names: Sequence[str] = (),
    step: Step = silent,
) -> list[Unloaded]:
    """Write tables of the published warehouse below ``target``, all of one published state.

    ``names`` are such as ``observation`` or ``history.task``; none are all tables of `SCHEMAS`. The
    folder appears, or is replaced, when it is whole.

    Raises:
        ConfigurationError: there is no warehouse or no such table, or the folder holds other
            things.
        MachineError: the disk is full or the folder is not writable.
    """
    if not warehouse.exists():
        raise ConfigurationError(
            f"there is no warehouse at {warehouse}", "fill it first: ecw export, or ecw demo"
        )
    _require_ours(target)
    unfinished = target.with_name(target.name + ".part")
    with machine_errors(target):
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            with read_published(warehouse) as connection:
                written = _write_all(connection, unfinished, names, step)
            write_json(unfinished / CONTENTS, {"tables": [asdict(one) for one in written]})
            _replace(unfinished, target)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return written


def _require_ours(target: Path) -> None:
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not is_free and not (target / CONTENTS).exists():
        raise ConfigurationError(
            f"{target} holds something that was not unloaded there", "name a new folder"
        )


def _replace(unfinished: Path, target: Path) -> None:
    """Give the whole folder its name; what was there goes."""
    before = target.with_name(target.name + ".old")
    shutil.rmtree(before, ignore_errors=True)
    if target.exists():
        target.rename(before)
    unfinished.rename(target)
    shutil.rmtree(before, ignore_errors=True)


def _write_all(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    names: Sequence[str],
    step: Step,
) -> list[Unloaded]:
    known = connection.execute(
        "SELECT schema_name, table_name, coalesce(comment, '') FROM duckdb_tables()"
        " WHERE list_contains($schemas, schema_name) ORDER BY ALL",
        {"schemas": list(SCHEMAS)},
    ).fetchall()
    chosen = _chosen(known, names)
    private_folder(folder)
    written = []
    for number, (schema, table, comment) in enumerate(chosen, start=1):
        written.append(_write(connection, folder, schema, table, comment))
        step("tables", number, len(chosen))
    return written


def _chosen(
    known: Iterable[tuple[str, str, str]], names: Sequence[str]
) -> list[tuple[str, str, str]]:
    by_name = {f"{one[0]}.{one[1]}": one for one in known}
    full_names = [_full_name(name, by_name) for name in names] or list(by_name)
    return [by_name[name] for name in dict.fromkeys(full_names)]


def _full_name(name: str, known: Mapping[str, object]) -> str:
    """A table's name with its schema; without one, the first schema that has such a table."""
    candidates = [name] if "." in name else [f"{schema}.{name}" for schema in SCHEMAS]
    for one in candidates:
        if one in known:
            return one
    meant = get_close_matches(candidates[0], known, 1)
    raise ConfigurationError(
        f"there is no table {name}",
        f"did you mean {meant[0]}?" if meant else "ecw status lists the tables",
    )


def _write(
    connection: duckdb.DuckDBPyConnection, folder: Path, schema: str, table: str, comment: str
) -> Unloaded:
    """Stream one table into its file. Comments are metadata of the Arrow schema and its fields."""
    rows = connection.execute(
        "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns()"
        " WHERE schema_name = ? AND table_name = ? ORDER BY column_index",
        [schema, table],
    ).fetchall()
    columns = tuple(UnloadedColumn(*row) for row in rows)
    path = folder / schema / table / f"{table}.parquet"
    reader = connection.execute(f"FROM {schema}.{identifier(table)}").to_arrow_reader(_BATCH_ROWS)
    described = _described(reader.schema, comment, columns)
    count = 0
    with (
        finished_file(path) as stream,
        pyarrow.parquet.ParquetWriter(stream, described, compression="zstd") as writer,
    ):
        for batch in reader:
            writer.write_batch(batch.cast(described))
            count += batch.num_rows
    return Unloaded(schema, table, comment, str(path.relative_to(folder)), count, columns)


def _described(
    schema: pyarrow.Schema, comment: str, columns: Iterable[UnloadedColumn]
) -> pyarrow.Schema:
    fields = [
        schema.field(column.name).with_metadata({"comment": column.comment}) for column in columns
    ]
    return pyarrow.schema(fields, metadata={"comment": comment})
