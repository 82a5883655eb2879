"""What reeved does with programs: states, starts, stops, failures, environment."""

import json
import os
import pwd
import re
import signal
import subprocess
import time

import pytest

from reeve import HELPERS, alive, eventually, processes


def test_starts_and_stops(reeve):
    reeve.start("[program:web]\ncommand = sleep 1000\n")
    web = reeve.wait_state("web", "RUNNING")
    assert web["description"].startswith(f"pid {web['pid']}, uptime 0:00:")
    code, out = reeve.ctl("status")
    assert code == 0 and re.fullmatch(rf"web {{30}}RUNNING   pid {web['pid']}, uptime 0:00:\d\d\n", out)
    assert reeve.ctl("stop", "web") == (0, "web: stopped\n")
    assert reeve.process("web")["statename"] == "STOPPED"
    assert not alive(web["pid"])
    assert reeve.ctl("stop", "web") == (0, "web: ERROR (not running)\n")
    assert reeve.ctl("start", "web") == (0, "web: started\n")
    assert reeve.ctl("start", "web") == (0, "web: ERROR (already started)\n")
    assert reeve.ctl("restart", "web") == (0, "web: stopped\nweb: started\n")
    assert reeve.stop() == 0
    log = reeve.log()
    for line in ("INFO supervisord started with pid", "INFO spawned: 'web' with pid",
                 "INFO success: web entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)",
                 "WARN stopped: web (terminated by SIGTERM)", "WARN received SIGTERM indicating exit request"):
        assert line in log
    assert reeve.file("reeved.log") == log
    assert not (reeve.folder / "reeved.pid").exists()


def test_backoff_then_fatal(reeve):
    reeve.start("[program:crash]\ncommand = sh -c 'exit 3'\nstartretries = 1\n")
    crash = reeve.wait_state("crash", "FATAL")
    assert crash["description"] == "Exited too quickly (process log may have details)"
    assert crash["run"] == 2 and crash["restarts"] == 1
    reeve.wait_log("gave up: crash entered FATAL state, too many start retries too quickly")
    code, out = reeve.ctl("status")
    assert code == 3 and out == f"{'crash':33}FATAL     Exited too quickly (process log may have details)\n"
    assert reeve.ctl("start", "crash") == (7, "crash: ERROR (spawn error)\n")


@pytest.mark.parametrize("autorestart, codes, exit_code, again", [
    ("true", "0", 0, True), ("true", "0", 5, True), ("false", "0", 5, False), ("unexpected", "0", 5, True),
    ("unexpected", "0,5", 5, False), ("unexpected", "0", 0, False),
])
def test_autorestart(reeve, autorestart, codes, exit_code, again):
    reeve.start(f"[program:p]\ncommand = sh -c 'sleep 0.3; exit {exit_code}'\nstartsecs = 0\nautorestart = {autorestart}\n"
                f"exitcodes = {codes}\n")
    if again:
        eventually(lambda: reeve.process("p")["restarts"] >= 2)
    else:
        p = reeve.wait_state("p", "EXITED")
        assert p["exitcode"] == exit_code and p["restarts"] == 0
        expected = str(exit_code) in codes.split(",")
        reeve.wait_log(f"exited: p (exit status {exit_code}; {'expected' if expected else 'not expected'})")


def test_exitcode_and_alive(reeve):
    reeve.start("[program:p]\ncommand = sleep 1000\nautorestart = false\n[program:n]\ncommand = sh -c 'sleep 1.2; exit 9'\n"
                "autorestart = false\n")
    reeve.wait_state("p", "RUNNING")
    assert reeve.ctl("exitcode", "p") == (0, "\n")
    assert reeve.ctl("alive", "p")[0] == 0
    assert reeve.ctl("wait", "--timeout", "0.2", "p")[0] == 124
    assert reeve.ctl("kill", "p") == (0, "p: signalled\n")
    assert reeve.ctl("wait", "p", "n")[0] == 0
    assert reeve.ctl("exitcode", "p") == (0, "-9\n")
    assert reeve.ctl("exitcode", "n") == (0, "9\n")
    assert reeve.ctl("alive", "p")[0] == 1
    assert reeve.ctl("signal", "HUP", "p") == (7, "p: ERROR (not running)\n")
    assert reeve.ctl("signal", "NOSUCH", "p") == (1, "p: ERROR (bad signal name)\n")


