"""The published tables as Parquet files for other tools: a folder per table, each file with its
comments, and ``tables.json`` that names them all.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from tempfile import mkdtemp

import duckdb
import pyarrow
import pyarrow.parquet

from ecw_pipeline.errors import BadDataError, ConfigurationError
from ecw_pipeline.files import finished_file, machine_errors, private_folder, read_json, write_json
from ecw_pipeline.quoting import identifier
from ecw_pipeline.stages.progress import Step, silent
from ecw_pipeline.warehouse.database import read_published

SCHEMAS = ("core", "history", "marts")
CONTENTS = "tables.json"
FORMAT = "ecw_pipeline unloaded tables 1"
_NAMED_ONLY = "ops"
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

    ``names`` are such as ``observation``, ``history.task`` or ``ops.load``; none are all tables of
    `SCHEMAS`. The folder appears, or is replaced, when it is whole.

    Raises:
        ConfigurationError: there is no warehouse or no such table, or the folder holds other
            things.
        MachineError: the disk is full or the folder is not writable.
    """
    if not warehouse.exists():
        raise ConfigurationError(
            f"there is no warehouse at {warehouse}", "fill it first: ecw export, or ecw demo"
        )
    with machine_errors(target):
        _require_ours(target)
        with _replacement(target) as unfinished, read_published(warehouse) as connection:
            written = _write_all(connection, unfinished, names, step)
            contents = {"format": FORMAT, "tables": [asdict(one) for one in written]}
            write_json(unfinished / CONTENTS, contents)
    return written


def _require_ours(target: Path) -> None:
    """Refuse to replace what `unload` did not write: its contents name every file of it."""
    if not target.exists():
        return
    expected = {target / CONTENTS, *(target / file for file in _files_named_in(target / CONTENTS))}
    others = (
        [path for path in sorted(target.rglob("*")) if not path.is_dir() and path not in expected]
        if target.is_dir()
        else [target]
    )
    if others:
        raise ConfigurationError(
            f"{others[0]} was not unloaded there: the folder would be replaced", "name a new folder"
        )


def _files_named_in(contents: Path) -> list[str]:
    """The files that an unloaded folder's contents name; none where it is something else's."""
    try:
        known = read_json(contents)
    except (OSError, BadDataError):
        return []
    if not isinstance(known, dict) or known.get("format") != FORMAT:
        return []
    return [table["file"] for table in known["tables"]]


@contextmanager
def _replacement(target: Path) -> Iterator[Path]:
    """A folder to fill, which then takes the place of ``target``.

    It is beside the target, under a name that nothing else has. What was there before goes last; a
    process killed between the two renames leaves it there as ``before``.
    """
    private_folder(target.parent)
    beside = Path(mkdtemp(prefix=f"{target.name}.", suffix=".unloading", dir=target.parent))
    unfinished, before = beside / "whole", beside / "before"
    try:
        yield private_folder(unfinished)
        if target.exists():
            target.rename(before)
        try:
            unfinished.rename(target)
        except OSError:
            if before.exists():
                before.rename(target)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_all(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    names: Sequence[str],
    step: Step,
) -> list[Unloaded]:
    known = connection.execute(
        "SELECT schema_name, table_name, coalesce(comment, '') FROM"
        " (SELECT schema_name, table_name, comment FROM duckdb_tables() UNION ALL"
        " SELECT schema_name, view_name, comment FROM duckdb_views())"
        " WHERE list_contains($schemas, schema_name) ORDER BY ALL",
        {"schemas": [*SCHEMAS, _NAMED_ONLY]},
    ).fetchall()
    chosen = _chosen(known, names)
    written = []
    for number, (schema, table, comment) in enumerate(chosen, start=1):
        written.append(_write(connection, folder, schema, table, comment))
        step("tables", number, len(chosen))
    return written


def _chosen(
    known: Iterable[tuple[str, str, str]], names: Sequence[str]
) -> list[tuple[str, str, str]]:
    by_name = {f"{one[0]}.{one[1]}": one for one in known}
    full_names = [_full_name(name, by_name) for name in names] or [
        name for name, (schema, *_) in by_name.items() if schema != _NAMED_ONLY
    ]
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
