-- How many encounters are there, by month, class and practitioner?
-- Grain: one row per connection, month, class and practitioner. Key: (connection_id, month, class,
-- practitioner_id).
-- encounters took place, or take place now; the other counts are beside them. FHIR R4 knows no
-- missed encounter: no_shows are those whose status says noshow in spite of it, and cancelled ones
-- may hold others. no_show_share and cancelled_share are of all that were to take place and whose
-- time has come. The month is that of the start as the practice's server wrote it, in its own time
-- zone. Entered in error: left out.
-- Columns:
--   month: First day of the month; null where the start is not known
--   class: Class of the encounter (AMB, VR, EMER …), else unknown
--   practitioner_id: The practitioner
--   practitioner: The practitioner's name, as the encounters have it
--   encounters: Encounters that took place, or take place now
--   telehealth_encounters: Those of them by telehealth
--   telehealth_share: telehealth_encounters / encounters, from 0 to 1
--   planned: Encounters that are planned
--   cancelled: Encounters that were cancelled
--   no_shows: Encounters with the status noshow
--   cancelled_share: cancelled / (encounters + cancelled + no_shows), from 0 to 1
--   no_show_share: no_shows / (encounters + cancelled + no_shows), from 0 to 1
--   patients: Patients with an encounter that took place
SELECT
    connection_id,
    try_cast(left(period_start, 7) || '-01' AS DATE) AS month,
    coalesce(class_code, 'unknown') AS class,
    practitioner_id,
    min(practitioner) AS practitioner,
    count(*) FILTER (took_place) AS encounters,
    count(*) FILTER (took_place AND is_telehealth) AS telehealth_encounters,
    round(telehealth_encounters / nullif(encounters, 0), 4) AS telehealth_share,
    count(*) FILTER (status = 'planned') AS planned,
    count(*) FILTER (status = 'cancelled') AS cancelled,
    count(*) FILTER (status = 'noshow') AS no_shows,
    round(cancelled / nullif(encounters + cancelled + no_shows, 0), 4) AS cancelled_share,
    round(no_shows / nullif(encounters + cancelled + no_shows, 0), 4) AS no_show_share,
    count(DISTINCT patient_id) FILTER (took_place) AS patients
FROM (
    SELECT
        *,
        took_place(status) AS took_place
    FROM core.encounter
    WHERE status IS DISTINCT FROM 'entered-in-error'
)
LEFT JOIN (
    SELECT connection_id, individual_id AS practitioner_id, max(individual_display) AS practitioner
    FROM core.encounter_participant
    WHERE individual_type = 'Practitioner'
    GROUP BY ALL
) USING (connection_id, practitioner_id)
GROUP BY connection_id, month, class, practitioner_id
ORDER BY connection_id, month DESC NULLS LAST, class, practitioner_id
