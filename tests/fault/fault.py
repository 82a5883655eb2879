"""What the fault injection tests share: lengths of tests, the daemon's own processes, ways to look at them."""

import functools
import os
import pathlib
import random
import signal
import time

from reeve import REEVED, eventually, processes

LONG = os.environ.get("REEVE_LONG") == "1"


def long_or(short, full):
    """FULL with REEVE_LONG=1 in the environment, otherwise SHORT: a number of rounds, of seconds, of clients."""
    return full if LONG else short


def comm(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="latin-1").strip()
    except OSError:
        return ""


def parts(keeper):
    """{"supervisor": pid, "logger": pid} of the keeper's present children."""
    names = {"reeve-superviso": "supervisor", "reeve-logger": "logger"}
    found = {}
    for pid, ppid, state in processes():
        if ppid == keeper and state != "Z" and comm(pid) in names:
            found[names[comm(pid)]] = pid
    return found


def kill(pid, how=signal.SIGKILL):
    """True: it was there."""
    try:
        os.kill(pid, how)
        return True
    except ProcessLookupError:
        return False


def pause(seconds):
    """A moment that a test chooses (by chance), not one that it waits for."""
    time.sleep(seconds)


def chance(seed=None):
    """A source of random numbers; its seed is printed, so that a failure can be repeated with REEVE_SEED."""
    seed = int(os.environ.get("REEVE_SEED", seed if seed is not None else random.randrange(1 << 30)))
    print(f"REEVE_SEED={seed}")
    return random.Random(seed)


def programs(keeper):
    """Pids of the keeper's children that are programs."""
    return [pid for pid, ppid, state in processes() if ppid == keeper and state != "Z" and not comm(pid).startswith("reeve-")]


def memory(pid):
    """Resident set in KiB, private part."""
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith(("Private_Clean", "Private_Dirty")):
            total += int(line.split()[1])
    return total


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def kill_supervisor(reeve, how=signal.SIGKILL):
    """Kill it; seconds until a successor has answered."""
    old = eventually(reeve.try_status, what="an answer")["supervisor_pid"]
    os.kill(old, how)
    began = time.monotonic()
    eventually(lambda: (s := reeve.try_status()) and s["supervisor_pid"] != old, what="a successor")
    return time.monotonic() - began


@functools.cache
def sanitized():
    """Is this a build with AddressSanitizer? It is slower, and uses more memory."""
    return b"__asan_init" in REEVED.read_bytes()
