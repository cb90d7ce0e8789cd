"""All versions of a resource folded into its spans, whatever came when (law 5).

Deletions, and absences from complete exports, are gaps between a resource's lives. A version
belongs after the gaps that are before its instant, or before the export that showed it. In a life,
versions stand in time order, equal neighbours taken as one, and one that left elements out never
follows a full one.
"""

import duckdb

from ecw_pipeline.warehouse.versions import Incoming

PLACE = ("export_id", "source_file", "source_line")
_PLACE = ", ".join(PLACE)
SPAN = f"resource_key, transaction_time, content_hash, {_PLACE}, valid_from, valid_to, closed_by"
# Ties are broken by content, never by arrival, so that the order of loads does not matter.
_IN_TIME = (
    "PARTITION BY resource_key ORDER BY life NULLS FIRST, closes IS NULL, closes DESC,"
    f" event_at, transaction_time, content_hash, {_PLACE}"
)
# From the temporary table `events`. A life is named by the gap before it; what is seen again after
# it was gone begins when it was seen, but no later than what follows it.
_FOLD = f"""
WITH gaps AS (
    SELECT resource_key, event_at AS gap_at FROM events WHERE closes IS NOT NULL
), placed AS (
    SELECT e.*, CASE WHEN closes IS NULL THEN gap_at ELSE event_at END AS life,
           CASE WHEN closes IS NULL AND gap_at >= event_at THEN transaction_time
                ELSE event_at END AS starts_at
    FROM events AS e ASOF LEFT JOIN gaps AS g
        ON g.resource_key = e.resource_key
        AND greatest(e.event_at, e.transaction_time) > g.gap_at
), judged AS (
    SELECT *, last_value(CASE WHEN NOT is_subsetted THEN closes IS NULL END IGNORE NULLS)
        OVER ({_IN_TIME} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS is_full_before
    FROM placed
), kept AS (
    SELECT *, lag(content_hash) OVER ({_IN_TIME}) AS hash_before
    FROM judged WHERE NOT (is_subsetted AND coalesce(is_full_before, false))
), starts AS (
    SELECT *, min(starts_at) OVER ({_IN_TIME} ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
        AS valid_from
    FROM kept WHERE hash_before IS DISTINCT FROM content_hash
), spans AS (
    SELECT *, lead(valid_from) OVER ({_IN_TIME}) AS valid_to,
           CASE WHEN valid_to IS NOT NULL
                THEN coalesce(lead(closes) OVER ({_IN_TIME}), 'superseded') END AS closed_by
    FROM starts
)
SELECT {SPAN} FROM spans WHERE closes IS NULL
"""


def refold(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """Fold the resources of `touched` anew; what is other now is added to `ended` and `begun`."""
    _gather(connection, incoming)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE folded AS {_FOLD}")
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE former AS SELECT rowid AS span_row, {SPAN}"
        " FROM ops.resource_span SEMI JOIN touched USING (resource_key)"
    )
    unchanged = f"(SELECT {SPAN} FROM former INTERSECT SELECT {SPAN} FROM folded)"
    for source, target in (("former", "ended"), ("folded", "begun")):
        connection.execute(
            f"INSERT INTO {target} BY NAME FROM {source}"
            f" ANTI JOIN {unchanged} USING (resource_key, {_PLACE})"
        )


def _gather(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """All that is known of the touched resources: versions, deletions and absences.

    A resource is absent from a complete export that lacks it, if an earlier export over the same
    scope had it. A line that could not be read proves no absence.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE events AS"
        " SELECT resource_key, version_at AS event_at, transaction_time, content_hash,"
        f" is_subsetted, {_PLACE}, CASE WHEN is_deleted THEN 'deleted' END AS closes"
        " FROM ops.resource_version SEMI JOIN touched USING (resource_key)"
    )
    connection.execute(
        f"""
        INSERT INTO events BY NAME
        WITH loads AS (FROM ops.load WHERE {incoming.where}
        ), had AS (
            SELECT e.resource_key, l.export_scope, min(e.transaction_time) AS first_at
            FROM events AS e JOIN loads AS l USING (export_id)
            WHERE e.closes IS NULL GROUP BY ALL
        ), unreadable AS (
            SELECT {incoming.key_of("resource_id")} AS resource_key, export_id FROM ops.quarantine
            WHERE export_id IN (SELECT export_id FROM loads)
              AND resource_type = $resource_type AND resource_id IS NOT NULL
        )
        SELECT h.resource_key, l.transaction_time AS event_at, l.transaction_time, l.export_id,
               false AS is_subsetted, 'absent' AS closes
        FROM had AS h JOIN loads AS l
            ON l.proves_absence AND l.export_scope = h.export_scope
            AND l.transaction_time > h.first_at
        ANTI JOIN events AS e ON e.resource_key = h.resource_key AND e.export_id = l.export_id
        ANTI JOIN unreadable AS u ON u.resource_key = h.resource_key AND u.export_id = l.export_id
        """,
        {"resource_type": incoming.resource_type},
    )
