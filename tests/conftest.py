"""Fixtures of all tests: daemons and pools in private folders, of which nothing is left afterwards."""

import pathlib
import shutil
import socket
import tempfile

import pytest

from pools import Pool
from reeve import Reeve, enter_own_group, leave_own_group

pytest_configure, pytest_unconfigure = enter_own_group, leave_own_group
socket.setdefaulttimeout(60)        # nothing is waited for without end


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
    """A folder that every user can enter: those of pytest are closed, and closed again by each session that begins."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="reeve-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def open_reeve(open_folder):
    made = Reeve(open_folder)
    yield made
    made.close()
