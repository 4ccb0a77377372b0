#!/usr/bin/env bash
# Makes the pictures of a report that the READMEs show: the page of a busy day of the demo, as SVG.
#
#   scripts/picture.sh PROGRAM [FOLDER]
#
# FOLDER/picture.en.svg and FOLDER/picture.zh.svg are written; without it to src/manual.
set -euo pipefail

program=$(realpath "${1:?names the program}")
folder=$(realpath "${2:-$(dirname "${BASH_SOURCE[0]}")/../src/manual}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# svg COMMAND: standard input below the line of the command.
svg() {
    awk -v command="$1" '
        function escaped(text) {
            gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
            return text
        }
        function row(text, class) {
            if (text != "") rows = rows sprintf("<text x=\"16\" y=\"%d\" class=\"%s\">%s</text>\n", 28 + 18 * count, class, escaped(text))
            count++
        }
        BEGIN { row("$ " command, "c") }
        { row($0, /^[^ ]/ ? "h" : /^  !/ ? "w" : "t") }
        END {
            height = 28 + 18 * count
            printf "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" width=\"800\" height=\"%d\" viewBox=\"0 0 800 %d\">\n", height, height
            print "<style>text{font:13px \"DejaVu Sans Mono\",\"Noto Sans Mono CJK SC\",monospace;white-space:pre;fill:#d8dee9}.c{fill:#88c0d0}.h{fill:#fff;font-weight:bold}.w{fill:#ebcb8b}</style>"
            printf "<rect width=\"800\" height=\"%d\" rx=\"8\" fill=\"#2e3440\"/>\n%s</svg>\n", height, rows
        }'
}

cd "$work"
"$program" demo >/dev/null
cd taskmon-demo
day=$(date -d 'last wednesday' +%F)
for language in en zh; do
    # What comes behind the queue is about the host on which this runs.
    "$program" stats --date "$day" --no-save --output text --lang "$language" |
        sed -e '/^System$/,$d' -e '/^系统$/,$d' | sed -e '$d' | svg "taskmon stats --date $day --output text" >"$folder/picture.$language.svg"
done
