-- Which problems does each patient have now?
-- Grain: one row per active condition of a patient. Key: (connection_id, condition_id).
-- Active: clinical status active, recurrence or relapse, or none given; not refuted and not
-- entered in error; without an abatement. since is the onset, else the day it was recorded. The
-- same problem may be there more than once, as the practice recorded it: repeats counts the
-- patient's active conditions of the same code.
-- Columns:
--   condition_id: The condition
--   code: ICD-10-CM code, else SNOMED CT, else the preferred one
--   problem: The problem in words
--   category: problem-list-item, encounter-diagnosis or health-concern
--   severity: How severe it is, in words
--   verification_status: confirmed, provisional, differential or unconfirmed
--   since: Onset, else when it was recorded (UTC)
--   repeats: The patient's active conditions of the same code, this one among them
SELECT
    connection_id,
    condition_id,
    patient_id,
    coalesce(icd10_code, snomed_code, code) AS code,
    coalesce(code_text, code_display) AS problem,
    category_code AS category,
    severity_display AS severity,
    verification_status_code AS verification_status,
    coalesce(onset_at, recorded_at) AS since,
    count(*) OVER (
        PARTITION BY connection_id, patient_id, coalesce(icd10_code, snomed_code, code, condition_id)
    ) AS repeats
FROM core.condition
WHERE is_active_condition(clinical_status_code, verification_status_code)
    AND abatement_at IS NULL
    AND coalesce(abatement_date_time, abatement_period_start, abatement_period_end,
        abatement_string) IS NULL
    AND coalesce(abatement_age, abatement_range_low, abatement_range_high) IS NULL
    AND patient_id IS NOT NULL
ORDER BY connection_id, patient_id, since DESC NULLS LAST, condition_id
