#!/usr/bin/env python3
"""Files for the measurements.

    files.py make FOLDER LIST      the files of a list beneath a folder, a few KiB each
    files.py unlink FOLDER LIST    removes them with BENCH_THREADS threads
    files.py temp FOLDER           100000 old files in 500 sub-folders
"""
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def write(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"x" * 3000)


def unlink(paths):
    for path in paths:
        os.unlink(path)


def main():
    verb, folder = sys.argv[1:3]
    if verb == "temp":
        old = time.time() - 10 * 86400
        for number in range(100_000):
            path = os.path.join(folder, str(number % 500), f"{number}.tmp")
            write(path)
            os.utime(path, (old, old))
        # What is a day old lies on the disk.
        os.sync()
        return
    with open(sys.argv[3]) as file:
        paths = [os.path.join(folder, line.rstrip("\n")) for line in file]
    if verb == "make":
        for path in paths:
            write(path)
        for kind in {os.path.relpath(path, folder).split(os.sep)[0] for path in paths}:
            write(os.path.join(folder, kind, "kept", "file"))
        os.sync()
        return
    pieces = [paths[start:start + 64] for start in range(0, len(paths), 64)]
    threads = int(os.environ["BENCH_THREADS"])
    if threads == 1:
        unlink(paths)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(unlink, pieces))


if __name__ == "__main__":
    main()
