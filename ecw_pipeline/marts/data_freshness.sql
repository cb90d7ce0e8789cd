-- How fresh is the data, type by type?
-- Grain: one row per connection and resource type that was ever loaded. Key: (connection_id,
-- resource_type).
-- data_as_of is the server's own clock at the newest export that was loaded: nothing that
-- changed later is here. Exports of some resources only (ecw export --patient) do not count.
-- behind_hours is how far a type lags behind the connection's freshest. The last_ columns tell
-- of that newest export; sums are over all exports, so a resource that was exported twice counts
-- twice.
-- Columns:
--   resource_type: FHIR's name of the type
--   data_as_of: The server's clock at the newest export loaded (UTC)
--   behind_hours: Hours behind the connection's freshest type
--   last_loaded_at: When an export of the type was loaded last (UTC)
--   last_export_id: The newest export: ops.export
--   last_lines_received: Lines received in the newest export
--   last_manifest_count: Lines that the server announced for it; null where it announced none
--   exports_loaded: Exports loaded so far
--   lines_received: Lines received in all of them
--   lines_landed: Lines that were taken
--   lines_quarantined: Lines that were refused: ops.quarantine
--   lines_superseded: Lines that another line of the same export replaced
--   resources_changed: Changes to resources, over all loads
--   resources_deleted: Deletions of resources, over all loads
--   load_seconds: Seconds that the loads took
WITH ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY connection_id, resource_type
            ORDER BY is_restricted, transaction_time DESC NULLS LAST,
                loaded_at DESC NULLS LAST, export_id DESC
        ) AS age_rank
    FROM ops.load
),
by_type AS (
    SELECT
        connection_id,
        resource_type,
        max(transaction_time) FILTER (NOT is_restricted) AS data_as_of,
        max(loaded_at) AS last_loaded_at,
        max(export_id) FILTER (age_rank = 1) AS last_export_id,
        max(lines_received) FILTER (age_rank = 1) AS last_lines_received,
        max(manifest_count) FILTER (age_rank = 1) AS last_manifest_count,
        count(DISTINCT export_id) AS exports_loaded,
        sum(lines_received)::BIGINT AS lines_received,
        sum(lines_landed)::BIGINT AS lines_landed,
        sum(lines_quarantined)::BIGINT AS lines_quarantined,
        sum(lines_superseded)::BIGINT AS lines_superseded,
        sum(resources_changed)::BIGINT AS resources_changed,
        sum(resources_deleted)::BIGINT AS resources_deleted,
        round(sum(load_seconds), 3) AS load_seconds
    FROM ranked
    GROUP BY ALL
)
SELECT
    connection_id,
    resource_type,
    data_as_of,
    round(epoch(max(data_as_of) OVER (PARTITION BY connection_id) - data_as_of) / 3600, 2)
        AS behind_hours,
    last_loaded_at,
    last_export_id,
    last_lines_received,
    last_manifest_count,
    exports_loaded,
    lines_received,
    lines_landed,
    lines_quarantined,
    lines_superseded,
    resources_changed,
    resources_deleted,
    load_seconds
FROM by_type
ORDER BY connection_id, resource_type
