#!/usr/bin/env bash
# Measures taskmon against a peer that is run in the same minute, by turns: a machine's noise then meets both.
#
#   scripts/bench.sh stats [ROWS...]    the report of a day against the best statement written by hand, through psql, for each number
#                                       of rows (2000000 and 10000000), and on SQLite through its shell (1000000 rows)
#   scripts/bench.sh disk               `taskmon disk /` against `df /`
#   scripts/bench.sh cleanup            50000 expired rows with 100000 files against the two floors (deleting in psql, then unlinking with one
#                                       thread) and against a loop over objects
#   scripts/bench.sh gone               200000 expired rows whose files are gone against deleting in psql
#   scripts/bench.sh sweep              100000 old temp files against find
#   scripts/bench.sh night [ROWS...]    10000 expired rows with 30000 files beside so many rows that stay (1000000), against deleting in psql,
#                                       one read of all paths, and unlinking
#   scripts/bench.sh memory             the most memory for 10000 and for 1000000 expired rows
#   scripts/bench.sh alert [ROWS]       `taskmon alert --dry-run` against the best statement written by hand, through psql (10000000 rows, most of
#                                       them final, thousands open)
#
# Each line says whether its target is kept; the exit code is 1 if one is missed, unless --report stands first. A release build is
# made, and the servers of scripts/test.sh are started and stopped.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/install.sh
. "$root/scripts/lib/install.sh"

usage() { sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

arguments=("$@")
only_report=false
if [ "${1-}" = --report ]; then
    only_report=true
    shift
fi
case ${1-} in
    stats | disk | alert | cleanup | gone | sweep | night | memory) ;;
    *) usage; exit 2 ;;
esac
if [ -z "${TASKMON_TEST_PG_PORT-}" ]; then
    export TASKMON_TEST_SHARED_BUFFERS=${TASKMON_TEST_SHARED_BUFFERS:-1GB}
    exec "$root/scripts/test.sh" --servers "$root/scripts/bench.sh" "${arguments[@]}"
fi
cargo build --release --locked --manifest-path "$root/Cargo.toml" >&2
folder=$(mktemp -d "${TMPDIR:-/tmp}/taskmon-bench.XXXXXX")
# What users run is an installed copy. What the linker has just written lies in the page cache in single pages, and starts half a millisecond later.
taskmon=$folder/bin/taskmon
install -D "${CARGO_TARGET_DIR:-$root/target}/release/taskmon" "$taskmon"
database=taskmon_bench_$$
last_day=2026-11-22
missed=0

query() {
    PGOPTIONS='-c datestyle=ISO -c client_min_messages=warning' psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$TASKMON_TEST_PG_PORT" -U postgres "$@"
}

