"""docs/examples/pi as its README tells it."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from basics import build_dir, eventually
from reeve import REEVECTL, REEVED
from test_pool_redis import Redis

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples" / "pi"


@pytest.fixture
def pi(tmp_path):
    """The example's daemon; pi(SHELL COMMAND) runs a command of the README."""
    redis = Redis(tmp_path).start()
    env = {**os.environ, "PI_DIR": str(tmp_path), "PI_REDIS": f"unix:{redis.socket}", "REEVE_TEST": str(tmp_path),
           "PATH": f"{build_dir() / 'ctl'}:{os.environ['PATH']}"}
    subprocess.run(["cc", "-O2", "-o", tmp_path / "slice", EXAMPLE / "slice.c"], check=True)
    with open(tmp_path / "out", "wb") as out:
        daemon = subprocess.Popen([str(REEVED), "-n", "-c", "reeve.ini"], cwd=EXAMPLE, env=env, stdout=out, stderr=out,
                                  stdin=subprocess.DEVNULL)

    def shell(text):
        r = subprocess.run(["bash", "-c", "set -o pipefail\n" + text], cwd=EXAMPLE, env=env, capture_output=True, text=True, timeout=120,
                           check=False)
        assert r.returncode == 0, r.stderr
        return r.stdout
    names = ["exec", "four", "line", "one", "three", "two"]
    eventually(lambda: all((tmp_path / "run" / "pool" / f"{n}.sock").exists() for n in names), what="the pools")
    yield shell
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(40) == 0
    redis.stop(signal.SIGKILL)


def readme(pattern):
    """The commands of the README that match PATTERN, behind the functions that it defines."""
    lines = [line[4:] for line in (EXAMPLE / "README.md").read_text().splitlines() if line.startswith("    ")]
    functions = [line for line in lines if re.match(r"\w+\(\)", line)]
    commands = [line for line in lines if re.search(pattern, line)]
    assert commands
    return ["\n".join([*functions, command]) for command in commands]


def test_pi_in_every_way(pi):
    commands = readme(r"reevectl.*\| add")
    assert len(commands) == 4
    for command in commands:
        assert pi(command) == "3.14159262176\n", command


def test_three_pools_share_the_slices(pi):
    assert pi(readme(r"starmap one")[0]) == "3.14159262176\n"
    done = [int(line.split()[7]) for line in pi("reevectl -c reeve.ini pool").splitlines()[1:] if " redis " in line]
    assert len(done) == 3 and sum(done) == 10


def test_the_slices_are_as_written(pi):
    (command,) = readme(r"seq.*awk.*slices")
    assert pi(command.replace(">slices", "")) == (EXAMPLE / "slices").read_text()


def test_four_workers_and_seven_sleeping_tasks(pi):
    """Two rounds of half a second: four at once, then three."""
    began = time.monotonic()
    assert pi(readme(r"map four")[0].replace("time ", "")) == ""
    assert 1.0 <= time.monotonic() - began < 10
    out = pi("seq 7 | sed 's/.*/0.5/' | reevectl -c reeve.ini map --results json four").splitlines()
    starts = [float(re.search(r'"started":([0-9.]+)', line).group(1)) for line in out]
    ends = [float(re.search(r'"ended":([0-9.]+)', line).group(1)) for line in out]
    assert max(starts[:4]) < min(ends), "four start at once"
    assert min(starts[4:]) >= min(ends[:4]), "the others wait for the first to end"
    assert REEVECTL.exists()
