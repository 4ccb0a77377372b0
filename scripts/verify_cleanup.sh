#!/usr/bin/env bash
# Holds `taskmon cleanup` against an independent calculation: rows, files, counts and bytes, first as a dry run, then done.
#
#   scripts/verify_cleanup.sh [TASKS] [BINARY]
#
# 220000 tasks over 60 days, of which some hundred thousand have expired, receipts for a quarter of them, and a file for every path. It
# starts the servers of scripts/test.sh unless they run already, and makes a release build unless a binary is named.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/install.sh
. "$root/scripts/lib/install.sh"

tasks=${1:-220000}
binary=${2-}
if [ -z "${TASKMON_TEST_PG_PORT-}" ]; then
    exec "$root/scripts/test.sh" --servers "$root/scripts/verify_cleanup.sh" "$@"
fi
if [ -z "$binary" ]; then
    cargo build --release --locked --manifest-path "$root/Cargo.toml" >&2
    binary=${CARGO_TARGET_DIR:-$root/target}/release/taskmon
fi
binary=$(realpath "$binary")
database=taskmon_cleanup_$$
folder=$(mktemp -d "${TMPDIR:-/tmp}/taskmon-verify.XXXXXX")
url=postgresql://postgres@127.0.0.1:$TASKMON_TEST_PG_PORT/$database

query() { psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$TASKMON_TEST_PG_PORT" -U postgres "$@"; }

finish() {
    local status=$?
    query -d postgres -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" || true
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT

query -d postgres -c "CREATE DATABASE $database TEMPLATE template0"
query -d "$database" -f "$root/tests/fixtures/taskmon_postgres.sql"
query -d "$database" -v tasks="$tasks" -v days=60 -v last_day=2026-11-22 -f "$root/scripts/bench/rows.sql" >/dev/null
# Receipts of every fourth task and of nobody's; every third receipt's document is its task's own, and some uploads were tried twice.
query -d "$database" <<'SQL'
INSERT INTO delivery_receipts (tracking_number, qr_code_path, barcode_path, delivery_receipt_doc_path, created_at)
SELECT tracking_number, 'receipts/qr_' || id || '.png', 'receipts/bar_' || id || '.png',
    CASE WHEN id % 3 = 0 THEN document_path ELSE 'receipts/doc_' || id || '.docx' END, created_at + interval '1 hour'
FROM tasks WHERE id % 4 = 0;
INSERT INTO delivery_receipts (tracking_number, qr_code_path, created_at)
SELECT 'alone_' || id, 'receipts/alone_' || id || '.png', created_at FROM tasks WHERE id % 40 = 1;
INSERT INTO tracking_info (delivery_receipt_id, screenshot_path) SELECT id, 'receipts/info_' || id || '.png' FROM delivery_receipts WHERE id % 10 <> 0;
UPDATE tasks SET image_path = (SELECT image_path FROM tasks AS other WHERE other.id = tasks.id / 2) WHERE id % 50 = 0;
UPDATE tasks SET document_path = NULL WHERE id % 7 = 0;
VACUUM ANALYZE;
SQL
printf '%s\n' 'timezone = "Asia/Shanghai"' "base_dir = '$folder/storage'" '[cleanup]' \
    'storage_roots = ["uploads", "documents", "screenshots", "receipts"]' '[alerts]' "logs_dir = '$folder/logs'" >"$folder/taskmon.toml"
python3 "$root/tests/reference/cleanup.py" dump "$url" "$folder/before"
say "making the files"
python3 "$root/tests/reference/cleanup.py" make "$folder/before" "$folder/storage"

run() { "$binary" cleanup -c "$folder/taskmon.toml" --database-url "$url" --only tasks,receipts --as-of 2026-11-23T04:00:00+08:00 -q "$@"; }

run --dry-run >"$folder/dry_run.json"
time run >"$folder/result.json"
python3 "$root/tests/reference/cleanup.py" dump "$url" "$folder/after"
python3 "$root/tests/reference/cleanup.py" check "$folder/before" "$folder/after" "$folder/storage" "$folder/result.json" '2026-11-23 04:00:00'
for key in tasks_cleaned receipts_cleaned files_cleaned disk_space_freed_mb files_shared errors_total; do
    dry_run=$(jq ".$key" "$folder/dry_run.json") done=$(jq ".$key" "$folder/result.json")
    [ "$dry_run" = "$done" ] || fail "$key: the dry run said $dry_run, the run $done"
done
echo "the dry run said the same"