finish() {
    local status=$?
    query -d postgres -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" 2>/dev/null || true
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

compare() { python3 "$root/scripts/bench/compare.py" "$@" || missed=1; }

# fill ROWS DAYS [VARIABLE=VALUE...]: a new database with so many tasks.
fill() {
    local variables=() variable
    for variable in "${@:3}"; do variables+=(-v "$variable"); done
    say "making $1 tasks over $2 days"
    query -d postgres -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" -c "CREATE DATABASE $database TEMPLATE template0"
    query -d "$database" -f "$root/tests/fixtures/taskmon_postgres.sql"
    query -d "$database" -v tasks="$1" -v days="$2" -v last_day="$last_day" "${variables[@]}" -f "$root/scripts/bench/rows.sql" >/dev/null
    query -d "$database" -c 'VACUUM (ANALYZE)' -c CHECKPOINT
}

stats() {
    local rows form day=2026-11-10 url="postgresql://postgres@127.0.0.1:$TASKMON_TEST_PG_PORT/$database" own peers
    printf '%s\n' 'timezone = "Asia/Shanghai"' 'language = "zh"' >"$folder/taskmon.toml"
    own="$taskmon stats -c $folder/taskmon.toml --database-url $url --date $day --no-save --no-alert"
    mapfile -t peers < <(psql_forms "$url" "$day")
    for rows in "$@"; do
        fill "$rows" 60
        $own >"$folder/report.json"
        for form in "${peers[@]}"; do
            bash -c "$form" >"$folder/answer.json"
            python3 "$root/scripts/bench/figures.py" "$folder/report.json" "$folder/answer.json" || fail "not the same figures: $form"
        done
        compare --pairs 15 --most 0.75 --memory 30 "stats, $rows rows, PostgreSQL" "$own" "${peers[@]}"
    done
    sqlite_stats "$day"
}

# psql_forms URL DAY: the commands that run the statement written by hand, a line each. Which is the fastest depends on the rows and
# the processors: the days before counted one after the other or side by side, and the planner as it is or eager for parallel workers.
psql_forms() {
    local statement=$root/scripts/bench/report_postgres.sql eager settings form
    awk -v trend="$(trend_side_by_side)" '
        /^\), failed AS/ { skipping = 0 }
        !skipping { print }
        /^\), trend AS/ { print trend; skipping = 1 }' "$statement" >"$folder/report_side_by_side.sql"
    eager='-c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_index_scan_size=0 -c min_parallel_table_scan_size=0'
    for settings in "" "$eager"; do
        for form in "$statement" "$folder/report_side_by_side.sql"; do
            echo "env PGOPTIONS='-c jit=off -c work_mem=64MB $settings' psql -X -q -At -v ON_ERROR_STOP=1 -v day=$2 -f $form $1"
        done
    done
}

# A count for each day and label; workers share what stands side by side.
trend_side_by_side() {
    local ago label union=""
    for ago in 0 1 2 3 4 5 6 7; do
        for label in PENDING RECOGNIZING TRACKING DELIVERED GENERATING COMPLETED FAILED RETURNED; do
            echo "$union SELECT $ago AS ago, '$label' AS label, count(*) AS tasks FROM tasks WHERE status = '$label'" \
                "AND created_at >= :'day'::timestamp - interval '$ago day'" \
                "AND created_at < :'day'::timestamp - interval '$((ago - 1)) day'"
            union="UNION ALL"
        done
    done
}

sqlite_stats() {
    local day=$1 own peer
    say "making 1000000 tasks in SQLite"
    python3 "$root/tests/reference/generate.py" rows --tasks 1000000 --days 60 --seed 1 --last-day "$last_day" >"$folder/rows.csv"
    sqlite3 "$folder/tasks.db" <"$root/tests/fixtures/taskmon_sqlite.sql"
    python3 "$root/tests/reference/generate.py" sqlite "$folder/rows.csv" "$folder/tasks.db"
    rm "$folder/rows.csv"
    own="$taskmon stats -c $folder/taskmon.toml --database-url sqlite:$folder/tasks.db --date $day --no-save --no-alert"
    peer="sqlite3 -readonly -bail -cmd '.param set :day \"'\''$day'\''\"' $folder/tasks.db '.read $root/scripts/bench/report_sqlite.sql'"
    $own >"$folder/report.json"
    bash -c "$peer" >"$folder/answer.json"
    python3 "$root/scripts/bench/figures.py" "$folder/report.json" "$folder/answer.json" || fail "not the same figures in SQLite"
    compare --pairs 15 --most 0.8 --memory 30 "stats, 1000000 rows, SQLite" "$own" "$peer"
}

# In a folder without a configuration.
disk() {
    cd "$folder"
    compare --pairs 200 --most 2.5 --memory 30 "disk /" "$taskmon disk /" "df /"
}

