-- The figures of `taskmon stats` for :day as one statement by hand, in the fastest form known: the day's rows are read once, into
-- narrow ones, and the days before are counted in an index alone. scripts/bench.sh writes `trend` in a second form, too.
WITH day AS MATERIALIZED (
    SELECT id, date_part('hour', created_at) AS hour, status, retry_count, processing_time AS seconds, started_at - created_at AS wait,
        CASE WHEN status = 'FAILED' AND error_message <> '' THEN
            CASE WHEN strpos(error_message, '二维码') > 0 THEN '二维码识别错误' WHEN strpos(error_message, '物流') > 0 THEN '物流查询错误'
                WHEN strpos(error_message, '文档') > 0 THEN '文档生成错误' WHEN strpos(error_message, '超时') > 0 THEN '任务超时'
                WHEN strpos(error_message, '数据库') > 0 THEN '数据库错误' ELSE '其他错误' END
        END AS category
    FROM tasks WHERE created_at >= :'day'::timestamp AND created_at < :'day'::timestamp + interval '1 day'
), cells AS (
    SELECT hour, status, retry_count, category, count(*) AS tasks, count(seconds) AS timed, sum(seconds) AS seconds,
        count(wait) AS waited, extract(epoch FROM sum(wait)) AS wait
    FROM day GROUP BY 1, 2, 3, 4
), shares AS (
    SELECT percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY seconds) AS p, max(seconds) AS max, count(*) AS timed
    FROM day WHERE seconds IS NOT NULL
), slowest AS (
    SELECT task_id, processing_time, status
    FROM (SELECT id FROM day WHERE seconds >= (SELECT CASE WHEN timed > 1000 THEN p[4] ELSE '-Infinity' END FROM shares)
        ORDER BY seconds DESC, id LIMIT 5) AS ids
    JOIN tasks USING (id) ORDER BY processing_time DESC, id
), trend AS (
    SELECT days.ago, labels.label, counts.tasks FROM generate_series(0, 7) AS days(ago)
    CROSS JOIN unnest(enum_range(NULL::taskstatusenum)) AS labels(label)
    CROSS JOIN LATERAL (SELECT count(*) AS tasks FROM tasks WHERE status = label
        AND created_at >= :'day'::timestamp - ago * interval '1 day' AND created_at < :'day'::timestamp - (ago - 1) * interval '1 day') AS counts
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
    'slowest', (SELECT json_agg(slowest) FROM slowest), 'trend', (SELECT json_agg(trend) FROM trend),
    'failed', (SELECT json_agg(failed) FROM failed), 'open', (SELECT json_agg(open) FROM open),
    'undated', (SELECT count(*) FROM tasks WHERE created_at IS NULL));
