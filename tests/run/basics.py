"""What every test needs: where the binaries are, and waiting for conditions."""

import os
import pathlib
import socket
import time


def build_dir():
    """Where the binaries are: REEVE_BUILD (a Meson build folder), else ./build beside the sources."""
    named = os.environ.get("REEVE_BUILD")
    return pathlib.Path(named) if named else pathlib.Path(__file__).resolve().parents[2] / "build"


# Is this a build with AddressSanitizer? It is slower, and uses more memory.
SANITIZED = b"__asan_init" in (build_dir() / "daemon" / "reeved").read_bytes()


def eventually(condition, seconds=20.0, what="condition"):
    """Poll CONDITION until it is true; its value is returned. WHAT may be a function, asked when the time is over."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        assert waited < seconds, f"timed out waiting for {what() if callable(what) else what}"
        time.sleep(min(0.1, max(0.005, waited / 20)))      # a long wait is no reason to keep a processor busy


def soon(measure, limit, tries=20):
    """The best of several: MEASURE() gives seconds, and one result below LIMIT is enough. The machine has other work, which delays now
    and then; what is slow by itself is slow each time."""
    took = []
    while not took or (took[-1] >= limit and len(took) < tries):
        if took:
            time.sleep(0.1)
        took.append(measure())
    assert took[-1] < limit, f"not once in less than {limit} s: {took}"
    return took[-1]


_ports = iter(range(10000 + os.getpid() * 101 % 20000, 1 << 16))


def free_port():
    """A TCP port of 127.0.0.1 that nobody has: below those that the kernel gives to clients, and another for each process that asks."""
    while True:
        port = next(_ports)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
