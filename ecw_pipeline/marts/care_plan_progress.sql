-- How far are care plans?
-- Grain: one row per care plan that is not entered in error. Key: (connection_id, care_plan_id).
-- Activities count by their own status, and those that are resources of their own (reference_id) by
-- that of the Task, ServiceRequest or MedicationRequest; others are in activities alone. Cancelled,
-- stopped, rejected, failed and mistaken ones are in no count, nor in completed_share.
-- goals_achieved: goals of the plan whose achievement status is achieved or sustaining. is_overdue:
-- active past the end of its period (all of the day, month or year that it names), as of the
-- connection's newest export of CarePlan.
-- Columns:
--   care_plan_id: The plan
--   status: draft, active, on-hold, revoked, completed or unknown
--   plan: The plan in words: its title, else its category
--   period_start_at: When the plan begins (UTC)
--   period_end_at: When it ends (UTC); of a date known in part, its first moment
--   is_overdue: Whether it is active past its end
--   activities: Activities that were not given up or entered in error
--   completed: Activities that are completed
--   under_way: Activities that are scheduled, active, in progress or on hold
--   not_started: Activities that are not started, and tasks that are asked for or accepted
--   completed_share: completed / activities, from 0 to 1; null without activities
--   goals: Goals of the plan
--   goals_achieved: Goals of the plan that are achieved or sustaining
WITH exported AS (
    SELECT connection_id, max(transaction_time) AS as_of
    FROM ops.load
    WHERE resource_type = 'CarePlan'
    GROUP BY ALL
),
resource AS (
    SELECT connection_id, 'Task' AS reference_type, task_id AS reference_id, status
    FROM core.task
    UNION ALL
    SELECT connection_id, 'ServiceRequest', service_request_id, status
    FROM core.service_request
    UNION ALL
    SELECT connection_id, 'MedicationRequest', medication_request_id, status
    FROM core.medication_request
),
activity AS (
    SELECT
        connection_id,
        care_plan_id,
        count(*) FILTER (
            coalesce(stage, '') NOT IN (
                'cancelled', 'stopped', 'revoked', 'rejected', 'failed', 'entered-in-error')
        ) AS activities,
        count(*) FILTER (stage = 'completed') AS completed,
        count(*) FILTER (stage IN ('scheduled', 'active', 'in-progress', 'on-hold')) AS under_way,
        count(*) FILTER (
            stage IN ('not-started', 'draft', 'requested', 'received', 'accepted', 'ready')
        ) AS not_started
    FROM (
        SELECT a.connection_id, a.care_plan_id, coalesce(a.status, r.status) AS stage
        FROM core.care_plan_activity AS a
        LEFT JOIN resource AS r USING (connection_id, reference_type, reference_id)
    )
    GROUP BY ALL
),
aim AS (
    SELECT
        p.connection_id,
        p.care_plan_id,
        count(*) AS goals,
        count(*) FILTER (g.achievement_status_code IN ('achieved', 'sustaining')) AS goals_achieved
    FROM core.care_plan_goal AS p
    LEFT JOIN core.goal AS g USING (connection_id, goal_id)
    GROUP BY ALL
)
SELECT
    c.connection_id,
    c.care_plan_id,
    c.patient_id,
    c.status,
    coalesce(c.title, c.category_text, c.category_display) AS plan,
    c.period_start_at,
    c.period_end_at,
    coalesce(c.status = 'active' AND end_of(c.period_end_at, c.period_end) <= e.as_of, false)
        AS is_overdue,
    coalesce(a.activities, 0) AS activities,
    coalesce(a.completed, 0) AS completed,
    coalesce(a.under_way, 0) AS under_way,
    coalesce(a.not_started, 0) AS not_started,
    round(a.completed / nullif(a.activities, 0), 4) AS completed_share,
    coalesce(g.goals, 0) AS goals,
    coalesce(g.goals_achieved, 0) AS goals_achieved
FROM core.care_plan AS c
LEFT JOIN exported AS e USING (connection_id)
LEFT JOIN activity AS a USING (connection_id, care_plan_id)
LEFT JOIN aim AS g USING (connection_id, care_plan_id)
WHERE c.status IS DISTINCT FROM 'entered-in-error'
ORDER BY c.connection_id, c.care_plan_id
