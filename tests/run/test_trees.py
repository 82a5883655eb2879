"""Whole trees: stopped means that nothing is left, and no run begins beside an old one. With control groups and without."""

import os
import signal
import subprocess

import pytest

from basics import eventually
from reeve import HELPERS, REEVED, alive, unified

WAYS = pytest.mark.parametrize("cgroups", ["on", "off"])
ORPHANS = f"command = {HELPERS}/orphans "


@pytest.fixture
def start(reeve, cgroups):
    if cgroups == "on":
        assert unified(), "no control groups of version 2 here: mount cgroup2 to run this test"
    return lambda text: reeve.start(text, daemon=f"cgroups = {cgroups}\n")


def pids(reeve, name="o.log"):
    return [int(line) for line in reeve.file(name).split()]


@WAYS
def test_stopped_means_that_all_are_gone(reeve, start, cgroups):
    start(f"[program:o]\n{ORPHANS}daemon-beside\nstdout_logfile = @/o.log\n")
    reeve.wait_state("o", "RUNNING")
    (child,) = eventually(lambda: pids(reeve))
    assert os.getsid(child) == child
    if cgroups == "on":
        assert sorted(reeve.group.members()["o.1"]) == sorted([child, reeve.pid("o")])
    assert reeve.ctl("stop", "o") == (0, "o: stopped\n")
    assert not alive(child)
    assert reeve.process("o")["leftovers"] == []
    reeve.wait_log(f"o: 1 process of its last run is alive: pid {child} (orphans); sending the stop signal")


@WAYS
def test_deaf_leftovers_are_killed_in_time(reeve, start):
    start(f"[program:o]\n{ORPHANS}deaf-beside\nstdout_logfile = @/o.log\nstopwaitsecs = 1\n")
    reeve.wait_state("o", "RUNNING")
    (child,) = eventually(lambda: pids(reeve))
    assert reeve.ctl("stop", "o") == (0, "o: stopped\n")
    assert not alive(child)
    why = reeve.ctl("why", "o")[1]
    assert "what it left behind did not end within stopwaitsecs" in why and "everything that its last run left behind has ended" in why


@WAYS
def test_daemonising_programs_do_not_pile_up(reeve, start):
    start(f"[program:o]\n{ORPHANS}daemonises\nstdout_logfile = @/o.log\nautorestart = true\nstartsecs = 0\n")
    eventually(lambda: len(pids(reeve)) >= 4, what="four runs")
    assert sum(map(alive, pids(reeve))) <= 1
    reeve.ctl("stop", "o")
    eventually(lambda: not any(map(alive, pids(reeve))))


@WAYS
def test_leftovers_of_an_exit_are_named_and_ended(reeve, start):
    start(f"[program:o]\n{ORPHANS}daemonises-deaf\nstdout_logfile = @/o.log\nautorestart = false\nstartsecs = 0\nstopwaitsecs = 1\n")
    reeve.wait_state("o", "EXITED")
    (child,) = eventually(lambda: pids(reeve))
    assert reeve.process("o")["leftovers"] == [child]
    named = f"1 process of its last run is alive: pid {child} (orphans)"
    assert named in reeve.ctl("status", "o")[1]
    assert f"Left behind: {named}" in reeve.ctl("why", "o")[1]
    reeve.call("Start", names=["o"], wait=False)
    o = reeve.process("o")
    assert (o["statename"], o["pid"], o["run"]) == ("STARTING", 0, 1), "no second run beside it"
    assert "started when what its last run left behind has ended" in reeve.ctl("why", "o")[1]
    eventually(lambda: not alive(child))
    eventually(lambda: reeve.process("o")["run"] == 2 and reeve.process("o")["statename"] == "EXITED")
    (_, second) = eventually(lambda: len(pids(reeve)) == 2 and pids(reeve))
    assert reeve.ctl("stop", "o") == (0, "o: stopped\n")
    assert not alive(second)
    assert reeve.process("o")["leftovers"] == []


def test_why_names_the_daemonising(reeve):
    reeve.start(f"[program:o]\n{ORPHANS}daemonises\nstartretries = 0\n")
    reeve.wait_state("o", "FATAL")
    assert "It looks as if the command puts itself in the background: tell it to stay in the foreground" in reeve.ctl("why", "o")[1]


