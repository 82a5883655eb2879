import pathlib
import sys

import pytest

for folder in (pathlib.Path(__file__).resolve().parent, pathlib.Path(__file__).resolve().parents[1] / "run"):
    sys.path.insert(0, str(folder))

from reeve import Reeve, enter_own_group, leave_own_group  # noqa: E402

pytest_configure, pytest_unconfigure = enter_own_group, leave_own_group


@pytest.fixture
def reeve(tmp_path):
    made = Reeve(tmp_path)
    yield made
    made.close()
