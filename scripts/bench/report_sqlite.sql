-- The figures of `taskmon stats` for :day as one statement by hand, as report_postgres.sql: the day's rows are read once, the days before are
-- counted in an index alone. It takes for granted what taskmon looks at, that all times are text in one form.
WITH day AS MATERIALIZED (
    SELECT id, substr(created_at, 12, 2) AS hour, status, retry_count, processing_time AS seconds,
        (julianday(started_at) - julianday(created_at)) * 86400 AS wait,
        CASE WHEN status = 'FAILED' AND error_message <> '' THEN
            CASE WHEN instr(error_message, '二维码') > 0 THEN '二维码识别错误' WHEN instr(error_message, '物流') > 0 THEN '物流查询错误'
                WHEN instr(error_message, '文档') > 0 THEN '文档生成错误' WHEN instr(error_message, '超时') > 0 THEN '任务超时'
                WHEN instr(error_message, '数据库') > 0 THEN '数据库错误' ELSE '其他错误' END
        END AS category
    FROM tasks WHERE created_at >= :day AND created_at < date(:day, '1 day')
), cells AS (
    SELECT hour, status, retry_count, category, count(*) AS tasks, count(seconds) AS timed, sum(seconds) AS seconds,
        count(wait) AS waited, sum(wait) AS wait
    FROM day GROUP BY 1, 2, 3, 4
), ordered AS MATERIALIZED (
    SELECT seconds, row_number() OVER (ORDER BY seconds) - 1 AS place FROM day WHERE seconds IS NOT NULL
), ends AS (
    SELECT count(*) - 1 AS last, max(seconds) AS max FROM ordered
), shares AS (
    SELECT share, sum(seconds * (1 - abs(place - share * last))) AS seconds
    FROM ends CROSS JOIN (SELECT 0.5 AS share UNION ALL SELECT 0.9 UNION ALL SELECT 0.95 UNION ALL SELECT 0.99)
    JOIN ordered ON abs(place - share * last) < 1 GROUP BY share
), slowest AS (
    SELECT task_id, processing_time, status
    FROM (SELECT id FROM day WHERE seconds IS NOT NULL ORDER BY seconds DESC, id LIMIT 5)
    JOIN tasks USING (id) ORDER BY processing_time DESC, id
), trend AS (
    SELECT days.value AS ago, labels.value AS label, (SELECT count(*) FROM tasks WHERE status = labels.value
        AND created_at >= date(:day, (-days.value) || ' day') AND created_at < date(:day, (1 - days.value) || ' day')) AS tasks
    FROM json_each('[0,1,2,3,4,5,6,7]') AS days
    CROSS JOIN json_each('["PENDING","RECOGNIZING","TRACKING","DELIVERED","GENERATING","COMPLETED","FAILED","RETURNED"]') AS labels
), failed AS (
    SELECT task_id, error_message, retry_count, created_at FROM tasks
    WHERE status = 'FAILED' AND created_at >= :day AND created_at < date(:day, '1 day')
    ORDER BY created_at DESC, id LIMIT 20
), open AS (
    SELECT status, count(*) AS tasks FROM tasks
    WHERE status IN ('PENDING', 'RECOGNIZING', 'TRACKING', 'DELIVERED', 'GENERATING') GROUP BY 1
)
SELECT json_object(
    'cells', (SELECT json_group_array(json_object('hour', hour, 'status', status, 'retry_count', retry_count, 'category', category,
        'tasks', tasks, 'timed', timed, 'seconds', seconds, 'waited', waited, 'wait', wait)) FROM cells),
    'shares', json_object('p', (SELECT json_group_array(seconds) FROM (SELECT seconds FROM shares ORDER BY share)), 'max', (SELECT max FROM ends)),
    'slowest', (SELECT json_group_array(json_object('task_id', task_id)) FROM slowest),
    'trend', (SELECT json_group_array(json_object('ago', ago, 'label', label, 'tasks', tasks)) FROM trend),
    'failed', (SELECT json_group_array(json_object('task_id', task_id, 'error', error_message)) FROM failed),
    'open', (SELECT json_group_array(json_object('tasks', tasks)) FROM open),
    'undated', (SELECT count(*) FROM tasks WHERE created_at IS NULL));
