import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from reeve import Reeve  # noqa: E402


@pytest.fixture
def reeve(tmp_path):
    made = Reeve(tmp_path)
    yield made
    made.close()