@WAYS
def test_leave_and_kill(reeve, start):
    start(f"[program:leave]\n{ORPHANS}daemonises\nstdout_logfile = @/leave.log\nautorestart = false\nstartsecs = 0\nleftovers = leave\n"
          f"[program:kill]\n{ORPHANS}deaf-beside\nstdout_logfile = @/kill.log\nleftovers = kill\nstopwaitsecs = 600\n")
    reeve.wait_state("leave", "EXITED")
    reeve.wait_state("kill", "RUNNING")
    assert reeve.ctl("start", "leave") == (0, "leave: started\n")
    first, second = eventually(lambda: len(pids(reeve, "leave.log")) == 2 and pids(reeve, "leave.log"))
    assert alive(first) and alive(second)
    assert sorted(reeve.process("leave")["leftovers"]) == sorted([first, second])
    (child,) = eventually(lambda: pids(reeve, "kill.log"))
    assert reeve.ctl("stop", "kill") == (0, "kill: stopped\n")
    assert not alive(child)
    assert reeve.stop() == 0
    assert not alive(first) and not alive(second), "the end of the daemon is the end of all"


@WAYS
@pytest.mark.parametrize("moment", ["stopping", "clearing"])
def test_supervisor_killed_while_it_waits_for_leftovers(reeve, start, moment):
    start(f"[program:o]\n{ORPHANS}{'deaf-beside' if moment == 'stopping' else 'daemonises-deaf'}\nstdout_logfile = @/o.log\n"
          "autorestart = false\nstartsecs = 0\nstopwaitsecs = 4\n")
    reeve.wait_state("o", "RUNNING" if moment == "stopping" else "EXITED")
    child = eventually(lambda: pids(reeve))[0]
    if moment == "stopping":
        reeve.call("Stop", names=["o"], wait=False)
        eventually(lambda: reeve.process("o")["pid"] == 0)
    else:
        reeve.call("Start", names=["o"], wait=False)
    reeve.kill_supervisor()
    o = reeve.process("o")
    assert o["statename"] == ("STOPPING" if moment == "stopping" else "STARTING") and o["leftovers"] == [child]
    eventually(lambda: not alive(child), what="SIGKILL at the old deadline")
    if moment == "stopping":
        reeve.wait_state("o", "STOPPED")
    else:
        eventually(lambda: len(pids(reeve)) == 2, what="the second run")


@WAYS
def test_trees_do_not_touch_each_other(reeve, start):
    start("".join(f"[program:{n}]\n{ORPHANS}daemon-beside\nstdout_logfile = @/{n}.log\n" for n in "ab"))
    for n in "ab":
        reeve.wait_state(n, "RUNNING")
    (a,), (b,) = (eventually(lambda n=n: pids(reeve, f"{n}.log")) for n in "ab")
    for _ in range(3):
        reeve.ctl("restart", "a")
    assert not alive(a) and alive(b)


def test_without_groups_a_clean_environment_is_known_by_its_session(reeve):
    reeve.start("[program:o]\ncommand = sh -c 'env -i sleep 1000 & echo $!; wait'\nstdout_logfile = @/o.log\nstopasgroup = false\n",
                daemon="cgroups = off\n")
    reeve.wait_state("o", "RUNNING")
    (child,) = eventually(lambda: pids(reeve))
    reeve.ctl("stop", "o")
    assert not alive(child)


def test_what_a_dead_daemon_left_is_ended_by_the_next(reeve):
    assert unified()
    reeve.start(f"[program:o]\n{ORPHANS}deaf-beside\nstdout_logfile = @/o.log\nstopwaitsecs = 1\n", daemon="cgroups = on\n")
    reeve.wait_state("o", "RUNNING")
    (child,) = eventually(lambda: pids(reeve))
    status = reeve.answers()
    everybody = [status["pid"], status["supervisor_pid"], status["logger_pid"], reeve.pid("o")]
    os.kill(status["supervisor_pid"], signal.SIGSTOP)
    for pid in everybody:
        os.kill(pid, signal.SIGKILL)
    reeve.daemon.wait()
    eventually(lambda: not any(map(alive, everybody)))
    assert alive(child)
    reeve.start(f"[program:o]\n{ORPHANS}deaf-beside\nstdout_logfile = @/o.log\nstopwaitsecs = 1\n", daemon="cgroups = on\n")
    reeve.wait_state("o", "RUNNING")
    assert not alive(child)
    assert "ending what a previous daemon left alive in the control group o.1" in reeve.log()


