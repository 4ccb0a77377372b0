-- The figures of `taskmon alert` without arguments at :now (local time) as one statement by hand: open tasks by their status alone, finished ones
-- as far as they were made in the last day, today's in an index alone.
WITH pending AS MATERIALIZED (
    SELECT count(*) AS tasks, count(*) FILTER (WHERE created_at < :'now'::timestamp - interval '30 minutes') AS older, min(created_at) AS oldest
    FROM tasks WHERE status = 'PENDING'
), processing AS MATERIALIZED (
    SELECT task_id, coalesce(started_at, updated_at, created_at) AS since FROM tasks
    WHERE status IN ('RECOGNIZING', 'TRACKING', 'DELIVERED', 'GENERATING')
), open AS MATERIALIZED (
    SELECT id, created_at, status = 'PENDING' AS waits, created_at < :'now'::timestamp - interval '30 minutes' AS is_old FROM tasks
    WHERE status IN ('PENDING', 'RECOGNIZING', 'TRACKING', 'DELIVERED', 'GENERATING')
)
SELECT json_build_object(
    'pending', (SELECT to_json(pending) FROM pending),
    'oldest_pending', (SELECT min(task_id) FROM tasks WHERE status = 'PENDING' AND created_at = (SELECT oldest FROM pending)),
    'processing', (SELECT count(*) FROM processing),
    'stuck', (SELECT count(*) FROM processing WHERE since < :'now'::timestamp - interval '1 hour'),
    'oldest_processing', (SELECT to_json(oldest) FROM (SELECT * FROM processing ORDER BY since LIMIT 1) AS oldest),
    'queues', (SELECT json_agg(queues) FROM (SELECT 'queue-' || id % 8 AS name, count(*) FILTER (WHERE waits) AS pending,
        count(*) FILTER (WHERE NOT waits) AS processing, count(*) FILTER (WHERE waits AND is_old) AS older,
        min(created_at) FILTER (WHERE waits) AS oldest FROM open GROUP BY 1) AS queues),
    'names', (SELECT json_agg(names) FROM (SELECT 'name-' || id % 40 AS name, count(*) FILTER (WHERE waits) AS pending,
        count(*) FILTER (WHERE NOT waits) AS processing, count(*) FILTER (WHERE waits AND is_old) AS older,
        min(created_at) FILTER (WHERE waits) AS oldest FROM open GROUP BY 1) AS names),
    'finished', (SELECT count(*) FROM tasks
        WHERE status IN ('COMPLETED', 'FAILED') AND created_at >= :'now'::timestamp - interval '1 day'
        AND CASE status WHEN 'FAILED' THEN coalesce(updated_at, completed_at) ELSE coalesce(completed_at, updated_at) END
            BETWEEN :'now'::timestamp - interval '1 hour' AND :'now'::timestamp),
    'today', (SELECT json_object_agg(label, tasks) FROM unnest(enum_range(NULL::taskstatusenum)) AS labels(label)
        CROSS JOIN LATERAL (SELECT count(*) AS tasks FROM tasks
            WHERE status = label AND created_at >= :'now'::date AND created_at < :'now'::date + 1) AS counts));
