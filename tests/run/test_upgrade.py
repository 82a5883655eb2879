"""The daemon is replaced by another version under its running programs, and by the one before it again."""

import os
import pathlib
import shutil
import signal
import struct
import subprocess

import pytest

from reeve import HELPERS, REEVED, alive, eventually

NEXT = HELPERS / "reeved-next"
LOGGER = REEVED.parent / "logger" / "reeve-logger"

CONFIG = """
[program:web]
command = sleep 1000
process_name = web%(process_num)d
numprocs = 5
[program:once]
command = sh -c 'read x; exit 42'
autorestart = false
[program:fatal]
command = sh -c 'exit 1'
startretries = 0
[program:off]
command = sleep 1000
autostart = false
[program:count]
command = sh -c 'i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done; echo end; exec sleep 1000'
stdout_logfile = @/count.log
stdout_logfile_maxbytes = 0
"""


def executable(pid):
    return os.stat(f"/proc/{pid}/exe").st_ino


def begin(reeve):
    reeve.start(CONFIG)
    for name, state in (("web:web4", "RUNNING"), ("once", "RUNNING"), ("fatal", "FATAL"), ("count", "RUNNING")):
        reeve.wait_state(name, state)
    return reeve.facts()


def wait_keeper(reeve, path):
    """The keeper too runs PATH by now."""
    eventually(lambda: executable(reeve.daemon.pid) == os.stat(path).st_ino, what="the keeper's own upgrade")


def upgrade(reeve, path):
    code, text = reeve.ctl("upgrade", str(path))
    assert code == 0, text
    assert f"{path} can take over 9/9 processes\n" in text
    assert "has taken over\n" in text
    wait_keeper(reeve, path)


def state_file(reeve):
    """The bytes of the state."""
    for fd in pathlib.Path(f"/proc/{reeve.daemon.pid}/fd").iterdir():
        if os.readlink(fd).startswith("/memfd:reeve-state"):
            with open(fd, "rb") as f:
                return f.read(4096 + 64 * 2048)
    raise AssertionError("the keeper has no state")


def takeovers(reeve, name):
    """The field that only the next version knows."""
    data = state_file(reeve)
    for at in range(4096, len(data), 2048):
        if data[at + 8:at + 264].split(b"\0")[0] == name.encode() and data[at] == 1:
            sequence = struct.unpack_from("=I", data, at + 276)[0]
            return struct.unpack_from("=Q", data, at + 280 + (sequence & 1) * 256 + 160)[0]
    raise AssertionError(name)


def events(reeve):
    return [(e["sequence"], e["type"], e["payload"]) for e in reeve.call("Events")["parameters"]["events"] if "sequence" in e]


def test_there_and_back(reeve):
    before = begin(reeve)
    history = events(reeve)
    causes = reeve.call("Why", name="fatal")["parameters"]["transitions"]
    keeper = reeve.daemon.pid
    assert reeve.answers()["state_layout"] == 1
    upgrade(reeve, NEXT)
    status = reeve.answers()
    assert (status["version"].endswith(".next"), status["state_layout"], status["pid"]) == (True, 2, keeper)
    assert reeve.facts() == before
    assert takeovers(reeve, "web:web0") == 1
    upgrade(reeve, REEVED)
    assert reeve.answers()["state_layout"] == 1
    assert reeve.facts() == before
    assert takeovers(reeve, "web:web0") == 1            # not known to this version, and kept
    upgrade(reeve, NEXT)
    assert takeovers(reeve, "web:web0") == 2
    assert reeve.facts() == before
    assert events(reeve)[:len(history)] == history
    assert reeve.call("Why", name="fatal")["parameters"]["transitions"] == causes
    # The daemon works on: exits are seen, restarts done, no line lost.
    with open(f"/proc/{reeve.pid('once')}/fd/0", "wb", buffering=0) as stdin:
        stdin.write(b"go\n")
    assert reeve.wait_state("once", "EXITED")["exitcode"] == 42
    assert reeve.ctl("restart", "web:web0") == (0, "web:web0: stopped\nweb:web0: started\n")
    eventually(lambda: reeve.file("count.log").endswith("end\n"), what="the last line")
    assert reeve.file("count.log").splitlines() == [f"line {i}" for i in range(30000)] + ["end"]
    assert reeve.stop() == 0


