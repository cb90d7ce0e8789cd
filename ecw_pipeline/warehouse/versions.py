"""What an export brought of one resource type, as rows of `ops.resource_version`.

Every received version and every announced deletion is one row there. What the rows amount to is
said by `spans.py`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow

from ecw_pipeline.quoting import literal
from ecw_pipeline.warehouse.version_files import version_file


@dataclass(frozen=True)
class ScreenedFile:
    """A screened file and the received one that its lines are counted in."""

    path: Path
    source_file: str


@dataclass(frozen=True)
class DeletedResource:
    """A resource that an export says is gone."""

    resource_id: str
    source_file: str
    source_line: int


@dataclass(frozen=True)
class Incoming:
    """What one export brings of one resource type.

    ``export_scope`` is what it was asked over (level and group). ``is_complete`` claims that every
    resource of the type in that scope is in it: what is not is absent. ``is_restricted`` says that
    it was asked for some resources only: it tells not how far the type is known.
    """

    connection_id: str
    export_id: str
    resource_type: str
    transaction_time: datetime
    files: Sequence[ScreenedFile]
    deletions: Sequence[DeletedResource]
    export_scope: str = ""
    is_complete: bool = False
    is_restricted: bool = False

    @property
    def where(self) -> str:
        """The condition for rows of the same connection and type."""
        return (
            f"connection_id = {literal(self.connection_id)}"
            f" AND resource_type = {literal(self.resource_type)}"
        )

    def key_of(self, resource_id: str) -> str:
        """SQL for the 128-bit key of a resource of this connection and type, from SQL for its id.

        A scan of numbers finds 100,000 resources among ten million in half the time of text.
        """
        place = literal(f"{self.connection_id}/{self.resource_type}/")
        return f"md5_number({place} || {resource_id})"


def record_versions(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """Write the export's versions, in place of what an earlier load of it wrote.

    Leaves them in the temporary table `received`, and in `replaced` the keys of those before.
    """
    mine = f"{incoming.where} AND export_id = {literal(incoming.export_id)}"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE replaced AS"
        f" SELECT DISTINCT resource_key FROM ops.resource_version WHERE {mine}"
    )
    connection.execute(f"DELETE FROM ops.resource_version WHERE {mine}")
    connection.execute("CREATE OR REPLACE TEMP TABLE received AS FROM ops.resource_version LIMIT 0")
    for file in incoming.files:
        _read_versions(connection, incoming, file)
    _read_deletions(connection, incoming)
    connection.execute("INSERT INTO ops.resource_version FROM received")


def _read_versions(
    connection: duckdb.DuckDBPyConnection, incoming: Incoming, file: ScreenedFile
) -> None:
    connection.execute(
        f"""
        INSERT INTO received BY NAME
        SELECT {incoming.key_of("resource_id")} AS resource_key, $connection_id AS connection_id,
               $resource_type AS resource_type, resource_id,
               coalesce(updated_at, $at) AS version_at, $at AS transaction_time, content_hash,
               is_subsetted, false AS is_deleted, $export_id AS export_id,
               $source_file AS source_file, source_line
        FROM read_parquet($path)
        """,
        _names(incoming) | {"source_file": file.source_file, "path": str(version_file(file.path))},
    )


def _read_deletions(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """Within one export, a resource that is also in the output, readable or not, is not deleted."""
    if not incoming.deletions:
        return
    # Lists bound as parameters cost DuckDB a quarter of a millisecond a resource; Arrow does not.
    announced = pyarrow.Table.from_pylist([asdict(one) for one in incoming.deletions])
    connection.register("announced", announced)
    connection.execute(
        f"""
        INSERT INTO received BY NAME
        SELECT DISTINCT ON (resource_key)
               {incoming.key_of("d.resource_id")} AS resource_key,
               $connection_id AS connection_id, $resource_type AS resource_type,
               d.resource_id, $at AS version_at, $at AS transaction_time,
               false AS is_subsetted, true AS is_deleted, $export_id AS export_id,
               d.source_file, d.source_line
        FROM announced AS d ANTI JOIN received AS r ON r.resource_id = d.resource_id
        ANTI JOIN ops.quarantine AS q ON q.resource_id = d.resource_id
            AND q.export_id = $export_id AND q.resource_type = $resource_type
        ORDER BY d.source_file, d.source_line
        """,
        _names(incoming),
    )
    connection.unregister("announced")


def _names(incoming: Incoming) -> dict[str, object]:
    return {
        "connection_id": incoming.connection_id,
        "resource_type": incoming.resource_type,
        "at": incoming.transaction_time,
        "export_id": incoming.export_id,
    }
