#!/usr/bin/env bash
# The two floors of a cleanup: the same rows deleted in batches by psql, the same files unlinked by as many threads.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
psql -X -q "$BENCH_URL" -v ON_ERROR_STOP=1 -v size="$BENCH_BATCH" <<'SQL'
SET jit = off;
CREATE TEMP TABLE going AS SELECT id, (row_number() OVER (ORDER BY id) - 1) / :size AS batch FROM tasks
    WHERE status = 'COMPLETED' AND completed_at < '2026-10-20' OR status = 'FAILED' AND updated_at < '2026-10-20';
CREATE INDEX ON going (batch);
SELECT format('DELETE FROM tasks WHERE id IN (SELECT id FROM going WHERE batch = %s) RETURNING id, image_path, document_path, screenshot_path', batch)
FROM (SELECT DISTINCT batch FROM going) AS batches ORDER BY batch
\o /dev/null
\gexec
SQL
python3 "$here/files.py" unlink "$BENCH_STORAGE" "$BENCH_LIST"