def test_groups_come_and_go(reeve):
    assert unified()
    reeve.start("[program:a]\ncommand = sleep 1000\n[program:b]\ncommand = sleep 1000\n[program:w]\ncommand = sleep 1000\nnumprocs = 2\n"
                "process_name = %(program_name)s_%(process_num)d\n", daemon="cgroups = on\n")
    for name in ("a", "b", "w:w_0", "w:w_1"):
        reeve.wait_state(name, "RUNNING")
    status = reeve.answers()
    members = reeve.group.members()
    assert sorted(members.pop("daemon")) == sorted([status["pid"], status["supervisor_pid"], status["logger_pid"]])
    assert {name.rsplit(".", 1)[0]: pids for name, pids in members.items()} == {
        name: [p["pid"]] for name, p in reeve.processes().items()}
    reeve.write("[program:a]\ncommand = sleep 1000\n", daemon="cgroups = on\n")
    assert reeve.ctl("update")[0] == 0
    assert [name.rsplit(".", 1)[0] for name in reeve.group.members() if name != "daemon"] == ["a"]
    assert reeve.stop() == 0
    assert reeve.group.groups() == [reeve.group.path]


def test_another_user_has_groups_too(open_reeve):
    assert unified()
    reeve = open_reeve
    os.chmod(reeve.folder, 0o777)
    reeve.start(f"[program:o]\n{ORPHANS}daemon-beside\nstdout_logfile = @/o.log\n", daemon="cgroups = on\nuser = nobody\n")
    reeve.wait_state("o", "RUNNING")
    (child,) = eventually(lambda: pids(reeve))
    assert sorted(reeve.group.members()["o.1"]) == sorted([child, reeve.pid("o")])
    assert reeve.ctl("stop", "o") == (0, "o: stopped\n")
    assert not alive(child)


def test_without_clone3_the_child_joins_by_itself(reeve):
    """A filter that refuses clone3, as some container engines have."""
    assert unified()
    reeve.start("[program:a]\ncommand = sleep 1000\n", daemon="cgroups = on\n", wrap=[str(HELPERS / "no_clone3")])
    reeve.wait_state("a", "RUNNING")
    assert reeve.group.members()["a.1"] == [reeve.pid("a")]


def test_unwritable_tree_is_said_and_lived_with(reeve):
    reeve.start("[program:a]\ncommand = sleep 1000\n", daemon="cgroups = on\n",
                wrap=["unshare", "--mount", "sh", "-c", 'umount -a -t cgroup2; exec "$@"', "sh"])
    reeve.wait_state("a", "RUNNING")
    assert "reeved: no control groups can be made here (ENOENT), though cgroups=on asks for them" in reeve.log()


def test_bad_words(reeve):
    reeve.write("[program:a]\ncommand = sleep 1\nleftovers = burn\n", daemon="cgroups = perhaps\n")
    out = subprocess.run([str(REEVED), "--check", "-c", str(reeve.config)], capture_output=True, text=True, check=False)
    assert "invalid 'leftovers' value 'burn', known are stop, kill, leave" in out.stdout + out.stderr
    assert "invalid 'cgroups' value 'perhaps', known are auto, on, off" in out.stdout + out.stderr


def test_old_kernel_freezes_and_kills(reeve, monkeypatch):
    """Before Linux 5.14 there is no cgroup.kill."""
    assert unified()
    reeve.sanitizer = ":verify_asan_link_order=0"
    monkeypatch.setenv("LD_PRELOAD", str(HELPERS / "old_kernel.so"))
    reeve.start("[program:forks]\ncommand = sh -c \"trap '' TERM; (setsid sh -c 'while :; do sleep 0.01 & done' &); while :; do sleep 0.1; done\"\n"
                "stopwaitsecs = 1\n", daemon="cgroups = on\n")
    monkeypatch.delenv("LD_PRELOAD")
    reeve.wait_state("forks", "RUNNING")
    (group,) = [p for p in reeve.group.groups() if p.name.startswith("forks.")]
    assert eventually(lambda: len((group / "cgroup.procs").read_text().split()) > 3)
    assert reeve.ctl("stop", "forks") == (0, "forks: stopped\n")
    assert not (group / "cgroup.procs").read_text()
    assert "cannot be preloaded" not in reeve.log()
