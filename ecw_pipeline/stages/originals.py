"""A resource as it was received: its place is in the warehouse, its text in landing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

import duckdb

from ecw_pipeline.errors import BadDataError, ConfigurationError
from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.landing.landing import LandingPaths
from ecw_pipeline.landing.ndjson import numbered_lines
from ecw_pipeline.layout import DataFolder
from ecw_pipeline.warehouse.database import read_published


@dataclass(frozen=True)
class Version:
    """One version of a resource: where it was received, and from when to when it was current."""

    connection_id: str
    export_id: str
    source_file: str
    source_line: int
    valid_from: datetime
    valid_to: datetime | None
    closed_by: str | None

    def is_current_at(self, instant: datetime) -> bool:
        return self.valid_from <= instant and (self.valid_to is None or instant < self.valid_to)


def find_version(
    folder: DataFolder,
    resource_type: str,
    resource_id: str,
    *,
    connection_id: str = "",
    at: datetime | None = None,
) -> Version:
    """The version of a resource that is current, or was at an instant.

    Raises:
        ConfigurationError: there is no warehouse, no such resource, or one in several connections;
            or it was not there then.
    """
    if not folder.warehouse.exists():
        raise ConfigurationError(
            f"there is no warehouse at {folder.warehouse}", "fill it first: ecw export, or ecw demo"
        )
    with read_published(folder.warehouse) as warehouse:
        known = _versions(warehouse, resource_type, resource_id, connection_id)
    name = f"{resource_type}/{resource_id}"
    if not known:
        where = f" of connection {connection_id}" if connection_id else ""
        raise ConfigurationError(
            f"{name} is not in the warehouse{where}", _where_to_look(folder, resource_type)
        )
    if len(having := sorted({one.connection_id for one in known})) > 1:
        raise ConfigurationError(
            f"{name} is in several connections", f"choose: --connection {' or '.join(having)}"
        )
    return _of_instant(known, name, at)


def _where_to_look(folder: DataFolder, resource_type: str) -> str:
    with read_published(folder.warehouse) as warehouse:
        landed = [
            name
            for (name,) in warehouse.sql("SELECT DISTINCT resource_type FROM ops.load").fetchall()
        ]
    if resource_type in landed:
        return f"look for its id: ecw sql 'from core.{snake_case(resource_type)}'"
    meant = get_close_matches(resource_type, landed, 1)
    return f"did you mean {meant[0]}?" if meant else f"what is there: {', '.join(sorted(landed))}"


def _of_instant(known: Sequence[Version], name: str, at: datetime | None) -> Version:
    current = [v for v in known if (v.is_current_at(at) if at else v.valid_to is None)]
    if current:
        return current[-1]
    last = known[-1]
    if at is None and last.valid_to is not None:
        raise ConfigurationError(
            f"{name} is gone since {format_instant(last.valid_to)} ({last.closed_by})",
            f"see it as it was: --at {format_instant(last.valid_from)}",
        )
    raise ConfigurationError(
        f"{name} was not there then", f"it is first known at {format_instant(known[0].valid_from)}"
    )


def _versions(
    warehouse: duckdb.DuckDBPyConnection,
    resource_type: str,
    resource_id: str,
    connection_id: str,
) -> list[Version]:
    """All versions of a resource, oldest first."""
    # The key of a resource is as `Incoming.key_of` makes it.
    rows = warehouse.execute(
        """
        SELECT connection_id, export_id, source_file, source_line, valid_from, valid_to, closed_by
        FROM ops.resource_span
        WHERE resource_key IN (
            SELECT md5_number(connection_id || '/' || $resource_type || '/' || $resource_id)
            FROM (SELECT DISTINCT connection_id FROM ops.load)
            WHERE $connection_id IN ('', connection_id))
        ORDER BY connection_id, valid_from
        """,
        {
            "resource_type": resource_type,
            "resource_id": resource_id,
            "connection_id": connection_id,
        },
    ).fetchall()
    return [Version(*row) for row in rows]


def received_line(folder: DataFolder, version: Version) -> bytes:
    """The line that a version was received in, unchanged.

    Raises:
        MachineError: the file is gone.
        BadDataError: the file is damaged, or has no such line any more.
    """
    export = folder.export(version.connection_id, version.export_id)
    path = LandingPaths(export, version.source_file).received
    for number, line in numbered_lines(path):
        if number == version.source_line:
            return line
    raise BadDataError(
        f"{path} has no line {version.source_line} any more",
        "restore it from a backup: received files are never changed",
    )
