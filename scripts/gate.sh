#!/usr/bin/env bash
# A step of a CI pipeline that fails while an alert is firing.
#
#   scripts/gate.sh [warning | critical] [OPTION OF taskmon stats...]
#
# Prints the alerts of yesterday's report, or of the days that --date and --days name, a line each. It exits with 4 if one of them has that severity (critical
# without one) or a worse one, else with taskmon's own exit code. Nothing is saved and nobody is notified.
set -euo pipefail

severity=critical
case ${1-} in
    warning | critical) severity=$1 && shift ;;
esac
status=0
report=$(taskmon stats --fail-on "$severity" --no-save --no-alert --compact "$@") || status=$?
if ! jq -e . >/dev/null 2>&1 <<<"$report"; then
    # Another form was asked for.
    printf '%s\n' "$report"
    exit "$status"
fi
jq -r '(if type == "array" then .[] else . end) | if .error then "error\t\(.error.message)" else .alerts[] | "\(.severity)\t\(.message)" end' <<<"$report"
exit "$status"
