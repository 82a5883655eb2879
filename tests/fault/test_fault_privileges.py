"""A change of user is complete or does not happen; a daemon of one user is closed to the others."""

import os
import subprocess

import pytest

from basics import eventually
from fault import Injected, parts, shared_reeve

UID = 54321
SHOW = "sh -c \"grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs):' /proc/self/status; ls -l /proc/self/fd; echo end; exec sleep 1000\""


def status(text):
    return {line.split(":", 1)[0]: line.split(":", 1)[1].split() for line in text.splitlines() if ":\t" in line}


def check_identity(text, uid):
    s = status(text)
    assert s["Uid"] == [str(uid)] * 4 and s["Gid"][0] == s["Gid"][1] == s["Gid"][2] == s["Gid"][3] != "0"
    assert "0" not in s["Groups"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(s[name][0], 16) == 0, (name, s[name])
    # ls itself opens the directory; the rest are the three standard ones.
    assert sum(" -> " in line for line in text.splitlines()) <= 4


def test_user_change_leaves_nothing(reeve):
    """No group, capability or descriptor of root's is left; not even a way back."""
    reeve.start(f"[program:p]\ncommand = {SHOW}\nuser = nobody\nstdout_logfile = @/p.log\n",
                wrap=("setpriv", "--groups", "0,4,27,1000", "--inh-caps", "+net_bind_service", "--ambient-caps", "+net_bind_service"))
    text = eventually(lambda: "end\n" in reeve.file("p.log") and reeve.file("p.log"))
    check_identity(text, 65534)


def test_daemon_as_a_user(reeve):
    """user= of [supervisord]: all of the daemon's processes have changed, and cannot change back."""
    with shared_reeve() as shared:
        os.chown(shared.folder, 65534, -1)
        shared.start(f"[program:p]\ncommand = {SHOW}\nstdout_logfile = @/p.log\n", daemon="user = nobody\n",
                     wrap=("setpriv", "--groups", "0,4,27,1000", "--inh-caps", "+net_bind_service"))
        text = eventually(lambda: "end\n" in shared.file("p.log") and shared.file("p.log"))
        check_identity(text, 65534)
        for pid in (shared.daemon.pid, *parts(shared.daemon.pid).values()):
            s = status(open(f"/proc/{pid}/status", encoding="utf-8").read())
            assert s["Uid"] == ["65534"] * 4 and "0" not in s["Groups"]
            assert int(s["CapEff"][0], 16) == int(s["CapInh"][0], 16) == 0


@pytest.mark.parametrize("call", ["setgroups", "setresgid", "setresuid"])
@pytest.mark.parametrize("error", ["EPERM", "EAGAIN"])
def test_failing_change_never_runs_as_root(reeve, call, error):
    """Whichever step of the change fails, the program is not run at all."""
    reeve.start("[program:p]\ncommand = sh -c 'id -u >> @/ran; exec sleep 1000'\nuser = nobody\nstartretries = 1\nstartsecs = 0\nautostart = false\nautorestart = false\n")
    (reeve.folder / "ran").touch(mode=0o666)
    (reeve.folder / "ran").chmod(0o666)
    with Injected(parts(reeve.daemon.pid)["supervisor"], f"{call}:error={error}"):
        reeve.call("Start", names=["p"], wait=False)
        p = eventually(lambda: (p := reeve.process("p")) and p.get("errno") == error and p)
        assert error in p["spawnerr"] and p["stage"]
        assert reeve.file("ran") == ""



@pytest.mark.parametrize("user", ["no-such-user", "4294967295", "-1", "0x0", " ", "root:root", "99999999999999999999"])
def test_strange_users(reeve, user):
    """A user that cannot be found is an error, never root."""
    reeve.start(f"[program:p]\ncommand = sh -c 'id -u > @/ran; exec sleep 1000'\nuser = {user}\nstartretries = 0\nstartsecs = 0\n"
                "[program:other]\ncommand = sleep 1000\n", daemon="user = root\n")
    reeve.wait_state("other", "RUNNING")
    p = reeve.process("p")
    if user.strip():
        p = reeve.wait_state("p", "FATAL", "INVALID")
        assert "user" in p["description"].lower()
        assert reeve.file("ran") == ""


def as_user(folder, uid, *words):
    return subprocess.run(["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", str(folder / "bin" / "reevectl"), *words],
                          capture_output=True, text=True, timeout=20, check=False)


def test_other_users_are_refused():
    """A 0700 socket is closed to a child of another uid, and to any program of the daemon that runs as another user."""
    with shared_reeve() as reeve:
        config = str(reeve.config)
        reeve.start("[program:p]\ncommand = sleep 1000\n"
                    f"[program:spy]\ncommand = sh -c '{reeve.folder}/bin/reevectl -c {config} shutdown; echo $?; exec sleep 1000'\nuser = nobody\n"
                    "stdout_logfile = @/spy.log\nredirect_stderr = true\n")
        reeve.config.chmod(0o644)
        reeve.wait_state("p", "RUNNING")
        for words in (("status",), ("shutdown",), ("tail", "p"), ("stop", "all")):
            r = as_user(reeve.folder, UID, "-c", config, *words)
            assert r.returncode != 0 and "RUNNING" not in r.stdout
        eventually(lambda: reeve.file("spy.log").strip())
        for name in ("control.sock", "log.sock"):
            code = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
            r = subprocess.run(["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "/usr/bin/python3", "-c", code,
                                str(reeve.rundir / name)], capture_output=True, text=True, timeout=20, check=False)
            assert "PermissionError" in r.stderr
        assert reeve.process("p")["statename"] == "RUNNING" and reeve.daemon.poll() is None


def test_the_socket_asks_who_it_is_even_if_it_is_open(reeve):
    """Somebody has opened directory and socket by hand (chmod): the caller's uid still decides."""
    with shared_reeve() as shared:
        shared.start("[program:p]\ncommand = sleep 1000\n")
        shared.wait_state("p", "RUNNING")
        shared.rundir.chmod(0o755)
        for name in ("control.sock", "log.sock"):
            (shared.rundir / name).chmod(0o666)
        shared.config.chmod(0o644)
        for words in (("shutdown",), ("stop", "p"), ("status",), ("tail", "p")):
            r = as_user(shared.folder, UID, "-c", str(shared.config), *words)
            assert r.returncode != 0, (words, r.stdout)
        assert shared.process("p")["statename"] == "RUNNING"


def test_programs_cannot_reach_the_daemons_descriptors(reeve):
    """No socket, memory or pipe of the daemon's is inherited, whatever the user."""
    reeve.start("[program:p]\ncommand = sh -c 'ls -l /proc/self/fd; echo end; exec sleep 1000'\nstdout_logfile = @/p.log\n")
    text = eventually(lambda: "end\n" in reeve.file("p.log") and reeve.file("p.log"))
    assert "socket:" not in text and "memfd:" not in text and "anon_inode:" not in text
