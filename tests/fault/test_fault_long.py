"""Short forms of the two programs that are run by hand for longer (see each), and their full length with REEVE_LONG=1."""

import random_kill
import soak
from basics import SANITIZED
from fault import long_or


def test_random_kill(tmp_path):
    random_kill.run(tmp_path, long_or(12, 300), long_or(20, 50))


def test_many_restarts(tmp_path):
    soak.run(tmp_path, long_or(3000, 100000), long_or(60, 200), growth=16384 if SANITIZED else 2048)
