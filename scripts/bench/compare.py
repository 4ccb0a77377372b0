#!/usr/bin/env python3
"""Times a command against a peer, in turns, and prints one line of a table.

    compare.py [--pairs N] [--before CMD] [--peer-before CMD] [--most RATIO] [--least RATIO] [--memory MIB] NAME COMMAND PEER

COMMAND and PEER are shell words. Each is run once unmeasured, then N times by turns; whole processes, from start to end. The line
has the medians, the median of the ratios of neighbours (command / peer) with the smallest and the largest, and the command's
largest memory. The exit code is 1 if the median ratio is over --most, 1 / ratio is under --least, or the memory is over --memory.
--before and --peer-before run unmeasured before each run.
"""
import argparse
import os
import shlex
import statistics
import subprocess
import sys
import time


def once(words):
    """Seconds and MiB of one run."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        sys.exit(f"{shlex.join(words)}: exit code {code}")
    return seconds, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--before")
    parser.add_argument("--peer-before")
    parser.add_argument("--most", type=float)
    parser.add_argument("--least", type=float)
    parser.add_argument("--memory", type=float)
    parser.add_argument("name")
    parser.add_argument("command")
    parser.add_argument("peer")
    given = parser.parse_args()
    command, peer = shlex.split(given.command), shlex.split(given.peer)

    def prepared(words, before):
        if before:
            subprocess.run(before, shell=True, check=True, stdout=subprocess.DEVNULL)
        return once(words)

    pairs = []
    for turn in range(given.pairs + 1):
        pair = prepared(command, given.before), prepared(peer, given.peer_before)
        if turn > 0:
            pairs.append(pair)
    own = [seconds for (seconds, _), _ in pairs]
    others = [seconds for _, (seconds, _) in pairs]
    ratios = [one / other for one, other in zip(own, others)]
    ratio = statistics.median(ratios)
    memory = max(mib for (_, mib), _ in pairs)
    verdicts = []
    if given.most is not None:
        verdicts.append((ratio <= given.most, f"at most {given.most:g} x"))
    if given.least is not None:
        verdicts.append((1 / ratio >= given.least, f"at least {given.least:g} x as fast"))
    if given.memory is not None:
        verdicts.append((memory <= given.memory, f"under {given.memory:g} MiB"))
    said = "; ".join(f"{text}: {'kept' if kept else 'MISSED'}" for kept, text in verdicts)
    print(f"{given.name}: {statistics.median(own) * 1e3:.1f} ms against {statistics.median(others) * 1e3:.1f} ms, "
          f"ratio {ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f}, {given.pairs} pairs), {memory:.1f} MiB; {said}", flush=True)
    sys.exit(0 if all(kept for kept, _ in verdicts) else 1)


if __name__ == "__main__":
    main()
