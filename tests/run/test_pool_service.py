"""[pool:NAME] as a citizen of reeved: configuration, status, live changes, deaths around it."""

import json
import os
import signal
import subprocess

from reeve import REEVECTL, REEVED, alive, eventually, varlink


def pool_status(reeve, name="p"):
    try:
        return varlink(reeve.rundir / "pool" / f"{name}.sock", "io.reeve.Pool.GetStatus")["parameters"]["status"]
    except (OSError, EOFError):
        return None


def start(reeve, keys, more=""):
    reeve.start(f"[pool:p]\n{keys}\n{more}")
    reeve.wait_state("p", "RUNNING")
    eventually(lambda: pool_status(reeve), what="the pool")


def test_runs_tasks_and_shows_gauges(reeve):
    start(reeve, "command = sh -c 'echo got $0'\nworkers = 2")
    assert reeve.ctl("submit", "--wait", "p", "x") == (0, "got x\n")
    status, out = reeve.ctl("status")
    assert status == 0 and "run, 0 of 2 workers busy, 0 queued, 1 done, 0 failed" in out
    assert "The pool: run" in reeve.ctl("why", "p")[1]
    assert reeve.process("p")["kind"] == "pool"
    assert "PROCESS_STATE_RUNNING processname:p groupname:p" in reeve.ctl("events")[1]
    status, out = reeve.ctl("--json", "pool")
    assert json.loads(out)[0]["done"] == 1


def test_environment_user_and_directory_reach_workers(reeve):
    os.chmod(reeve.folder, 0o755)
    start(reeve, "command = sh -c 'id -un; pwd; echo $COLOUR $REEVE_POOL $REEVE_TASK; umask'\nuser = nobody\n"
                 "directory = /usr\nenvironment = COLOUR=\"blue\"\numask = 027")
    assert reeve.ctl("submit", "--wait", "p")[1].split("\n")[:4] == ["nobody", "/usr", "blue p 1", "0027"]


def test_workers_log_goes_to_stderr_log(reeve):
    start(reeve, "command = sh -c 'echo spoken >&2; cat'\nmode = line\nworkers = 1\nstderr_logfile = @/p.err")
    eventually(lambda: "spoken" in reeve.file("p.err"), what="the worker's stderr")


def test_more_workers_restart_nothing(reeve):
    keys = "command = sh -c 'read x; echo $x; exec cat'\nmode = line\nworkers = {}\nqueue = memory"
    start(reeve, keys.format(2))
    pid = reeve.pid("p")
    workers = {w["pid"] for w in pool_status(reeve)["slots"]}
    reeve.write("[pool:p]\n" + keys.format(4))
    assert "live (workers)" in reeve.ctl("plan")[1]
    assert reeve.ctl("update")[0] == 0
    eventually(lambda: pool_status(reeve)["alive"] == 4, what="four workers")
    assert reeve.pid("p") == pid
    assert workers <= {w["pid"] for w in pool_status(reeve)["slots"]}
    reeve.write("[pool:p]\n" + keys.format(1) + "\ntimeout = 3.5")
    out = reeve.ctl("plan")[1]
    assert "live" in out and "workers" in out and "timeout" in out
    reeve.ctl("update")
    eventually(lambda: pool_status(reeve)["alive"] == 1, what="one worker")
    assert reeve.pid("p") == pid


def test_a_resize_by_hand_survives_another_change(reeve):
    keys = "command = cat\nmode = line\nworkers = 1\nkeep_results = {}"
    start(reeve, keys.format(10))
    assert reeve.ctl("resize", "p", "3")[0] == 0
    reeve.write("[pool:p]\n" + keys.format(20))
    reeve.ctl("update")
    assert pool_status(reeve)["workers"] == 3


def test_a_new_command_restarts_the_pool(reeve):
    start(reeve, "command = echo one")
    reeve.write("[pool:p]\ncommand = echo two")
    assert "restart (command)" in reeve.ctl("plan")[1]
    assert reeve.ctl("update")[0] == 0
    reeve.wait_state("p", "RUNNING")
    assert reeve.ctl("submit", "--wait", "p")[1] == "two\n"


