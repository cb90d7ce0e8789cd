-- Of the patients with diabetes, how many are in poor control of their HbA1c?
-- Grain: one row per connection and measurement year. Key: (connection_id, measurement_year).
-- The year is that of the connection's newest export; results count from its first day to the
-- export, by the day that the practice's server wrote, in its own time zone. denominator:
-- patients aged 18 to 75 at the year's end, not known to have died, with an active diabetes
-- (ICD-10-CM E10, E11 or E13, or SNOMED CT 73211009, 44054006 or 46635009) and an encounter that
-- took place in the year. tested: the latest HbA1c of the year has a value. poor_control: that
-- value is above 9 percent, or there is none, be it without a test or without its result, as
-- CMS122 has it. Hospice, palliative care and frailty are not excluded: this approximates
-- CMS122; it is no certified measure.
-- Columns:
--   measurement_year: The year that is measured: that of the newest export
--   denominator: Patients with diabetes who count
--   tested: Those of them whose latest HbA1c of the year has a value
--   poor_control: Those of them above 9 percent, or without a value
--   poor_control_rate: poor_control / denominator, from 0 to 1; lower is better
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
        WHERE (left(icd10_code, 3) IN (SELECT code FROM ops.code_list WHERE list = 'diabetes')
                OR snomed_code IN (SELECT code FROM ops.code_list WHERE list = 'diabetes'))
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
    WHERE date_sub('year', p.born_on, m.last_day) BETWEEN 18 AND 75
        AND NOT p.is_deceased
),
latest AS (
    SELECT
        o.connection_id,
        o.patient_id,
        hba1c_percent(o.loinc_code, o.value_quantity, coalesce(o.value_unit_code, o.value_unit))
            AS hba1c_percent
    FROM core.observation AS o
    JOIN period AS m USING (connection_id)
    WHERE o.loinc_code IN (SELECT code FROM ops.code_list WHERE list = 'hba1c')
        AND is_final(o.status)
        AND o.effective_at <= m.as_of
        AND left(coalesce(o.effective_date_time, o.effective_period_start, o.effective_instant,
            o.effective_at::VARCHAR), 4) = m.measurement_year::VARCHAR
    QUALIFY row_number() OVER (
        PARTITION BY o.connection_id, o.patient_id
        ORDER BY o.effective_at DESC, o.issued_at DESC NULLS LAST, o.observation_id DESC
    ) = 1
)
SELECT
    d.connection_id,
    d.measurement_year,
    count(*) AS denominator,
    count(l.hba1c_percent) AS tested,
    count(*) FILTER (l.hba1c_percent IS NULL OR l.hba1c_percent > 9) AS poor_control,
    round(poor_control / count(*), 4) AS poor_control_rate
FROM denominator AS d
LEFT JOIN latest AS l USING (connection_id, patient_id)
GROUP BY d.connection_id, d.measurement_year
ORDER BY d.connection_id
