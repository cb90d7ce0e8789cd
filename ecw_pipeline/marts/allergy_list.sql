-- What is each patient allergic to?
-- Grain: one row per active allergy or intolerance of a patient. Key: (connection_id,
-- allergy_intolerance_id).
-- Active: clinical status active, or none given; not refuted and not entered in error. reactions
-- lists what was seen, severest is the worst severity of any reaction. A record that says there is
-- no known allergy (SNOMED CT 716186003, 409137002 and others that begin so) is a row like any
-- other, with is_none_known.
-- Columns:
--   allergy_intolerance_id: The record
--   code: Preferred code of what the patient reacts to
--   substance: What the patient reacts to, in words
--   is_none_known: Whether the record says that there is no known allergy
--   type: allergy or intolerance
--   categories: food, medication, environment or biologic, joined by commas
--   criticality: How dangerous a reaction may be: low, high or unable-to-assess
--   reactions: What was seen in reactions so far, in words, joined by commas
--   severest: Worst severity of any reaction: mild, moderate or severe
--   since: Onset, else when it was recorded (UTC)
WITH reacted AS (
    SELECT
        connection_id,
        allergy_intolerance_id,
        string_agg(DISTINCT coalesce(manifestation_text, manifestation_display), ', '
            ORDER BY coalesce(manifestation_text, manifestation_display)) AS reactions
    FROM core.allergy_intolerance_manifestation
    GROUP BY ALL
),
severity AS (
    SELECT
        connection_id,
        allergy_intolerance_id,
        arg_max(severity, list_position(['mild', 'moderate', 'severe'], severity)) AS severest
    FROM core.allergy_intolerance_reaction
    GROUP BY ALL
)
SELECT
    a.connection_id,
    a.allergy_intolerance_id,
    a.patient_id,
    a.code,
    coalesce(a.code_text, a.code_display) AS substance,
    coalesce(a.code IN (SELECT code FROM ops.code_list WHERE list = 'no_known_allergy'), false)
        AS is_none_known,
    a.type,
    a.categories,
    a.criticality,
    r.reactions,
    s.severest,
    coalesce(a.onset_at, a.recorded_at) AS since
FROM core.allergy_intolerance AS a
LEFT JOIN reacted AS r USING (connection_id, allergy_intolerance_id)
LEFT JOIN severity AS s USING (connection_id, allergy_intolerance_id)
WHERE coalesce(a.clinical_status_code, 'active') = 'active'
    AND coalesce(a.verification_status_code, '') NOT IN ('refuted', 'entered-in-error')
    AND a.patient_id IS NOT NULL
ORDER BY a.connection_id, a.patient_id, a.allergy_intolerance_id
