# shellcheck shell=bash
# What the tests need from the system, and how to get it where it is missing.

# The words that a script prints about itself go to standard error, so that its output stays its result.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() { say "$*"; exit 1; }

# One line for each tool: what must be there, then its package for apt, dnf and apk.
# `postgres-server` is no command: Debian keeps the server's programs outside PATH, see postgres_bin. `gnu-time` is none either:
# `time` is the shell's own.
tools() {
    cat <<'TABLE'
git              git               git                         git
gnu-time         time              time                        time
jq               jq                jq                          jq
openssl          openssl           openssl                     openssl
shellcheck       shellcheck        ShellCheck                  shellcheck
sqlite3          sqlite3           sqlite                      sqlite
psql             postgresql-client postgresql                  postgresql-client
postgres-server  postgresql        postgresql-server           postgresql
python3          python3           python3                     python3
chattr           e2fsprogs         e2fsprogs                   e2fsprogs-extra
debugfs          e2fsprogs         e2fsprogs                   e2fsprogs-extra
setpriv          util-linux        util-linux                  setpriv
script           bsdutils          util-linux                  util-linux-misc
zoneinfo         tzdata            tzdata                      tzdata
pgbouncer        pgbouncer         pgbouncer                   pgbouncer
redis-server     redis-server      redis                       redis
rabbitmq         rabbitmq-server   rabbitmq-server             rabbitmq-server
npm              npm               npm                         npm
python3-venv     python3-venv      python3                     python3
celery           python3-celery    python3-celery              py3-celery
kombu-redis      python3-redis     python3-redis               py3-redis
crontab          cron              cronie                      busybox
systemd-analyze  systemd           systemd                     systemd
logrotate        logrotate         logrotate                   logrotate
dpkg-shlibdeps   dpkg-dev          dpkg-dev                    dpkg-dev
mmdebstrap       mmdebstrap        mmdebstrap                  mmdebstrap
aiosmtpd         python3-aiosmtpd  python3-aiosmtpd            py3-aiosmtpd
promtool         prometheus        golang-github-prometheus    prometheus
prometheus-py    python3-prometheus-client python3-prometheus_client py3-prometheus-client
plugin-pm        libmonitoring-plugin-perl perl-Monitoring-Plugin perl-monitoring-plugin
TABLE
}

# Prints the folder that holds the PostgreSQL server's programs; fails where there is none.
postgres_bin() {
    local candidate found=""
    for candidate in "$(dirname "$(command -v pg_ctl || echo /none/none)")" \
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql*; do
        if [ -x "$candidate/initdb" ] && [ -x "$candidate/pg_ctl" ] && [ -x "$candidate/pg_basebackup" ]; then
            found=$candidate
            # A pg_ctl on PATH is the user's choice; of the versioned folders the last one counts.
            case $candidate in /usr/lib/* | /usr/pgsql-* | /usr/libexec/*) ;; *) break ;; esac
        fi
    done
    [ -n "$found" ] && printf '%s\n' "$found"
}

# Prints RabbitMQ's own start script: what stands on PATH changes to another user.
rabbitmq_server() {
    local candidate
    for candidate in /usr/lib/rabbitmq/bin/rabbitmq-server /usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server; do
        if [ -x "$candidate" ]; then printf '%s\n' "$candidate" && return; fi
    done
    return 1
}

have() {
    case $1 in
        postgres-server) postgres_bin >/dev/null ;;
        gnu-time) [ -x /usr/bin/time ] ;;
        # A library of the system's own interpreter; another `python3` may stand before it on PATH.
        rabbitmq) rabbitmq_server >/dev/null ;;
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        celery) /usr/bin/python3 -c 'import celery' 2>/dev/null ;;
        kombu-redis) /usr/bin/python3 -c 'import redis' 2>/dev/null ;;
        aiosmtpd) /usr/bin/python3 -c 'import aiosmtpd.smtp' 2>/dev/null ;;
        prometheus-py) /usr/bin/python3 -c 'import prometheus_client.parser' 2>/dev/null ;;
        plugin-pm) perl -MMonitoring::Plugin::Performance -e 1 2>/dev/null ;;
        zoneinfo) [ -e /usr/share/zoneinfo/Asia/Shanghai ] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "installing needs root, and there is no sudo: $*"
    fi
}

install_packages() {
    say "installing: $*"
    case $package_manager in
        apt-get)
            as_root apt-get update -q >&2
            # Debian's package would start a server of its own on port 5432.
            if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
                as_root mkdir -p /etc/postgresql-common
                echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
            fi
            # Nor is any other server to be started: the tests start their own.
            local policy=/usr/sbin/policy-rc.d has_policy=true
            if [ ! -e "$policy" ]; then
                has_policy=false
                printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
                as_root chmod 755 "$policy"
            fi
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
                -o Dpkg::Options::=--force-confold "$@" >&2 || { [ "$has_policy" = true ] || as_root rm -f "$policy"; return 1; }
            [ "$has_policy" = true ] || as_root rm -f "$policy"
            ;;
        dnf) as_root dnf install -qy "$@" >&2 ;;
        apk) as_root apk add -q "$@" >&2 ;;
    esac
}

# require all, require TOOL...: installs what is missing. Whatever cannot be had is a failure.
require() {
    local tool apt dnf apk package_manager="" missing=() packages=()
    for package_manager in apt-get dnf apk none; do
        command -v "$package_manager" >/dev/null && break
    done
    while read -r tool apt dnf apk; do
        if [ "$*" != all ] && [[ " $* " != *" $tool "* ]]; then continue; fi
        if have "$tool"; then continue; fi
        missing+=("$tool")
        case $package_manager in
            apt-get) packages+=("$apt") ;;
            dnf) packages+=("$dnf") ;;
            apk) packages+=("$apk") ;;
        esac
    done < <(tools)
    [ ${#missing[@]} -eq 0 ] && return
    [ "$package_manager" = none ] && fail "missing: ${missing[*]}; there is no apt-get, dnf or apk to install them with"
    install_packages "${packages[@]}" || fail "installing ${packages[*]} failed"
    hash -r
    for tool in "${missing[@]}"; do
        have "$tool" || fail "$tool is still missing after installing ${packages[*]}"
    done
}
