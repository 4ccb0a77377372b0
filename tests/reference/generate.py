#!/usr/bin/env python3
"""Makes believable rows for the `tasks` table, the same for PostgreSQL and SQLite. Standard library only.

    generate.py rows --tasks 1000000 --last-day 2026-11-22 [--days 60] [--seed 1] > rows.csv
    generate.py columns                       the columns of rows.csv, for COPY tasks (...) FROM STDIN
    generate.py sqlite rows.csv tasks.db      fills the `tasks` table of an existing SQLite file

rows.csv is PostgreSQL's CSV with \\N for NULL. Times are naive local time of the application. The rows come in the order
of their creation; among them stand the awkward ones: both ends of a day, no creation time, no message, an empty one,
one with quotes and line breaks, one of two categories, equal processing times.
"""

import argparse
import csv
import random
import sqlite3
import sys
from datetime import date, datetime, time, timedelta
from itertools import accumulate

COLUMNS = (
    "id task_id task_name description status image_path image_url file_size qr_code tracking_number courier_company "
    "tracking_data delivery_status delivery_time document_url document_path screenshot_url screenshot_path started_at "
    "completed_at processing_time error_message retry_count user_id extra_metadata remarks created_at updated_at"
).split()

NULL = "\\N"

# Status labels with their share of recent tasks; older ones have nearly all come to an end.
STATES = {
    "PENDING": 10, "RECOGNIZING": 5, "TRACKING": 20, "DELIVERED": 10,
    "GENERATING": 5, "COMPLETED": 890, "FAILED": 50, "RETURNED": 10,
}  # fmt: skip
UNSETTLED = {"PENDING", "RECOGNIZING", "TRACKING", "DELIVERED", "GENERATING"}

# Tasks per local hour: a quiet night, a busy morning, a busy afternoon.
HOURS = [2, 1, 1, 1, 1, 2, 4, 9, 30, 62, 80, 70, 38, 44, 66, 74, 64, 48, 26, 18, 14, 11, 7, 4]

# Summed up once: a million choices would add them up a million times.
LABELS = list(STATES)
UP_TO_STATE = list(accumulate(STATES.values()))
UP_TO_HOUR = list(accumulate(HOURS))

MESSAGES = [
    "二维码识别失败: 图片中没有二维码",
    "物流查询失败: 接口返回 502",
    "文档生成失败: 缺少模板",
    "任务超时: 超过 300 秒",
    "数据库连接失败: connection refused",
    "Unexpected error: KeyError 'data'",
    "物流查询超时",
    "二维码识别完成后写入数据库失败",
    'quotes "double" and \'single\', a comma, 100% and an under_score',
    "第一行\n第二行\t物流",
    "back\\slash and emoji 📦",
    " ",
]


def created_at(rng, day):
    hour = rng.choices(range(24), cum_weights=UP_TO_HOUR)[0]
    return datetime.combine(day, time(hour)) + timedelta(microseconds=rng.randrange(3_600_000_000))


def text(moment):
    """As PostgreSQL reads it and SQLAlchemy writes it into SQLite."""
    return NULL if moment is None else moment.isoformat(sep=" ", timespec="microseconds")


def row(rng, number, created, settled):
    state = rng.choices(LABELS, cum_weights=UP_TO_STATE)[0]
    if settled and state in UNSETTLED and rng.random() < 0.8:
        state = "COMPLETED"
    started = None if state == "PENDING" else created + timedelta(seconds=rng.expovariate(1 / 3))
    # Whole quarters of a second are frequent, so that there are ties.
    seconds = round(rng.lognormvariate(2.6, 0.75), 3)
    if rng.random() < 0.2:
        seconds = round(seconds * 4) / 4
    done = started + timedelta(seconds=seconds) if state in ("COMPLETED", "FAILED", "RETURNED") else None
    has_time = state == "COMPLETED" and rng.random() < 0.98 or state == "FAILED" and rng.random() < 0.5
    message, retries = NULL, "0"
    if state == "FAILED":
        message = rng.choices([rng.choice(MESSAGES), NULL, ""], [96, 2, 2])[0]
        retries = str(min(5, int(rng.expovariate(0.6))))
    elif rng.random() < 0.03:
        retries = rng.choice(["1", "2", NULL])
    values = {
        "id": number,
        "task_id": f"task_{number:09}",
        "task_name": f"任务 {number}",
        "status": state,
        "image_path": f"uploads/{number % 256:02x}/{number}.png",
        "file_size": 80_000 + number % 2_900_000,
        "tracking_number": f"10{number:011}" if started else NULL,
        "document_path": f"static/documents/{number}.docx" if state == "COMPLETED" else NULL,
        "started_at": text(started),
        "completed_at": text(done if state == "COMPLETED" else None),
        "processing_time": seconds if has_time else NULL,
        "error_message": message,
        "retry_count": retries,
        "user_id": number % 397,
        "created_at": text(created),
        "updated_at": text((done or started or created) + timedelta(microseconds=rng.randrange(2_000_000))),
    }
    return [values.get(column, NULL) for column in COLUMNS]


def awkward_times(last_day):
    """Both ends of the last day and of its neighbours, to the microsecond."""
    midnight = datetime.combine(last_day, time())
    for days in (-7, -6, -1, 0, 1):
        edge = midnight + timedelta(days=days)
        yield from (edge - timedelta(microseconds=1), edge, edge + timedelta(microseconds=1))


def rows(arguments):
    rng = random.Random(arguments.seed)
    last_day = date.fromisoformat(arguments.last_day)
    awkward = [*awkward_times(last_day), None, None]
    regular = max(arguments.tasks - len(awkward), 0)
    number = 0
    for position in range(regular):
        # The day grows with the position, so that keys grow with time.
        ago = arguments.days - 1 - position * arguments.days // regular
        number += 1
        yield row(rng, number, created_at(rng, last_day - timedelta(days=ago)), ago > 1)
    for moment in awkward[: arguments.tasks]:
        number += 1
        made = row(rng, number, moment or datetime.combine(last_day, time(12)), False)
        made[COLUMNS.index("created_at")] = text(moment)
        yield made


def fill_sqlite(source, target):
    csv.field_size_limit(sys.maxsize)
    with open(source, encoding="utf-8", newline="") as lines, sqlite3.connect(target) as database:
        values = ([None if value == NULL else value for value in line] for line in csv.reader(lines))
        marks = ", ".join("?" * len(COLUMNS))
        database.executemany(f"INSERT INTO tasks ({', '.join(COLUMNS)}) VALUES ({marks})", values)
    database.execute("ANALYZE")
    database.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("rows")
    make.add_argument("--tasks", type=int, required=True)
    make.add_argument("--last-day", required=True)
    make.add_argument("--days", type=int, default=60)
    make.add_argument("--seed", type=int, default=1)
    commands.add_parser("columns")
    fill = commands.add_parser("sqlite")
    fill.add_argument("rows")
    fill.add_argument("database")
    arguments = parser.parse_args()
    if arguments.command == "columns":
        print(", ".join(COLUMNS))
    elif arguments.command == "sqlite":
        fill_sqlite(arguments.rows, arguments.database)
    else:
        sys.stdout.reconfigure(encoding="utf-8", newline="")
        csv.writer(sys.stdout, lineterminator="\n").writerows(rows(arguments))


if __name__ == "__main__":
    main()
