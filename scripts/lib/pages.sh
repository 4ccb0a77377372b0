# shellcheck shell=bash
# What the program says of itself: manual pages and completions, for installing.

# pages PROGRAM FOLDER: FOLDER/man is a tree of manual pages in English and Chinese, FOLDER/bash, FOLDER/zsh and FOLDER/fish are the completions.
pages() {
    local program=$1 folder=$2 topic section shell
    mkdir -p "$folder"/man/{,zh_CN/}man{1,7}
    "$program" man --lang en >"$folder/man/man1/taskmon.1"
    while read -r topic section; do
        "$program" man "$topic" --lang en >"$folder/man/man$section/taskmon-$topic.$section"
        "$program" man "$topic" --lang zh >"$folder/man/zh_CN/man$section/taskmon-$topic.$section"
    done < <("$program" man --list)
    for shell in bash zsh fish; do
        "$program" completions "$shell" >"$folder/$shell"
    done
}
