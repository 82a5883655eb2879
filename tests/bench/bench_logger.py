#!/usr/bin/python3
"""Measures reeve-logger: MB/s of one flood against `cat > file`, and memory and wake-ups of 2000 idle streams.

Usage: REEVE_BUILD=BUILD tests/bench/bench_logger.py [--json]
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "run"))
from logger_rig import Rig  # noqa: E402

AMOUNT = 1 << 30  # bytes of one flood
STREAMS = 2000


def flood_bytes(sink):
    """Seconds that AMOUNT bytes of `yes` take into descriptor SINK."""
    started = time.monotonic()
    yes = subprocess.Popen(["yes", "a line of forty bytes, as programs write"], stdout=subprocess.PIPE)
    head = subprocess.Popen(["head", "-c", str(AMOUNT)], stdin=yes.stdout, stdout=sink)
    yes.stdout.close()
    head.wait()
    yes.wait()
    return started


def through_cat(folder):
    path = folder / "cat.out"
    with open(path, "wb") as out:
        cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=out)
        started = flood_bytes(cat.stdin)
        cat.stdin.close()
        cat.wait()
    seconds = time.monotonic() - started
    path.unlink()
    return AMOUNT / seconds / 1e6


def through_logger(folder, **settings):
    with Rig(folder) as rig:
        pipe = rig.stream("flood", **settings)
        rig.flush()
        started = flood_bytes(pipe)
        rig.flush(120)
        seconds = time.monotonic() - started
        cpu = cpu_seconds(rig.process.pid)
        for path in folder.glob("flood.log*"):
            path.unlink()
    (folder / "log.sock").unlink()
    return AMOUNT / seconds / 1e6, cpu


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rollup(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def switches(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if "ctxt_switches" in line)


def many(folder):
    with Rig(folder) as rig:
        before = rollup(rig.process.pid, "Pss")
        for i in range(STREAMS):
            rig.stream(f"s{i}", maxbytes=50 << 20, backups=10)
            if i % 50 == 0:
                rig.receive()
        started = time.monotonic()
        rig.flush()
        announced = time.monotonic() - started
        rig.receive()
        woken = switches(rig.process.pid)
        time.sleep(5)  # the measurement itself
        result = {
            "pss_kib_without_streams": before,
            "pss_kib": rollup(rig.process.pid, "Pss"),
            "private_dirty_kib": rollup(rig.process.pid, "Private_Dirty"),
            "wakeups_in_5s": switches(rig.process.pid) - woken,
            "last_flush_s": round(announced, 3),
        }
    return result


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    result = {"rlimit_nofile": [soft, hard]}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        result["cat_mb_s"] = round(through_cat(folder))
        rate, cpu = through_logger(folder)
        result["logger_mb_s"], result["logger_cpu_s_per_gb"] = round(rate), round(cpu / (AMOUNT / 1e9), 2)
        rate, _ = through_logger(folder, maxbytes=50 << 20, backups=3)
        result["logger_rotating_mb_s"] = round(rate)
        result["many"] = many(folder)
    if "--json" in sys.argv:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:24} {value}")


if __name__ == "__main__":
    main()
