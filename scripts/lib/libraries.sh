# shellcheck shell=bash
# The queue libraries themselves, for the tests that let them work on what a cleanup has left.

# What is installed, in the versions that the presets were tried on.
python_libraries=('celery[redis]==5.7.0' 'django<6' 'django-celery-results==2.6.0' 'procrastinate==3.10.0' 'psycopg[binary]' psycopg2-binary
    'sqlalchemy<2.2')
node_libraries=(node@22 pg-boss@12.38.0 graphile-worker@0.17.3)

# libraries FOLDER: installs them there, unless that was done before, and exports where they are.
libraries() {
    local folder=$1 wanted
    wanted="${python_libraries[*]} ${node_libraries[*]}"
    if [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ]; then
        say "installing the queue libraries: $wanted"
        rm -rf "$folder"
        mkdir -p "$folder/node"
        python3 -m venv "$folder/python" >&2
        "$folder/python/bin/pip" install -q "${python_libraries[@]}" >&2 || fail "pip cannot install ${python_libraries[*]}"
        (cd "$folder/node" && echo '{}' >package.json && npm install --no-audit --no-fund --loglevel=error "${node_libraries[@]}" >&2) ||
            fail "npm cannot install ${node_libraries[*]}"
        printf '%s' "$wanted" >"$folder/installed"
    fi
    TASKMON_TEST_LIBRARIES=$(cd "$folder" && pwd)
    export TASKMON_TEST_LIBRARIES
}