# At this time of this day: what has yet to be made by then goes again.
alert() {
    local rows=$1 url="postgresql://postgres@127.0.0.1:$TASKMON_TEST_PG_PORT/$database" form peers=()
    last_day=$(TZ=Asia/Shanghai date +%F)
    fill "$rows" 60 settled=0.995 open_days=0
    query -d "$database" -c "DELETE FROM tasks WHERE created_at > now() AT TIME ZONE 'Asia/Shanghai'" -c 'VACUUM (ANALYZE)' -c CHECKPOINT
    # Eight queues and forty names, which the table of the preset has no columns for.
    printf '%s\n' 'timezone = "Asia/Shanghai"' "base_dir = '$folder'" '[database.tasks]' "queue = \"'queue-' || id % 8\"" \
        "name = \"'name-' || id % 40\"" >"$folder/taskmon.toml"
    local now="\$(TZ=Asia/Shanghai date +%FT%T)"
    for form in "" "-c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_index_scan_size=0 -c min_parallel_table_scan_size=0"; do
        peers+=("bash -c \"PGOPTIONS='-c jit=off $form' exec psql -X -q -At -v ON_ERROR_STOP=1 -v now=$now -f $root/scripts/bench/live_postgres.sql $url\"")
    done
    compare --pairs 15 --most 1.2 --memory 30 "alert, $rows rows, PostgreSQL" \
        "$taskmon alert --dry-run -c $folder/taskmon.toml --database-url $url" "${peers[@]}"
}

