#!/usr/bin/env python3
"""Works out what a cleanup has to do from the rows and files themselves, and holds what it did against that. Shares no code with taskmon.

    cleanup.py dump CONNECTION FOLDER        the tables as CSV, through psql
    cleanup.py make BEFORE STORAGE           a file for each path of the dump, of a length that its name decides
    cleanup.py check BEFORE AFTER STORAGE RESULT AS_OF

AS_OF is a wall-clock time, as the rows' times are.
"""
import csv
import datetime
import hashlib
import json
import os
import subprocess
import sys

TABLES = {
    "tasks": "id, status, created_at, completed_at, updated_at, tracking_number, image_path, document_path, screenshot_path",
    "delivery_receipts": "id, tracking_number, created_at, qr_code_path, barcode_path, receipt_file_path, "
                         "tracking_screenshot_path, delivery_receipt_doc_path",
    "tracking_info": "id, delivery_receipt_id, screenshot_path",
}
TIME = "%Y-%m-%d %H:%M:%S.%f"


def dump(connection, folder):
    os.makedirs(folder, exist_ok=True)
    for table, columns in TABLES.items():
        sql = f"COPY (SELECT {columns} FROM {table}) TO STDOUT WITH (FORMAT csv, HEADER)"
        with open(os.path.join(folder, table + ".csv"), "wb") as file:
            environment = dict(os.environ, PGOPTIONS="-c datestyle=ISO")
            subprocess.run(["psql", "-X", "-q", connection, "-c", sql], stdout=file, check=True, env=environment)


def load(folder):
    tables = {}
    for table in TABLES:
        with open(os.path.join(folder, table + ".csv"), newline="") as file:
            tables[table] = list(csv.DictReader(file))
    return tables


def paths(row):
    return [value for column, value in row.items() if column.endswith("_path") and value]


def length(path):
    return 1 + int(hashlib.md5(path.encode()).hexdigest()[:3], 16)


def make(before, storage):
    for rows in load(before).values():
        for row in rows:
            for path in paths(row):
                full = os.path.join(storage, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "wb") as file:
                    file.write(b"x" * length(path))


def moment(text):
    return datetime.datetime.strptime(text if "." in text else text + ".0", TIME) if text else None


def first(*times):
    return next((moment(time) for time in times if time), None)


def expired(task, as_of):
    if task["status"] == "COMPLETED":
        ended, days = first(task["completed_at"], task["updated_at"], task["created_at"]), 30
    elif task["status"] == "FAILED":
        ended, days = first(task["updated_at"], task["completed_at"], task["created_at"]), 7
    else:
        return False
    return ended is not None and ended < as_of - datetime.timedelta(days=days)


def check(before, after, storage, result, as_of):
    as_of = moment(as_of)
    tables, left = load(before), load(after)
    with open(result) as file:
        result = json.load(file)
    tasks = [task for task in tables["tasks"] if not expired(task, as_of)]
    referred = {task["tracking_number"] for task in tasks if task["tracking_number"]}
    limit = as_of - datetime.timedelta(days=30)
    receipts = [receipt for receipt in tables["delivery_receipts"]
                if moment(receipt["created_at"]) >= limit or receipt["tracking_number"] in referred]
    kept = {receipt["id"] for receipt in receipts}
    tracking = [info for info in tables["tracking_info"] if info["delivery_receipt_id"] in kept]
    stays = {path for rows in (tasks, receipts, tracking) for row in rows for path in paths(row)}
    had = {path for rows in tables.values() for row in rows for path in paths(row)}
    gone = had - stays
    found = set()
    for folder, _, names in os.walk(storage):
        found.update(os.path.relpath(os.path.join(folder, name), storage) for name in names)
    wanted = {
        "tasks": ({row["id"] for row in left["tasks"]}, {row["id"] for row in tasks}),
        "receipts": ({row["id"] for row in left["delivery_receipts"]}, kept),
        "tracking rows": ({row["id"] for row in left["tracking_info"]}, {row["id"] for row in tracking}),
        "files": (found, stays),
        "tasks_cleaned": (result["tasks_cleaned"], len(tables["tasks"]) - len(tasks)),
        "receipts_cleaned": (result["receipts_cleaned"], len(tables["delivery_receipts"]) - len(receipts)),
        "files_cleaned": (result["files_cleaned"], len(gone)),
        "disk_space_freed_mb": (result["disk_space_freed_mb"], round(sum(map(length, gone)) / 1024 ** 2 + 1e-9, 2)),
        "errors": (result["errors"], []),
    }
    wrong = [name for name, (is_, should) in wanted.items() if is_ != should]
    for name in wrong:
        is_, should = wanted[name]
        if isinstance(is_, set):
            print(f"{name}: {len(is_ - should)} too many, such as {sorted(is_ - should)[:3]}; "
                  f"{len(should - is_)} missing, such as {sorted(should - is_)[:3]}")
        else:
            print(f"{name}: {is_}, should be {should}")
    if wrong:
        sys.exit(1)
    print(f"cleanup agrees: {result['tasks_cleaned']} of {len(tables['tasks'])} tasks, {result['receipts_cleaned']} of "
          f"{len(tables['delivery_receipts'])} receipts, {result['files_cleaned']} of {len(had)} files, "
          f"{result['disk_space_freed_mb']} MB, {result['files_shared']} kept for another row")


if __name__ == "__main__":
    {"dump": dump, "make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
