import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from pools import Pool  # noqa: E402
from reeve import ControlGroup, Reeve  # noqa: E402

own_group = None


def pytest_configure():
    """Everything that this process starts lies in a control group that goes with it."""
    global own_group
    own_group = ControlGroup(os.getpid())
    own_group.make()
    own_group.enter()


def pytest_unconfigure():
    if own_group.path:
        (own_group.path.parent / "cgroup.procs").write_text("0")
    own_group.close()


@pytest.fixture
def reeve(tmp_path):
    made = Reeve(tmp_path)
    yield made
    made.close()


@pytest.fixture
def pool(tmp_path):
    """One reeve-pool by itself: call start()."""
    made = Pool(tmp_path)
    yield made
    made.close()
