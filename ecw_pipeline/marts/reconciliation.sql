-- What did the incremental exports miss, as the complete ones showed?
-- Grain: one row per connection, resource type and complete export after the first.
-- Key: (connection_id, resource_type, export_id).
-- unannounced_deletions: resources that a complete export no longer held and that the server had
-- never called deleted. missed_versions: resources of which only this export brought a version
-- that had been last updated before the export before this one; the server had kept it from us.
-- Both are the server's errors, and are made good by the complete export. error_share is their
-- share in the resources that the export brought. Versions without meta.lastUpdated are not judged.
-- Columns:
--   resource_type: FHIR's name of the type
--   export_id: The complete export: ops.export
--   transaction_time: The server's clock at that export (UTC)
--   known_up_to: The server's clock at the export before it (UTC)
--   resources: Resources that the export brought
--   unannounced_deletions: Resources it no longer held that were never called deleted
--   missed_versions: Resources whose change an earlier export should have brought
--   error_share: (unannounced_deletions + missed_versions) / resources
WITH load AS (
    SELECT
        connection_id,
        resource_type,
        export_id,
        transaction_time,
        lines_landed,
        proves_absence,
        max(transaction_time) OVER (
            PARTITION BY connection_id, resource_type
            ORDER BY transaction_time
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING
        ) AS known_up_to
    FROM ops.load
    WHERE NOT is_restricted
),
complete AS (
    SELECT * FROM load WHERE proves_absence AND known_up_to IS NOT NULL
),
vanished AS (
    SELECT s.connection_id, s.resource_type, s.valid_to AS transaction_time, count(*) AS resources
    FROM ops.resource_span AS s
    WHERE s.closed_by = 'absent'
    GROUP BY ALL
),
suspect AS (
    SELECT v.resource_key, v.export_id, v.resource_type, v.version_at, v.transaction_time
    FROM ops.resource_version AS v
    JOIN complete AS c USING (connection_id, resource_type, export_id)
    WHERE NOT v.is_deleted AND v.version_at <= c.known_up_to
),
missed AS (
    SELECT s.export_id, s.resource_type, count(DISTINCT s.resource_key) AS resources
    FROM suspect AS s
    ANTI JOIN ops.resource_version AS v
        ON v.resource_key = s.resource_key
        AND v.version_at >= s.version_at
        AND v.transaction_time < s.transaction_time
    GROUP BY ALL
)
SELECT
    c.connection_id,
    c.resource_type,
    c.export_id,
    c.transaction_time,
    c.known_up_to,
    c.lines_landed AS resources,
    coalesce(v.resources, 0) AS unannounced_deletions,
    coalesce(m.resources, 0) AS missed_versions,
    round((coalesce(v.resources, 0) + coalesce(m.resources, 0)) / nullif(c.lines_landed, 0), 6)
        AS error_share
FROM complete AS c
LEFT JOIN vanished AS v USING (connection_id, resource_type, transaction_time)
LEFT JOIN missed AS m USING (export_id, resource_type)
ORDER BY c.connection_id, c.resource_type, c.transaction_time
