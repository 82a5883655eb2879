"""Wall clocks that jump, timers that are huge or zero. All decisions are made on the monotonic clock."""

import threading
import time

import pytest

from basics import eventually
from fault import Preload, long_or, parts, pause

YEAR = 365 * 86400 * 10**9

EVERY_STATE = """
[program:running]
command = sleep 1000
startsecs = 0
[program:starting]
command = sleep 1000
startsecs = 3
[program:stopping]
command = sh -c 'trap "" TERM; echo deaf; while :; do sleep 0.1; done'
stdout_logfile = %(here)s/stopping.log
stopwaitsecs = 3
killasgroup = true
startsecs = 0
[program:backoff]
command = sh -c 'exit 1'
startretries = 1
[program:exited]
command = sh -c 'exit 3'
startsecs = 0
autorestart = false
[program:cycle]
command = sh -c 'sleep 0.3; exit 0'
startsecs = 0
autorestart = true
[program:off]
command = sleep 1000
autostart = false
"""


@pytest.mark.parametrize("step", [YEAR, -YEAR, -40 * YEAR, 200 * YEAR])
def test_wall_clock_steps_in_each_state(reeve, step):
    """A year forward or back (before 1990, or after 2200) while programs start, run, stop, wait and restart: no timer notices."""
    clock = Preload(reeve.folder, "shift_clock").use(reeve)
    reeve.start(EVERY_STATE)
    reeve.wait_state("running", "RUNNING")
    eventually(lambda: reeve.file("stopping.log") == "deaf\n", what="a program that ignores TERM")
    pid = reeve.pid("running")
    reeve.call("Stop", names=["stopping"], wait=False)
    began = time.monotonic()
    clock[0] = step
    assert abs(reeve.answers()["now"] - time.time() - step / 1e9) < 5      # it works
    states = {name: p["statename"] for name, p in reeve.processes().items()}
    assert states["starting"] in ("STARTING", "RUNNING") and states["stopping"] in ("STOPPING", "STOPPED")
    assert states["exited"] == "EXITED" and states["off"] == "STOPPED"
    reeve.wait_state("stopping", "STOPPED")
    assert 2 < time.monotonic() - began < 20            # stopwaitsecs, neither at once nor in a year
    reeve.wait_state("starting", "RUNNING")
    reeve.wait_state("backoff", "FATAL")
    runs = reeve.process("cycle")["run"]
    eventually(lambda: reeve.process("cycle")["run"] >= runs + 2)
    running = reeve.process("running")
    assert running["pid"] == pid and 0 <= running["uptime"] < 300 and "uptime 0:0" in running["description"]
    assert reeve.ctl("restart", "running") == (0, "running: stopped\nrunning: started\n")
    reeve.kill_supervisor()
    clock[0] = -step
    assert reeve.wait_state("starting", "RUNNING")["uptime"] < 300
    assert reeve.ctl("status")[1].count("\n") == 7
    assert reeve.stop() == 0


def test_wall_clock_in_small_steps(reeve):
    """10 ms back and forth all the time (for a minute with REEVE_LONG=1): restarts keep their pace and clients their answers."""
    clock = Preload(reeve.folder, "shift_clock").use(reeve)
    reeve.start("[program:cycle]\ncommand = sh -c 'sleep 0.2'\nstartsecs = 0\nautorestart = true\n[program:p]\ncommand = sleep 1000\n")
    reeve.wait_state("p", "RUNNING")
    over = threading.Event()

    def tremble():
        n = 0
        while not over.is_set():
            n += 1
            clock[0] = (n % 7 - 3) * 10**7
            over.wait(0.003)

    thread = threading.Thread(target=tremble)
    thread.start()
    try:
        seconds = long_or(3, 60)
        first, began = reeve.process("cycle")["run"], time.monotonic()
        while time.monotonic() - began < seconds:
            asked = time.monotonic()
            assert reeve.call("Wait", names=["p"], until="exited", timeout=0.2)["parameters"]["timed_out"]
            assert 0.15 < time.monotonic() - asked < 10
        done = reeve.process("cycle")["run"] - first
        assert done >= seconds / 2
    finally:
        over.set()
        thread.join()
    assert reeve.process("p")["statename"] == "RUNNING"


@pytest.mark.parametrize("value", ["0", "1", "2147483647", "4294967296", "9223372036854775807"])
def test_timers_of_extreme_length(reeve, value):
    """startsecs, stopwaitsecs and startretries of nothing and of for ever: neither at once nor in the past, unless asked for."""
    reeve.start(f"[program:start]\ncommand = sleep 1000\nstartsecs = {value}\n"
                f"[program:stop]\ncommand = sh -c 'trap \"sleep 0.3; exit 0\" TERM; while :; do sleep 0.05; done'\nstopwaitsecs = {value}\n"
                f"killasgroup = true\nstartsecs = 0\n[program:tries]\ncommand = sh -c 'exit 1'\nstartretries = {value}\n"
                "[program:ok]\ncommand = sleep 1000\n")
    reeve.wait_state("ok", "RUNNING")
    if reeve.process("start")["statename"] == "INVALID":
        assert "startsecs" in reeve.ctl("status", "start")[1] or reeve.process("start")["description"]
        return
    if int(value) > 1:
        pause(0.3)
        assert reeve.process("start")["statename"] == "STARTING"
        assert reeve.process("tries")["statename"] in ("STARTING", "BACKOFF")
    else:
        reeve.wait_state("start", "RUNNING")
        reeve.wait_state("tries", "FATAL")
    reeve.wait_state("stop", "RUNNING")
    assert reeve.ctl("stop", "stop") == (0, "stop: stopped\n")
    code = reeve.process("stop")["exitcode"]
    assert code in ((0, -9) if int(value) <= 1 else (0,))
    supervisor = parts(reeve.daemon.pid)["supervisor"]
    reeve.kill_supervisor()      # and the timers survive
    if int(value) > 1:
        assert reeve.process("start")["statename"] == "STARTING"
    assert parts(reeve.daemon.pid)["supervisor"] != supervisor
    assert reeve.stop() == 0


@pytest.mark.parametrize("timeout", [0, -1, 1e-9, 1e300, 1e308, -1e308])
def test_waits_of_extreme_length(reeve, timeout):
    """A client's own timeout: nothing or for ever, and the daemon's loop neither spins nor sleeps too long."""
    reeve.start("[program:p]\ncommand = sh -c 'until test -e @/go; do sleep 0.05; done'\nautorestart = false\nstartsecs = 0\n")
    reeve.wait_state("p", "RUNNING")
    end = threading.Timer(0.3, (reeve.folder / "go").touch)
    if timeout > 1:
        end.start()
    reply = reeve.call("Wait", names=["p"], until="exited", timeout=timeout)["parameters"]
    assert reply["timed_out"] == (timeout < 1)
    assert reeve.call("GetStatus")
