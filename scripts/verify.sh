#!/usr/bin/env bash
# Holds `taskmon stats` against an independent calculation: the same rows in PostgreSQL and in SQLite, the figures worked
# out in Python from the rows themselves, and the two databases' reports against each other.
#
#   scripts/verify.sh [--tasks 1000000] [--days 60] [--seed 1] [--binary target/release/taskmon]
#
# Without --binary a release build is made. It starts the servers of scripts/test.sh unless they run already.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/install.sh
. "$root/scripts/lib/install.sh"

arguments=("$@")
tasks=1000000
days=60
seed=1
binary=""
while [ $# -gt 0 ]; do
    case $1 in
        --tasks | --days | --seed | --binary)
            [ $# -gt 1 ] || fail "$1 needs a value"
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        *) fail "unknown argument: $1" ;;
    esac
done

if [ -z "${TASKMON_TEST_PG_PORT-}" ]; then
    exec "$root/scripts/test.sh" --servers "$root/scripts/verify.sh" "${arguments[@]}"
fi
if [ -z "$binary" ]; then
    cargo build --release --locked --manifest-path "$root/Cargo.toml" >&2
    binary=${CARGO_TARGET_DIR:-$root/target}/release/taskmon
fi
[ -x "$binary" ] || fail "no such program: $binary"
binary=$(realpath "$binary")

reference=$root/tests/reference
database=taskmon_verify_$$
last_day=2026-11-22
folder=$(mktemp -d "${TMPDIR:-/tmp}/taskmon-verify.XXXXXX")

query() {
    PGCLIENTENCODING=UTF8 PGOPTIONS='-c datestyle=ISO' psql -X -q -v ON_ERROR_STOP=1 \
        -h 127.0.0.1 -p "$TASKMON_TEST_PG_PORT" -U postgres "$@"
}

finish() {
    local status=$?
    query -d postgres -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" || true
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "$tasks tasks over $days days"
python3 "$reference/generate.py" rows --tasks "$tasks" --days "$days" --seed "$seed" --last-day "$last_day" >"$folder/rows.csv"
columns=$(python3 "$reference/generate.py" columns)

query -d postgres -c "CREATE DATABASE $database TEMPLATE template0"
query -d "$database" -f "$root/tests/fixtures/taskmon_postgres.sql"
query -d "$database" -c "COPY tasks ($columns) FROM STDIN WITH (FORMAT csv, NULL '\\N')" <"$folder/rows.csv"
query -d "$database" -c 'VACUUM (ANALYZE) tasks'
sqlite3 "$folder/tasks.db" <"$root/tests/fixtures/taskmon_sqlite.sql"
python3 "$reference/generate.py" sqlite "$folder/rows.csv" "$folder/tasks.db"

# The calculation reads what the databases hold, not what was meant to go in.
query -d "$database" -c "COPY (SELECT id, task_id, status, created_at, started_at, processing_time, error_message,
    retry_count FROM tasks) TO STDOUT WITH (FORMAT csv, HEADER, NULL '\\N')" >"$folder/postgres.csv"

# stats CONFIG URL DATE REPORT
stats() {
    "$binary" stats --config "$1" --database-url "$2" --date "$3" --no-save >"$4"
}

failed=0
check() {
    python3 "$reference/report.py" "$@" || failed=1
}

printf '%s\n' 'language = "zh"' 'timezone = "Asia/Shanghai"' >"$folder/local.toml"
# The same rows meant as UTC and counted on the days of a zone whose clocks changed within the span.
printf '%s\n' 'language = "zh"' 'timezone = "America/New_York"' '[database]' 'naive_timestamps = "utc"' >"$folder/other.toml"
before=$(date -d "$last_day - 1 day" +%F)
change=2026-11-01
while read -r name zone naive day; do
    stats "$folder/$name.toml" "postgresql://postgres@127.0.0.1:$TASKMON_TEST_PG_PORT/$database" "$day" "$folder/postgres.json"
    stats "$folder/$name.toml" "sqlite:$folder/tasks.db" "$day" "$folder/sqlite.json"
    say "$day in $zone"
    check --date "$day" --zone "$zone" --naive "$naive" "$folder/postgres.csv" "$folder/postgres.json"
    check --date "$day" --zone "$zone" --naive "$naive" "$folder/tasks.db" "$folder/sqlite.json"
    check --same "$folder/postgres.json" "$folder/sqlite.json"
done <<CASES
local Asia/Shanghai Asia/Shanghai $last_day
local Asia/Shanghai Asia/Shanghai $before
other America/New_York UTC $last_day
other America/New_York UTC $change
CASES

[ "$failed" -eq 0 ] || fail "the figures differ"
echo "all figures agree: $tasks tasks, PostgreSQL and SQLite"
