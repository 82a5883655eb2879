"""exit_with, on_fatal, stop_deadline, console: the end that others see, and what they see until then."""

import json
import os
import signal
import time

import pytest

from reeve import alive, eventually

IDLE = "[program:idle]\ncommand = sleep 1000\n"


@pytest.mark.parametrize("command, extra, status", [
    ("sh -c 'exit 7'", "autorestart = false\nstartsecs = 0", 7),
    ("sh -c 'exit 0'", "autorestart = false\nstartsecs = 0", 0),
    ("sh -c 'kill -9 $$'", "autorestart = false\nstartsecs = 0", 137),
    ("sh -c 'kill -TERM $$'", "autorestart = unexpected\nexitcodes = 3\nstartretries = 0", 143),
    ("sh -c 'exit 0'", "startretries = 0", 1),              # FATAL is never a success
    ("/no/such/file", "startretries = 0", 127),
    ("sleep 5", "startretries = 0\nuser = no-such-user-at-all", 126),
])
def test_exit_with(reeve, command, extra, status):
    reeve.start(f"[program:app]\ncommand = {command}\n{extra}\n{IDLE}", daemon="exit_with = app\n", wait=False)
    assert reeve.daemon.wait(30) == status
    assert f"exit_with names it: shutting down, with exit status {status}" in reeve.log()
    assert "stopped: idle" in reeve.log() or "spawned: 'idle'" not in reeve.log()


def test_restarts_and_stops_are_no_end(reeve):
    reeve.start("[program:app]\ncommand = sleep 1000\nautorestart = true\nstartsecs = 0\n", daemon="exit_with = app\n")
    os.kill(reeve.wait_state("app", "RUNNING")["pid"], signal.SIGKILL)
    eventually(lambda: reeve.process("app")["restarts"] == 1)
    assert reeve.ctl("stop", "app")[0] == 0
    assert reeve.ctl("start", "app")[0] == 0
    assert reeve.stop() == 0, "an end that was asked for is a success"


def test_nothing_is_started_during_the_end(reeve):
    """Programs that wait for their next start when the end comes, and an end that takes a while: until the logger has written everything."""
    reeve.start("[program:again]\ncommand = sh -c 'test -e @/stay && exec sleep 1000; exit 0'\nautorestart = true\nstartsecs = 0\n"
                "numprocs = 5\nprocess_name = %(process_num)d\n")
    eventually(lambda: all(p["restarts"] for p in reeve.processes().values()), what="restarts")
    logger = reeve.part("logger")
    os.kill(logger, signal.SIGSTOP)
    (reeve.folder / "stay").touch()
    reeve.daemon.terminate()
    time.sleep(0.5)             # they would be started after 0.1 s
    os.kill(logger, signal.SIGCONT)
    assert reeve.daemon.wait(30) == 0
    assert not reeve.mine()


def test_on_fatal(reeve):
    reeve.start(f"[program:crash]\ncommand = sh -c 'exit 9'\nstartretries = 0\n{IDLE}", daemon="on_fatal = shutdown\n", wait=False)
    assert reeve.daemon.wait(30) == 9
    assert "crash is FATAL and on_fatal says shutdown" in reeve.log()


def test_exit_status_survives_the_supervisor(reeve):
    reeve.start("[program:app]\ncommand = sh -c 'until test -e @/go; do sleep 0.05; done; exit 5'\nautorestart = false\nstartsecs = 0\n"
                "[program:slow]\ncommand = sh -c \"trap '' TERM; until test -e @/end; do sleep 0.05; done\"\nstopwaitsecs = 600\n",
                daemon="exit_with = app\n")
    reeve.wait_state("slow", "RUNNING")
    (reeve.folder / "go").touch()
    reeve.wait_log("exit_with names it")
    reeve.kill_supervisor()
    (reeve.folder / "end").touch()
    assert reeve.daemon.wait(30) == 5


def test_unknown_name_is_said(reeve):
    reeve.start(IDLE, daemon="exit_with = nobody-of-this-name\n")
    reeve.wait_log("there is no process nobody-of-this-name: nothing will end the daemon")


def test_stop_deadline(reeve):
    deaf = "command = sh -c \"trap '' TERM; while :; do sleep 0.1; done\"\nstopwaitsecs = 600\n"
    reeve.start(f"[program:a]\n{deaf}priority = 1\n[program:b]\n{deaf}priority = 2\n", daemon="stop_deadline = 4\n")
    pids = [reeve.wait_state(n, "RUNNING")["pid"] for n in "ab"]
    began = time.monotonic()
    assert reeve.stop() == 0
    assert 3.9 < time.monotonic() - began < 15
    assert not any(map(alive, pids))
    assert "stop_deadline has passed: killing what is left" in reeve.log()


def test_stop_deadline_survives_the_supervisor(reeve):
    reeve.start("[program:deaf]\ncommand = sh -c \"trap '' TERM; while :; do sleep 0.1; done\"\nstopwaitsecs = 600\n", daemon="stop_deadline = 6\n")
    reeve.wait_state("deaf", "RUNNING")
    supervisor = reeve.part("supervisor")
    began = time.monotonic()
    reeve.daemon.send_signal(signal.SIGTERM)
    eventually(lambda: time.monotonic() - began > 5)
    os.kill(supervisor, signal.SIGKILL)
    assert reeve.daemon.wait(30) == 0
    assert 5.9 < time.monotonic() - began < 10.9


@pytest.mark.parametrize("form", ["none", "raw", "prefix", "json"])
def test_console(reeve, form):
    reeve.start("[program:app]\ncommand = sh -c 'echo hello; echo world >&2; exec sleep 1000'\nstdout_logfile = NONE\nstderr_logfile = @/err.log\n",
                daemon=f"console = {form}\n")
    reeve.wait_state("app", "RUNNING")
    eventually(lambda: reeve.file("err.log") == "world\n")
    eventually(lambda: form == "none" or ("hello" in reeve.log() and "world" in reeve.log()), what="the output on the console")
    assert reeve.stop() == 0
    lines = reeve.log().splitlines()
    if form == "json":
        told = [json.loads(line) for line in lines if line.startswith("{")]
        assert {(t["process"], t["channel"], t["text"]) for t in told} >= {("app", "stdout", "hello"), ("app", "stderr", "world")}
        assert any(t["process"] == "reeved" and t["channel"] == "log" and "spawned: 'app' with pid" in t["text"] for t in told)
        assert lines == [line for line in lines if line.startswith("{")]
    else:
        prefix = "app | " if form == "prefix" else ""
        assert (prefix + "hello" in lines) == (prefix + "world" in lines) == (form != "none")


def test_blocked_stdout_harms_nobody(reeve):
    """Nobody reads our stdout; programs write 20 MB to it, finish, and the daemon ends in time."""
    read, write = os.pipe()
    reeve.out = f"/proc/self/fd/{write}"
    try:
        reeve.start("[program:flood]\ncommand = sh -c 'head -c 20000000 /dev/zero | tr \"\\0\" \"x\" | fold; exit 3'\nautorestart = false\n"
                    "startsecs = 0\nstdout_logfile = NONE\n[program:other]\ncommand = sleep 1000\n", daemon="console = prefix\n")
        reeve.out = reeve.folder / "reeved.log"
        assert reeve.wait_state("flood", "EXITED", seconds=60)["exitcode"] == 3
        began = time.monotonic()
        assert reeve.ctl("restart", "other")[0] == 0
        assert time.monotonic() - began < 20
        assert reeve.stop() == 0
    finally:
        os.close(read)
        os.close(write)
