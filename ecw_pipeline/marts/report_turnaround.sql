-- How long does it take from a test to its report?
-- Grain: one row per connection, category and kind of report. Key: (connection_id, category,
-- report).
-- The time runs from when the report is clinically true (of a period, its start) to when it was
-- first issued as final, amended, corrected or appended: a correction has its own time of issue,
-- and the first is in history. Where no time of issue is recorded, it is when an export saw the
-- report issued that was pending before (timed_from_history counts these). Reports issued before
-- they are true are counted in issued_too_early and left out of median_hours and p90_hours, as are
-- those where either time is missing. Pending: registered, partial or preliminary. Reports that
-- were cancelled or entered in error are left out.
-- Columns:
--   category: Category of the reports, in words, else unknown
--   report: Kind of report, in words, else unknown
--   reports: Reports that are not cancelled or entered in error
--   issued: Those of them that are final, amended, corrected or appended
--   pending: Those of them that are registered, partial or preliminary
--   issued_too_early: Issued reports whose time of issue is before they are true
--   median_hours: Hours from being true to the issue, for half of the issued reports
--   p90_hours: Hours from being true to the issue, for nine in ten
--   timed_from_history: Issued reports whose time of issue is when an export saw it
WITH versions AS (
    SELECT
        *,
        status IN ('final', 'amended', 'corrected', 'appended') AS is_issued,
        status IN ('registered', 'partial', 'preliminary') AS is_pending
    FROM (FROM core.diagnostic_report UNION ALL BY NAME FROM history.diagnostic_report)
),
earlier AS (
    SELECT
        connection_id,
        diagnostic_report_id,
        min(issued_at) FILTER (is_issued) AS issued_at,
        max(valid_to) FILTER (is_pending AND closed_by = 'superseded') AS seen_at
    FROM versions
    WHERE valid_to IS NOT NULL
    GROUP BY ALL
),
timed AS (
    SELECT
        v.connection_id,
        coalesce(category_display, category_text, category_code, 'unknown') AS category,
        coalesce(code_text, code_display, code, 'unknown') AS report,
        is_issued,
        is_pending,
        least(e.issued_at, v.issued_at) AS recorded_at,
        recorded_at IS NULL AND e.seen_at IS NOT NULL AS is_from_history,
        epoch(coalesce(recorded_at, e.seen_at) - v.effective_at) / 3600 AS hours
    FROM versions AS v
    LEFT JOIN earlier AS e USING (connection_id, diagnostic_report_id)
    WHERE v.valid_to IS NULL AND coalesce(v.status, '') NOT IN ('cancelled', 'entered-in-error')
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
    round(quantile_cont(hours, 0.9) FILTER (is_issued AND hours >= 0), 2) AS p90_hours,
    count(*) FILTER (is_issued AND is_from_history) AS timed_from_history
FROM timed
GROUP BY ALL
ORDER BY connection_id, category, report
