#!/usr/bin/env bash
# Builds taskmon without any shared library, for hosts of any distribution, and prints the program's path.
#
#   scripts/static.sh [ARGUMENT OF cargo build...]
#
# It takes rustup and musl's C compiler (Debian: musl-tools; Fedora: musl-gcc; Alpine has it), for SQLite and the cryptography.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/install.sh
. scripts/lib/install.sh

triple=$(uname -m)-unknown-linux-musl
command -v musl-gcc >/dev/null || fail "musl-gcc is missing; Debian has it in musl-tools, Fedora in musl-gcc"
rustup target add "$triple" >&2 || fail "rustup cannot install the target $triple"
cargo build --release --locked --target "$triple" "$@"
program=${CARGO_TARGET_DIR:-target}/$triple/release/taskmon
ldd "$program" 2>&1 | grep -qE 'statically linked|not a dynamic executable' || fail "$program is not static: $(ldd "$program" 2>&1)"
printf '%s\n' "$program"
