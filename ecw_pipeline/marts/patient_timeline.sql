-- What happened to each patient, in order?
-- Grain: one row per event of a patient. Key: (connection_id, resource_type, resource_id).
-- Events: encounters, problems, results and vital signs, prescriptions, medications dispensed and
-- given, immunisations, procedures, orders, reports, documents, allergies, care plans, messages and
-- tasks that are dated and not entered in error. happened_at is when it was true of the patient
-- (start, onset, effective time), else when it was recorded.
-- Columns:
--   happened_at: When it was true of the patient, else when it was recorded (UTC)
--   resource_type: FHIR's name of the event's type
--   resource_id: Id of the resource, in the main table of its type
--   what: The event in words, or its code
--   detail: Value of a result; criticality of an allergy; status of all else
SELECT
    connection_id,
    patient_id,
    happened_at,
    resource_type,
    resource_id,
    what,
    detail
FROM (
    SELECT connection_id, patient_id, period_start_at AS happened_at, 'Encounter' AS resource_type,
        encounter_id AS resource_id,
        coalesce(type_text, type_display, class_display, class_code) AS what, status AS detail
    FROM core.encounter
    UNION ALL
    SELECT connection_id, patient_id, coalesce(onset_at, recorded_at), 'Condition', condition_id,
        coalesce(code_text, code_display, code),
        CASE WHEN verification_status_code = 'entered-in-error' THEN verification_status_code
            ELSE clinical_status_code END
    FROM core.condition
    UNION ALL
    SELECT connection_id, patient_id, coalesce(effective_at, issued_at), 'Observation',
        observation_id, coalesce(code_text, code_display, code),
        CASE WHEN status = 'entered-in-error' THEN status
            ELSE coalesce(value_quantity_text || coalesce(' ' || value_unit, ''), value_string,
                status) END
    FROM core.observation
    UNION ALL
    SELECT connection_id, patient_id, authored_at, 'MedicationRequest', medication_request_id,
        coalesce(medication_text, medication_display, medication_reference_display), status
    FROM core.medication_request
    UNION ALL
    SELECT connection_id, patient_id, coalesce(occurrence_at, recorded_at), 'Immunization',
        immunization_id, coalesce(vaccine_text, vaccine_display, vaccine_code), status
    FROM core.immunization
    UNION ALL
    SELECT connection_id, patient_id, performed_at, 'Procedure', procedure_id,
        coalesce(code_text, code_display, code), status
    FROM core.procedure
    UNION ALL
    SELECT connection_id, patient_id, coalesce(effective_at, issued_at), 'DiagnosticReport',
        diagnostic_report_id, coalesce(code_text, code_display, code), status
    FROM core.diagnostic_report
    UNION ALL
    SELECT connection_id, patient_id, coalesce(onset_at, recorded_at), 'AllergyIntolerance',
        allergy_intolerance_id, coalesce(code_text, code_display, code),
        CASE WHEN verification_status_code = 'entered-in-error' THEN verification_status_code
            ELSE criticality END
    FROM core.allergy_intolerance
    UNION ALL
    SELECT connection_id, patient_id, coalesce(sent_at, received_at), 'Communication',
        communication_id,
        coalesce(topic_text, topic_display, category_text, category_display, category_code), status
    FROM core.communication
    UNION ALL
    SELECT connection_id, patient_id, coalesce(authored_at, last_modified_at), 'Task', task_id,
        coalesce(code_text, code_display, code, description), status
    FROM core.task
    UNION ALL
    SELECT connection_id, patient_id, coalesce(period_start_at, created_at), 'CarePlan',
        care_plan_id, coalesce(title, category_text, category_display, category_code), status
    FROM core.care_plan
    UNION ALL
    SELECT connection_id, patient_id, authored_at, 'ServiceRequest', service_request_id,
        coalesce(code_text, code_display, code), status
    FROM core.service_request
    UNION ALL
    SELECT connection_id, patient_id, coalesce(handed_over_at, prepared_at), 'MedicationDispense',
        medication_dispense_id,
        coalesce(medication_text, medication_display, medication_reference_display), status
    FROM core.medication_dispense
    UNION ALL
    SELECT connection_id, patient_id, coalesce(effective_at, effective_period_start_at),
        'MedicationAdministration', medication_administration_id,
        coalesce(medication_text, medication_display, medication_reference_display), status
    FROM core.medication_administration
    UNION ALL
    SELECT connection_id, patient_id, coalesce(context_period_start_at, date_at),
        'DocumentReference', document_reference_id,
        coalesce(type_text, type_display, type_code, description), status
    FROM core.document_reference
)
WHERE happened_at IS NOT NULL
    AND patient_id IS NOT NULL
    AND detail IS DISTINCT FROM 'entered-in-error'
ORDER BY connection_id, patient_id, happened_at, resource_type, resource_id
