"""The configuration reader against supervisord's own, on configurations made at random."""

import pathlib
import subprocess
import sys

from reeve import REEVED

TOOL = pathlib.Path(__file__).resolve().parent.parent / "tools" / "compare-supervisord.py"


def test_agrees_with_supervisord():
    r = subprocess.run([sys.executable, str(TOOL), str(REEVED), "150", "11"], capture_output=True, text=True, timeout=300, check=False)
    assert r.returncode == 0, r.stdout[-5000:] + r.stderr[-3000:]
    accepted, refused = (int(word) for word in r.stdout.split() if word.isdigit() and word != "0")
    assert accepted > 40 and refused > 40
