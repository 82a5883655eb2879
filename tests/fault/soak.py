#!/usr/bin/python3
"""
Very many restarts: programs that end at once are started again and again, and the memory and the descriptors of keeper, supervisor
and logger do not grow.

    REEVE_BUILD=BUILD tests/fault/soak.py [--restarts 100000] [--programs 200]
"""

import argparse
import pathlib
import sys
import tempfile
import time

for _folder in (pathlib.Path(__file__).resolve().parent, pathlib.Path(__file__).resolve().parents[1] / "run"):
    sys.path.insert(0, str(_folder))

from fault import descriptors, memory, parts  # noqa: E402
from reeve import Reeve, eventually  # noqa: E402


def measure(reeve):
    """{part: (private KiB, descriptors)}."""
    return {name: (memory(pid), descriptors(pid)) for name, pid in {**parts(reeve.daemon.pid), "keeper": reeve.daemon.pid}.items()}


def restarts(reeve):
    return sum(p["run"] for p in reeve.processes().values())


def run(folder, wanted, programs, say=lambda text: None, growth=1024):
    """Figures; AssertionError when a part grew by more than GROWTH KiB, or by a descriptor, between a tenth of the way and the end."""
    reeve = Reeve(folder)
    reeve.sanitizer = ":quarantine_size_mb=1"     # freed memory that a sanitizer keeps is no leak
    try:
        reeve.start("".join(f"[program:w{i}]\ncommand = sh -c 'echo run; exit 0'\nstartsecs = 0\nautorestart = true\n"
                            f"stdout_logfile = {folder}/w{i % 10}.log\nstdout_logfile_maxbytes = 100KB\nstdout_logfile_backups = 1\n"
                            "stderr_logfile = NONE\n" for i in range(programs)))
        began = time.monotonic()
        eventually(lambda: restarts(reeve) >= wanted / 10, wanted / 10, "the first tenth")
        first = measure(reeve)
        told = 0
        while (n := restarts(reeve)) < wanted:
            if n >= told + 10000:
                told = n
                say(f"{time.monotonic() - began:.0f} s: {n} restarts, {measure(reeve)}")
            time.sleep(0.5)
        last = measure(reeve)
        figures = {"restarts": n, "seconds": round(time.monotonic() - began, 1), "at a tenth": first, "at the end": last}
        say(figures)
        for name, (kib, fds) in last.items():
            assert kib <= first[name][0] + growth, f"{name}: {first[name][0]} KiB have become {kib}"
            assert abs(fds - first[name][1]) <= 8, f"{name}: {first[name][1]} descriptors have become {fds}"   # a spawn under way
        assert reeve.stop() == 0
        return figures
    finally:
        reeve.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=100000)
    parser.add_argument("--programs", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reeve-soak-") as folder:
        run(pathlib.Path(folder), args.restarts, args.programs, say=lambda text: print(text, flush=True))
    print("memory and descriptors stayed")


if __name__ == "__main__":
    main()
