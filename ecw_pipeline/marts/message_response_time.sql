-- How quickly are patients' messages answered?
-- Grain: one row per month in which messages were sent, and connection. Key: (month,
-- connection_id). The month is null where the time of sending is unknown.
-- A message counts if a patient or a related person sent it, and it is not itself an answer. It
-- is answered by the first message of somebody else that names it in inResponseTo; drafts,
-- messages not sent and those entered in error count on neither side.
-- median_hours and p90_hours are over all messages: those still open count as slower than any
-- answer, and where that decides, the figure is null. So recent months look slower than they are.
-- longest_open_hours runs until the newest export of Communication. Servers that do not fill
-- inResponseTo have only open messages here.
-- Columns:
--   month: First day of the month in which the messages were sent; null where that is not known
--   messages: Messages that patients and related persons sent
--   answered: Those of them that were answered
--   still_open: Those of them that were not
--   median_hours: Hours to the answer of half of the messages; null where half are still open
--   p90_hours: Hours to the answer of nine in ten; null where more than one in ten is still open
--   longest_open_hours: Hours that the oldest open message waits
WITH usable AS (
    SELECT
        connection_id,
        communication_id,
        coalesce(sent_at, received_at) AS sent_at,
        coalesce(sent, received) AS sent,
        coalesce(sender_type IN ('Patient', 'RelatedPerson'), false) AS is_from_patient
    FROM core.communication
    WHERE coalesce(status, '') NOT IN ('preparation', 'not-done', 'entered-in-error')
),
answers AS (
    SELECT connection_id, communication_id, reference_id AS message_id
    FROM core.communication_reference
    WHERE element = 'in_response_to' AND reference_type = 'Communication'
),
exported AS (
    SELECT connection_id, max(transaction_time) AS as_of
    FROM ops.load
    WHERE resource_type = 'Communication'
    GROUP BY ALL
),
message AS (
    SELECT
        m.connection_id,
        m.communication_id,
        any_value(m.sent) AS sent,
        any_value(m.sent_at) AS sent_at,
        min(r.sent_at) FILTER (r.sent_at >= m.sent_at) AS answered_at
    FROM usable AS m
    ANTI JOIN answers AS own USING (connection_id, communication_id)
    LEFT JOIN answers AS a
        ON a.connection_id = m.connection_id AND a.message_id = m.communication_id
    LEFT JOIN usable AS r
        ON r.connection_id = a.connection_id AND r.communication_id = a.communication_id
        AND NOT r.is_from_patient
    WHERE m.is_from_patient
    GROUP BY m.connection_id, m.communication_id
),
timed AS (
    SELECT
        *,
        coalesce(epoch(answered_at - sent_at) / 3600, 'infinity'::DOUBLE) AS hours
    FROM message
)
SELECT
    try_cast(left(t.sent, 7) || '-01' AS DATE) AS month,
    t.connection_id,
    count(*) AS messages,
    count(t.answered_at) AS answered,
    count(*) - count(t.answered_at) AS still_open,
    round(nullif(quantile_disc(t.hours, 0.5), 'infinity'::DOUBLE), 2) AS median_hours,
    round(nullif(quantile_disc(t.hours, 0.9), 'infinity'::DOUBLE), 2) AS p90_hours,
    round(max(epoch(e.as_of - t.sent_at) / 3600) FILTER (t.answered_at IS NULL), 2)
        AS longest_open_hours
FROM timed AS t
LEFT JOIN exported AS e USING (connection_id)
GROUP BY ALL
ORDER BY month DESC, t.connection_id
