#!/usr/bin/env python3
"""Turns the log of `taskmon stats -vv` on SQLite into a script for the sqlite3 shell: the same statements, their parameters filled in.

    statements.py DAY < LOG > SCRIPT
"""
import datetime
import re
import sys


def main():
    day = datetime.date.fromisoformat(sys.argv[1])
    print("BEGIN;")
    for line in sys.stdin:
        start = re.search(r"\b(SELECT|WITH)\b", line)
        if not start:
            continue
        sql = line[start.start():].rstrip().rstrip("]")
        if "?" in sql and re.search(r"\?(?!\d)", sql):
            # The days of the trend, a day more at either end.
            low, high = day - datetime.timedelta(days=8), day + datetime.timedelta(days=3)
            values = iter([f"'{low}'", f"'{high}'"])
            sql = re.sub(r"\?(?!\d)", lambda _: next(values), sql)
        sql = sql.replace("?1", f"'{day}'").replace("?2", f"'{day + datetime.timedelta(days=1)}'")
        sql = re.sub(r"\?\d+", "20", sql)
        print(sql + ";")
    print("COMMIT;")


if __name__ == "__main__":
    main()
