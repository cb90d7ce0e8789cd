-- How long do tasks take, and what is waiting?
-- Grain: one row per connection, kind of task and priority. Key: (connection_id, task, priority).
-- A task's time runs from its creation to the end of its execution. Where none is recorded it
-- ends when an export saw the task completed that was not so before (timed_from_history counts
-- these, by its latest completion), or else with its last change. It is known for completed
-- tasks only. Tasks that end before they begin are left out of median_hours and p90_hours. Open:
-- neither completed nor given up. Overdue: open past the end of the time allowed, all of its
-- last day included. Waiting is counted until the newest export of Task. Drafts and tasks
-- entered in error are left out.
-- Columns:
--   task: Kind of task, in words, else unknown
--   priority: routine, urgent, asap or stat
--   tasks: Tasks that are not drafts or entered in error
--   completed: Those of them that are completed
--   given_up: Those of them that were cancelled or rejected, or failed
--   open: Those of them that wait
--   overdue: Open tasks past the end of the time allowed
--   median_hours: Hours from creation to completion, for half of the completed tasks
--   p90_hours: Hours from creation to completion, for nine in ten
--   longest_open_hours: Hours that the oldest open task waits
--   timed_from_history: Completed tasks whose end is when an export saw it
WITH exported AS (
    SELECT connection_id, max(transaction_time) AS as_of
    FROM ops.load
    WHERE resource_type = 'Task'
    GROUP BY ALL
),
seen AS (
    SELECT connection_id, task_id, max(valid_to) AS completed_at
    FROM history.task
    WHERE status IS DISTINCT FROM 'completed'
    GROUP BY ALL
    HAVING max_by(closed_by, valid_to) = 'superseded'
),
timed AS (
    SELECT
        t.connection_id,
        coalesce(t.code_text, t.code_display, t.code, 'unknown') AS task,
        coalesce(t.priority, 'routine') AS priority,
        coalesce(t.status = 'completed', false) AS is_completed,
        coalesce(t.status IN ('cancelled', 'rejected', 'failed'), false) AS is_given_up,
        t.execution_period_end_at IS NULL AND s.completed_at IS NOT NULL AS is_from_history,
        coalesce(t.execution_period_end_at, s.completed_at, t.last_modified_at) AS ended_at,
        epoch(ended_at - t.authored_at) / 3600 AS hours,
        epoch(e.as_of - t.authored_at) / 3600 AS waited_hours,
        end_of(t.restriction_period_end_at, t.restriction_period_end) <= e.as_of AS is_late
    FROM core.task AS t
    LEFT JOIN exported AS e USING (connection_id)
    LEFT JOIN seen AS s USING (connection_id, task_id)
    WHERE coalesce(t.status, '') NOT IN ('draft', 'entered-in-error')
)
SELECT
    connection_id,
    task,
    priority,
    count(*) AS tasks,
    count(*) FILTER (is_completed) AS completed,
    count(*) FILTER (is_given_up) AS given_up,
    count(*) FILTER (NOT is_completed AND NOT is_given_up) AS open,
    count(*) FILTER (NOT is_completed AND NOT is_given_up AND is_late) AS overdue,
    round(quantile_cont(hours, 0.5) FILTER (is_completed AND hours >= 0), 2) AS median_hours,
    round(quantile_cont(hours, 0.9) FILTER (is_completed AND hours >= 0), 2) AS p90_hours,
    round(max(waited_hours) FILTER (NOT is_completed AND NOT is_given_up), 2)
        AS longest_open_hours,
    count(*) FILTER (is_completed AND is_from_history) AS timed_from_history
FROM timed
GROUP BY ALL
ORDER BY connection_id, task, priority
