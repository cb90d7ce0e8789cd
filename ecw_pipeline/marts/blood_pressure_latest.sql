-- What is each patient's latest blood pressure, and is it below 140/90?
-- Grain: one row per patient with a reading. Key: (connection_id, patient_id).
-- A reading has a systolic (LOINC 8480-6) and a diastolic value (8462-4), as components of one
-- observation or as two observations of the same moment; status final, amended or corrected.
-- Values in kPa are turned into mm[Hg]. Of several readings at the latest moment, that of the
-- greatest observation_id is taken; what is dated after the connection's newest export is a slip,
-- and left out.
-- has_hypertension: an active condition of ICD-10-CM I10 to I13, I15 or I16, or SNOMED CT
-- 38341003 or 59621000. This approximates CMS165; it is no certified measure.
-- Columns:
--   systolic_mm_hg: Systolic pressure, in mm[Hg]
--   diastolic_mm_hg: Diastolic pressure, in mm[Hg]
--   is_controlled: Whether it is below 140/90
--   measured_at: When it was measured (UTC)
--   has_hypertension: Whether the patient has an active hypertension
--   observation_id: The reading
WITH exported AS (
    SELECT connection_id, max(transaction_time) AS as_of
    FROM ops.load
    GROUP BY ALL
),
usable AS (
    SELECT connection_id, observation_id, patient_id, effective_at, loinc_code,
        mm_hg(value_quantity, coalesce(value_unit_code, value_unit)) AS mm_hg
    FROM core.observation
    LEFT JOIN exported USING (connection_id)
    WHERE is_final(status) AND patient_id IS NOT NULL AND coalesce(effective_at <= as_of, true)
),
measured AS (
    SELECT
        o.connection_id, o.patient_id, o.effective_at, o.observation_id,
        o.observation_id AS reading, c.code AS side,
        mm_hg(c.value_quantity, coalesce(c.value_unit_code, c.value_unit)) AS mm_hg
    FROM usable AS o
    JOIN core.observation_component AS c USING (connection_id, observation_id)
    WHERE c.code IN ('8480-6', '8462-4') AND c.value_quantity IS NOT NULL
    UNION ALL
    SELECT
        connection_id, patient_id, effective_at, observation_id,
        'at ' || effective_at::VARCHAR, loinc_code, mm_hg
    FROM usable
    WHERE loinc_code IN ('8480-6', '8462-4') AND mm_hg IS NOT NULL
),
reading AS (
    SELECT
        connection_id,
        patient_id,
        effective_at,
        max(observation_id) AS observation_id,
        min(mm_hg) FILTER (side = '8480-6') AS systolic_mm_hg,
        min(mm_hg) FILTER (side = '8462-4') AS diastolic_mm_hg
    FROM measured
    WHERE reading IS NOT NULL
    GROUP BY connection_id, patient_id, effective_at, reading
    HAVING systolic_mm_hg IS NOT NULL AND diastolic_mm_hg IS NOT NULL
),
hypertensive AS (
    SELECT DISTINCT connection_id, patient_id
    FROM core.condition
    WHERE (left(icd10_code, 3) IN (SELECT code FROM ops.code_list WHERE list = 'hypertension')
            OR snomed_code IN (SELECT code FROM ops.code_list WHERE list = 'hypertension'))
        AND is_active_condition(clinical_status_code, verification_status_code)
)
SELECT
    r.connection_id,
    r.patient_id,
    r.systolic_mm_hg,
    r.diastolic_mm_hg,
    r.systolic_mm_hg < 140 AND r.diastolic_mm_hg < 90 AS is_controlled,
    r.effective_at AS measured_at,
    h.patient_id IS NOT NULL AS has_hypertension,
    r.observation_id
FROM reading AS r
LEFT JOIN hypertensive AS h USING (connection_id, patient_id)
QUALIFY row_number() OVER (
    PARTITION BY r.connection_id, r.patient_id
    ORDER BY r.effective_at DESC NULLS LAST, r.observation_id DESC
) = 1
ORDER BY r.connection_id, r.patient_id
