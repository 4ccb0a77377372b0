#!/usr/bin/env bash
# Runs the tests against servers of their own.
#
#   scripts/test.sh --quick                            the unit tests and those of SQLite: no server, no root, nothing installed
#   scripts/test.sh [OPTION...] [ARGUMENT...]          cargo test --locked ARGUMENT...
#   scripts/test.sh [OPTION...] --servers COMMAND...   starts the servers and runs COMMAND, for working by hand
#
#   --at DATE     under a clock that starts at DATE and runs: '+400 days', 2028-02-29, '23:55', whatever date(1) reads.
#                 The tests and all that they start have it, and PostgreSQL. What cannot bear it is left out: see not_under_at.
#   --zone ZONE   as if this were the machine's zone: Asia/Shanghai. Needs root; nothing outside sees the change.
#
# What is missing (PostgreSQL, psql, python3, ...) is installed through the system's package manager. The servers
# live in a temporary folder, listen on free ports of 127.0.0.1 and are gone when the script ends, however it ends.
# To add a server: scripts/lib/NAME.sh with NAME_start FOLDER and NAME_stop FOLDER, and its name in `servers`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/install.sh
. scripts/lib/install.sh
# shellcheck source=scripts/lib/postgres.sh
. scripts/lib/postgres.sh
# shellcheck source=scripts/lib/libraries.sh
. scripts/lib/libraries.sh
# shellcheck source=scripts/lib/cargo_deb.sh
. scripts/lib/cargo_deb.sh
# shellcheck source=scripts/lib/debian.sh
. scripts/lib/debian.sh
# shellcheck source=scripts/lib/clock.sh
. scripts/lib/clock.sh

servers=(postgres)
folder=""
child=""

stop_servers() {
    local status=$? server
    trap - EXIT INT TERM HUP
    if [ -n "$child" ]; then kill -TERM -- "-$child" 2>/dev/null || true; fi
    if [ -n "$folder" ]; then
        for server in "${servers[@]}"; do
            if [ -d "$folder/$server" ]; then "${server}_stop" "$folder/$server"; fi
        done
        rm -rf "$folder"
    fi
    exit "$status"
}

start_servers() {
    local server
    # The socket's path must stay under 108 bytes, which a long TMPDIR would use up.
    folder=$(mktemp -d /tmp/taskmon-test.XXXXXX)
    chmod 755 "$folder"
    # What a test that was killed leaves behind goes with the servers.
    mkdir "$folder/tmp"
    export TMPDIR=$folder/tmp
    for server in "${servers[@]}"; do
        mkdir "$folder/$server"
        "${server}_start" "$folder/$server"
    done
}

# Nothing of the caller's surroundings may decide a test.
clean_environment() {
    local name
    while read -r name; do
        case $name in
            PG* | TASKMON_* | DATABASE_URL | TZ | LANG | LANGUAGE | LC_* | RUST_LOG* | XDG_*) unset "$name" ;;
        esac
    done < <(compgen -e)
}

# In a process group of its own, so that a signal to this script ends the whole of it.
run_tests() {
    local status=0
    # Most tests wait most of the time: for a time limit, for cron's next minute, for a server that comes back.
    export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}
    set -m
    cargo test --locked "$@" </dev/null &
    child=$!
    set +m
    wait "$child" || status=$?
    child=""
    return "$status"
}

# The tests that cannot bear a shifted clock, and why.
not_under_at() {
    cat <<'TABLE'
cron_runs_what_is_installed                                    cron's jobs have an environment of their own, without the library
cronie_runs_what_is_installed                                  the same: its minutes begin at other seconds than those of its jobs
TABLE
}

# The tests that cannot bear another zone of the machine, and why.
not_under_zone() {
    cat <<'TABLE'
every_mount_that_df_lists_has_the_figures_of_df   the zone stands in a layer over /etc, which df gives no device
TABLE
}

# leave_out TABLE: adds what it names to the arguments of the tests: `arguments`.
leave_out() {
    local name reason
    if [[ " ${arguments[*]} " != *" -- "* ]]; then arguments+=(--); fi
    while read -r name reason; do
        say "left out: $name: $reason"
        arguments+=(--skip "$name")
    done < <("$1")
}

restart=("$@")
if [ "${1-}" = --quick ]; then
    shift
    [ $# -eq 0 ] || fail "--quick takes nothing"
    clean_environment
    cargo test --locked --quiet --lib </dev/null
    exec cargo test --locked --quiet --test main -- architecture on_sqlite </dev/null
fi

at=""
zone=""
servers_only=false
while [ $# -gt 0 ]; do
    case $1 in
        --at | --zone) [ $# -ge 2 ] || fail "$1 needs a value" ;;&
        --at) at=$2 && shift 2 ;;
        --zone) zone=$2 && shift 2 ;;
        --servers) servers_only=true && shift && break ;;
        *) break ;;
    esac
done
arguments=("$@")
if [ "$servers_only" = true ] && [ $# -eq 0 ]; then fail "--servers needs a command"; fi

clean_environment
require all
if [ -n "$zone" ]; then enter_zone "$zone" scripts/test.sh "${restart[@]}"; fi
if [ "$servers_only" = false ]; then
    libraries "${CARGO_TARGET_DIR:-target}/libraries"
    cargo_deb "${CARGO_TARGET_DIR:-target}/tools"
    debian "${CARGO_TARGET_DIR:-target}/debian-for-tests"
fi
if [ -n "$at" ]; then
    # rustix asks the kernel for the times of files past the library, unless it is built to ask through it.
    export RUSTFLAGS="${RUSTFLAGS-} --cfg rustix_use_libc"
    # Built by the true clock.
    cargo test --locked --no-run </dev/null
    shift_clock "$at"
    leave_out not_under_at
fi
if [ -n "$zone" ]; then leave_out not_under_zone; fi
trap stop_servers EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
start_servers
if [ "$servers_only" = true ]; then "${arguments[@]}"; else run_tests "${arguments[@]}"; fi
