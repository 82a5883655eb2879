#!/usr/bin/python3
"""Pools beside what people use instead, in turns within one run: REEVE_BUILD=DIR tests/bench/bench_pools.py [ROUNDS [ROW...]]

Every row shows the middle and the best of ROUNDS (default 5) turns, in tasks per second: on a machine that does other things too, the best
turn is the one that was disturbed least, while the middle one counts the luck that a row needs to get its processes onto the right
processors. Use a release build (meson setup --buildtype=release). REEVE_WORKERS: how many workers, instead of one for each processor.
"""

import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("REEVE_BUILD", "build"))
CTL = str(BUILD / "ctl" / "reevectl")
BARE = str(BUILD / "tests" / "bench" / "bare_width")
WIDTH = int(os.environ.get("REEVE_WORKERS", 0)) or os.cpu_count() or 2
PROCESSES, LINES, WINDOWED, DURABLE, PYTHON = 3000, 300000, 1000000, 200000, 50000
ECHO = "import sys\nw = sys.stdout.buffer\nfor l in sys.stdin.buffer: w.write(l); w.flush()"


def timed(command, stdin=None):
    began = time.monotonic()
    with open(stdin or os.devnull, "rb") as source:
        subprocess.run(command, stdin=source, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def same(x):
    return x


def imap(n):
    """Workers are there before the clock starts, unlike those of `pool run`."""
    with multiprocessing.Pool(WIDTH) as pool:
        began = time.monotonic()
        for _ in pool.imap(same, range(n), chunksize=1):
            pass
        return time.monotonic() - began


class Bench:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def lines(self, n):
        path = self.folder / f"{n}.txt"
        if not path.exists():
            path.write_text("".join(f"{i}\n" for i in range(n)))
        return path

    def run(self, n, *words):
        return timed([CTL, "pool", "run", "--workers", str(WIDTH), *words], self.lines(n))

    def sqlite(self, n):
        for path in self.folder.glob("queue.db*"):
            path.unlink()
        return self.run(n, "--mode", "line", "--window", "16", "--queue", f"sqlite:{self.folder}/queue.db", "--", "cat")

    def rows(self):
        echo = "/bin/echo"
        return [
            ("bare", f"vfork and exec {echo}, {WIDTH} at a time, output thrown away", PROCESSES,
             lambda n: float(subprocess.run([BARE, str(n), str(WIDTH), echo, "x"], capture_output=True, check=True).stdout)),
            ("xargs", f"xargs -n1 -P{WIDTH} {echo}", PROCESSES,
             lambda n: timed(["xargs", "-n1", f"-P{WIDTH}", echo], self.lines(n))),
            ("exec", f"pool run -- {echo}: output captured, in order", PROCESSES, lambda n: self.run(n, "--", echo)),
            ("imap", "multiprocessing.Pool.imap, chunksize=1", PYTHON, imap),
            ("line", "pool run --mode line -- cat: window 1", LINES, lambda n: self.run(n, "--mode", "line", "--", "cat")),
            ("line-py", "the same with a worker in Python", LINES // 3,
             lambda n: self.run(n, "--mode", "line", "--", sys.executable, "-c", ECHO)),
            ("window", "pool run --mode line --window 16 -- cat", WINDOWED,
             lambda n: self.run(n, "--mode", "line", "--window", "16", "--", "cat")),
            ("sqlite", "the same through a SQLite queue, synchronous=FULL", DURABLE, self.sqlite),
        ]


def compare(value):
    """The promises, by VALUE of a row's turns."""
    v = {name: value(turns) for name, turns in speeds.items()}
    return (f"exec / xargs {v['exec'] / v['xargs']:.2f} (more than 1), exec / bare {v['exec'] / v['bare']:.2f} (0.7), "
            f"line / imap {v['line'] / v['imap']:.1f} (5), window {v['window']:.0f} (200000), sqlite {v['sqlite']:.0f} (40000)")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for row in Bench(folder).rows() if len(sys.argv) < 3 or row[0] in sys.argv[2:]]
        for _ in range(rounds):
            for name, _, n, measure in rows:
                speeds.setdefault(name, []).append(n / measure(n))
    print(f"{WIDTH} workers, {rounds} turns\n                 middle    best")
    for name, what, n, _ in rows:
        print(f"  {name:8} {statistics.median(speeds[name]):9.0f} {max(speeds[name]):9.0f} tasks/s  {n:7} tasks  {what}")
    if len(sys.argv) < 3:
        print(f"  middle: {compare(statistics.median)}\n  best:   {compare(max)}")


speeds = {}         # row -> tasks per second, a figure for each turn
main()
