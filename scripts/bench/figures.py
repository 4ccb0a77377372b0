#!/usr/bin/env python3
"""Fails if taskmon's report and the statement written by hand (report_postgres.sql, report_sqlite.sql) come to different figures.

    figures.py REPORT ANSWER
"""
import json
import sys
from collections import Counter


def total(rows, key, column="tasks"):
    """The sum of a column by what `key` says of a row, without what is not there."""
    sums = Counter()
    for row in rows:
        if key(row) is not None:
            sums[str(key(row))] += row[column] or 0
    return {name: number for name, number in sums.items() if number}


def mean(rows, sum_of, count_of):
    return total(rows, lambda _: "", sum_of)[""] / total(rows, lambda _: "", count_of)[""]


def of_report(report):
    tasks, errors, trend = report["task_statistics"], report["error_statistics"], report["trend_analysis"]
    return {
        "labels": tasks["raw_status_breakdown"],
        "mean": tasks["average_processing_time"],
        "wait": tasks["average_wait_time"],
        "percentiles": list(tasks["processing_time_percentiles"].values()),
        "hours": {hour: count for hour, count in report["performance_statistics"]["hourly_distribution"].items() if count},
        "slowest": [task["task_id"] for task in report["performance_statistics"]["slowest_tasks"]],
        "categories": {name: count for name, count in errors["error_categories"].items() if count},
        "retries": errors["retry_statistics"],
        "failed": [task["task_id"] for task in errors["failed_tasks"]],
        "days": [[day["total"], day["completed"], day["failed"]] for day in trend["past_7_days"]],
        "open": sum(report["system_statistics"]["queue_statistics"][key] for key in ("active_tasks", "total_pending")),
        "undated": report["undated_tasks"],
    }


def of_answer(answer):
    cells = answer["cells"]

    def day(ago, *labels):
        return sum(row["tasks"] for row in answer["trend"] if row["ago"] == ago and (not labels or row["label"] in labels))

    return {
        "labels": total(cells, lambda cell: cell["status"]),
        "mean": mean(cells, "seconds", "timed"),
        "wait": mean(cells, "wait", "waited"),
        "percentiles": [*answer["shares"]["p"], answer["shares"]["max"]],
        "hours": total(cells, lambda cell: int(cell["hour"])),
        "slowest": [task["task_id"] for task in answer["slowest"]],
        "categories": total(cells, lambda cell: cell["category"]),
        "retries": total(cells, lambda cell: cell["retry_count"] or None),
        "failed": [task["task_id"] for task in answer["failed"]],
        "days": [[day(ago), day(ago, "COMPLETED"), day(ago, "FAILED")] for ago in range(7)],
        "open": sum(row["tasks"] for row in answer["open"]),
        "undated": answer["undated"],
    }


def same(one, other):
    """Equal, numbers to the two decimals of a report."""
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return abs(one - other) <= 0.005001
    return one == other


def main():
    report, answer = [json.load(open(path, encoding="utf-8")) for path in sys.argv[1:3]]
    own, others = of_report(report), of_answer(answer)
    different = [f"{key}: {own[key]} and {others[key]}" for key in own if not same(own[key], others[key])]
    if different:
        sys.exit("taskmon and the statement differ\n" + "\n".join(different))


if __name__ == "__main__":
    main()
