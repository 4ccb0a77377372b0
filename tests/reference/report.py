#!/usr/bin/env python3
"""Works out a day's figures from the rows themselves and compares them with reports of `taskmon stats`.

    report.py --date 2026-11-22 --zone Asia/Shanghai [--naive ZONE] ROWS REPORT.json...
    report.py --date 2026-11-22 --zone Asia/Shanghai [--naive ZONE] ROWS          prints the figures
    report.py --same A.json B.json     compares two reports, but for what differs from run to run
    report.py --self-test              changes every figure of a made-up report and must notice each

ROWS is a CSV file whose first line names the columns, NULL written as \\N (PostgreSQL's COPY makes it), or a SQLite file.
Each mismatch is printed; any makes the exit code 1.

This shares no code with taskmon and asks no database to calculate: it is the definition of each figure, written out in
Python over plain rows, with exact decimals where taskmon rounds.
"""

import argparse
import copy
import csv
import json
import math
import sqlite3
import sys
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

COLUMNS = ["id", "task_id", "status", "created_at", "started_at", "processing_time", "error_message", "retry_count"]
NULL = "\\N"

STATES = {
    "PENDING": "pending",
    "PROCESSING": "processing",
    "RECOGNIZING": "processing",
    "TRACKING": "processing",
    "DELIVERED": "processing",
    "GENERATING": "processing",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "RETURNED": "cancelled",
}
CATEGORIES = [
    ("二维码", "二维码识别错误"),
    ("物流", "物流查询错误"),
    ("文档", "文档生成错误"),
    ("超时", "任务超时"),
    ("数据库", "数据库错误"),
]
OTHER = "其他错误"
SLOWEST = 5
FAILED_DETAILS = 20
MICROSECOND = timedelta(microseconds=1)


# ---- the rows


def read_rows(path):
    with open(path, "rb") as file:
        is_sqlite = file.read(16) == b"SQLite format 3\0"
    yield from (read_sqlite(path) if is_sqlite else read_csv(path))


def read_csv(path):
    csv.field_size_limit(sys.maxsize)
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            row = {name: None if row[name] == NULL else row[name] for name in COLUMNS}
            for name, kind in (("id", int), ("processing_time", float), ("retry_count", int)):
                row[name] = None if row[name] is None else kind(row[name])
            yield row


def read_sqlite(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for values in database.execute(f"SELECT {', '.join(COLUMNS)} FROM tasks"):
        yield dict(zip(COLUMNS, values))
    database.close()


def instant(text, naive):
    """A stored time as an aware one; without an offset of its own it is local time of `naive`."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=naive)
    return moment.astimezone(timezone.utc)


# ---- rounding


def rounded(value):
    """Two decimals, half away from zero, of an exact number or of a float's shortest decimal form."""
    if isinstance(value, float):
        value = Decimal(repr(value))
    return float(value.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))


def percent(part, whole):
    return rounded(Decimal(part) * 100 / Decimal(whole)) if whole else 0.0


def percentile(ordered, share):
    """Linear interpolation between the neighbours, in the steps of PostgreSQL's percentile_cont."""
    position = share * (len(ordered) - 1)
    low, high = math.floor(position), math.ceil(position)
    value = ordered[low] + (position - low) * (ordered[high] - ordered[low])
    return rounded(float(value))


# ---- the figures


def state_of(label):
    return STATES.get(label.upper(), "other") if label is not None else "other"


def category_of(message):
    if not message:
        return None
    return next((name for text, name in CATEGORIES if text in message), OTHER)


def figures(rows, day, zone, naive):
    week = [day - timedelta(days=n) for n in range(7)]
    by_day = {each: Counter() for each in week}
    tasks, undated = [], 0
    for row in rows:
        row["created"] = instant(row["created_at"], naive)
        if row["created"] is None:
            undated += 1
            continue
        local = row["created"].astimezone(zone)
        row["state"] = state_of(row["status"])
        if local.date() in by_day:
            by_day[local.date()].update(["total", row["state"]])
        if local.date() == day:
            row["hour"] = local.hour
            tasks.append(row)
    past = [
        {"date": str(each), "total": count["total"], "completed": count["completed"], "failed": count["failed"]}
        for each, count in by_day.items()
    ]
    total, before = past[0]["total"], past[1]["total"]
    change = rounded(Decimal(total - before) * 100 / before) if before else 0.0
    return {
        "date": str(day),
        "timezone": str(zone),
        "task_statistics": task_statistics(tasks, naive),
        "performance_statistics": performance_statistics(tasks),
        "error_statistics": error_statistics(tasks),
        "trend_analysis": {
            "past_7_days": past,
            "trend_percent": change,
            "trend_direction": "增长" if change > 0 else "下降" if change < 0 else "持平",
        },
        "counted_by": "created_at",
        "undated_tasks": undated,
    }


