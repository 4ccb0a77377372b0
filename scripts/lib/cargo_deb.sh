# shellcheck shell=bash
# cargo-deb, which builds the Debian package.

cargo_deb_version=3.8.0

# cargo_deb FOLDER: installs it there, unless that was done before, and puts it on PATH.
cargo_deb() {
    local folder=$1
    if [ "$("$folder/bin/cargo-deb" --version 2>/dev/null)" != "cargo-deb $cargo_deb_version" ]; then
        say "installing cargo-deb $cargo_deb_version"
        cargo install cargo-deb --quiet --version "$cargo_deb_version" --locked --force --root "$folder" >&2 || fail "cargo cannot install cargo-deb $cargo_deb_version"
    fi
    PATH=$(cd "$folder/bin" && pwd):$PATH
    export PATH
}
