-- How long does it take from a test to its report?
-- Grain: one row per connection, category and kind of report. Key: (connection_id, category,
-- report).
-- The time runs from when the report is clinically true (of a period, its start) to when it was
-- issued, for reports that are final, amended, corrected or appended. Reports issued before
-- that are counted in issued_too_early and left out of median_hours and p90_hours, as are those
-- where either time is missing. Pending: registered, partial or preliminary. Reports that were
-- cancelled or entered in error are left out.
WITH timed AS (
    SELECT
        connection_id,
        coalesce(category_display, category_text, category_code, 'unknown') AS category,
        coalesce(code_text, code_display, code, 'unknown') AS report,
        status IN ('final', 'amended', 'corrected', 'appended') AS is_issued,
        status IN ('registered', 'partial', 'preliminary') AS is_pending,
        epoch(issued_at - effective_at) / 3600 AS hours
    FROM core.diagnostic_report
    WHERE coalesce(status, '') NOT IN ('cancelled', 'entered-in-error')
)
SELECT
    connection_id,
    category,
    report,
    count(*) AS reports,
    count(*) FILTER (is_issued) AS issued,
    count(*) FILTER (is_pending) AS pending,
    count(*) FILTER (is_issued AND hours < 0) AS issued_too_early,
    round(quantile_cont(hours, 0.5) FILTER (is_issued AND hours >= 0), 2) AS median_hours,
    round(quantile_cont(hours, 0.9) FILTER (is_issued AND hours >= 0), 2) AS p90_hours
FROM timed
GROUP BY ALL
ORDER BY connection_id, category, report
