-- The report of :day as one statement: the fastest form of it known. Its parts are those of `taskmon stats`.
SET jit = off;
WITH cells AS (
    SELECT width_bucket(created_at, ARRAY(SELECT :'day'::timestamp + h * interval '1 hour' FROM generate_series(0, 24) AS h)) - 1 AS hour,
        status, retry_count, count(*) AS tasks, count(processing_time) AS timed, sum(processing_time) AS seconds,
        count(started_at) AS waited, sum(extract(epoch FROM started_at - created_at)) AS wait
    FROM tasks WHERE created_at >= :'day'::timestamp AND created_at < :'day'::timestamp + interval '1 day' GROUP BY 1, 2, 3
), shares AS (
    SELECT percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY processing_time) AS p, max(processing_time) AS max
    FROM tasks WHERE created_at >= :'day'::timestamp AND created_at < :'day'::timestamp + interval '1 day'
), slowest AS (
    SELECT task_id, processing_time, status FROM tasks
    WHERE created_at >= :'day'::timestamp AND created_at < :'day'::timestamp + interval '1 day' AND processing_time IS NOT NULL
    ORDER BY processing_time DESC, id LIMIT 5
), days AS (
    SELECT d.ago, l.label, n.tasks FROM generate_series(0, 7) AS d(ago)
    CROSS JOIN unnest(enum_range(NULL::taskstatusenum)) AS l(label)
    CROSS JOIN LATERAL (SELECT count(*) AS tasks FROM tasks WHERE status = l.label
        AND created_at >= :'day'::timestamp - d.ago * interval '1 day' AND created_at < :'day'::timestamp - (d.ago - 1) * interval '1 day') AS n
), categories AS (
    SELECT CASE WHEN strpos(error_message, '二维码') > 0 THEN 0 WHEN strpos(error_message, '物流') > 0 THEN 1
        WHEN strpos(error_message, '文档') > 0 THEN 2 WHEN strpos(error_message, '超时') > 0 THEN 3
        WHEN strpos(error_message, '数据库') > 0 THEN 4 END AS category, count(*) AS tasks
    FROM tasks WHERE status = 'FAILED' AND created_at >= :'day'::timestamp AND created_at < :'day'::timestamp + interval '1 day'
        AND error_message <> '' GROUP BY 1
), failed AS (
    SELECT task_id, error_message, retry_count, created_at FROM tasks
    WHERE status = 'FAILED' AND created_at >= :'day'::timestamp AND created_at < :'day'::timestamp + interval '1 day'
    ORDER BY created_at DESC, id LIMIT 20
), open AS (
    SELECT status, count(*) AS tasks FROM tasks
    WHERE status IN ('PENDING', 'RECOGNIZING', 'TRACKING', 'DELIVERED', 'GENERATING') GROUP BY 1
)
SELECT json_build_object(
    'cells', (SELECT json_agg(cells) FROM cells), 'shares', (SELECT to_json(shares) FROM shares),
    'slowest', (SELECT json_agg(slowest) FROM slowest), 'days', (SELECT json_agg(days) FROM days),
    'categories', (SELECT json_agg(categories) FROM categories), 'failed', (SELECT json_agg(failed) FROM failed),
    'open', (SELECT json_agg(open) FROM open),
    'undated', (SELECT count(*) FROM tasks WHERE created_at IS NULL));
