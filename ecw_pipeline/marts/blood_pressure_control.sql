-- Of the patients with hypertension, how many are in control of their blood pressure?
-- Grain: one row per connection and measurement year. Key: (connection_id, measurement_year).
-- The year is that of the connection's newest export; readings count from its first day to the
-- export, by the day that the practice's server wrote, in its own time zone. denominator:
-- patients aged 18 to 85 at the year's end, not known to have died, with an active essential
-- hypertension (ICD-10-CM I10, or SNOMED CT 38341003 or 59621000) and an encounter that took
-- place in the year. controlled: on the latest day with a reading, the lowest systolic value is
-- below 140 and the lowest diastolic below 90 mm[Hg], as CMS165 has it; a patient without a
-- reading is not in control. Values in kPa are turned into mm[Hg]. Pregnancy, dialysis, hospice
-- and frailty are not excluded: this approximates CMS165; it is no certified measure.
-- Columns:
--   measurement_year: The year that is measured: that of the newest export
--   denominator: Patients with essential hypertension who count
--   measured: Those of them with a reading in the year
--   controlled: Those of them below 140/90 on their latest day with a reading
--   controlled_rate: controlled / denominator, from 0 to 1
WITH period AS (
    SELECT
        connection_id,
        max(transaction_time) AS as_of,
        year(max(transaction_time)) AS measurement_year,
        make_date(year(max(transaction_time)), 12, 31) AS last_day
    FROM ops.load
    GROUP BY ALL
),
denominator AS (
    SELECT p.connection_id, p.patient_id, m.measurement_year
    FROM core.patient AS p
    JOIN period AS m USING (connection_id)
    SEMI JOIN (
        SELECT connection_id, patient_id
        FROM core.condition
        WHERE (
            left(icd10_code, 3)
                IN (SELECT code FROM ops.code_list WHERE list = 'essential_hypertension')
            OR snomed_code IN (SELECT code FROM ops.code_list WHERE list = 'essential_hypertension'))
            AND is_active_condition(clinical_status_code, verification_status_code)
    ) AS d USING (connection_id, patient_id)
    SEMI JOIN (
        SELECT
            connection_id,
            patient_id,
            try_cast(left(coalesce(period_start, period_start_at::VARCHAR), 4) AS BIGINT)
                AS measurement_year
        FROM core.encounter
        WHERE took_place(status)
    ) AS e USING (connection_id, patient_id, measurement_year)
    WHERE date_sub('year', p.born_on, m.last_day) BETWEEN 18 AND 85
        AND NOT p.is_deceased
),
usable AS (
    SELECT o.connection_id, o.observation_id, o.patient_id, o.loinc_code, o.value_quantity,
        o.value_unit, o.value_unit_code, m.measurement_year,
        left(coalesce(o.effective_date_time, o.effective_period_start, o.effective_instant,
            o.effective_at::VARCHAR), 10) AS day
    FROM core.observation AS o
    JOIN period AS m USING (connection_id)
    WHERE is_final(o.status) AND o.effective_at <= m.as_of
        AND starts_with(day, m.measurement_year::VARCHAR)
),
measured AS (
    SELECT connection_id, patient_id, day, loinc_code AS side,
        mm_hg(value_quantity, coalesce(value_unit_code, value_unit)) AS mm_hg
    FROM usable
    WHERE loinc_code IN ('8480-6', '8462-4')
    UNION ALL
    SELECT o.connection_id, o.patient_id, o.day, c.code,
        mm_hg(c.value_quantity, coalesce(c.value_unit_code, c.value_unit))
    FROM usable AS o
    JOIN core.observation_component AS c USING (connection_id, observation_id)
    WHERE c.code IN ('8480-6', '8462-4')
),
daily AS (
    SELECT
        connection_id,
        patient_id,
        day,
        min(mm_hg) FILTER (side = '8480-6') AS systolic,
        min(mm_hg) FILTER (side = '8462-4') AS diastolic
    FROM measured
    WHERE mm_hg IS NOT NULL
    GROUP BY ALL
    HAVING systolic IS NOT NULL AND diastolic IS NOT NULL
),
latest AS (
    SELECT connection_id, patient_id, arg_max(systolic < 140 AND diastolic < 90, day) AS is_good
    FROM daily
    GROUP BY ALL
)
SELECT
    d.connection_id,
    d.measurement_year,
    count(*) AS denominator,
    count(l.patient_id) AS measured,
    count(*) FILTER (l.is_good) AS controlled,
    round(controlled / count(*), 4) AS controlled_rate
FROM denominator AS d
LEFT JOIN latest AS l USING (connection_id, patient_id)
GROUP BY d.connection_id, d.measurement_year
ORDER BY d.connection_id
