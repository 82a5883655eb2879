import pathlib
import shutil
import sys
import tempfile

import pytest

for folder in (pathlib.Path(__file__).resolve().parent, pathlib.Path(__file__).resolve().parents[1] / "run"):
    sys.path.insert(0, str(folder))

from pools import Pool  # noqa: E402
from reeve import Reeve, enter_own_group, leave_own_group  # noqa: E402

pytest_configure, pytest_unconfigure = enter_own_group, leave_own_group


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


@pytest.fixture
def open_folder():
    """A folder that every user can enter: those of pytest are closed."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="reeve-fault-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def open_reeve(open_folder):
    made = Reeve(open_folder)
    yield made
    made.close()
