"""Documents that are generated and kept in the repository agree with the programs."""

import pathlib
import subprocess
import sys

import pytest

from reeve import REEVECTL, REEVED

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "guide"


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide")
    subprocess.run([sys.executable, str(GUIDE.parent / "generate_guide.py"), str(REEVED), str(REEVECTL), str(folder)], check=True, timeout=60)
    return folder


@pytest.mark.parametrize("page", ["config-reference.md", "control-reference.md"])
def test_reference_is_not_stale(generated, page):
    kept, fresh = (GUIDE / page).read_text(encoding="utf-8"), (generated / page).read_text(encoding="utf-8")
    assert kept == fresh, f"docs/guide/{page} is stale: run `ninja -C BUILD guide` and commit it"


def test_reference_has_every_key(generated):
    text = (generated / "config-reference.md").read_text(encoding="utf-8")
    for table in ("keys", "sections"):
        out = subprocess.run([str(REEVED), f"--print={table}"], capture_output=True, text=True, check=True).stdout
        for row in (line.split("\t") for line in out.splitlines()):
            assert f"[{row[0]}" in text and (table == "sections" or f"| `{row[1]}` |" in text), row
