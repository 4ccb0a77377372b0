# shellcheck shell=bash
# Another time and another zone than the machine's, for what this script starts.

# shift_clock DATE: from here on every program that is started finds DATE on its clock, which runs on from there.
shift_clock() {
    local start now library=${CARGO_TARGET_DIR:-target}/clock.so
    start=$(date -d "$1" +%s) || fail "--at: date(1) does not understand '$1'"
    now=$(date +%s)
    mkdir -p "${library%/*}"
    cc -O2 -Wall -Wextra -Werror -shared -fPIC -DSHIFT="$((start - now))L" -o "$library" scripts/lib/clock.c -ldl || fail "the clock does not compile"
    LD_PRELOAD=$(realpath "$library")
    export LD_PRELOAD
    say "the clock shows $(date '+%F %T %Z')"
}

# enter_zone ZONE COMMAND...: ZONE is the machine's zone; unless it already is, COMMAND goes on in a mount namespace where it is.
enter_zone() {
    local zone=$1 layer
    shift
    [ -e "/usr/share/zoneinfo/$zone" ] || fail "--zone: /usr/share/zoneinfo has no $zone"
    if [ "$(readlink /etc/localtime)" = "/usr/share/zoneinfo/$zone" ]; then return; fi
    [ "$(id -u)" -eq 0 ] || fail "--zone needs root"
    layer=$(mktemp -d)
    # shellcheck disable=SC2016  # It is the inner shell that expands.
    exec unshare --mount bash -euc '
        layer=$1 zone=$2
        shift 2
        mount -t tmpfs taskmon-test "$layer"
        mkdir "$layer/upper" "$layer/work"
        mount -t overlay taskmon-test -o "lowerdir=/etc,upperdir=$layer/upper,workdir=$layer/work" /etc
        ln -sfn "/usr/share/zoneinfo/$zone" /etc/localtime
        echo "$zone" >/etc/timezone
        exec "$@"' - "$layer" "$zone" "$@"
}
