"""The supervisor and the logger are killed; the programs do not notice."""

import os
import random
import re
import signal
import subprocess
import time

from basics import SANITIZED, eventually
from reeve import alive

CONFIG = """
[program:web]
command = sleep 1000
[program:once]
command = sh -c 'sleep 1.3; exit 7'
autorestart = false
[program:crash]
command = sh -c 'exit 1'
startretries = 1
[program:off]
command = sleep 1000
autostart = false
"""


def test_states_survive(reeve):
    reeve.sanitizer = ":handle_segv=0:handle_abort=0"
    reeve.start(CONFIG)
    reeve.wait_state("crash", "FATAL")
    reeve.wait_state("once", "EXITED")
    before = reeve.facts()
    uptime = reeve.process("web")["uptime"]
    took = []
    for how in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM):
        took.append(reeve.kill_supervisor(how))
        assert reeve.facts() == before
    assert min(took) < 5, took
    assert reeve.process("web")["uptime"] > uptime
    assert reeve.process("once")["exitcode"] == 7
    assert reeve.answers()["successions"] == 4
    assert reeve.ctl("restart", "web") == (0, "web: stopped\nweb: started\n")


def test_a_thousand_programs(reeve):
    """How long clients wait for a successor that has much to take over: it needs little of a CPU, and where it gets that, 0.2 s."""
    reeve.start("[program:p]\ncommand = sleep 1000\nnumprocs = 1000\nprocess_name = p%(process_num)d\nstartsecs = 0\n"
                "stdout_logfile = NONE\nstderr_logfile = NONE\n")
    reeve.wait_state("p:p999", "RUNNING", seconds=60)
    before = {name: (p["pid"], p["run"]) for name, p in reeve.processes().items()}
    took, cpu = [], []
    for _ in range(5):
        took.append(reeve.kill_supervisor())
        with open(f"/proc/{reeve.part('supervisor')}/schedstat", encoding="ascii") as f:
            cpu.append(int(f.read().split()[0]) / 1e9)
    print("seconds:", took, "of CPU:", cpu)
    slow = 10 if SANITIZED else 1
    assert min(cpu) < 0.1 * slow, cpu
    assert min(took) < (0.2 if os.getloadavg()[0] < os.cpu_count() else 5) * slow, took
    assert {name: (p["pid"], p["run"]) for name, p in reeve.processes().items()} == before
    assert reeve.stop(seconds=60) == 0


def test_exit_during_the_gap_is_seen(reeve):
    reeve.start("[program:p]\ncommand = sh -c 'read x; exit 42'\nautorestart = false\n[program:k]\ncommand = sleep 1000\nautorestart = false\n")
    reeve.wait_state("p", "RUNNING")
    pids = {name: reeve.pid(name) for name in ("p", "k")}
    supervisor = reeve.part("supervisor")
    os.kill(supervisor, signal.SIGSTOP)     # so that it cannot note the exits itself
    with open(f"/proc/{pids['p']}/fd/0", "wb", buffering=0) as stdin:
        stdin.write(b"go\n")
    os.kill(pids["k"], signal.SIGKILL)
    eventually(lambda: not alive(pids["p"]) and not alive(pids["k"]))
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: reeve.try_list(), what="a successor")
    assert reeve.wait_state("p", "EXITED")["exitcode"] == 42
    assert reeve.wait_state("k", "EXITED")["exitcode"] == -9


def test_stopping_goes_on(reeve):
    reeve.start("[program:deaf]\ncommand = sh -c \"trap '' TERM; while :; do sleep 0.1; done\"\nstopwaitsecs = 3\nkillasgroup = true\n")
    reeve.wait_state("deaf", "RUNNING")
    reeve.call("Stop", names=["deaf"], wait=False)
    reeve.kill_supervisor()
    assert reeve.process("deaf")["statename"] == "STOPPING"
    reeve.wait_state("deaf", "STOPPED")
    assert reeve.process("deaf")["exitcode"] == -9


def test_running_configuration_survives_not_the_one_on_disk(reeve):
    reeve.start("[program:a]\ncommand = sleep 1000\n")
    reeve.wait_state("a", "RUNNING")
    reeve.write("[program:b]\ncommand = sleep 1000\n")
    reeve.kill_supervisor()
    assert list(reeve.processes()) == ["a"]
    assert reeve.ctl("reread") == (0, "a: disappeared\nb: available\n")


def test_no_log_line_is_lost(reeve):
    reeve.start("[program:count]\ncommand = sh -c 'i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done; echo end; exec sleep 1000'\n"
                "stdout_logfile = @/count.log\nstdout_logfile_maxbytes = 0\n")
    for _ in range(3):
        reeve.kill_part("logger")
        reeve.kill_supervisor()
    eventually(lambda: reeve.file("count.log").endswith("end\n"), what="the last line")
    assert reeve.file("count.log").splitlines() == [f"line {i}" for i in range(4000)] + ["end"]


