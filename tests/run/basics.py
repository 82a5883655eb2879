"""What every test needs: where the binaries are, and waiting for conditions."""

import os
import pathlib
import time


def build_dir():
    """Where the binaries are: REEVE_BUILD (a Meson build folder), else ./build beside the sources."""
    named = os.environ.get("REEVE_BUILD")
    return pathlib.Path(named) if named else pathlib.Path(__file__).resolve().parents[2] / "build"


def eventually(condition, seconds=20.0, what="condition"):
    """Poll CONDITION until it is true; its value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.01)
