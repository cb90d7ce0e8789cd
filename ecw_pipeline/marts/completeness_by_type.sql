-- How complete are the resources of each type?
-- Grain: one row per connection and resource type that it has, of the twelve main ones and of
-- orders, medications dispensed and given, documents and goals.
-- Key: (connection_id, resource_type).
-- with_patient, with_code and with_date count the resources that say whom they are about, what
-- they are (a code, a text, or the Medication that is meant; of a patient, the gender), and when it
-- was (of a patient, the date of birth; of a condition or allergy, the onset or else the recording).
-- The shares are of all resources of the type, those that were entered in error among them.
-- Columns:
--   resource_type: FHIR's name of the type
--   resources: Current resources of the type
--   with_patient: Those that say whom they are about
--   with_code: Those that say what they are
--   with_date: Those that say when it was
--   patient_share: with_patient / resources, from 0 to 1
--   code_share: with_code / resources, from 0 to 1
--   date_share: with_date / resources, from 0 to 1
SELECT
    connection_id,
    resource_type,
    count(*) AS resources,
    count(patient_id) AS with_patient,
    count(what) AS with_code,
    count(happened_at) AS with_date,
    round(count(patient_id) / count(*), 4) AS patient_share,
    round(count(what) / count(*), 4) AS code_share,
    round(count(happened_at) / count(*), 4) AS date_share
FROM (
    SELECT connection_id, 'Patient' AS resource_type, patient_id,
        gender AS what,
        born_on::TIMESTAMPTZ AS happened_at
    FROM core.patient
    UNION ALL
    SELECT connection_id, 'Observation', patient_id,
        coalesce(code, code_text),
        coalesce(effective_at, issued_at)
    FROM core.observation
    UNION ALL
    SELECT connection_id, 'Condition', patient_id,
        coalesce(code, code_text),
        coalesce(onset_at, recorded_at)
    FROM core.condition
    UNION ALL
    SELECT connection_id, 'MedicationRequest', patient_id,
        coalesce(medication_code, medication_text, medication_display, medication_id,
            medication_reference_display),
        authored_at
    FROM core.medication_request
    UNION ALL
    SELECT connection_id, 'AllergyIntolerance', patient_id,
        coalesce(code, code_text),
        coalesce(onset_at, recorded_at)
    FROM core.allergy_intolerance
    UNION ALL
    SELECT connection_id, 'Immunization', patient_id,
        coalesce(vaccine_code, vaccine_text),
        occurrence_at
    FROM core.immunization
    UNION ALL
    SELECT connection_id, 'Procedure', patient_id,
        coalesce(code, code_text),
        performed_at
    FROM core.procedure
    UNION ALL
    SELECT connection_id, 'DiagnosticReport', patient_id,
        coalesce(code, code_text),
        coalesce(effective_at, issued_at)
    FROM core.diagnostic_report
    UNION ALL
    SELECT connection_id, 'CarePlan', patient_id,
        coalesce(category_code, category_text, title, description),
        coalesce(period_start_at, created_at)
    FROM core.care_plan
    UNION ALL
    SELECT connection_id, 'Encounter', patient_id,
        coalesce(type_code, type_text, class_code),
        period_start_at
    FROM core.encounter
    UNION ALL
    SELECT connection_id, 'Communication', patient_id,
        coalesce(category_code, category_text),
        coalesce(sent_at, received_at)
    FROM core.communication
    UNION ALL
    SELECT connection_id, 'Task', patient_id,
        coalesce(code, code_text, description),
        coalesce(authored_at, last_modified_at)
    FROM core.task
    UNION ALL
    SELECT connection_id, 'ServiceRequest', patient_id,
        coalesce(code, code_text),
        coalesce(occurrence_at, occurrence_period_start_at, authored_at)
    FROM core.service_request
    UNION ALL
    SELECT connection_id, 'MedicationDispense', patient_id,
        coalesce(medication_code, medication_text, medication_display, medication_id,
            medication_reference_display),
        coalesce(handed_over_at, prepared_at)
    FROM core.medication_dispense
    UNION ALL
    SELECT connection_id, 'MedicationAdministration', patient_id,
        coalesce(medication_code, medication_text, medication_display, medication_id,
            medication_reference_display),
        coalesce(effective_at, effective_period_start_at)
    FROM core.medication_administration
    UNION ALL
    SELECT connection_id, 'DocumentReference', patient_id,
        coalesce(type_code, type_text, description),
        coalesce(context_period_start_at, date_at)
    FROM core.document_reference
    UNION ALL
    SELECT connection_id, 'Goal', patient_id,
        coalesce(description_code, description_text),
        TRY_CAST(start_date || CASE length(start_date) WHEN 4 THEN '-01-01' WHEN 7 THEN '-01'
            ELSE '' END AS TIMESTAMPTZ)
    FROM core.goal
)
GROUP BY connection_id, resource_type
ORDER BY connection_id, resource_type