def first_release():
    """reeved of the oldest release that is tagged; before there is one, the build whose state has another layout."""
    source = pathlib.Path(__file__).resolve().parents[2]
    git = ["git", "-C", str(source)]
    found = subprocess.run([*git, "tag", "--list", "v*", "--sort=creatordate"], capture_output=True, text=True)
    if not found.stdout.split():
        return NEXT
    tag = found.stdout.split()[0]
    build = source / f"build-{tag}"         # the same for every build that is tested
    if not (build / "build" / "build.ninja").exists():
        build.mkdir(exist_ok=True)
        archive = subprocess.run([*git, "archive", tag], capture_output=True, check=True).stdout
        subprocess.run(["tar", "x", "-C", str(build)], input=archive, check=True)
        subprocess.run(["meson", "setup", "build", "-Dbuildtype=debug", "-Dgateway=disabled", "-Dpool=disabled"], cwd=build, check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", "build", "daemon/reeved", "daemon/logger/reeve-logger"], cwd=build, check=True, stdout=subprocess.DEVNULL)
    return build / "build" / "daemon" / "reeved"


def test_from_the_first_release_and_back(reeve):
    first = first_release()
    reeve.reeved = first
    before = begin(reeve)
    assert executable(reeve.daemon.pid) == os.stat(first).st_ino
    for path in (REEVED, first, REEVED):
        upgrade(reeve, path)
        assert reeve.facts() == before
    assert reeve.ctl("restart", "web:web0") == (0, "web:web0: stopped\nweb:web0: started\n")
    assert reeve.stop() == 0


def test_check_touches_nothing(reeve):
    before = begin(reeve)
    status = reeve.answers()
    assert reeve.ctl("upgrade", "--check", str(NEXT)) == (0, f"{NEXT} can take over 9/9 processes\n")
    assert reeve.ctl("upgrade", "--check") == (0, f"{REEVED} can take over 9/9 processes\n")
    after = reeve.answers()
    assert (after["supervisor_pid"], after["successions"], after["upgrade"]) == (status["supervisor_pid"], 0, None)
    assert reeve.facts() == before


def test_what_is_no_reeved_is_refused(reeve):
    begin(reeve)
    status = reeve.answers()
    code, text = reeve.ctl("upgrade", "/bin/true")
    assert code == 1 and "can take over 0/9 processes" in text and "exit status 0" in text
    text_file = reeve.folder / "text"
    text_file.write_text("no program\n")
    assert reeve.ctl("upgrade", str(text_file)) == (1, f"ERROR: FAILED: {text_file} is not an executable file\n")
    text_file.chmod(0o755)
    code, text = reeve.ctl("upgrade", str(text_file))
    assert code == 1 and "cannot be executed" in text
    assert reeve.ctl("upgrade", str(reeve.folder / "nothing"))[0] == 1
    assert reeve.ctl("upgrade", "--timeout", "x")[0] == 2
    assert reeve.part("supervisor") == status["supervisor_pid"]


@pytest.mark.parametrize("how", ["hang", "exit", "crash", "late"])
def test_the_old_one_returns(reeve, how):
    reeve.sanitizer = ":handle_segv=0"
    before = begin(reeve)
    old, keeper = reeve.part("supervisor"), executable(reeve.daemon.pid)
    bad = reeve.folder / f"reeved-{how}"
    shutil.copy(HELPERS / "bad_successor", bad)
    code, text = reeve.ctl("upgrade", "--timeout", "2", str(bad))
    assert "can take over 9/9 processes\n" in text
    if how != "late":                   # that one is ready, and only then fails
        assert code == 1, text
        assert "has returned" in text
    status = eventually(lambda: (s := reeve.try_status()) and s["upgrade"] and s["upgrade"]["outcome"] == "returned" and s,
                        what="the old one")
    assert status["supervisor_pid"] != old
    assert executable(status["supervisor_pid"]) == executable(reeve.daemon.pid) == keeper
    assert reeve.facts() == before
    assert reeve.ctl("restart", "web:web0") == (0, "web:web0: stopped\nweb:web0: started\n")


def test_the_file_on_disk_is_replaced(reeve):
    """As a package manager does it: the running one is deleted, its name is another file."""
    installed = reeve.folder / "sbin" / "reeved"
    installed.parent.mkdir()
    shutil.copy(REEVED, installed)
    shutil.copy(LOGGER, installed.parent)
    reeve.reeved = installed
    reeve.start(CONFIG)
    reeve.wait_state("web:web4", "RUNNING")
    reeve.wait_state("fatal", "FATAL")
    before, logger = reeve.facts(), reeve.part("logger")
    for name, source in (("reeved", NEXT), ("reeve-logger", LOGGER)):
        shutil.copy(source, installed.parent / "new")
        os.rename(installed.parent / "new", installed.parent / name)
    supervisor = reeve.part("supervisor")
    os.kill(supervisor, signal.SIGKILL)         # a death before the upgrade: the old version follows itself
    assert not reeve.wait_successor(supervisor)["version"].endswith("next")
    assert reeve.ctl("upgrade", "--check") == (0, f"{installed} can take over 9/9 processes\n")
    code, text = reeve.ctl("upgrade")
    assert code == 0 and ".next has taken over\n" in text
    wait_keeper(reeve, installed)
    # The logger was replaced by the one that came with it; nothing is lost.
    eventually(lambda: reeve.part("logger") != logger, what="another logger")
    assert executable(reeve.part("logger")) == os.stat(installed.parent / "reeve-logger").st_ino
    assert reeve.facts() == before
    eventually(lambda: reeve.file("count.log").endswith("end\n"), what="the last line")
    assert reeve.file("count.log").splitlines() == [f"line {i}" for i in range(30000)] + ["end"]


def test_the_keeper_returns(reeve):
    """The other version is a good supervisor, but as keeper it cannot read what it is left: the keeper before it goes on."""
    before = begin(reeve)
    exacting = HELPERS / "reeved-exacting"
    assert reeve.ctl("upgrade", str(exacting))[0] == 0
    reeve.wait_log("the keeper goes on as")
    assert executable(reeve.daemon.pid) == os.stat(REEVED).st_ino
    assert executable(reeve.part("supervisor")) == os.stat(exacting).st_ino
    assert reeve.facts() == before
    with open(f"/proc/{reeve.pid('once')}/fd/0", "wb", buffering=0) as stdin:
        stdin.write(b"go\n")
    assert reeve.wait_state("once", "EXITED")["exitcode"] == 42
    upgrade(reeve, NEXT)
    assert reeve.stop() == 0


def test_exits_in_the_middle(reeve):
    """Programs that end while keeper and supervisor are replaced: every exit status is the true one."""
    reeve.start("[program:p]\ncommand = sh -c 'read x; exit $((%(process_num)d + 10))'\nnumprocs = 30\nprocess_name = p%(process_num)d\n"
                "autorestart = false\n")
    reeve.wait_state("p:p29", "RUNNING")
    pids = [reeve.pid(f"p:p{i}") for i in range(30)]
    with subprocess.Popen([str(REEVED.parent.parent / "ctl" / "reevectl"), "-c", str(reeve.config), "upgrade", str(NEXT)],
                          env=reeve.environment(), stdout=subprocess.DEVNULL):
        for i, pid in enumerate(pids):
            with open(f"/proc/{pid}/fd/0", "wb", buffering=0) as stdin:
                stdin.write(b"go\n")
            if i == 20:
                eventually(lambda: (s := reeve.try_status()) and s["upgrade"], what="the new supervisor")
            if i == 25:
                wait_keeper(reeve, NEXT)
    for i in range(30):
        assert reeve.wait_state(f"p:p{i}", "EXITED")["exitcode"] == i + 10
    assert not any(alive(pid) for pid in pids)


def test_killed_in_the_middle(reeve):
    """SIGKILL to each new supervisor while it is on probation, and to the one after it."""
    before = begin(reeve)
    for _ in range(2):
        assert reeve.ctl("upgrade", str(NEXT))[0] == 0
        os.kill(reeve.part("supervisor"), signal.SIGKILL)
        status = eventually(lambda: (s := reeve.try_status()) and s["upgrade"] and s["upgrade"]["outcome"] == "returned" and s)
        assert not status["version"].endswith(".next")
        assert reeve.facts() == before
    upgrade(reeve, NEXT)
    supervisor = reeve.part("supervisor")
    os.kill(supervisor, signal.SIGKILL)
    status = reeve.wait_successor(supervisor)
    assert status["version"].endswith(".next") and status["upgrade"] is None
    assert reeve.facts() == before
