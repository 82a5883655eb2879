"""Processes, memory, descriptors, disks and readers run out, and come back."""

import os
import resource
import signal
import socket
import subprocess

import pytest

from fault import Injected, chance, long_or, parts, pause, programs, sanitized, shared_reeve
from reeve import HELPERS, alive, eventually

TWO = "[program:good]\ncommand = sleep 1000\n[program:late]\ncommand = sleep 1000\nautostart = false\nstartretries = 0\nstartsecs = 0\n"


# ---- processes

@pytest.mark.parametrize("error", ["EAGAIN", "ENOMEM"])
def test_fork_fails_for_a_while(reeve, error):
    """It is nobody's fault but ours: the program waits, uses up no tries, and runs when there is room again."""
    reeve.start(TWO)
    good = reeve.wait_state("good", "RUNNING")["pid"]
    with Injected(parts(reeve.daemon.pid)["supervisor"], f"clone3,clone:error={error}"):
        reeve.call("Start", names=["late"], wait=False)
        late = eventually(lambda: (p := reeve.process("late")) and p["statename"] == "BACKOFF" and p)
        assert f"no resources to start 'late': fork ({error}); trying again" in late["description"]
    late = reeve.wait_state("late", "RUNNING", seconds=60)
    assert late["backoff"] == 0 and reeve.pid("good") == good


def test_limit_of_processes(tmp_path):
    """As a user with RLIMIT_NPROC: programs beyond it wait; each comes up when others are gone."""
    with shared_reeve(uid=54321) as reeve:
        reeve.start("[program:w]\ncommand = sleep 1000\nnumprocs = 12\nprocess_name = w%(process_num)d\nstartsecs = 0\nautostart = false\n")
        supervisor = parts(reeve.daemon.pid)["supervisor"]

        def limit(value):
            subprocess.run(["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups", "prlimit", "--pid", str(supervisor),
                            f"--nproc={value}:"], check=True)
        limit(10)
        reeve.call("Start", names=["w:*"], wait=False)

        def count(state):
            return sum(p["statename"] == state for p in reeve.processes().values())
        eventually(lambda: count("RUNNING") and count("BACKOFF") and count("RUNNING") + count("BACKOFF") == 12)
        limit(500)
        eventually(lambda: count("RUNNING") == 12, 60)


def test_each_system_call_of_a_start_fails_once(reeve):
    """Whatever fails on the way to a program, it is told, the program comes up at a later try, and it comes up once."""
    reeve.start(f"[program:p]\ncommand = {HELPERS}/counter @ 7 100000 100000 1000\nstartretries = 5\nstartsecs = 0\nautostart = false\n"
                "stdout_logfile = @/p.log\nuser = root\numask = 022\ndirectory = /tmp\n[program:other]\ncommand = sleep 1000\n")
    supervisor = parts(reeve.daemon.pid)["supervisor"]
    ours = [("clone3", "EPERM"), ("clone3", "ENOSYS"), ("clone3,clone", "EAGAIN"), ("pipe2", "EMFILE"), ("fcntl", "EMFILE"),
            ("openat", "EMFILE"), ("mmap", "ENOMEM"), ("sendmsg", "ENOBUFS"), ("rt_sigprocmask", "EINVAL")]
    childs = [("setsid", "EPERM"), ("dup3", "EMFILE"), ("close_range", "ENOSYS"), ("prlimit64", "EPERM"), ("chdir", "EIO"), ("umask", "EINTR"),
              ("rt_sigaction", "EINVAL"), ("execve", "ENOMEM"), ("execve", "EAGAIN"), ("execve", "EIO"), ("execve", "ETXTBSY")]
    for n, (calls, error) in enumerate(ours + childs):
        with Injected(supervisor, f"{calls}:error={error}:when=1", follow=n >= len(ours)):
            reeve.call("Start", names=["p"], wait=False)
            eventually(lambda: (p := reeve.process("p")) and p["statename"] in ("RUNNING", "BACKOFF", "FATAL", "EXITED"), what=f"{calls} {error}")
        p = reeve.wait_state("p", "RUNNING", "FATAL", seconds=60)
        assert p["statename"] == "RUNNING", (calls, error, p["description"])
        eventually(lambda: reeve.file("7.runs").count("\n"))
        assert reeve.ctl("stop", "p") == (0, "p: stopped\n")
        eventually(lambda: len(programs(reeve.daemon.pid)) == 1)
    assert reeve.file("doubles") == ""
    assert parts(reeve.daemon.pid)["supervisor"] == supervisor
