#!/usr/bin/env python3
"""Times a command against a peer, in turns, and prints one line of a table.

    compare.py [--pairs N] [--before CMD] [--peer-before CMD] [--most RATIO] [--least RATIO] [--memory MIB] NAME COMMAND PEER...

COMMAND and PEER are shell words. Each is run once unmeasured, then N times by turns; whole processes, from start to end. Of several
peers the fastest is taken: each is tried five times, by turns. The line has the medians, the median of the ratios of neighbours
(command / peer) with the smallest and the largest, and the command's largest memory, which GNU time measures in runs of their own:
what Python starts counts Python's memory as its own. The exit code is 1 if the median ratio is over --most, 1 / ratio is under
--least, or the memory is over --memory. --before and --peer-before run unmeasured before each run.
"""
import argparse
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

TRIALS = 5
MEMORY_RUNS = 3


def run(words):
    """Seconds of one run."""
    start = time.perf_counter()
    code = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).wait()
    seconds = time.perf_counter() - start
    if code != 0:
        sys.exit(f"{shlex.join(words)}: exit code {code}")
    return seconds


def memory(words):
    """MiB of one run, at its peak."""
    with tempfile.NamedTemporaryFile(mode="r") as kib:
        run(["/usr/bin/time", "-f", "%M", "-o", kib.name, *words])
        return int(kib.read()) / 1024


def prepare(before):
    if before:
        subprocess.run(before, shell=True, check=True, stdout=subprocess.DEVNULL)


def prepared(words, before):
    prepare(before)
    return run(words)


def fastest(peers, before):
    """Of some peers the one with the smallest median, after a run each that warms up."""
    for peer in peers:
        prepared(peer, before)
    if len(peers) == 1:
        return peers[0]
    trials = [[prepared(peer, before) for peer in peers] for _ in range(TRIALS)]
    medians = [statistics.median(times) for times in zip(*trials)]
    for peer, median in zip(peers, medians):
        print(f"{median * 1e3:.1f} ms: {shlex.join(peer)}", file=sys.stderr, flush=True)
    return peers[medians.index(min(medians))]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--before")
    parser.add_argument("--peer-before")
    parser.add_argument("--most", type=float)
    parser.add_argument("--least", type=float)
    parser.add_argument("--memory", type=float)
    parser.add_argument("name")
    parser.add_argument("command", type=shlex.split)
    parser.add_argument("peers", type=shlex.split, nargs="+", metavar="PEER")
    return parser.parse_args()


def main():
    given = arguments()
    peer = fastest(given.peers, given.peer_before)
    # One run at least: it warms up.
    mib = 0.0
    for _ in range(1 if given.before else MEMORY_RUNS):
        prepare(given.before)
        mib = max(mib, memory(given.command))

    pairs = [
        (prepared(given.command, given.before), prepared(peer, given.peer_before))
        for _ in range(given.pairs)
    ]
    own, others = zip(*pairs)
    ratios = [one / other for one, other in pairs]
    ratio = statistics.median(ratios)
    verdicts = []
    if given.most is not None:
        verdicts.append((ratio <= given.most, f"at most {given.most:g} x"))
    if given.least is not None:
        verdicts.append((1 / ratio >= given.least, f"at least {given.least:g} x as fast"))
    if given.memory is not None:
        verdicts.append((mib <= given.memory, f"under {given.memory:g} MiB"))
    said = "; ".join(f"{text}: {'kept' if kept else 'MISSED'}" for kept, text in verdicts)
    print(f"{given.name}: {statistics.median(own) * 1e3:.1f} ms against {statistics.median(others) * 1e3:.1f} ms, "
          f"ratio {ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f}, {given.pairs} pairs), {mib:.1f} MiB; {said}", flush=True)
    sys.exit(0 if all(kept for kept, _ in verdicts) else 1)


if __name__ == "__main__":
    main()