def test_last_words_are_not_lost_with_the_logger(reeve):
    """It is killed when the programs say their last, and everything is over before another could have started."""
    config = ("[program:p]\ncommand = sh -c 'trap \"until test -e @/go; do sleep 0.01; done; echo last\" TERM; echo first; read x'\n"
              "numprocs = 5\nprocess_name = p%(process_num)d\nstdout_logfile = @/%(process_num)d.log\nstartsecs = 0\n")
    for _ in range(3):
        reeve.start(config)
        eventually(lambda: all(reeve.file(f"{i}.log") == "first\n" for i in range(5)), what="their first words")
        logger = reeve.part("logger")
        reeve.daemon.terminate()
        reeve.wait_state("p:p0", "STOPPING")
        os.kill(logger, signal.SIGKILL)
        (reeve.folder / "go").touch()
        assert reeve.daemon.wait(30) == 0
        assert [reeve.file(f"{i}.log") for i in range(5)] == ["first\nlast\n"] * 5
        for i in range(5):
            (reeve.folder / f"{i}.log").unlink()
        (reeve.folder / "go").unlink()


def test_kill_at_random_moments_while_programs_start(reeve):
    """Each process exactly once, whatever the moment; exits are all accounted for."""
    random.seed(4)
    reeve.start("[program:w]\ncommand = sh -c 'sleep 0.2; exit 5'\nnumprocs = 20\nprocess_name = w%(process_num)d\nstartsecs = 0\n"
                "autorestart = true\nstdout_logfile = NONE\nstderr_logfile = NONE\n[program:keep]\ncommand = sleep 1000\n")
    keep = reeve.wait_state("keep", "RUNNING")["pid"]
    for _ in range(15):
        time.sleep(random.random() * 0.3)       # a moment that the test chooses
        os.kill(reeve.part("supervisor"), signal.SIGKILL)
    eventually(reeve.try_status)
    assert reeve.pid("keep") == keep
    mine = [pid for pid in reeve.mine()]
    runs = {}
    for pid in mine:
        try:
            env = open(f"/proc/{pid}/environ", "rb").read()
            leads = os.getsid(pid) == pid
        except OSError:
            continue
        found = re.search(rb"REEVE_RUN=([^\0]+):(\d+)\0", env)
        if found and leads:
            runs.setdefault(found[1], []).append(pid)
    assert all(len(pids) == 1 for pids in runs.values()), runs


ORDER = """
[program:first]
command = sh -c 'trap "echo first >> @/ends; exit 0" TERM; while :; do sleep 0.05; done'
priority = 1
[program:last]
command = sh -c 'trap "until test -e @/go; do sleep 0.05; done; echo last >> @/ends; exit 0" TERM; while :; do sleep 0.05; done'
priority = 2
[program:deaf]
command = sh -c 'trap "" TERM; while :; do sleep 0.05; done'
stopwaitsecs = 1
killasgroup = true
priority = 3
[program:again]
command = sh -c 'sleep 0.2'
startsecs = 0
[program:escapee]
command = sh -c 'setsid sh -c "trap : TERM; while :; do sleep 0.1; done" & exec sleep 1000'
stopwaitsecs = 1
"""


def test_keeper_death_is_an_orderly_end(reeve):
    """Whoever asks nicely or not: each program gets its stop signal, in order, and the time that it has; then nothing is left."""
    reeve.start(ORDER)
    for name in ("first", "last", "deaf"):
        reeve.wait_state(name, "RUNNING")
    supervisor = reeve.part("supervisor")
    reeve.daemon.kill()
    reeve.daemon.wait()
    eventually(lambda: "the keeper is gone" in reeve.log(), what="its line")
    os.kill(supervisor, signal.SIGTERM)         # has to wait like everybody
    second = reeve.reeved, "-c", str(reeve.config)
    assert "already runs" in subprocess.run(second, capture_output=True, text=True, timeout=20, env=reeve.environment()).stderr
    (reeve.folder / "go").touch()
    eventually(lambda: not reeve.mine(), what="the end of everything")
    assert reeve.file("ends") == "last\nfirst\n"
    assert "stopped: deaf (nobody could see how)" in reeve.log()
    assert not (reeve.rundir / "control.sock").exists() and not (reeve.folder / "reeved.pid").exists()
    # And another daemon can begin.
    reeve.start("[program:web]\ncommand = sleep 1000\n")
    reeve.wait_state("web", "RUNNING")


def test_keeper_death_in_the_middle_of_a_shutdown(reeve):
    reeve.start(ORDER)
    for name in ("first", "last", "deaf"):
        reeve.wait_state(name, "RUNNING")
    reeve.daemon.terminate()
    reeve.wait_log("indicating exit request")
    reeve.daemon.kill()
    reeve.daemon.wait()
    (reeve.folder / "go").touch()
    eventually(lambda: not reeve.mine(), what="the end of everything")
    assert reeve.file("ends") == "last\nfirst\n"
