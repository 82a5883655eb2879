"""Files that an attacker, an accident or a careless hand has put where the daemon reads and writes."""

import os
import pathlib
import signal
import socket
import stat
import subprocess
import time

import pytest

from basics import eventually
from fault import long_or, parts
from reeve import REEVED, alive

P = "[program:p]\ncommand = sh -c 'echo hello; exec sleep 1000'\nstdout_logfile = @/logs/p.log\nstdout_logfile_maxbytes = 0\n" \
    "stderr_logfile = NONE\n[program:other]\ncommand = sleep 1000\n"
SECRET = "do not touch\n"
NOBODY = 65534


def trap(folder, path, how):
    """Put a HOW at PATH; returns the file that must stay as it is, or None."""
    target = folder / "secret"
    target.write_text(SECRET)
    if how == "symlink":
        path.symlink_to(target)
    elif how == "dangling":
        target.unlink()
        path.symlink_to(target)
    elif how == "hardlink":
        os.link(target, path)
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "directory":
        path.mkdir()
    elif how == "socket":
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
    return target


TRAPS = ("symlink", "dangling", "hardlink", "fifo", "directory", "socket")


def untouched(target, how):
    if how == "dangling":
        assert not target.exists()
    else:
        assert target.read_text() == SECRET


@pytest.mark.parametrize("how", TRAPS)
def test_log_of_a_program(reeve, how):
    """It is refused with a sentence; the program runs; when the place is free the log begins."""
    (reeve.folder / "logs").mkdir()
    log = reeve.folder / "logs" / "p.log"
    target = trap(reeve.folder, log, how)
    reeve.start(P)
    reeve.wait_state("p", "RUNNING")
    reeve.wait_log("p/stdout: cannot write the log")
    untouched(target, how)
    reeve.ctl("clear", "p")
    untouched(target, how)
    if how == "directory":
        log.rmdir()
    else:
        log.unlink()
    reeve.wait_log("p/stdout: the log can be written again")
    assert reeve.ctl("restart", "p")[0] == 0
    eventually(lambda: reeve.file("logs/p.log").endswith("hello\n"))
    untouched(target, how)


@pytest.mark.parametrize("how", ("symlink", "fifo", "directory"))
def test_backup_of_a_log(reeve, how):
    """What lies at the name of a backup is renamed or replaced, never followed."""
    (reeve.folder / "logs").mkdir()
    target = trap(reeve.folder, reeve.folder / "logs" / "p.log.1", how)
    reeve.start("[program:p]\ncommand = sh -c 'i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; exec sleep 1000'\n"
                "stdout_logfile = @/logs/p.log\nstdout_logfile_maxbytes = 1KB\nstdout_logfile_backups = 3\n")
    reeve.wait_state("p", "RUNNING")
    eventually(lambda: "line 499" in reeve.file("logs/p.log"))
    untouched(target, how)


@pytest.mark.parametrize("how", TRAPS)
def test_own_log(reeve, how):
    target = trap(reeve.folder, reeve.folder / "reeved.log", how)
    reeve.start(P.replace("@/logs", "@"))
    reeve.wait_state("p", "RUNNING")
    untouched(target, how)


@pytest.mark.parametrize("how", TRAPS)
def test_pid_file(reeve, how):
    """Not followed, not waited for, not truncated through another name; told in the log; the daemon runs."""
    target = trap(reeve.folder, reeve.folder / "reeved.pid", how)
    reeve.start(P.replace("@/logs", "@"))
    reeve.wait_state("p", "RUNNING")
    untouched(target, how)
    reeve.wait_log("could not write pidfile")
    reeve.stop()
    untouched(target, how)


