-- Who takes five medications or more?
-- Grain: one row per patient with an active prescription. Key: (connection_id, patient_id).
-- Active prescriptions are those of active_medications. A medication counts once, however often it
-- is prescribed: by its RxNorm code, else by its name, else by the prescription itself. Different
-- strengths have different RxNorm codes, and count apart.
-- Columns:
--   medications: Different medications among the active prescriptions
--   prescriptions: Active prescriptions
--   has_polypharmacy: Whether these are five medications or more
--   has_excessive_polypharmacy: Whether these are ten medications or more
WITH active AS (
    SELECT
        r.connection_id,
        r.patient_id,
        coalesce(r.rxnorm_code, m.rxnorm_code, lower(r.medication_text),
            lower(r.medication_display), lower(m.code_text), lower(m.code_display),
            lower(r.medication_reference_display),
            r.medication_request_id) AS medication
    FROM core.medication_request AS r
    LEFT JOIN core.medication AS m USING (connection_id, medication_id)
    WHERE is_active_order(r.status, r.intent, r.do_not_perform)
        AND r.patient_id IS NOT NULL
)
SELECT
    connection_id,
    patient_id,
    count(DISTINCT medication) AS medications,
    count(*) AS prescriptions,
    count(DISTINCT medication) >= 5 AS has_polypharmacy,
    count(DISTINCT medication) >= 10 AS has_excessive_polypharmacy
FROM active
GROUP BY ALL
ORDER BY medications DESC, connection_id, patient_id
