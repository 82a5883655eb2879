"""The daemon's own processes die, stop or are started twice, at chosen and at random moments."""

import ctypes
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from basics import SANITIZED, eventually
from fault import chance, comm, descriptors, kill, long_or, parts, pause, programs
from reeve import HELPERS, REEVECTL, REEVED, alive, processes


def test_five_children_and_their_children(reeve):
    """Killed in four ways; the same processes run on, their children too, and each once."""
    reeve.sanitizer = ":handle_segv=0:handle_abort=0:handle_sigbus=0"
    reeve.start("[program:w]\ncommand = sh -c 'sleep 1000 & echo $!; wait'\nnumprocs = 5\nprocess_name = w%(process_num)d\nstopasgroup = true\n"
                "stdout_logfile = @/%(process_num)d.log\n")
    pids = {i: reeve.wait_state(f"w:w{i}", "RUNNING")["pid"] for i in range(5)}
    children = {i: int(eventually(lambda i=i: reeve.file(f"{i}.log").strip())) for i in range(5)}
    for how in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS):
        reeve.kill_supervisor(how)
        assert {i: reeve.pid(f"w:w{i}") for i in range(5)} == pids
        assert all(alive(pid) for pid in children.values())
        assert sorted(programs(reeve.daemon.pid)) == sorted(pids.values())
    assert all(p["run"] == 1 for p in reeve.processes().values())
    reeve.ctl("stop", "all")
    eventually(lambda: not any(alive(pid) for pid in children.values()))


def test_death_of_both_at_once(reeve):
    """Supervisor and logger are killed together; nothing of what a program writes meanwhile is lost or doubled."""
    reeve.start(f"[program:c]\ncommand = {HELPERS}/counter @ 1 3000 3000 3000\nautorestart = false\nstartsecs = 0\nstdout_logfile = @/c.log\n"
                "stdout_logfile_maxbytes = 0\n")
    for _ in range(5):
        there = eventually(lambda: len(p := parts(reeve.daemon.pid)) == 2 and reeve.try_status() and p, what="both")
        for pid in there.values():
            kill(pid)
    eventually(lambda: (p := reeve.processes()["c"]) and p["statename"] == "EXITED", 60)
    assert reeve.process("c")["exitcode"] == (31 + 7) % 200
    eventually(lambda: reeve.file("c.log").count("\n") == 3000, what="all lines")
    assert reeve.file("c.log").splitlines() == [f"1 {n}" for n in range(3000)]


def test_killed_while_it_starts(reeve):
    """The whole daemon is killed at random moments of its start (also between bind and listen): what it leaves hinders no other."""
    rng = chance()
    config = "[program:p]\ncommand = sleep 1000\n"
    reeve.start(config)
    began = time.monotonic()
    reeve.stop()
    reeve.start(config, wait=False)
    eventually(reeve.answers)
    whole = min(time.monotonic() - began, 0.2)
    reeve.stop()
    for _ in range(long_or(15, 200)):
        reeve.start(config, wait=False)
        pause(rng.uniform(0, whole))
        reeve.daemon.kill()
        reeve.daemon.wait()
        eventually(lambda: not [kill(pid) for pid in reeve.mine()])     # the killed may have started others
    reeve.start(config)
    reeve.wait_state("p", "RUNNING")
    assert reeve.ctl("status", "p")[0] == 0


def test_killed_keeper_takes_all_with_it_and_can_be_followed_at_once(reeve):
    """The next daemon is started while the end of the first is under way: it is refused or it serves; never two at the same time."""
    config = f"[program:c]\ncommand = {HELPERS}/counter @ 1 100000 100000 1000\nautorestart = true\nstartsecs = 0\nstdout_logfile = NONE\n"
    reeve.start(config)
    reeve.wait_state("c", "RUNNING")
    for _ in range(long_or(3, 20)):
        old = [reeve.daemon.pid, *parts(reeve.daemon.pid).values(), *programs(reeve.daemon.pid)]
        reeve.daemon.kill()
        reeve.daemon.wait()

        def again():
            reeve.start(config, wait=False)
            eventually(lambda: reeve.daemon.poll() is not None or ((s := reeve.try_status()) and s["pid"] == reeve.daemon.pid))
            return reeve.daemon.poll() is None
        eventually(again, 30, "a daemon after the killed one")
        eventually(lambda old=old: not any(alive(pid) for pid in old), 30, "the end of what the first one ran")
        reeve.wait_state("c", "RUNNING")
    assert reeve.file("doubles") == ""


