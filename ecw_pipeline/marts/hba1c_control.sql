-- Of the patients with diabetes, how many are in poor control of their HbA1c?
-- Grain: one row per connection and measurement year. Key: (connection_id, measurement_year).
-- The year is that of the connection's newest export; results count from its first day to the
-- export. denominator: patients aged 18 to 75 at the year's end, not known to have died, with an
-- active diabetes (ICD-10-CM E10, E11 or E13, or SNOMED CT 73211009, 44054006 or 46635009) and an
-- encounter that took place in the year. poor_control: latest HbA1c of the year above 9 percent, or
-- none at all, as CMS122 has it. Hospice, palliative care and frailty are not excluded: this
-- approximates CMS122; it is no certified measure.
WITH period AS (
    SELECT
        connection_id,
        year(max(transaction_time)) AS measurement_year,
        make_date(year(max(transaction_time)), 1, 1) AS first_day,
        make_date(year(max(transaction_time)), 12, 31) AS last_day
    FROM ops.load
    GROUP BY ALL
),
denominator AS (
    SELECT p.connection_id, p.patient_id, m.measurement_year, m.first_day
    FROM core.patient AS p
    JOIN period AS m USING (connection_id)
    SEMI JOIN (
        SELECT connection_id, patient_id
        FROM core.condition
        WHERE (left(icd10_code, 3) IN (SELECT code FROM ops.code_list WHERE list = 'diabetes')
                OR snomed_code IN (SELECT code FROM ops.code_list WHERE list = 'diabetes'))
            AND coalesce(clinical_status_code, 'active') IN ('active', 'recurrence', 'relapse')
            AND coalesce(verification_status_code, '') NOT IN ('refuted', 'entered-in-error')
    ) AS d USING (connection_id, patient_id)
    SEMI JOIN (
        SELECT connection_id, patient_id, year(period_start_at) AS measurement_year
        FROM core.encounter
        WHERE coalesce(status, '') NOT IN ('planned', 'cancelled', 'noshow', 'entered-in-error')
    ) AS e USING (connection_id, patient_id, measurement_year)
    WHERE date_sub('year', p.born_on, m.last_day) BETWEEN 18 AND 75
        AND NOT p.is_deceased
),
latest AS (
    SELECT
        o.connection_id,
        o.patient_id,
        arg_max(
            CASE
                WHEN o.loinc_code = '59261-8'
                        OR lower(coalesce(o.value_unit_code, o.value_unit)) = 'mmol/mol'
                    THEN 0.09148 * o.value_quantity + 2.152
                ELSE o.value_quantity
            END,
            (o.effective_at, o.issued_at, o.observation_id)) AS hba1c_percent
    FROM core.observation AS o
    JOIN period AS m USING (connection_id)
    WHERE o.loinc_code IN (SELECT code FROM ops.code_list WHERE list = 'hba1c')
        AND o.status IN ('final', 'amended', 'corrected')
        AND o.value_quantity IS NOT NULL
        AND o.effective_at >= m.first_day
    GROUP BY ALL
)
SELECT
    d.connection_id,
    d.measurement_year,
    count(*) AS denominator,
    count(l.patient_id) AS tested,
    count(*) FILTER (l.hba1c_percent IS NULL OR l.hba1c_percent > 9) AS poor_control,
    round(poor_control / count(*), 4) AS poor_control_rate
FROM denominator AS d
LEFT JOIN latest AS l USING (connection_id, patient_id)
GROUP BY d.connection_id, d.measurement_year
ORDER BY d.connection_id