def test_survives_the_supervisor(reeve):
    command = f"command = sh -c 'until [ -e {reeve.folder}/go ]; do sleep 0.05; done; echo done'\n"
    start(reeve, command + "workers = 1")
    pid = reeve.pid("p")
    waiter = subprocess.Popen([str(REEVECTL), "-c", str(reeve.config), "submit", "--wait", "p"], stdout=subprocess.PIPE, text=True,
                              env=reeve.environment())
    eventually(lambda: pool_status(reeve)["running"] == 1, what="the task")
    reeve.kill_supervisor()
    (reeve.folder / "go").touch()
    assert waiter.communicate(timeout=30)[0] == "done\n"
    assert reeve.pid("p") == pid
    assert "workers busy" in reeve.ctl("status", "p")[1]
    reeve.write("[pool:p]\n" + command + "workers = 2")
    reeve.ctl("update")
    eventually(lambda: pool_status(reeve)["workers"] == 2, what="a change through the successor")
    assert reeve.pid("p") == pid


def test_a_killed_pool_goes_on_with_its_queue(reeve):
    start(reeve, "command = sh -c 'sleep 0.3; echo $0'\nworkers = 1\nqueue = sqlite:q.db")
    names = [reeve.ctl("submit", "p", str(i))[1].strip() for i in range(3)]
    workers = [w["pid"] for w in pool_status(reeve)["slots"] if w["pid"]]
    os.kill(reeve.pid("p"), signal.SIGKILL)
    eventually(lambda: not any(map(alive, workers)), what="the end of its workers")
    eventually(lambda: pool_status(reeve), what="the pool again")
    assert [reeve.ctl("result", name)[1] for name in names] == ["0\n", "1\n", "2\n"]


def test_removed_pool_leaves_nothing(reeve):
    start(reeve, "command = cat\nmode = line")
    reeve.write("")
    assert reeve.ctl("update")[0] == 0
    assert list((reeve.rundir / "pool").iterdir()) == []
    assert "no such pool" in subprocess.run([str(REEVECTL), "-c", str(reeve.config), "submit", "p"], capture_output=True,
                                            text=True, check=False, timeout=20).stderr


def test_a_stopped_pool_says_so(reeve):
    start(reeve, "command = cat\nmode = line")
    assert reeve.ctl("stop", "p")[0] == 0
    assert "down" in reeve.ctl("pool")[1]
    r = subprocess.run([str(REEVECTL), "-c", str(reeve.config), "submit", "p"], capture_output=True, text=True, check=False, timeout=20)
    assert r.returncode == 125 and "does not run" in r.stderr


def check(reeve, text):
    reeve.write(text)
    r = subprocess.run([str(REEVED), "--check", "-c", str(reeve.config)], capture_output=True, text=True, check=False, timeout=20)
    return r.returncode, r.stderr


def test_mistakes_are_named(reeve):
    status, err = check(reeve, "[pool:p]\ncommand = cat\nmode = stream\n")
    assert status and "no such mode: 'stream'; write exec, line or frame" in err
    status, err = check(reeve, "[pool:p]\ncommand = cat\nworkers = 20000\n")
    assert status and "20000 is not between 0 and 10000" in err
    status, err = check(reeve, "[pool:p]\ncommand = cat\nqueue = kafka:x\n")
    assert status and "no such kind of queue" in err
    status, err = check(reeve, "[pool:p]\ncommand = cat\ntimeout = soon\n")
    assert status and "not a number of seconds: 'soon'" in err
    status, err = check(reeve, "[pool:p]\nmode = line\n")
    assert status and "does not specify a command" in err
    status, err = check(reeve, "[pool:p]\ncommand = cat\nnumprocs = 3\nwindwo = 3\n")
    assert not status and "unknown key" in err and "did you mean window?" in err