# expire NUMBER [UPDATE...]: has so many of the oldest completed tasks expire, after changes of theirs; their files are in $folder/list.
# Sets `own`, and `restore`, which makes their rows anew.
expire() {
    local expired=$1 cut change url="postgresql://postgres@127.0.0.1:$TASKMON_TEST_PG_PORT/$database"
    cut=$(query -d "$database" -Atc "SELECT max(completed_at)::timestamp(0) FROM
        (SELECT completed_at FROM tasks WHERE status = 'COMPLETED' ORDER BY completed_at LIMIT $expired) AS oldest")
    export BENCH_URL=$url BENCH_LIST=$folder/list BENCH_STORAGE=$folder/storage BENCH_BATCH=1000
    export BENCH_CUT=$cut BENCH_EXPIRED="status = 'COMPLETED' AND completed_at < '$cut'"
    for change in "${@:2}"; do query -d "$database" -c "UPDATE tasks SET $change WHERE $BENCH_EXPIRED"; done
    query -d "$database" -c "CREATE TABLE kept AS SELECT * FROM tasks WHERE $BENCH_EXPIRED" -c "DELETE FROM tasks WHERE $BENCH_EXPIRED"
    query -d "$database" -Atc "SELECT unnest(ARRAY[image_path, document_path, screenshot_path]) FROM kept" | sed '/^$/d' >"$folder/list"
    printf '%s\n' 'timezone = "Asia/Shanghai"' "base_dir = '$folder/storage'" '[cleanup]' \
        "storage_roots = ['uploads', 'documents', 'screenshots']" >"$folder/taskmon.toml"
    own="$taskmon cleanup -c $folder/taskmon.toml --database-url $url --only tasks -q -q --force"
    own+=" --as-of $(date -d "$cut 1 day" +%FT%T+08:00) --completed-tasks-days 1 --failed-tasks-days 9999"
    restore="psql -X -q -h 127.0.0.1 -p $TASKMON_TEST_PG_PORT -U postgres -d $database -c 'INSERT INTO tasks SELECT * FROM kept' -c 'VACUUM ANALYZE tasks' -c CHECKPOINT"
}

cleanup() {
    local own restore files="python3 $root/scripts/bench/files.py make $folder/storage $folder/list" python
    fill 60000 60
    expire 50000 'screenshot_path = NULL'
    export BENCH_THREADS=1
    compare --pairs 5 --most 1.15 --memory 40 --before "$restore && $files" --peer-before "$restore && $files" \
        "cleanup, 50000 rows with $(wc -l <"$folder/list") files in 512 folders" "$own" "bash $root/scripts/bench/floors.sh"
    python=$(orm)
    compare --pairs 3 --least 2.5 --memory 40 --before "$restore && $files" --peer-before "$restore && $files" \
        "the same, the loop over objects" "$own" "$python $root/scripts/bench/orm.py $BENCH_URL $folder/storage"
}

gone() {
    local own restore kind
    for kind in uploads documents screenshots; do
        mkdir -p "$folder/storage/$kind" && touch "$folder/storage/$kind/kept"
    done
    fill 240000 60
    expire 200000
    export BENCH_THREADS=1
    : >"$folder/list"
    compare --pairs 5 --most 2 --memory 40 --before "$restore" --peer-before "$restore" \
        "cleanup, 200000 rows whose files are gone" "$own" "bash $root/scripts/bench/floors.sh"
}

night() {
    local rows own restore files="python3 $root/scripts/bench/files.py make $folder/storage $folder/list"
    for rows in "$@"; do
        fill "$rows" 60
        expire 10000
        export BENCH_THREADS=32 BENCH_READ=yes
        compare --pairs 9 --most 1.3 --memory 40 --before "$restore && $files" --peer-before "$restore && $files" \
            "a night, $(wc -l <"$folder/list") files, $rows rows" "$own" "bash $root/scripts/bench/floors.sh"
    done
}

# A Python with SQLAlchemy; its path.
orm() {
    python3 -m venv "$folder/venv" >&2
    "$folder/venv/bin/pip" install -q sqlalchemy psycopg2-binary >&2
    echo "$folder/venv/bin/python"
}

# The most memory that is used, with few expired rows and with many. Their files are gone already: making millions takes longer than all else.
memory() {
    local rows kind verdict own
    for kind in uploads documents screenshots; do
        mkdir -p "$folder/storage/$kind" && touch "$folder/storage/$kind/kept"
    done
    printf '%s\n' 'timezone = "Asia/Shanghai"' "base_dir = '$folder/storage'" '[cleanup]' \
        "storage_roots = ['uploads', 'documents', 'screenshots']" >"$folder/taskmon.toml"
    # Everything that was made has expired then, except what no limit covers.
    own=("$taskmon" cleanup -c "$folder/taskmon.toml" --database-url "postgresql://postgres@127.0.0.1:$TASKMON_TEST_PG_PORT/$database"
        --only tasks -q -q --force --completed-tasks-days 0 --failed-tasks-days 0)
    for rows in 10000 1000000; do
        fill "$((rows * 107 / 100))" 60
        /usr/bin/time -f %M -o "$folder/kib" "${own[@]}" >"$folder/result.json"
        if [ "$(cat "$folder/kib")" -lt 40960 ]; then verdict=kept; else verdict=MISSED missed=1; fi
        echo "cleanup, $(jq .tasks_cleaned "$folder/result.json") expired rows: $(($(cat "$folder/kib") / 1024)) MiB, $(jq .execution_time "$folder/result.json") s; under 40 MiB: $verdict"
    done
}

sweep() {
    local make="python3 $root/scripts/bench/files.py temp $folder/storage/temp"
    # The files are made anew for each run and only their mtime is old, which is what `find` goes by as well.
    printf '%s\n' "base_dir = '$folder/storage'" '[cleanup]' 'temp_dirs = ["temp"]' 'temp_age_by = "mtime"' >"$folder/sweep.toml"
    compare --pairs 3 --most 0.6 --memory 40 --before "$make" --peer-before "$make" "sweep, 100000 files" \
        "$taskmon cleanup -c $folder/sweep.toml --only temp -q -q" \
        "find $folder/storage/temp -xdev -type f -mmin +1440 -delete"
}

case $1 in
    stats)
        shift
        if [ $# -eq 0 ]; then set -- 2000000 10000000; fi
        stats "$@"
        ;;
    disk) disk ;;
    alert) alert "${2:-10000000}" ;;
    cleanup) cleanup ;;
    gone) gone ;;
    sweep) sweep ;;
    night)
        shift
        if [ $# -eq 0 ]; then set -- 1000000; fi
        night "$@"
        ;;
    memory) memory ;;
esac
if [ "$missed" -ne 0 ]; then
    say "a target was missed"
    "$only_report" || exit 1
fi