def test_pid_file_that_is_a_device(reeve):
    """pidfile = /dev/null is allowed, and the device is not removed at the end."""
    os.mknod(reeve.folder / "reeved.pid", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    reeve.start(P.replace("@/logs", "@"))
    reeve.wait_state("p", "RUNNING")
    assert "pidfile" not in reeve.log()
    assert reeve.stop() == 0
    assert stat.S_ISCHR(os.lstat(reeve.folder / "reeved.pid").st_mode)


@pytest.mark.parametrize("name", ["control.sock", "log.sock", "control.sock.new"])
@pytest.mark.parametrize("how", ["symlink", "hardlink", "fifo", "socket"])
def test_sockets(reeve, name, how):
    """Whatever lay there is replaced, not written through: the socket is ours, with mode 0600."""
    reeve.rundir.mkdir(mode=0o700)
    target = trap(reeve.folder, reeve.rundir / name, how)
    reeve.start(P.replace("@/logs", "@"))
    reeve.wait_state("p", "RUNNING")
    untouched(target, how)
    for place in ("control.sock", "log.sock"):
        st = os.lstat(reeve.rundir / place)
        assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o600 and st.st_nlink == 1


@pytest.mark.parametrize("how", ["symlink", "fifo", "directory"])
def test_lock(reeve, how):
    """The lock is neither followed nor waited for: the daemon refuses to start, at once."""
    reeve.rundir.mkdir(mode=0o700)
    target = trap(reeve.folder, reeve.rundir / "lock", how)
    reeve.write(P)
    r = subprocess.run([str(REEVED), "-c", str(reeve.config)], capture_output=True, text=True, timeout=20, env=reeve.environment(), check=False)
    assert r.returncode == 1 and "lock" in r.stderr
    untouched(target, how)


def test_run_directory_of_others(reeve):
    """A run directory that everybody may write in is refused: they could replace its sockets."""
    reeve.rundir.mkdir()
    reeve.rundir.chmod(0o777)
    reeve.write(P.replace("@/logs", "@"))
    r = subprocess.run([str(REEVED), "-c", str(reeve.config)], capture_output=True, text=True, timeout=20, env=reeve.environment(), check=False)
    assert r.returncode == 1 and "everybody can write in the run directory" in r.stderr


@pytest.mark.parametrize("how", ["of another", "link to another's", "link of another"])
def test_run_directory_that_somebody_made_before_us(open_folder, how):
    """In a place such as /tmp anybody can make the directory first, or lay a link there: then it is not used."""
    public = open_folder / "public"
    public.mkdir()
    public.chmod(0o1777)
    rundir, theirs = public / "run", open_folder / "theirs"
    theirs.mkdir(mode=0o755)
    if how == "of another":
        rundir.mkdir(mode=0o755)
        os.chown(rundir, NOBODY, NOBODY)
    elif how == "link to another's":
        os.chown(theirs, NOBODY, NOBODY)
        rundir.symlink_to(theirs)
    else:
        rundir.symlink_to(theirs)
        os.lchown(rundir, NOBODY, NOBODY)
    config = open_folder / "reeve.ini"
    config.write_text(f"[supervisord]\nrundir = {rundir}\nlogfile = NONE\n[program:p]\ncommand = sleep 1000\n")
    r = subprocess.run([str(REEVED), "-c", str(config)], capture_output=True, text=True, timeout=20, check=False)
    assert r.returncode == 1 and "run directory" in r.stderr and ("belongs to uid 65534" in r.stderr or "link of another user" in r.stderr)
    assert not os.listdir(theirs)


# ---- directories that belong to the user of a program

ROTATING = "[program:p]\ncommand = sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done'\nuser = nobody\n" \
    "stdout_logfile = @/home/logs/p.log\nstdout_logfile_maxbytes = 200\nstdout_logfile_backups = 3\nstderr_logfile = NONE\n"


def lay(link, target, uid):
    """LINK leads to TARGET, at once."""
    new = link.with_name("new")
    new.symlink_to(target)
    os.lchown(new, uid, uid)
    os.rename(new, link)


def test_the_user_of_a_program_does_not_choose_where_root_writes(open_reeve):
    """The directory of its log becomes a link to one of root's: nothing is written, renamed or truncated there, and it is said."""
    reeve = open_reeve
    home, vault = reeve.folder / "home", reeve.folder / "vault"
    (home / "real").mkdir(parents=True)
    for path in (home, home / "real"):
        os.chown(path, NOBODY, NOBODY)
    vault.mkdir()
    for name in ("p.log", "p.log.1"):
        (vault / name).write_text(SECRET)
    lay(home / "logs", home / "real", NOBODY)      # into a directory of its own: its business
    reeve.start(ROTATING)
    eventually(lambda: (home / "real" / "p.log.2").exists(), what="a rotation")
    lay(home / "logs", vault, NOBODY)
    reeve.wait_log("p/stdout: cannot write the log")
    assert "a symbolic link of another user leads to its directory" in reeve.log()
    reeve.ctl("clear", "p")
    os.kill(reeve.daemon.pid, signal.SIGUSR2)
    assert SECRET not in reeve.ctl("tail", "p")[1]
    eventually(lambda: "lost" in reeve.log() or reeve.process("p")["pid"])
    assert sorted(os.listdir(vault)) == ["p.log", "p.log.1"]
    assert [(vault / name).read_text() for name in ("p.log", "p.log.1")] == [SECRET, SECRET]
    lay(home / "logs", home / "real", NOBODY)
    reeve.wait_log("p/stdout: the log can be written again")


def test_links_of_roots_are_followed(open_reeve):
    """As /var/run, or a log directory that the administrator has moved to another disk."""
    reeve = open_reeve
    (reeve.folder / "home").mkdir()
    (reeve.folder / "disk").mkdir()
    (reeve.folder / "home" / "logs").symlink_to("../disk")
    reeve.start(ROTATING)
    eventually(lambda: (reeve.folder / "disk" / "p.log.1").exists(), what="a rotation")


@pytest.mark.parametrize("section", ["[unix_http_server]\nfile = {}\nchmod = {}\nchown = nobody\n",
                                     "[fcgi-program:f]\ncommand = sleep 1000\nsocket = unix://{}\nsocket_mode = {}\nsocket_owner = nobody\n"])
def test_another_mode_for_a_socket_that_has_become_a_link(open_reeve, section):
    """Who owns the socket's directory does not choose which file gets another owner and mode."""
    reeve = open_reeve
    home = reeve.folder / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    secret = reeve.folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    other = "[program:p]\ncommand = sleep 1000\n"
    reeve.start(section.format(home / "s", "0700") + other)
    eventually((home / "s").exists, what="the socket")
    lay(home / "s", secret, NOBODY)
    reeve.write(section.format(home / "s", "0770") + other)
    reeve.ctl("update")
    reeve.call("Stop", names=["all"])
    st = os.stat(secret)
    assert (st.st_uid, stat.S_IMODE(st.st_mode)) == (0, 0o600)
    assert secret.read_text() == SECRET


# ---- configuration files

def check(reeve, *more):
    r = subprocess.run([str(REEVED), "-c", str(reeve.config), "--check", *more], capture_output=True, text=True, timeout=60,
                       env=reeve.environment(), check=False)
    return r.returncode, r.stdout + r.stderr


def test_include_that_anybody_can_write(reeve):
    """As root, a file that others can write is a way to run anything: it is warned of."""
    (reeve.folder / "open.inc").write_text("[program:inc]\ncommand = sleep 1000\n")
    (reeve.folder / "open.inc").chmod(0o666)
    reeve.write("[include]\nfiles = @/*.inc\n")
    assert "open.inc" in check(reeve)[1] and "writ" in check(reeve)[1]


def test_includes_that_loop(reeve):
    """supervisord includes one level; a file that names itself or its includer, or loops through links, ends the reading nowhere."""
    (reeve.folder / "a.inc").write_text("[program:inc]\ncommand = sleep 1000\n[include]\nfiles = reeve.ini *.inc\n")
    (reeve.folder / "loop.inc").symlink_to("loop.inc")
    reeve.start("[include]\nfiles = @/*.inc @/reeve.ini\n" + P.replace("@/logs", "@"))
    reeve.wait_state("inc", "RUNNING")
    assert len(reeve.processes()) == 3


@pytest.mark.parametrize("how", ["fifo", "directory", "/dev/zero", "/proc/self/mem"])
def test_include_that_is_no_file(reeve, how):
    """It is not waited for and not read for ever."""
    place = reeve.folder / "odd.inc"
    if how.startswith("/"):
        place.symlink_to(how)
    else:
        trap(reeve.folder, place, how)
    reeve.write("[include]\nfiles = @/*.inc\n" + P)
    began = time.monotonic()
    code, _ = check(reeve)
    assert code >= 0 and time.monotonic() - began < 20


def test_configuration_of_64_megabytes(reeve):
    """Refused, or read within bounds: never a crash, never for ever."""
    size = long_or(20, 64) << 20
    line = "; a comment that says nothing at all, at some length\n"
    reeve.write(P)
    with open(reeve.config, "a", encoding="ascii") as f:
        f.write(line * (size // len(line)))
    began = time.monotonic()
    code, text = check(reeve)
    assert code in (0, 78) and time.monotonic() - began < 40
    if code:
        assert "large" in text or "big" in text or "MB" in text or "MiB" in text, text[:300]


def test_many_sections_and_long_lines(reeve):
    """50,000 sections, a value of 1 MB, a line without end: bounded."""
    reeve.write("".join(f"[x{i}]\na = b\n" for i in range(long_or(5000, 50000))) + f"[program:p]\ncommand = echo {'y' * (1 << 20)}\n"
                + "[program:q]\ncommand = " + "%(here)s" * 2000 + "\n")
    began = time.monotonic()
    code, _ = check(reeve)
    assert code in (0, 78) and time.monotonic() - began < 60


def test_update_with_a_broken_configuration_changes_nothing(reeve):
    """Unreadable, empty, a directory, a fifo: update says so, HUP logs it, everything runs on, also after a death."""
    reeve.start(P.replace("@/logs", "@"))
    pid = reeve.wait_state("p", "RUNNING")["pid"]
    for how in ("missing", "empty", "directory", "fifo", "binary"):
        reeve.config.unlink(missing_ok=True)
        if how == "empty":
            reeve.config.write_text("")
        elif how == "directory":
            reeve.config.mkdir()
        elif how == "fifo":
            os.mkfifo(reeve.config)
        elif how == "binary":
            reeve.config.write_bytes(os.urandom(50000))
        assert "error" in reeve.call("Update"), how
        reeve.daemon.send_signal(signal.SIGHUP)
        assert "parameters" in reeve.call("List", names=[])
        if reeve.config.is_dir():
            reeve.config.rmdir()
    reeve.kill_supervisor()
    assert reeve.pid("p") == pid and alive(pid)
    assert pathlib.Path(f"/proc/{parts(reeve.daemon.pid)['supervisor']}").exists()
