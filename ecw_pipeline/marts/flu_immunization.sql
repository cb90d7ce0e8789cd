-- Who was immunised against influenza, by season and age?
-- Grain: one row per connection, season and age band. Key: (connection_id, season, age_band).
-- A season runs from July to June, by the practice's own days, and is named after both years.
-- Counted are patients of the list as it is now, born six months or more before the season's
-- October, not known to have died before the season. Age is on that first of October. Immunised:
-- a completed immunisation of a CVX code of seasonal influenza in the season. Seasons are those
-- in which the practice gave any, up to the newest export. What other places gave is missing,
-- unless it was recorded here.
-- Columns:
--   season: The season by both its years, such as 2025/2026
--   age_band: Age in years on the season's first of October: 0-4, 5-17, 18-49, 50-64 or 65+
--   patients: Patients who count
--   immunized: Those of them who were immunised in the season
--   immunized_share: immunized / patients, from 0 to 1
WITH given AS (
    SELECT DISTINCT
        connection_id,
        patient_id,
        year(coalesce(try_cast(left(occurrence_date_time, 10) AS DATE), occurrence_at::DATE)
            - INTERVAL 6 MONTH) AS season_year
    FROM core.immunization
    WHERE status = 'completed'
        AND cvx_code IN (SELECT code FROM ops.code_list WHERE list = 'influenza_vaccine')
        AND occurrence_at BETWEEN TIMESTAMPTZ '1950-01-01 00:00:00+00' AND (
            SELECT max(transaction_time) FROM ops.load)
        AND patient_id IS NOT NULL
),
season AS (
    SELECT DISTINCT connection_id, season_year, make_date(season_year, 10, 1) AS reference_day
    FROM given
),
eligible AS (
    SELECT
        s.connection_id,
        s.season_year,
        p.patient_id,
        date_sub('year', p.born_on, s.reference_day) AS age
    FROM season AS s
    JOIN core.patient AS p USING (connection_id)
    WHERE p.born_on <= s.reference_day - INTERVAL 6 MONTH
        AND p.born_on > s.reference_day - INTERVAL 130 YEAR
        AND (p.deceased_at IS NULL OR p.deceased_at >= make_date(s.season_year, 7, 1))
        AND NOT (p.is_deceased AND p.deceased_at IS NULL)
)
SELECT
    e.connection_id,
    e.season_year || '/' || (e.season_year + 1) AS season,
    CASE
        WHEN e.age < 5 THEN '0-4'
        WHEN e.age < 18 THEN '5-17'
        WHEN e.age < 50 THEN '18-49'
        WHEN e.age < 65 THEN '50-64'
        ELSE '65+'
    END AS age_band,
    count(*) AS patients,
    count(g.patient_id) AS immunized,
    round(count(g.patient_id) / count(*), 4) AS immunized_share
FROM eligible AS e
LEFT JOIN given AS g USING (connection_id, patient_id, season_year)
GROUP BY e.connection_id, e.season_year, age_band
ORDER BY e.connection_id, e.season_year DESC, min(e.age)