@pytest.mark.parametrize("setting, text, fault", [
    ("command = /no/such/program", "can't find command '/no/such/program'", "no such file"),
    ("command = no-such-program-anywhere", "can't find command 'no-such-program-anywhere'", "no such file"),
    ("command = /etc/passwd", "command at '/etc/passwd' is not executable", "file is not executable"),
    ("command = /tmp", "command at '/tmp' is a directory", "file is not executable"),
    ("command = sleep 5\ndirectory = /no/such/place", "couldn't chdir to /no/such/place: ENOENT", "spawn error"),
    ("command = sleep 5\nuser = no-such-user-at-all", "can't find user no-such-user-at-all", "spawn error"),
    ("command = sh -c 'unclosed", "can't parse command \"sh -c 'unclosed\": No closing quotation", "file is not executable"),
    ("command = @/noexec", "couldn't exec @/noexec: ENOEXEC", "spawn error"),
])
def test_failures_of_a_start(reeve, setting, text, fault):
    script = reeve.folder / "noexec"
    script.write_text("no interpreter line\n")
    script.chmod(0o755)
    reeve.start(f"[program:bad]\n{setting}\nstartretries = 0\nautostart = false\n")
    code, out = reeve.ctl("start", "bad")
    assert out == f"bad: ERROR ({fault})\n" and code in (1, 7)
    bad = reeve.wait_state("bad", "FATAL")
    assert bad["description"] == text.replace("@", str(reeve.folder))
    reeve.wait_log("spawnerr: " + bad["description"])
    if fault != "file is not executable" and "user" not in setting:
        assert bad["errno"] and bad["stage"]
        reeve.wait_log(f"({bad['stage']}: {bad['errno']})")


def shown(reeve, name="show"):
    return json.loads(eventually(lambda: (text := reeve.file(f"{name}.log")).endswith("}\n") and text))


SHOW = f"command = /usr/bin/python3 {HELPERS}/show_self.py\nstdout_logfile = @/show.log\n"


def test_what_a_program_finds(reeve):
    reeve.start(f"[program:show]\n{SHOW}umask = 027\ndirectory = /usr\nenvironment = A=\"b c\",D=e\n", daemon="minfds = 2000\n")
    seen = shown(reeve)
    assert seen["SigBlk"] == seen["SigIgn"].replace("1000", "0000") == "0" * 16 or int(seen["SigIgn"], 16) & ~0x1001000 == 0
    assert [fd for fd in seen["fds"] if fd > 2] == []
    assert seen["sid"] == seen["pgid"] == seen["pid"]
    assert seen["umask"] == 0o27 and seen["cwd"] == "/usr"
    assert seen["nofile"][0] >= 2000
    env = seen["env"]
    assert env["A"] == "b c" and env["D"] == "e"
    assert env["SUPERVISOR_ENABLED"] == "1" and env["SUPERVISOR_PROCESS_NAME"] == env["SUPERVISOR_GROUP_NAME"] == "show"
    assert "NOTIFY_SOCKET" not in env


def test_signal_state_is_clean(reeve):
    reeve.start("[program:grep]\ncommand = sh -c \"grep -E '^Sig(Blk|Ign)' /proc/self/status; exec sleep 1000\"\n"
                "stdout_logfile = @/show.log\n")
    assert eventually(lambda: reeve.file("show.log").count("\n") == 2)
    assert reeve.file("show.log") == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"