def test_keeper_dies_before_the_supervisor_knows_it(reeve):
    """The supervisor's parent is then somebody else, whose other children are none of its business."""
    prctl = ctypes.CDLL(None).prctl
    config = "[program:p]\ncommand = sleep 1000\n"
    innocent = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    assert prctl(36, 1, 0, 0, 0) == 0       # PR_SET_CHILD_SUBREAPER: we are the next parent
    try:
        for _ in range(long_or(6, 60)):
            reeve.start(config, wait=False)
            supervisor = eventually(lambda: next((pid for pid, ppid, state in processes() if ppid == reeve.daemon.pid and state != "Z"), None))
            os.kill(supervisor, signal.SIGSTOP)
            reeve.daemon.kill()
            reeve.daemon.wait()
            os.kill(supervisor, signal.SIGCONT)
            eventually(lambda: not reeve.mine(), 30, "the end of everything")
            assert innocent.poll() is None
    finally:
        prctl(36, 0, 0, 0, 0)
        innocent.kill()
        innocent.wait()


def test_many_at_once_with_one_configuration(reeve):
    """Of ten daemons that are started together, one stays; the others say who has the run directory."""
    reeve.write("[program:p]\ncommand = sleep 1000\n")
    started = [subprocess.Popen([str(REEVED), "-c", str(reeve.config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env=reeve.environment(), start_new_session=True) for _ in range(10)]
    try:
        eventually(lambda: sum(p.poll() is None for p in started) == 1, 30, "one of ten")
        for p in started:
            if p.poll() is None:
                reeve.daemon = p
            else:
                assert p.returncode == 1 and "another reeved already runs" in p.stderr.read()
        eventually(reeve.answers)
        reeve.wait_state("p", "RUNNING")
        assert len(programs(reeve.daemon.pid)) == 1
    finally:
        for p in started:
            if p is not reeve.daemon and p.poll() is None:
                p.kill()
        reeve.stop()
        for p in started:
            p.stderr.close()


MANY = "[program:w]\ncommand = sleep 1000\nnumprocs = {}\nprocess_name = w%(process_num)d\nstdout_logfile = NONE\nstderr_logfile = NONE\n"


def test_term_during_the_start_of_500(reeve):
    reeve.start(MANY.format(long_or(200, 500)), daemon="minfds = 8192\n", wait=False)
    eventually(lambda: len(programs(reeve.daemon.pid)) > 20)
    assert reeve.stop(seconds=60) == 0
    assert not reeve.mine()


def test_term_twice_then_hup(reeve):
    """The second TERM kills at once; the HUP changes nothing any more."""
    reeve.start("[program:deaf]\ncommand = sh -c \"trap '' TERM; while :; do sleep 0.1; done\"\nstopwaitsecs = 1000\nkillasgroup = true\n")
    reeve.wait_state("deaf", "RUNNING")
    reeve.daemon.send_signal(signal.SIGTERM)
    reeve.wait_state("deaf", "STOPPING")
    reeve.daemon.send_signal(signal.SIGHUP)
    reeve.wait_log("ignored SIGHUP")
    reeve.daemon.send_signal(signal.SIGTERM)
    assert reeve.daemon.wait(20) == 0
    assert not reeve.mine()


def test_term_while_there_is_no_supervisor(reeve):
    """A signal that comes between two supervisors is kept for the next one."""
    reeve.start("[program:p]\ncommand = sleep 1000\n")
    reeve.wait_state("p", "RUNNING")
    os.kill(parts(reeve.daemon.pid)["supervisor"], signal.SIGKILL)
    reeve.daemon.send_signal(signal.SIGTERM)
    assert reeve.daemon.wait(30) == 0
    assert not reeve.mine()


def test_shutdown_survives_the_supervisor(reeve):
    """Killed again and again while it stops everything: it still ends, in order and with status 0."""
    reeve.start("[program:slow]\ncommand = sh -c 'trap \"sleep 1; exit 0\" TERM; while :; do sleep 0.05; done'\nnumprocs = 4\n"
                "process_name = s%(process_num)d\n")
    reeve.wait_state("slow:s3", "RUNNING")
    reeve.daemon.send_signal(signal.SIGTERM)
    for _ in range(4):
        old = eventually(lambda: parts(reeve.daemon.pid).get("supervisor") or reeve.daemon.poll() is not None)
        if reeve.daemon.poll() is not None:
            break
        kill(old)
        eventually(lambda old=old: parts(reeve.daemon.pid).get("supervisor") != old)
        pause(0.1)
    assert reeve.daemon.wait(40) == 0
    assert not reeve.mine()


def test_stopped_supervisor_and_much_output(reeve):
    """While the supervisor is stopped (SIGSTOP), 100 MB of a program's output go to its log: it has no part in that."""
    reeve.start("[program:much]\ncommand = sh -c 'read x; head -c 100000000 /dev/zero | tr \"\\\\000\" x; exec sleep 1000'\n"
                "stdout_logfile = @/much.log\nstdout_logfile_maxbytes = 0\n", daemon="heartbeat = 300\n")
    pid = reeve.wait_state("much", "RUNNING")["pid"]
    supervisor = reeve.part("supervisor")
    os.kill(supervisor, signal.SIGSTOP)
    began = time.monotonic()
    try:
        with open(f"/proc/{pid}/fd/0", "wb", buffering=0) as stdin:
            stdin.write(b"go\n")
        log = reeve.folder / "much.log"
        eventually(lambda: log.exists() and log.stat().st_size == 100000000, 120, "100 MB")
        pause(max(0, long_or(0, 60) - (time.monotonic() - began)))
    finally:
        os.kill(supervisor, signal.SIGCONT)
    assert reeve.part("supervisor") == supervisor
    assert reeve.pid("much") == pid


def test_a_supervisor_that_cannot_start_again(reeve):
    """It dies at each start: the keeper tries less and less often, the programs run on, and TERM still ends them all."""
    reeve.start("[program:p]\ncommand = sleep 1000\n")
    pid = reeve.wait_state("p", "RUNNING")["pid"]
    killed = 0
    began = time.monotonic()
    while time.monotonic() - began < long_or(3, 60):
        there = parts(reeve.daemon.pid).get("supervisor")
        killed += bool(there and kill(there))
        assert alive(pid)
    assert killed < 200
    eventually(reeve.try_status, 40, "a supervisor that is left alone")
    assert reeve.pid("p") == pid


@pytest.mark.parametrize("moment", ["stop", "restart", "update", "rotation"])
def test_killed_in_the_middle_of(reeve, moment):
    """An operation is under way: it is finished by the successor, or its client is told that it was interrupted."""
    text = ("[program:slow]\ncommand = sh -c 'trap \"until test -e @/go; do sleep 0.05; done; exit 3\" TERM; echo up; while :; do sleep 0.05; done'\nstdout_logfile = @/slow.log\n"
            "[program:noisy]\ncommand = sh -c 'i=0; while :; do echo line $i; i=$((i+1)); done'\nstdout_logfile = @/noisy.log\n"
            "stdout_logfile_maxbytes = 2KB\nstdout_logfile_backups = 3\nautostart = false\n")
    reeve.start(text)
    first = reeve.wait_state("slow", "RUNNING")
    words = {"stop": ("stop", "slow"), "restart": ("restart", "slow"), "update": ("update",), "rotation": ("start", "noisy")}[moment]
    if moment == "update":
        reeve.write(text.replace("echo up", "echo changed"))
    client = subprocess.Popen([str(REEVECTL), "-c", str(reeve.config), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=reeve.environment())
    if moment == "rotation":
        eventually(lambda: (reeve.folder / "noisy.log.3").exists())
    else:
        reeve.wait_state("slow", "STOPPING")
    reeve.kill_supervisor()
    (reeve.folder / "go").touch()
    out = client.communicate(timeout=40)[0]
    if client.returncode != 0:
        assert "interrupted" in out, out
    if moment == "stop":
        assert reeve.wait_state("slow", "STOPPED")["exitcode"] == 3
    elif moment == "rotation":
        assert reeve.process("noisy")["statename"] in ("STARTING", "RUNNING")
        assert reeve.ctl("stop", "noisy")[0] == 0
        assert len(list(reeve.folder.glob("noisy.log*"))) <= 4
    else:       # what was meant to run again does
        again = eventually(lambda: (p := reeve.process("slow")) and p["run"] == 2 and p["statename"] == "RUNNING" and p, 30, "the second run")
        assert again["pid"] != first["pid"]
        if moment == "update":
            eventually(lambda: "changed" in reeve.file("slow.log"))
    assert sum(comm(pid) == "sh" for pid in programs(reeve.daemon.pid)) == (moment != "stop")


def test_clients_of_a_thousand_programs_wait_little(reeve):
    """How long after a death of the supervisor its successor answers."""
    n = long_or(200, 1000)
    reeve.start(MANY.format(n), daemon="minfds = 16384\n")
    eventually(lambda: sum(p["statename"] == "RUNNING" for p in reeve.processes().values()) == n, 60)
    before = {name: p["pid"] for name, p in reeve.processes().items()}
    best = min(reeve.kill_supervisor() for _ in range(5))
    assert {name: p["pid"] for name, p in reeve.processes().items()} == before
    assert best < (5 if SANITIZED else long_or(1, 0.2)), f"{best:.3f} s"      # the ordinary run shares its machine


def test_descriptors_do_not_pile_up(reeve):
    """Twenty deaths later the keeper, supervisor and logger hold as many descriptors as before."""
    reeve.start("[program:p]\ncommand = sleep 1000\nnumprocs = 3\nprocess_name = p%(process_num)d\n")
    reeve.wait_state("p:p2", "RUNNING")
    reeve.kill_supervisor()
    count = lambda: {name: descriptors(pid) for name, pid in {**parts(reeve.daemon.pid), "keeper": reeve.daemon.pid}.items()}   # noqa: E731

    def settled():
        first = count()
        pause(0.3)
        return len(first) == 3 and count() == first and first
    first = eventually(settled, what="the end of the takeover")
    for i in range(long_or(6, 40)):
        old = eventually(lambda: len(p := parts(reeve.daemon.pid)) == 2 and reeve.try_status() and p)
        which = "supervisor" if i % 2 else "logger"
        kill(old[which])
        eventually(lambda old=old, which=which: parts(reeve.daemon.pid).get(which) not in (None, old[which]) and reeve.try_status())
    eventually(lambda: count() == first, what=f"{first} descriptors again")


def test_signals_in_a_storm(reeve):
    """HUP, USR2 and deaths together for a moment: afterwards everything is as the configuration says."""
    rng = chance()
    reeve.start("[program:a]\ncommand = sleep 1000\n[program:b]\ncommand = sleep 1000\n")
    reeve.wait_state("b", "RUNNING")
    pids = {name: p["pid"] for name, p in reeve.processes().items()}
    over = threading.Event()

    def storm():
        while not over.is_set():
            reeve.daemon.send_signal(rng.choice((signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)))
            over.wait(0.005)

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        for _ in range(5):
            reeve.kill_supervisor()
    finally:
        over.set()
        thread.join()
    assert {name: p["pid"] for name, p in reeve.processes().items()} == pids
    assert not re.search(r"\bWARN exited", reeve.log())
