-- How far are care plans?
-- Grain: one row per care plan that is not entered in error. Key: (connection_id, care_plan_id).
-- Activities count by their own status; one that is a resource of its own (reference_id) has none
-- here and counts as of unknown status. Cancelled, stopped and mistaken activities are in none of
-- the other counts, nor in completed_share. goals_achieved: goals of the plan whose achievement
-- status is achieved or sustaining. is_overdue: active past the end of its period (all of
-- the day, month or year that it names), as of the connection's newest export of CarePlan.
-- Columns:
--   care_plan_id: The plan
--   status: draft, active, on-hold, revoked, completed or unknown
--   plan: The plan in words: its title, else its category
--   period_start_at: When the plan begins (UTC)
--   period_end_at: When it ends (UTC); of a date known in part, its first moment
--   is_overdue: Whether it is active past its end
--   activities: Activities that are not cancelled, stopped or entered in error
--   completed: Activities that are completed
--   under_way: Activities that are scheduled, in progress or on hold
--   not_started: Activities that are not started
--   completed_share: completed / activities, from 0 to 1; null without activities
--   goals: Goals of the plan
--   goals_achieved: Goals of the plan that are achieved or sustaining
WITH exported AS (
    SELECT connection_id, max(transaction_time) AS as_of
    FROM ops.load
    WHERE resource_type = 'CarePlan'
    GROUP BY ALL
),
activity AS (
    SELECT
        connection_id,
        care_plan_id,
        count(*) FILTER (coalesce(status, '') NOT IN ('cancelled', 'stopped', 'entered-in-error'))
            AS activities,
        count(*) FILTER (status = 'completed') AS completed,
        count(*) FILTER (status IN ('scheduled', 'in-progress', 'on-hold')) AS under_way,
        count(*) FILTER (status = 'not-started') AS not_started
    FROM core.care_plan_activity
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
