#!/usr/bin/env bash
# A month in one JSON object: its tasks, its failures, its busiest and its worst day.
#
#   scripts/month.sh [YYYY-MM] [OPTION OF taskmon stats...]
#
# Without a month, the last one; of the current month, the days up to yesterday. Nothing is saved and nobody is notified. It exits with taskmon's
# own code; if that is neither 0 nor 1, or with --output, what taskmon printed is passed on as it is.
set -euo pipefail

month=""
case ${1-} in
    [0-9][0-9][0-9][0-9]-[0-9][0-9]) month=$1 && shift ;;
    -* | "") ;;
    *) echo "${0##*/}: \"$1\" is no month; expected YYYY-MM" >&2 && exit 2 ;;
esac
# Yesterday is that of the configuration's zone, in which taskmon counts days.
config=()
previous=""
for word in "$@"; do
    case $previous:$word in
        -c:* | --config:*) config=("$previous" "$word") ;;
        *:--config=*) config=("$word") ;;
    esac
    previous=$word
done
zone=$(taskmon -q -q config --compact "${config[@]}" 2>/dev/null | jq -r '.timezone // empty') || zone=""
if [ -n "$zone" ]; then export TZ=$zone; fi
[ -n "$month" ] || month=$(date -d "$(date +%Y-%m-01) -1 month" +%Y-%m)
last=$(date -d "$month-01 +1 month -1 day" +%F 2>/dev/null) || { echo "${0##*/}: there is no month $month" >&2 && exit 2; }
yesterday=$(date -d yesterday +%F)
if [[ $last > $yesterday ]]; then last=$yesterday; fi
if [[ $last < $month-01 ]]; then echo "${0##*/}: no day of $month is over yet" >&2 && exit 2; fi

status=0
reports=$(taskmon stats --date "$last" --days "$((10#${last: -2}))" --no-save --no-alert --compact "$@") || status=$?
if [ "$status" -gt 1 ] || ! jq -e . >/dev/null 2>&1 <<<"$reports"; then
    printf '%s\n' "$reports"
    exit "$status"
fi
jq --arg month "$month" '
    map({date, total: .task_statistics.total_tasks} + .task_statistics.status_breakdown) as $days
    | def sum(f): $days | map(f) | add;
    {month: $month, days: ($days | length), total: sum(.total), completed: sum(.completed), failed: sum(.failed),
     failure_rate: (if sum(.total) == 0 then 0 else (sum(.failed) * 10000 / sum(.total) | round / 100) end),
     busiest_day: ($days | max_by(.total) | if .total == 0 then null else {date, total} end),
     worst_day: ($days | max_by(.failed) | if .failed == 0 then null else {date, failed} end)}' <<<"$reports"
exit "$status"
