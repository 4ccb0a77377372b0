# shellcheck shell=bash
# A small Debian that tests change as they like: the package is installed there, and the crons that this system has not are run there.

debian_suite=trixie
debian_packages=(adduser busybox cronie logrotate man-db)

# debian FOLDER: makes it there as an archive, unless that was done before, and exports where that is.
debian() {
    local folder=$1 wanted packages
    packages=$(IFS=, && echo "${debian_packages[*]}")
    wanted="$debian_suite $packages"
    if [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ]; then
        say "making a Debian for the tests: $wanted"
        mkdir -p "$folder"
        mmdebstrap --quiet --variant=apt --include="$packages" "$debian_suite" "$folder/root.tar" >&2 || fail "mmdebstrap cannot make $debian_suite with $packages"
        printf '%s' "$wanted" >"$folder/installed"
    fi
    TASKMON_TEST_DEBIAN=$(cd "$folder" && pwd)/root.tar
    export TASKMON_TEST_DEBIAN
}
