-- What share of encounters is telehealth, month by month?
-- Grain: one row per month and connection. Key: (month, connection_id).
-- Counted: encounters that took place, so none that are planned, cancelled, missed
-- (noshow, see encounters_by_month) or entered in error.
-- The month is that of the start as the practice's server wrote it, in its own time zone; it is
-- null for encounters whose start is missing or not known to the month.
-- What telehealth is: see the column is_telehealth of core.encounter.
-- Columns:
--   month: First day of the month; null where the start is not known
--   encounters: Encounters that took place
--   telehealth_encounters: Those of them by telehealth
--   telehealth_share: telehealth_encounters / encounters, from 0 to 1
SELECT
    try_cast(left(period_start, 7) || '-01' AS DATE) AS month,
    connection_id,
    count(*) AS encounters,
    count(*) FILTER (is_telehealth) AS telehealth_encounters,
    round(count(*) FILTER (is_telehealth) / count(*), 4) AS telehealth_share
FROM core.encounter
WHERE took_place(status)
GROUP BY ALL
ORDER BY month DESC, connection_id
