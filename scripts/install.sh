#!/usr/bin/env bash
# Installs taskmon from a build: the program, manual pages, completions and a configuration to start from.
#
#   scripts/install.sh [--user | --system] [--binary FILE] [--uninstall]
#
# --user (the default) installs for whoever runs it, under ~/.local and ~/.config; --system for everybody, under /usr/local and /etc, which takes root.
# $DESTDIR is put before every path. Without --binary a release build is made. An existing configuration is left alone. Each file that was installed is
# printed, and listed in share/taskmon/installed: --uninstall removes exactly these, and the jobs from the crontab of whoever runs it, and keeps a
# configuration that was changed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/pages.sh
. "$root/scripts/lib/pages.sh"
scope=user binary="" uninstall=false

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2 && exit 2; }

while [ $# -gt 0 ]; do
    case $1 in
        --user | --system) scope=${1#--} ;;
        --binary) binary=${2:?--binary names no program} && binary=$(realpath -m "$binary") && shift ;;
        --uninstall) uninstall=true ;;
        *) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" && exit 2 ;;
    esac
    shift
done

[ "$scope" = system ] || : "${HOME:?is not set, and says where the files of this user are}"
case $scope in
    user) prefix=${DESTDIR-}$HOME/.local config=${DESTDIR-}${XDG_CONFIG_HOME:-$HOME/.config}/taskmon ;;
    system) prefix=${DESTDIR-}/usr/local config=${DESTDIR-}/etc/taskmon ;;
esac
list=$prefix/share/taskmon/installed

# put FILE PLACE MODE: copies it, and notes where.
put() {
    install -D -m "$3" "$1" "$2"
    printf '%s\n' "$2" >>"$list"
    say "installed $2"
}

# Jobs that are left would start a program that is gone, and nobody would notice. Prints what cannot be removed here.
remove_jobs() {
    local program=$prefix/bin/taskmon real block file
    # The lines name the program without the links on its way.
    real=$(readlink -f "$program") || real=$program
    # It fails where there is no crontab.
    block=$(timeout 10 crontab -l 2>/dev/null) || [ $? -ne 124 ] ||
        say "left the crontab of $(id -un) as it is: crontab -l does not end. See whether it has a block of taskmon, and take that out"
    block=$(sed -n '/^# BEGIN taskmon/,/^# END taskmon/p' <<<"$block")
    if [[ $block = *"$program"* || $block = *"$real"* ]]; then
        # Whatever the users' configurations have become, this one can be read. The blocks of all that this program runs go.
        if "$program" -c "$prefix/share/taskmon/taskmon.toml" schedule remove --all >/dev/null; then
            say "removed the jobs from the crontab of $(id -un)"
        else
            say "left the jobs in the crontab of $(id -un): take the lines from \"# BEGIN taskmon\" to \"# END taskmon\" out with crontab -e"
        fi
    fi
    for file in /var/spool/cron/crontabs/* /var/spool/cron/*; do
        if [ "${file##*/}" != "$(id -un)" ] && [ -f "$file" ] && grep -qsF -e "$program" -e "$real" "$file"; then
            say "left the jobs in the crontab of ${file##*/}: take the lines from \"# BEGIN taskmon\" to \"# END taskmon\" out with crontab -u ${file##*/} -e"
        fi
    done
    for file in "${XDG_CONFIG_HOME:-${HOME-}/.config}"/systemd/user/taskmon-*.service /etc/systemd/system/taskmon-*.service; do
        # A path with blanks is quoted there.
        if grep -qsF -e "ExecStart=$program " -e "ExecStart=$real " -e "ExecStart=\"$program\"" -e "ExecStart=\"$real\"" "$file"; then
            say "left $file: stop it with systemctl disable --now (--user for a user's own), and delete it with its timer"
        fi
    done
}

remove() {
    local path
    [ -e "$list" ] || fail "nothing is installed under $prefix: $list is missing"
    remove_jobs
    while read -r path; do
        if [ "$path" = "$config/taskmon.toml" ] && ! cmp -s "$path" "$prefix/share/taskmon/taskmon.toml"; then
            say "kept $path: it was changed"
        elif [ -e "$path" ]; then
            rm -f "$path" && say "removed $path"
        fi
    done < <(grep -v "^$prefix/share/taskmon/taskmon.toml\$" "$list")
    rm -f "$prefix/share/taskmon/taskmon.toml" "$list"
    rmdir --ignore-fail-on-non-empty "$prefix/share/taskmon" "$config" 2>/dev/null || true
}

if [ "$uninstall" = true ]; then
    remove
    exit
fi
if [ -z "$binary" ]; then
    cargo build --release --locked --manifest-path "$root/Cargo.toml"
    binary=${CARGO_TARGET_DIR:-$root/target}/release/taskmon
fi
[ -x "$binary" ] || fail "$binary is no program"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
mkdir -p "${list%/*}" || fail "$prefix cannot be written to; --system takes root"
# That the configuration came from here is not forgotten when it is left alone.
{ grep -sxF "$config/taskmon.toml" "$list" || true; } >"$list.new"
mv "$list.new" "$list"
put "$binary" "$prefix/bin/taskmon" 755
pages "$binary" "$made"
for page in "$made"/man/man?/* "$made"/man/*/man?/*; do
    put "$page" "$prefix/share/${page#"$made/"}" 644
done
put "$made/bash" "$prefix/share/bash-completion/completions/taskmon" 644
put "$made/zsh" "$prefix/share/zsh/site-functions/_taskmon" 644
put "$made/fish" "$prefix/share/fish/vendor_completions.d/taskmon.fish" 644
# Its lines name the program where it is installed; a user's own configuration is found from there.
sed "s|/usr/local/bin/taskmon|${prefix#"${DESTDIR-}"}/bin/taskmon|" "$root/crontab.example" >"$made/crontab.example"
put "$made/crontab.example" "$prefix/share/taskmon/crontab.example" 644
"$binary" config --default >"$made/taskmon.toml"
put "$made/taskmon.toml" "$prefix/share/taskmon/taskmon.toml" 644
if [ -e "$config/taskmon.toml" ]; then
    say "left $config/taskmon.toml as it is"
else
    put "$made/taskmon.toml" "$config/taskmon.toml" 600
fi
case :$PATH: in
    *":$prefix/bin:"*) ;;
    *) say "note: $prefix/bin is not on PATH" ;;
esac
say "next: edit $config/taskmon.toml, then run: $prefix/bin/taskmon check --output text"
say "the jobs: $prefix/bin/taskmon schedule install, or lines copied from $prefix/share/taskmon/crontab.example"
