#!/usr/bin/env bash
# A step of a CI pipeline that fails while an alert stands.
#
#   scripts/gate.sh [warning | critical] [OPTION OF taskmon stats...]
#
# Prints the alerts of yesterday's report, or of the day that --date names, a line each. It ends with 4 if one of them has that severity (critical unless
# told otherwise) or a worse one, else with taskmon's own exit code. Nothing is saved and nobody is told.
set -euo pipefail

severity=critical
case ${1-} in
    warning | critical) severity=$1 && shift ;;
esac
status=0
report=$(taskmon stats --fail-on "$severity" --no-save --no-alert --compact "$@") || status=$?
jq -r 'if .error then "error\t\(.error.message)" else .alerts[] | "\(.severity)\t\(.message)" end' <<<"$report"
exit "$status"
