# shellcheck shell=bash
# What the program says of itself: manual pages and completions, for installing.

# pages PROGRAM FOLDER: FOLDER/man has the pages, FOLDER/bash, FOLDER/zsh and FOLDER/fish the completions.
pages() {
    local program=$1 folder=$2 command shell
    mkdir -p "$folder/man"
    "$program" man >"$folder/man/taskmon.1"
    for command in cleanup stats disk alert check schedule demo config; do
        "$program" man "$command" >"$folder/man/taskmon-$command.1"
    done
    for shell in bash zsh fish; do
        "$program" completions "$shell" >"$folder/$shell"
    done
}
