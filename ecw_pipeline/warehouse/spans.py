"""From versions to spans: from when to when each received version was the valid one.

A resource's versions, in time order, with equal neighbours taken as one, are its spans; the last
one, if it is live, is open. A deletion ends a span, and so does absence from a complete export
(law 5). `ops.resource_span` is a function of the set of versions, whatever the order of loads.
"""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from ecw_pipeline.warehouse.folding import SPAN, refold
from ecw_pipeline.warehouse.versions import Incoming


@dataclass(frozen=True)
class _Standing:
    """How an export stands to what is loaded, apart from itself.

    ``newest_at`` is the latest instant known. ``is_newest``: it is new here, and later than that.
    ``concerns_absence``: it says, or said when it was loaded before, that what is not in it is
    absent. ``may_give_absence``: a later complete export is loaded; what it lacks is absent if
    this one had it.
    """

    newest_at: datetime | None
    is_newest: bool
    concerns_absence: bool
    may_give_absence: bool


def move_spans(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """Bring `ops.resource_span` up to date with what `received` holds.

    A version newer than anything seen only ends the span before it; where versions come late or
    again, all versions of their resources are folded anew. Leaves the temporary tables `ended` and
    `begun`: the spans that are no longer so, and those that are now.
    """
    standing = _standing(connection, incoming)
    _note(connection, incoming)
    _compare(connection, standing)
    _find_touched(connection, incoming, standing)
    _append(connection)
    if connection.execute("SELECT 1 FROM touched LIMIT 1").fetchone():
        refold(connection, incoming)
    connection.execute("DELETE FROM ops.resource_span WHERE rowid IN (SELECT span_row FROM ended)")
    connection.execute(
        f"INSERT INTO ops.resource_span BY NAME SELECT {SPAN}, $connection_id AS connection_id,"
        " $resource_type AS resource_type FROM begun",
        {"connection_id": incoming.connection_id, "resource_type": incoming.resource_type},
    )


def _standing(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> _Standing:
    found = connection.execute(
        "SELECT max(newest_at) FILTER (export_id <> $export_id),"
        " coalesce(max(newest_at) FILTER (export_id <> $export_id) < $at, true)"
        " AND count(newest_at) FILTER (export_id = $export_id) = 0,"
        " $is_complete OR coalesce(bool_or(proves_absence) FILTER (export_id = $export_id), false),"
        " coalesce(bool_or(proves_absence) FILTER (export_scope = $export_scope"
        " AND transaction_time > $at), false)"
        f" FROM ops.load WHERE {incoming.where}",
        {
            "at": incoming.transaction_time,
            "export_id": incoming.export_id,
            "export_scope": incoming.export_scope,
            "is_complete": incoming.is_complete,
        },
    ).fetchone()
    return _Standing(*(found or (None, True, True, True)))


def _note(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """Keep with the load what later ones are judged by."""
    connection.execute(
        "UPDATE ops.load SET proves_absence = $is_complete, newest_at ="
        " greatest(transaction_time, (SELECT max(version_at) FROM received))"
        f" WHERE {incoming.where} AND export_id = $export_id",
        {"export_id": incoming.export_id, "is_complete": incoming.is_complete},
    )


def _compare(connection: duckdb.DuckDBPyConnection, standing: _Standing) -> None:
    """Judge each received version beside the open span of its resource.

    'same' changes nothing, 'newer' is the latest there is, and of 'unsure' only a fold can tell.
    """
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE compared AS
        WITH repeated AS (
            SELECT resource_key FROM received GROUP BY resource_key HAVING count(*) > 1
        )
        SELECT r.resource_key, r.transaction_time, r.content_hash, r.is_deleted, r.export_id,
               r.source_file, r.source_line, r.version_at AS valid_from,
               s.rowid AS span_row, s.transaction_time AS was_at, s.content_hash AS was_hash,
               s.export_id AS was_export, s.source_file AS was_file, s.source_line AS was_line,
               s.valid_from AS was_from,
               CASE
                   WHEN EXISTS (FROM replaced) OR r.resource_key IN (FROM repeated)
                       OR $may_give_absence THEN 'unsure'
                   WHEN r.content_hash = s.content_hash AND r.version_at = s.valid_from
                       AND r.transaction_time > s.transaction_time THEN 'same'
                   WHEN r.is_subsetted OR NOT $is_newest
                       OR coalesce(r.version_at <= $newest_at, false) THEN 'unsure'
                   WHEN r.content_hash IS NOT DISTINCT FROM s.content_hash THEN 'same'
                   ELSE 'newer'
               END AS verdict
        FROM received AS r LEFT JOIN ops.resource_span AS s
            ON s.resource_key = r.resource_key AND s.valid_to IS NULL
        """,
        {
            "newest_at": standing.newest_at,
            "is_newest": standing.is_newest,
            "may_give_absence": standing.may_give_absence,
        },
    )


def _find_touched(
    connection: duckdb.DuckDBPyConnection, incoming: Incoming, standing: _Standing
) -> None:
    """List the resources to fold anew: unsure ones, and those that the export lacks or lacked."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS"
        " SELECT resource_key FROM compared WHERE verdict = 'unsure' UNION FROM replaced"
    )
    if standing.concerns_absence:
        known = (
            "ops.resource_span WHERE valid_to IS NULL AND"
            if standing.is_newest
            else "ops.resource_version WHERE"
        )
        connection.execute(
            f"INSERT INTO touched SELECT DISTINCT resource_key FROM (FROM {known} {incoming.where})"
            " ANTI JOIN received USING (resource_key) ANTI JOIN touched USING (resource_key)"
        )


def _append(connection: duckdb.DuckDBPyConnection) -> None:
    """End the open spans that something newer follows, and begin the new ones."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE ended AS
        SELECT span_row, resource_key, was_at AS transaction_time, was_hash AS content_hash,
               was_export AS export_id, was_file AS source_file, was_line AS source_line,
               was_from AS valid_from, NULL::TIMESTAMPTZ AS valid_to, NULL::VARCHAR AS closed_by
        FROM compared WHERE verdict = 'newer' AND span_row IS NOT NULL
        """
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE begun AS
        SELECT {SPAN.replace("valid_to, closed_by", "NULL::TIMESTAMPTZ AS valid_to")},
               NULL::VARCHAR AS closed_by
        FROM compared WHERE verdict = 'newer' AND NOT is_deleted
        UNION ALL
        SELECT e.resource_key, e.transaction_time, e.content_hash, e.export_id, e.source_file,
               e.source_line, e.valid_from, c.valid_from,
               CASE WHEN c.is_deleted THEN 'deleted' ELSE 'superseded' END
        FROM ended AS e JOIN compared AS c USING (span_row)
        """
    )
