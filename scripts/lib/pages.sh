# shellcheck shell=bash
# What the program says of itself: manual pages and completions, for installing.

# pages PROGRAM FOLDER: FOLDER/man1 and FOLDER/man7 have the pages, FOLDER/bash, FOLDER/zsh and FOLDER/fish the completions.
pages() {
    local program=$1 folder=$2 topic section shell
    mkdir -p "$folder/man1" "$folder/man7"
    "$program" --lang en man >"$folder/man1/taskmon.1"
    while read -r topic section; do
        "$program" --lang en man "$topic" >"$folder/man$section/taskmon-$topic.$section"
    done < <("$program" man --list)
    for shell in bash zsh fish; do
        "$program" completions "$shell" >"$folder/$shell"
    done
}
