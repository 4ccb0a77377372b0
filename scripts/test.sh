#!/usr/bin/env bash
# Runs the tests against servers of their own.
#
#   scripts/test.sh [ARGUMENT...]          cargo test --locked ARGUMENT...
#   scripts/test.sh --servers COMMAND...   starts the servers and runs COMMAND, for working by hand
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
    set -m
    cargo test --locked "$@" </dev/null &
    child=$!
    set +m
    wait "$child" || status=$?
    child=""
    return "$status"
}

clean_environment
require all
trap stop_servers EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
start_servers
if [ "${1-}" = --servers ]; then
    shift
    [ $# -gt 0 ] || fail "--servers needs a command"
    "$@"
else
    libraries "${CARGO_TARGET_DIR:-target}/libraries"
    cargo_deb "${CARGO_TARGET_DIR:-target}/tools"
    debian "${CARGO_TARGET_DIR:-target}/debian-for-tests"
    run_tests "$@"
fi
