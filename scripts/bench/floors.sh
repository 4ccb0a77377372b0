#!/usr/bin/env bash
# The floors of a cleanup: the same rows deleted in batches by psql, all paths that rows name read once if BENCH_READ is set, the same files
# unlinked by BENCH_THREADS threads.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
psql -X -q "$BENCH_URL" -v ON_ERROR_STOP=1 -v size="$BENCH_BATCH" -v expired="$BENCH_EXPIRED" <<'SQL'
SET jit = off;
CREATE TEMP TABLE going AS SELECT id, (row_number() OVER (ORDER BY id) - 1) / :size AS batch FROM tasks
    WHERE :expired;
CREATE INDEX ON going (batch);
SELECT format('DELETE FROM tasks WHERE id IN (SELECT id FROM going WHERE batch = %s) RETURNING id, image_path, document_path, screenshot_path', batch)
FROM (SELECT DISTINCT batch FROM going) AS batches ORDER BY batch
\o /dev/null
\gexec
SQL
if [ -n "${BENCH_READ-}" ]; then
    psql -X -q "$BENCH_URL" -c 'COPY (SELECT image_path, document_path, screenshot_path FROM tasks) TO STDOUT (FORMAT binary)' >/dev/null
fi
python3 "$here/files.py" unlink "$BENCH_STORAGE" "$BENCH_LIST"
