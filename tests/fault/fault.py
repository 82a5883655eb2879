"""What the fault injection tests share: lengths of tests, the daemon's own processes, ways to look at them."""

import contextlib
import mmap
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import time

from basics import SANITIZED, eventually
from logger_rig import LOGGER
from reeve import HELPERS, REEVECTL, REEVED, Reeve, processes

LONG = os.environ.get("REEVE_LONG") == "1"


def long_or(short, full):
    """FULL with REEVE_LONG=1 in the environment, otherwise SHORT: a number of rounds, of seconds, of clients."""
    return full if LONG else short


def comm(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="latin-1").strip()
    except OSError:
        return ""


def has_executed(pid):
    """Has it come to its exec? Before that a program that is being started looks like the supervisor itself."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rsplit(")", 1)[1].split()
    except OSError:
        return False
    return not int(fields[6]) & 0x40        # PF_FORKNOEXEC


def parts(keeper):
    """{"supervisor": pid, "logger": pid} of the keeper's present children."""
    names = {"reeve-superviso": "supervisor", "reeve-logger": "logger"}
    found = {}
    for pid, ppid, state in processes():
        role = names.get(comm(pid)) if ppid == keeper and state != "Z" else None
        if role and has_executed(pid):
            found[role] = pid
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


class Injected:
    """While it is entered, system calls of process PID (and of what it starts) fail as SPEC says: strace's --inject, for instance
    "clone3,clone:error=EAGAIN". Afterwards they work again."""

    def __init__(self, pid, *specs, follow=True):
        self.pid = pid
        options = [word for spec in specs for word in ("-e", f"inject={spec}")]
        calls = ",".join(spec.split(":", 1)[0] for spec in specs)
        self.command = ["strace", *(["-f"] if follow else []), "-qqq", "-e", f"trace={calls}", *options, "-o", "/dev/null", "-p", str(pid)]
        self.strace = None

    def tracer(self):
        try:
            text = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        except OSError:
            return "0"
        return next(line.split()[1] for line in text.splitlines() if line.startswith("TracerPid"))

    def __enter__(self):
        self.strace = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        eventually(lambda: self.tracer() == str(self.strace.pid) or self.strace.poll() is not None, what="strace")
        assert self.strace.poll() is None, self.strace.stderr.read()
        return self

    def __exit__(self, *_):
        self.strace.terminate()
        self.strace.communicate(timeout=20)


@contextlib.contextmanager
def shared_reeve(uid=None):
    """A Reeve in a folder that every user can reach; with UID the daemon runs as that user from its start."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="reeve-fault-", dir="/tmp"))
    reeve = Reeve(folder)
    try:
        (folder / "bin").mkdir()
        for binary in (REEVED, LOGGER, REEVECTL):
            shutil.copy(binary, folder / "bin")
        folder.chmod(0o755)
        start = reeve.start
        if uid is not None:
            os.chown(folder, uid, uid)

        def start_there(text="", daemon="", wrap=(), **more):
            user = ("setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups") if uid is not None else ()
            there = ("sh", "-c", f"shift; exec {folder}/bin/reeved \"$@\"", "sh")
            return start(text, daemon, wrap=(*wrap, *user, *there), **more)

        reeve.start = start_there
        yield reeve
    finally:
        try:
            reeve.close()
        finally:
            shutil.rmtree(folder)


class Preload:
    """A preloaded helper (tests/helpers/NAME.c) in the process of Reeve's whose argv[0] contains ROLE; see preload.h. Use env() for the
    start, and [] to read and write its orders."""

    def __init__(self, folder, name, role="reeve-supervisor"):
        self.path = pathlib.Path(folder) / "orders"
        self.path.write_bytes(bytes(8 * 16))
        with open(self.path, "r+b") as f:
            self.orders = mmap.mmap(f.fileno(), 8 * 16)
        self.variables = {"LD_PRELOAD": str(HELPERS / f"{name}.so"), "FAULT_ROLE": role, "FAULT_FILE": str(self.path)}

    def use(self, reeve):
        """REEVE's next start has it."""
        if SANITIZED:
            reeve.sanitizer += ":verify_asan_link_order=0"
        environment = reeve.environment
        reeve.environment = lambda: {**environment(), **self.variables}
        return self

    def __getitem__(self, i):
        return struct.unpack_from("<q", self.orders, 8 * i)[0]

    def __setitem__(self, i, value):
        struct.pack_into("<q", self.orders, 8 * i, value)
