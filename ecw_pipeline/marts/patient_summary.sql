-- What is there to know of each patient at a glance?
-- Grain: one row per patient. Key: (connection_id, patient_id).
-- Counts are of what is active now, as problem_list, allergy_list and active_medications have it.
-- last_visit_at is the start of the latest encounter that took place; next_visit_at the earliest
-- planned one after the connection's newest export, which age is of, too. The latest values are of
-- status final, amended or corrected, and not of after that export; HbA1c is that of
-- hba1c_latest_per_patient.
-- Columns:
--   medical_record_number: First identifier of type MR
--   family_name: Family name
--   given_names: Given names, joined by a space
--   gender: Administrative gender: male, female, other or unknown
--   born_on: Date of birth; where it is known in part, its first day
--   age: Full years at the newest export; null of those who died
--   is_deceased: Whether the patient is known to have died
--   last_visit_at: Start of the latest encounter that took place (UTC)
--   next_visit_at: Start of the earliest planned encounter to come (UTC)
--   problems: Active conditions, as in problem_list
--   allergies: Active allergies, those recorded as none known left out
--   prescriptions: Active prescriptions, as in active_medications
--   hba1c_percent: Latest HbA1c, in percent
--   body_mass_index: Latest body mass index (LOINC 39156-5), in kg/m2
WITH exported AS (
    SELECT connection_id, max(transaction_time) AS as_of
    FROM ops.load
    GROUP BY ALL
),
visit AS (
    SELECT
        v.connection_id,
        v.patient_id,
        max(v.period_start_at) FILTER (
            took_place(v.status) AND v.period_start_at <= e.as_of) AS last_visit_at,
        min(v.period_start_at) FILTER (v.status = 'planned' AND v.period_start_at > e.as_of)
            AS next_visit_at
    FROM core.encounter AS v
    JOIN exported AS e USING (connection_id)
    GROUP BY ALL
),
problem AS (
    SELECT connection_id, patient_id, count(*) AS problems
    FROM core.condition
    WHERE is_active_condition(clinical_status_code, verification_status_code)
        AND abatement_at IS NULL
        AND coalesce(abatement_date_time, abatement_period_start, abatement_period_end,
            abatement_string) IS NULL
        AND coalesce(abatement_age, abatement_range_low, abatement_range_high) IS NULL
    GROUP BY ALL
),
allergy AS (
    SELECT connection_id, patient_id, count(*) AS allergies
    FROM core.allergy_intolerance
    WHERE coalesce(clinical_status_code, 'active') = 'active'
        AND coalesce(verification_status_code, '') NOT IN ('refuted', 'entered-in-error')
        AND coalesce(code NOT IN (SELECT code FROM ops.code_list WHERE list = 'no_known_allergy'),
            true)
    GROUP BY ALL
),
medication AS (
    SELECT connection_id, patient_id, count(*) AS prescriptions
    FROM core.medication_request
    WHERE is_active_order(status, intent, do_not_perform)
    GROUP BY ALL
),
a1c AS (
    SELECT
        connection_id,
        patient_id,
        arg_max(
            hba1c_percent(loinc_code, value_quantity, coalesce(value_unit_code, value_unit)),
            (effective_at IS NOT NULL, effective_at, issued_at IS NOT NULL, issued_at,
                observation_id)) AS hba1c_percent
    FROM core.observation
    LEFT JOIN exported USING (connection_id)
    WHERE loinc_code IN (SELECT code FROM ops.code_list WHERE list = 'hba1c')
        AND is_final(status)
        AND coalesce(effective_at <= as_of, true)
    GROUP BY ALL
),
result AS (
    SELECT
        connection_id,
        patient_id,
        arg_max(value_quantity, (effective_at IS NOT NULL, effective_at, observation_id))
            AS body_mass_index
    FROM core.observation
    LEFT JOIN exported USING (connection_id)
    WHERE loinc_code = '39156-5'
        AND is_final(status)
        AND coalesce(effective_at <= as_of, true)
    GROUP BY ALL
)
SELECT
    p.connection_id,
    p.patient_id,
    p.medical_record_number,
    p.family_name,
    p.given_names,
    p.gender,
    p.born_on,
    CASE WHEN NOT p.is_deceased THEN date_sub('year', p.born_on, e.as_of::DATE) END AS age,
    p.is_deceased,
    v.last_visit_at,
    v.next_visit_at,
    coalesce(c.problems, 0) AS problems,
    coalesce(a.allergies, 0) AS allergies,
    coalesce(m.prescriptions, 0) AS prescriptions,
    h.hba1c_percent,
    r.body_mass_index
FROM core.patient AS p
LEFT JOIN exported AS e USING (connection_id)
LEFT JOIN visit AS v USING (connection_id, patient_id)
LEFT JOIN problem AS c USING (connection_id, patient_id)
LEFT JOIN allergy AS a USING (connection_id, patient_id)
LEFT JOIN medication AS m USING (connection_id, patient_id)
LEFT JOIN a1c AS h USING (connection_id, patient_id)
LEFT JOIN result AS r USING (connection_id, patient_id)
ORDER BY p.connection_id, p.patient_id
