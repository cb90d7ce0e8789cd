-- What is each patient's latest HbA1c, and who of them has diabetes?
-- Grain: one row per patient with a final result. Key: (connection_id, patient_id).
-- Results are LOINC 4548-4, 4549-2, 17855-8, 17856-6 (percent) and 59261-8 (mmol/mol), of status
-- final, amended or corrected. Values in mmol/mol are turned into percent by the NGSP equation
-- 0.09148 x + 2.152. The latest is the one that was true last, then the one issued last;
-- what is dated after the connection's newest export is a slip, and left out.
-- has_diabetes: an active condition of ICD-10-CM E10, E11 or E13, or SNOMED CT 73211009,
-- 44054006 or 46635009. This approximates CMS122; it is no certified measure.
-- Columns:
--   hba1c_percent: The latest HbA1c, in percent
--   is_above_9: Whether it is above 9 percent
--   measured_at: When it was true of the patient (UTC)
--   has_diabetes: Whether the patient has an active diabetes
--   observation_id: The result
WITH exported AS (
    SELECT connection_id, max(transaction_time) AS as_of
    FROM ops.load
    GROUP BY ALL
),
result AS (
    SELECT
        connection_id,
        patient_id,
        observation_id,
        hba1c_percent(loinc_code, value_quantity, coalesce(value_unit_code, value_unit))
            AS hba1c_percent,
        effective_at,
        issued_at
    FROM core.observation
    LEFT JOIN exported USING (connection_id)
    WHERE loinc_code IN (SELECT code FROM ops.code_list WHERE list = 'hba1c')
        AND is_final(status)
        AND value_quantity IS NOT NULL
        AND patient_id IS NOT NULL
        AND coalesce(effective_at <= as_of, true)
),
diabetic AS (
    SELECT DISTINCT connection_id, patient_id
    FROM core.condition
    WHERE (left(icd10_code, 3) IN (SELECT code FROM ops.code_list WHERE list = 'diabetes')
            OR snomed_code IN (SELECT code FROM ops.code_list WHERE list = 'diabetes'))
        AND is_active_condition(clinical_status_code, verification_status_code)
)
SELECT
    r.connection_id,
    r.patient_id,
    r.hba1c_percent,
    r.hba1c_percent > 9 AS is_above_9,
    r.effective_at AS measured_at,
    d.patient_id IS NOT NULL AS has_diabetes,
    r.observation_id
FROM result AS r
LEFT JOIN diabetic AS d USING (connection_id, patient_id)
QUALIFY row_number() OVER (
    PARTITION BY r.connection_id, r.patient_id
    ORDER BY r.effective_at DESC NULLS LAST, r.issued_at DESC NULLS LAST, r.observation_id DESC
) = 1
ORDER BY r.connection_id, r.patient_id
