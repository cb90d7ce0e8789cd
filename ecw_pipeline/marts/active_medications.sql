-- What does each patient take now?
-- Grain: one row per active prescription of a patient. Key: (connection_id, medication_request_id).
-- Active: status active, intent order or a kind of order, or none given; not a wish that
-- something be not taken. The medication's name and code are the prescription's own, else those
-- of the Medication that it refers to. Whether the patient really takes it, no prescription
-- tells; one that nobody ended stays active: prescribed_at says since when.
-- Columns:
--   medication_request_id: The prescription
--   rxnorm_code: RxNorm code of the medication
--   medication: The medication in words
--   dosage: How it is to be taken, in the prescriber's words; several instructions joined by '; '
--   prescribed_at: When it was prescribed (UTC)
--   prescriber: Who prescribed it, by name
--   is_reported: Whether the prescription is told by somebody else than its prescriber
SELECT
    r.connection_id,
    r.medication_request_id,
    r.patient_id,
    coalesce(r.rxnorm_code, m.rxnorm_code) AS rxnorm_code,
    coalesce(r.medication_text, r.medication_display, m.code_text, m.code_display,
        r.medication_reference_display) AS medication,
    d.dosage,
    r.authored_at AS prescribed_at,
    r.requester_display AS prescriber,
    r.is_reported
FROM core.medication_request AS r
LEFT JOIN core.medication AS m USING (connection_id, medication_id)
LEFT JOIN (
    SELECT connection_id, medication_request_id, string_agg(text, '; ' ORDER BY ordinal) AS dosage
    FROM core.medication_request_dosage
    GROUP BY ALL
) AS d USING (connection_id, medication_request_id)
WHERE is_active_order(r.status, r.intent, r.do_not_perform)
    AND r.patient_id IS NOT NULL
ORDER BY r.connection_id, r.patient_id, medication, r.medication_request_id
