#!/usr/bin/env bash
# Builds the Debian package and prints its path.
#
#   scripts/deb.sh [--binary FILE] [--output FOLDER] [ARGUMENT OF cargo deb...]
#
# Without --binary a release build is made, without --output the package goes to target/debian. Manual pages, completions and the configuration come from
# the program itself. cargo-deb is installed beneath target/ where it is missing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/install.sh
. "$root/scripts/lib/install.sh"
# shellcheck source=scripts/lib/pages.sh
. "$root/scripts/lib/pages.sh"
# shellcheck source=scripts/lib/cargo_deb.sh
. "$root/scripts/lib/cargo_deb.sh"

target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
binary="" output=$target/debian arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --binary) binary=${2:?--binary and --output name a path} && binary=$(realpath -m "$binary") && shift ;;
        --output) output=${2:?--binary and --output name a path} && output=$(realpath -m "$output") && shift ;;
        --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" && exit ;;
        *) arguments+=("$1") ;;
    esac
    shift
done

cd "$root"
require dpkg-shlibdeps
cargo_deb "$target/tools"
if [ -z "$binary" ]; then
    cargo build --release --locked
    binary=$target/release/taskmon
fi
[ -x "$binary" ] || fail "$binary is no program"

# cargo-deb takes the program and what belongs to it from target/release, wherever that is.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
made=$stage/release/package
mkdir -p "$made"
cp "$binary" "$stage/release/taskmon"
pages "$binary" "$made"
gzip -9n "$made"/man/man?/* "$made"/man/*/man?/*
# /etc is no place for reports and logs.
"$binary" config --default >"$made/default"
sed -e 's|^base_dir = "."$|base_dir = "/var/lib/taskmon"|' -e 's|^reports_dir = "|&/var/lib/taskmon/|' \
    -e 's|^records_dir = "|&/var/lib/taskmon/|' -e 's|^logs_dir = "logs"$|logs_dir = "/var/log/taskmon"|' "$made/default" >"$made/taskmon.toml"
[ "$(diff "$made/default" "$made/taskmon.toml" | grep -c '^>')" -eq 4 ] || fail "the default configuration has other folders than this script knows"
# Its lines name the program where the package puts it.
sed 's|/usr/local/bin/taskmon|/usr/bin/taskmon|' crontab.example >"$made/crontab.example"
version=$(cargo pkgid | sed 's/.*[#@]//')
maintainer=$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)
printf 'taskmon (%s-1) unstable; urgency=medium\n\n  * What changed is in the history of the sources.\n\n -- %s  %s\n' "$version" "$maintainer" \
    "$(date -R -r Cargo.toml)" | gzip -9n >"$made/changelog.Debian.gz"
CARGO_TARGET_DIR=$stage cargo deb --locked --no-build --output "$output/" "${arguments[@]}"
