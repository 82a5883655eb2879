import pathlib
import sys

import pytest

for folder in (pathlib.Path(__file__).resolve().parent, pathlib.Path(__file__).resolve().parents[1] / "run"):
    sys.path.insert(0, str(folder))

from reeve import Reeve  # noqa: E402


@pytest.fixture
def reeve(tmp_path):
    made = Reeve(tmp_path)
    yield made
    made.close()