def task_statistics(tasks, naive):
    states = Counter(task["state"] for task in tasks)
    breakdown = {name: states[name] for name in ("completed", "failed", "pending", "processing")}
    breakdown |= {name: states[name] for name in ("cancelled", "other") if states[name]}
    times = sorted(task["processing_time"] for task in tasks if task["processing_time"] is not None)
    waits = [
        (instant(task["started_at"], naive) - task["created"]) // MICROSECOND
        for task in tasks
        if task["started_at"] is not None
    ]
    return {
        "total_tasks": len(tasks),
        "status_breakdown": breakdown,
        "raw_status_breakdown": dict(Counter(task["status"] for task in tasks)),
        "completion_rate": percent(states["completed"], len(tasks)),
        "failure_rate": percent(states["failed"], len(tasks)),
        "average_processing_time": rounded(sum(map(exact, times)) / len(times)) if times else None,
        "average_wait_time": rounded(Decimal(sum(waits)) / len(waits) / 1_000_000) if waits else None,
        "processing_time_percentiles": {
            "p50": percentile(times, 0.5),
            "p90": percentile(times, 0.9),
            "p95": percentile(times, 0.95),
            "p99": percentile(times, 0.99),
            "max": rounded(times[-1]),
        }
        if times
        else None,
    }


def exact(number):
    return Decimal(repr(float(number)))


def performance_statistics(tasks):
    timed = [task for task in tasks if task["processing_time"] is not None]
    timed.sort(key=lambda task: (-task["processing_time"], task["id"]))
    hours = [0] * 24
    for task in tasks:
        hours[task["hour"]] += 1
    total, squares = sum(hours), sum(count * count for count in hours)
    return {
        "slowest_tasks": [
            {
                "task_id": task["task_id"],
                "processing_time": float(task["processing_time"]),
                "status": task["state"],
            }
            for task in timed[:SLOWEST]
        ],
        "hourly_distribution": {str(hour): count for hour, count in enumerate(hours)},
        "peak_hour": hours.index(max(hours)) if total else None,
        # count > mean + standard deviation, both sides times 24 and squared: whole numbers only.
        "peak_hours": [
            hour
            for hour, count in enumerate(hours)
            if 24 * count > total and (24 * count - total) ** 2 > 24 * squares - total * total
        ],
    }


def error_statistics(tasks):
    failed = [task for task in tasks if task["state"] == "failed"]
    failed.sort(key=lambda task: task["id"])
    failed.sort(key=lambda task: task["created"], reverse=True)
    return {
        "error_categories": dict(Counter(category_of(task["error_message"]) for task in failed if task["error_message"])),
        "retry_statistics": {
            str(count): tasks_with
            for count, tasks_with in sorted(Counter(task["retry_count"] or 0 for task in tasks).items())
            if count > 0
        },
        "total_failed_tasks": len(failed),
        "failed_tasks": [
            {
                "task_id": task["task_id"],
                "category": category_of(task["error_message"]),
                "error_message": task["error_message"],
                "retry_count": task["retry_count"],
                "created_at": task["created"].isoformat(),
            }
            for task in failed[:FAILED_DETAILS]
        ],
    }


# ---- the comparison