def test_another_user(reeve):
    user = pwd.getpwnam("nobody")
    reeve.start("[program:show]\ncommand = sh -c \"id -u; id -g; id -G; grep CapEff /proc/self/status; env; echo end; exec sleep 1000\"\n"
                "stdout_logfile = @/show.log\nuser = nobody\n")
    lines = eventually(lambda: reeve.file("show.log").endswith("end\n") and reeve.file("show.log").splitlines())
    assert lines[:2] == [str(user.pw_uid), str(user.pw_gid)] and "0" not in lines[2].split()
    assert int(lines[3].split()[1], 16) == 0
    env = dict(line.split("=", 1) for line in lines[4:] if "=" in line)
    assert (env["USER"], env["LOGNAME"], env["HOME"], env["SHELL"]) == ("nobody", "nobody", user.pw_dir, user.pw_shell)


def test_ignores_term_is_killed(reeve):
    reeve.start("[program:deaf]\ncommand = sh -c \"trap '' TERM; while :; do sleep 0.1; done\"\nstopwaitsecs = 1\nkillasgroup = true\n")
    pid = reeve.wait_state("deaf", "RUNNING")["pid"]
    began = time.monotonic()
    assert reeve.ctl("stop", "deaf") == (0, "deaf: stopped\n")
    assert 0.9 < time.monotonic() - began < 10
    assert not alive(pid)
    reeve.wait_log(f"WARN killing 'deaf' ({pid}) with SIGKILL")
    reeve.wait_log("stopped: deaf (terminated by SIGKILL)")


def test_stop_as_group(reeve):
    reeve.start("[program:tree]\ncommand = sh -c 'sleep 1000 & echo $!; wait'\nstopasgroup = true\nstdout_logfile = @/tree.log\n")
    child = int(eventually(lambda: reeve.file("tree.log").strip()))
    reeve.wait_state("tree", "RUNNING")
    reeve.ctl("stop", "tree")
    eventually(lambda: not alive(child))


def test_numprocs_names_and_globs(reeve):
    reeve.start("[program:w]\ncommand = sleep 1000\nnumprocs = 3\nprocess_name = %(program_name)s_%(process_num)02d\n"
                "[program:other]\ncommand = sleep 1000\nautostart = false\n")
    reeve.wait_state("w:w_02", "RUNNING")
    assert reeve.ctl("list") == (0, "other\nw:w_00\nw:w_01\nw:w_02\n")
    assert reeve.ctl("stop", "w:*")[1].count("stopped") == 3
    assert reeve.ctl("start", "w:w_0[12]")[1].count("started") == 2
    assert reeve.process("w:w_00")["statename"] == "STOPPED"
    assert reeve.ctl("start", "nosuch") == (1, "nosuch: ERROR (no such process)\n")
    assert reeve.ctl("start", "nosuch:*") == (2, "nosuch: ERROR (no such group)\n")
    code, out = reeve.ctl("start", "all")
    assert code == 0 and sorted(out.splitlines()) == ["other: started", "w:w_00: started"]


def test_shutdown_order_and_priorities(reeve):
    program = "[program:{0}]\ncommand = sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.05; done'\npriority = {1}\n"
    reeve.start(program.format("first", 1) + program.format("last", 900) + program.format("middle", 50))
    for name in ("first", "middle", "last"):
        reeve.wait_state(name, "RUNNING")
    assert reeve.stop() == 0
    lines = [line.split(": ")[1].split(" ")[0] for line in reeve.log().splitlines() if " stopped: " in line]
    assert lines == ["last", "middle", "first"]
    lines = [line.split("'")[1] for line in reeve.log().splitlines() if " spawned: " in line]
    assert lines == ["first", "middle", "last"]


def test_second_term_ends_at_once(reeve):
    reeve.start("[program:deaf]\ncommand = sh -c \"trap '' TERM; while :; do sleep 0.1; done\"\nstopwaitsecs = 600\nkillasgroup = true\n")
    reeve.wait_state("deaf", "RUNNING")
    reeve.daemon.send_signal(signal.SIGTERM)
    reeve.wait_state("deaf", "STOPPING")
    assert reeve.ctl("status", "deaf")[1].split()[1] == "STOPPING"
    assert "SHUTDOWN_STATE" in reeve.ctl("start", "deaf")[1]
    reeve.daemon.send_signal(signal.SIGINT)
    assert reeve.daemon.wait(30) == 0


