-- Fills the empty table `tasks` with :tasks rows over the :days days up to and including :last_day, in the order of their creation.
-- The shares, the day's curve and the widths are those of tests/reference/generate.py, but the server makes the rows itself, which is
-- fast enough for ten millions.
--
-- Of the tasks that are open when they are drawn, the share :settled has been completed since, on the days that lie more than
-- :open_days before the last; without the two, 0.8 and 1.
--
-- Unlogged, because nothing here has to outlive the server, and because a standby has no use for it.
\if :{?settled}
\else
    \set settled 0.8
    \set open_days 1
\endif
ALTER TABLE tasks SET UNLOGGED;
DROP INDEX idx_tasks_status_created, idx_tasks_created_at, idx_tasks_user_status, idx_tasks_tracking_number;
SET maintenance_work_mem = '512MB';

-- The part of a day's tasks that lies before each hour, and 1 at the end.
SELECT array_agg(before ORDER BY hour) AS curve FROM (
    SELECT hour, coalesce(sum(weight) OVER (ORDER BY hour ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::float8
        / sum(weight) OVER () AS before
    FROM unnest(ARRAY[2, 1, 1, 1, 1, 2, 4, 9, 30, 62, 80, 70, 38, 44, 66, 74, 64, 48, 26, 18, 14, 11, 7, 4, 0])
        WITH ORDINALITY AS weights(weight, hour)
) AS hours
\gset

SELECT setseed(0.42);
INSERT INTO tasks (task_id, task_name, status, image_path, image_url, file_size, qr_code, tracking_number, courier_company,
    tracking_data, delivery_status, delivery_time, document_path, screenshot_path, started_at, completed_at, processing_time,
    error_message, retry_count, user_id, created_at, updated_at)
SELECT 'task_' || to_char(n, 'FM000000000'),
    '送达回证任务 ' || n,
    status::taskstatusenum,
    'uploads/' || left(hash, 2) || '/' || hash || '.png',
    '/static/uploads/' || hash || '.png',
    80000 + n % 2900000,
    'https://mini.example/q?mail=' || n,
    '10' || n,
    'EMS',
    '{"status": "已签收", "events": [{"time": "2026-11-22 10:00:00", "context": "已签收, 签收人: 本人"}]}',
    CASE WHEN status = 'COMPLETED' THEN 'delivered' END,
    CASE WHEN status = 'COMPLETED' THEN started + took END,
    CASE WHEN status = 'COMPLETED' THEN 'documents/' || left(hash, 2) || '/' || hash || '.docx' END,
    'screenshots/' || left(hash, 2) || '/' || hash || '.png',
    CASE WHEN status <> 'PENDING' THEN started END,
    CASE WHEN status = 'COMPLETED' THEN started + took END,
    CASE WHEN status = 'COMPLETED' AND chance < 0.98 OR status = 'FAILED' AND chance < 0.5
        THEN round(extract(epoch FROM took), 3)::float8 END,
    CASE WHEN status <> 'FAILED' OR chance < 0.02 THEN NULL WHEN chance < 0.04 THEN '' ELSE
        (ARRAY['二维码识别失败: 图片中没有二维码', '物流查询失败: 接口返回 502', '文档生成失败: 缺少模板', '任务超时: 超过 300 秒',
            '数据库连接失败: connection refused', 'Unexpected error: KeyError ''data'''])[1 + n % 6] END,
    CASE WHEN status = 'FAILED' THEN least(5, floor(-ln(1 - chance) / 0.6)) WHEN chance >= 0.03 THEN 0 WHEN chance < 0.02 THEN 1 END,
    n % 397,
    created,
    started + took
FROM (
    SELECT n, md5(n::text) AS hash, chance, created, created - ln(1 - wait) * interval '3 seconds' AS started,
        -- A lognormal duration; three chances sum up to nearly a normal distribution.
        exp(2.6 + 1.5 * (a + b + c - 1.5)) * interval '1 second' AS took,
        CASE WHEN ago > :open_days AND state < 0.05 AND settled < :settled THEN 'COMPLETED'
            WHEN state < 0.010 THEN 'PENDING' WHEN state < 0.015 THEN 'RECOGNIZING' WHEN state < 0.035 THEN 'TRACKING'
            WHEN state < 0.045 THEN 'DELIVERED' WHEN state < 0.050 THEN 'GENERATING' WHEN state < 0.100 THEN 'FAILED'
            WHEN state < 0.110 THEN 'RETURNED' ELSE 'COMPLETED' END AS status
    FROM (
        SELECT n, ago, :'last_day'::timestamp - ago * interval '1 day' + interval '1 hour' * (hour - 1
                + (part - curve[hour]) / (curve[hour + 1] - curve[hour])) AS created,
            random() AS chance, random() AS wait, random() AS state, random() AS settled, random() AS a, random() AS b, random() AS c
        FROM generate_series(0, :tasks - 1) AS n
        CROSS JOIN LATERAL (SELECT :days - 1 - n::bigint * :days / :tasks AS ago, (n::bigint * :days % :tasks)::float8 / :tasks AS part) AS days
        CROSS JOIN (SELECT :'curve'::float8[] AS curve) AS curves
        CROSS JOIN LATERAL (SELECT width_bucket(part, curve) AS hour) AS hours
    ) AS dice
) AS drawn;

CREATE INDEX idx_tasks_status_created ON tasks (status, created_at);
CREATE INDEX idx_tasks_created_at ON tasks (created_at);
CREATE INDEX idx_tasks_user_status ON tasks (user_id, status);
CREATE INDEX idx_tasks_tracking_number ON tasks (tracking_number);
VACUUM (ANALYZE) tasks;
