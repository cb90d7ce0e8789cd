-- How many patients are there, by age and gender?
-- Grain: one row per connection, ten-year age band and gender. Key: (connection_id, age_band,
-- gender).
-- Counted: patients not known to have died, whose record is not marked inactive. Age is in full
-- years on the day of the connection's newest export; a birth date known only to the month or
-- year counts from its first day. The band is 'unknown' where there is no birth date, or one
-- that lies ahead.
-- Columns:
--   age_band: Ten years of age, such as 30-39; 90+; or unknown
--   age_from: First year of the band, to sort by
--   gender: Administrative gender: male, female, other or unknown
--   patients: Patients in the band
--   as_of: The day that ages are of: that of the newest export
WITH exported AS (
    SELECT connection_id, max(transaction_time)::DATE AS as_of
    FROM ops.load
    GROUP BY ALL
),
aged AS (
    SELECT
        p.connection_id,
        coalesce(p.gender, 'unknown') AS gender,
        e.as_of,
        date_sub('year', p.born_on, e.as_of) AS age
    FROM core.patient AS p
    LEFT JOIN exported AS e USING (connection_id)
    WHERE NOT p.is_deceased AND p.active IS DISTINCT FROM false
),
banded AS (
    SELECT
        *,
        CASE WHEN age >= 0 THEN least(age // 10 * 10, 90) END AS age_from
    FROM aged
)
SELECT
    connection_id,
    CASE
        WHEN age_from IS NULL THEN 'unknown'
        WHEN age_from = 90 THEN '90+'
        ELSE age_from || '-' || (age_from + 9)
    END AS age_band,
    age_from,
    gender,
    count(*) AS patients,
    any_value(as_of) AS as_of
FROM banded
GROUP BY connection_id, age_from, gender
ORDER BY connection_id, age_from, gender