@pytest.mark.parametrize("mode", ["never-waits", "handler", "polls", "double-fork", "dies-first"])
def test_zombies_and_orphans(reeve, mode):
    reeve.start(f"[program:o]\ncommand = {HELPERS}/orphans {mode}\nstdout_logfile = @/o.log\nautorestart = false\nstartsecs = 0\n")
    pid = int(eventually(lambda: reeve.file("o.log").strip()))
    keeper = reeve.answers()["pid"]
    if mode in ("double-fork", "dies-first"):
        eventually(lambda: any(p == pid and parent == keeper for p, parent, _ in processes()), what="adoption by the keeper")
    assert reeve.stop() == 0
    eventually(lambda: not alive(pid) and not any(p == pid for p, _, _ in processes()), what="no trace of it")


def test_adopted_orphan_is_reaped(reeve):
    reeve.start("[program:o]\ncommand = sh -c '(sleep 0.5 & echo $!) ; exec sleep 1000'\nstdout_logfile = @/o.log\n")
    pid = int(eventually(lambda: reeve.file("o.log").strip()))
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), what="the orphan to be gone")
    reeve.wait_log(f"reaped unknown pid {pid} (exit status 0)")


def test_thousand_deaths_at_once(reeve):
    reeve.start("[program:w]\ncommand = sleep 1000\nnumprocs = 1000\nprocess_name = w%(process_num)d\nstartsecs = 0\n"
                "autorestart = false\nstdout_logfile = NONE\nstderr_logfile = NONE\n")
    eventually(lambda: sum(p["statename"] == "RUNNING" for p in reeve.processes().values()) == 1000, 60)
    for p in reeve.processes().values():
        os.kill(p["pid"], signal.SIGKILL)
    eventually(lambda: all(p["statename"] == "EXITED" and p["exitcode"] == -9 for p in reeve.processes().values()), 60)
    keeper = reeve.answers()["pid"]
    eventually(lambda: not [pid for pid, parent, state in processes() if parent == keeper and state == "Z"], what="no zombie")


def test_hanging_directory_holds_up_nobody(reeve):
    mountpoint = reeve.folder / "mnt"
    mountpoint.mkdir()
    fs = subprocess.Popen([str(HELPERS / "stuck_fs"), str(mountpoint)], stdout=subprocess.PIPE)
    try:
        assert fs.stdout.readline() == b"mounted\n"
        reeve.start("[program:stuck]\ncommand = sleep 1000\ndirectory = @/mnt/never\nautostart = false\nstopwaitsecs = 1\n"
                    "[program:web]\ncommand = sleep 1000\nautostart = false\n")
        reeve.call("Start", names=["stuck"], wait=False)
        began = time.monotonic()
        assert reeve.ctl("start", "web") == (0, "web: started\n")
        assert reeve.process("stuck")["statename"] == "STARTING"
        assert time.monotonic() - began < 20
        eventually(lambda: time.monotonic() - began > 1.5)
        assert reeve.process("stuck")["statename"] == "STARTING", "it is not up before its exec"
        reeve.call("Stop", names=["stuck"], wait=False)
        fs.kill()       # only now can the child end: nobody can be killed while it waits for such a file system
        fs.wait()
        reeve.wait_state("stuck", "STOPPED")
    finally:
        subprocess.run(["fusermount3", "-uz", str(mountpoint)], check=False)
        fs.kill()
        fs.wait()


def test_pid_one_of_a_container(reeve):
    reeve.start("[program:o]\ncommand = sh -c '(sleep 0.2 &) ; exec sleep 1000'\n", wait=False,
                wrap=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
    eventually(lambda: reeve.try_list(), what="the control socket")
    reeve.wait_state("o", "RUNNING")
    reeve.wait_log("reaped unknown pid")
    assert reeve.answers()["pid"] == 1
    assert reeve.ctl("shutdown") == (0, "Shut down\n")
    assert reeve.daemon.wait(20) == 0