def mismatches(expected, found, path=""):
    """Yields a line for each figure that is expected and not found; what the report has besides is not looked at,
    save in tables of counts, where a key too many is a wrong figure."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            yield f"{path}: expected {expected!r}, found {found!r}"
            return
        for key, value in expected.items():
            if key in found:
                yield from mismatches(value, found[key], f"{path}.{key}" if path else key)
            else:
                yield f"{path}.{key}: expected {value!r}, found nothing"
        if path.endswith(("breakdown", "distribution", "categories", "retry_statistics")):
            yield from (f"{path}.{key}: expected nothing, found {found[key]!r}" for key in found.keys() - expected.keys())
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found)):
            yield from mismatches(one, other, f"{path}[{number}]")
    elif not equal(expected, found, path):
        yield f"{path}: expected {expected!r}, found {found!r}"


def equal(expected, found, path):
    if path.endswith(".created_at") and isinstance(found, str):
        return datetime.fromisoformat(found) == datetime.fromisoformat(expected)
    # In Python True equals 1.
    return isinstance(expected, bool) == isinstance(found, bool) and expected == found


def without_the_run(report):
    report = dict(report)
    for key in ("generated_at", "execution_time", "report_path", "system_statistics"):
        report.pop(key, None)
    return report


def compare(expected, report, name):
    found = list(mismatches(expected, report))
    for line in found:
        print(f"{name}: {line}")
    return not found


def load(path):
    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as error:
            sys.exit(f"{path} is not a JSON document: {error}")


# ---- the self-test


def leaves(value, path=()):
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from leaves(value[index], (*path, index))
    else:
        yield path, value


def changed(value):
    if value is None:
        return 0
    if isinstance(value, str):
        return value + "1" if "T" not in value else value.replace("T10:", "T11:").replace("T02:", "T03:")
    return value + (0.01 if isinstance(value, float) else 1)


def self_test():
    zone = ZoneInfo("Asia/Shanghai")
    rows = [
        made(1, "COMPLETED", "2026-11-22 00:00:00", 10.5, None, 0, "2026-11-22 00:00:01.500000"),
        made(2, "COMPLETED", "2026-11-22 23:59:59.999999", 20.5, None, 1, "2026-11-23 00:00:02.999999"),
        made(3, "FAILED", "2026-11-22 10:15:00.000001", None, "物流查询超时", 2, None),
        made(4, "FAILED", "2026-11-22 10:30:00", None, "", 0, None),
        made(5, "GENERATING", "2026-11-22 11:00:00", None, None, None, None),
        made(6, "COMPLETED", "2026-11-21 23:59:59.999999", 1.0, None, 0, None),
        made(7, "COMPLETED", None, 1.0, None, 0, None),
    ]
    expected = figures(rows, date(2026, 11, 22), zone, zone)
    by_hand = {
        "task_statistics": {
            "total_tasks": 5,
            "status_breakdown": {"completed": 2, "failed": 2, "pending": 0, "processing": 1},
            "completion_rate": 40.0,
            "average_processing_time": 15.5,
            "average_wait_time": 2.25,
            "processing_time_percentiles": {"p50": 15.5, "p90": 19.5, "p95": 20.0, "p99": 20.4, "max": 20.5},
        },
        "performance_statistics": {"peak_hour": 10, "peak_hours": [0, 10, 11, 23]},
        "error_statistics": {"error_categories": {"物流查询错误": 1}, "retry_statistics": {"1": 1, "2": 1}},
        "trend_analysis": {"trend_percent": 400.0, "trend_direction": "增长"},
        "undated_tasks": 1,
    }
    good = compare(by_hand, expected, "by hand") and compare(expected, expected, "itself")
    paths = list(leaves(expected))
    for path, value in paths:
        report = copy.deepcopy(expected)
        place = report
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = changed(value)
        if not list(mismatches(expected, report)):
            print(f"a change of {path} was not noticed")
            good = False
        if isinstance(place, dict):
            del place[path[-1]]
            if not list(mismatches(expected, report)):
                print(f"the loss of {path} was not noticed")
                good = False
    for table in ("status_breakdown", "raw_status_breakdown"):
        report = copy.deepcopy(expected)
        report["task_statistics"][table]["surplus"] = 1
        good = good and bool(list(mismatches(expected, report)))
    if good:
        print(f"{len(paths)} figures: every change was noticed")
    return good


def made(number, status, created, seconds, message, retries, started):
    values = (number, f"task_{number}", status, created, started, seconds, message, retries)
    return dict(zip(COLUMNS, values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--date", type=date.fromisoformat)
    parser.add_argument("--zone", type=ZoneInfo, default=ZoneInfo("Asia/Shanghai"))
    parser.add_argument("--naive", type=ZoneInfo, help="zone of times without one (default: --zone)")
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("files", nargs="*", metavar="FILE")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8")
    if arguments.self_test:
        return self_test()
    if arguments.same:
        if len(arguments.files) != 2:
            parser.error("--same needs two reports")
        one, other = (without_the_run(load(path)) for path in arguments.files)
        return compare(one, other, "the second") & compare(other, one, "the first")
    if arguments.date is None or not arguments.files:
        parser.error("--date and ROWS are needed")
    rows, *reports = arguments.files
    expected = figures(read_rows(rows), arguments.date, arguments.zone, arguments.naive or arguments.zone)
    if not reports:
        print(json.dumps(expected, ensure_ascii=False, indent=2))
    return all([compare(expected, load(path), path) for path in reports])


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
