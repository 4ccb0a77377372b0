# shellcheck shell=bash
# A throwaway PostgreSQL primary and a hot standby of it, for the tests.
#
# postgres_start FOLDER makes and starts both, and exports where they are:
#   TASKMON_TEST_PG_PORT        the primary on 127.0.0.1, with TLS
#   TASKMON_TEST_PG_SOCKET_DIR  the folder of its Unix socket
#   TASKMON_TEST_PG_PLAIN_PORT  the standby on 127.0.0.1, without TLS
#   TASKMON_TEST_PG_CA          the CA that signed the primary's certificate, whose only name is localhost
#   TASKMON_TEST_PG_WRONG_CA    a CA that signed nothing
#   TASKMON_TEST_PG_PROGRAMS    the folder of initdb and pg_ctl, for a test that needs a server to stop
# postgres_stop FOLDER stops them.
#
# taskmon_template has the preset's tables, empty, for each test to have a copy of.
#
# Roles: postgres (superuser) and reader get in without a password; locked needs 's3cret:p@ss';
# tlsonly needs the same and an encrypted connection. Roles that a test creates get in without a password.

# A server refuses to run as root, so root hands its programs to an unprivileged user.
postgres_run() {
    local user
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
        return
    fi
    user=$(postgres_user)
    if command -v runuser >/dev/null; then
        runuser -u "$user" -- "$@"
    else
        setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups -- "$@"
    fi
}

postgres_user() {
    if id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# A CA, a certificate of it for the name localhost, and a CA that has nothing to do with either.
postgres_certificates() {
    local folder=$1
    local authority=(-addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign')
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
    openssl req -x509 "${key[@]}" -days 2 -subj '/CN=taskmon test CA' "${authority[@]}" \
        -keyout "$folder/ca.key" -out "$folder/ca.crt"
    openssl req -x509 "${key[@]}" -days 2 -subj '/CN=unrelated CA' "${authority[@]}" \
        -keyout "$folder/wrong-ca.key" -out "$folder/wrong-ca.crt"
    openssl req "${key[@]}" -subj '/CN=localhost' -keyout "$folder/server.key" -out "$folder/server.csr"
    printf '%s\n' 'subjectAltName=DNS:localhost' 'basicConstraints=CA:FALSE' \
        'extendedKeyUsage=serverAuth' >"$folder/server.ext"
    openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial \
        -days 2 -extfile "$folder/server.ext" -out "$folder/server.crt"
}

# The session zone and the date style are not what anybody would wish for: nothing may depend on them.
postgres_settings() {
    local folder=$1
    cat <<SETTINGS
listen_addresses = '127.0.0.1'
unix_socket_directories = '$folder'
max_connections = 200
shared_buffers = '${TASKMON_TEST_SHARED_BUFFERS:-64MB}'
fsync = off
wal_level = replica
timezone = 'America/New_York'
datestyle = 'SQL, DMY'
password_encryption = 'scram-sha-256'
ssl_ca_file = ''
ssl_cert_file = '$folder/server.crt'
ssl_key_file = '$folder/server.key'
SETTINGS
}

postgres_access() {
    cat <<'ACCESS'
local      all          locked                 scram-sha-256
host       all          locked   127.0.0.1/32  scram-sha-256
local      all          tlsonly                reject
hostnossl  all          tlsonly  127.0.0.1/32  reject
hostssl    all          tlsonly  127.0.0.1/32  scram-sha-256
local      replication  postgres               trust
local      all          all                    trust
host       all          all      127.0.0.1/32  trust
ACCESS
}

# Starts the server in FOLDER/NAME on a free port and prints the port. Another process may take the port
# between the choice and the start, hence the attempts.
postgres_launch() {
    local folder=$1 name=$2 ssl=$3 port attempt
    for attempt in 1 2 3 4 5; do
        port=$(free_port)
        if postgres_run "$postgres_programs/pg_ctl" start -s -w -t 60 -D "$folder/$name" -l "$folder/$name.log" \
            -o "-p $port -c ssl=$ssl" >/dev/null; then
            echo "$port"
            return
        fi
        grep -q 'Address already in use' "$folder/$name.log" || break
        say "port $port was taken, attempt $attempt of 5"
    done
    cat "$folder/$name.log" >&2
    return 1
}

postgres_start() {
    local folder=$1 programs primary standby
    programs=$(postgres_bin) || fail "no PostgreSQL server programs"
    postgres_programs=$programs
    postgres_certificates "$folder" >"$folder/openssl.log" 2>&1 || fail "openssl: $(cat "$folder/openssl.log")"
    if [ "$(id -u)" -eq 0 ]; then chown -R "$(postgres_user)" "$folder"; fi
    postgres_run "$programs/initdb" -D "$folder/primary" -U postgres -A trust --no-sync \
        --encoding=UTF8 --locale=C.UTF-8 >"$folder/initdb.log" 2>&1 || fail "initdb: $(cat "$folder/initdb.log")"
    postgres_settings "$folder" >>"$folder/primary/postgresql.conf"
    postgres_access >"$folder/primary/pg_hba.conf"
    primary=$(postgres_launch "$folder" primary on) || fail "the PostgreSQL primary did not start"
    psql -X -q -v ON_ERROR_STOP=1 -h "$folder" -p "$primary" -U postgres -d postgres <<'SQL' || fail "the test roles cannot be made"
CREATE ROLE locked LOGIN PASSWORD 's3cret:p@ss';
CREATE ROLE tlsonly LOGIN PASSWORD 's3cret:p@ss';
CREATE ROLE reader LOGIN;
CREATE DATABASE taskmon_template TEMPLATE template0;
SQL
    psql -X -q -v ON_ERROR_STOP=1 -h "$folder" -p "$primary" -U postgres -d taskmon_template -f tests/fixtures/taskmon_postgres.sql \
        -c 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader, locked, tlsonly' || fail "the template of the tests' databases cannot be made"
    # The slot keeps what the standby has yet to read: each DROP DATABASE makes a checkpoint, which drops the rest.
    postgres_run "$programs/pg_basebackup" -h "$folder" -p "$primary" -U postgres -D "$folder/standby" \
        -R -C -S standby -c fast --no-sync >"$folder/basebackup.log" 2>&1 || fail "pg_basebackup: $(cat "$folder/basebackup.log")"
    standby=$(postgres_launch "$folder" standby off) || fail "the PostgreSQL standby did not start"
    export TASKMON_TEST_PG_PORT=$primary
    export TASKMON_TEST_PG_SOCKET_DIR=$folder
    export TASKMON_TEST_PG_PLAIN_PORT=$standby
    export TASKMON_TEST_PG_CA=$folder/ca.crt
    export TASKMON_TEST_PG_WRONG_CA=$folder/wrong-ca.crt
    export TASKMON_TEST_PG_PROGRAMS=$programs
}

postgres_stop() {
    local folder=$1 name
    for name in standby primary; do
        if [ -e "$folder/$name/postmaster.pid" ]; then
            postgres_run "$postgres_programs/pg_ctl" stop -s -m immediate -D "$folder/$name" ||
                say "the $name in $folder did not stop"
        fi
    done
}
