"""What the keys of [supervisord] do: its own log, its files, its user, AUTO logs, limits, syslog."""

import os
import pathlib
import pwd
import re
import resource
import signal
import socket
import stat

import pytest

from reeve import eventually

SLEEPER = "[program:p]\ncommand = sleep 1000\nstartsecs = 0\n"
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (CRIT|ERRO|WARN|INFO|DEBG|TRAC|BLAT) .")


def test_own_log_is_rotated(reeve):
    reeve.start(SLEEPER, daemon="logfile_maxbytes = 1KB\nlogfile_backups = 2\n")
    log = reeve.folder / "reeved.log"

    def rotated():
        reeve.ctl("restart", "p")
        return (reeve.folder / "reeved.log.2").exists() and reeve.log().count("\n") > 40

    eventually(rotated, 60, "rotated logs")
    assert reeve.stop() == 0
    parts = [log.with_name(f"reeved.log{n}") for n in (".2", ".1", "")]
    assert not log.with_name("reeved.log.3").exists()
    assert all(p.stat().st_size < 1024 + 300 for p in parts)
    kept = "".join(p.read_text() for p in parts)
    # the copy on stdout has all lines, the files have the last of them; none is torn
    assert reeve.log().endswith(kept) and all(LINE.match(line) for line in kept.splitlines())


def test_own_log_without_backups(reeve):
    reeve.start(SLEEPER, daemon="logfile_maxbytes = 1KB\nlogfile_backups = 0\n")

    def emptied():
        reeve.ctl("restart", "p")
        return len(reeve.log()) > 3000

    eventually(emptied, 60, "3000 bytes of log")
    assert (reeve.folder / "reeved.log").stat().st_size < 1024 + 300 and not (reeve.folder / "reeved.log.1").exists()


LEVELS = ["critical", "error", "warn", "info", "debug", "trace", "blather"]
TAGS = ["CRIT", "ERRO", "WARN", "INFO", "DEBG", "TRAC", "BLAT"]


@pytest.mark.parametrize("level", LEVELS)
def test_loglevel(reeve, level):
    reeve.start("[program:p]\ncommand = sh -c 'exit 3'\nstartsecs = 0\nautorestart = false\n[program:s]\ncommand = sleep 1000\n",
                daemon=f"loglevel = {level}\n")
    reeve.wait_state("p", "EXITED")
    reeve.wait_state("s", "RUNNING", "STARTING")
    reeve.ctl("stop", "s")
    assert reeve.stop() == 0
    lines = reeve.file("reeved.log").splitlines()
    assert all(LINE.match(line) for line in lines)
    tags = {line.split(" ")[2] for line in lines}
    allowed = TAGS[:LEVELS.index(level) + 1]
    assert tags <= set(allowed)
    # running as root is critical, an unexpected exit is a warning, a start is worth an info
    assert {"CRIT", "WARN", "INFO"} & set(allowed) <= tags and (level in LEVELS[:4] or "DEBG" in tags)


DEBUGGED = """[program:p]
command = sh -c 'echo hello; echo trouble >&2; read x; printf "\\\\377\\\\n"; read x; echo quiet; exec sleep 1000'
stdout_logfile = @/p.log
[program:q]
command = sh -c 'printf "\\\\033[1mtwo\\\\033[m\\\\nlines"; exec sleep 1000'
process_name = one
redirect_stderr = true
"""


def test_debug_copies_what_programs_write(reeve):
    """As supervisord words it, in the file and on stdout, behind the line about the start; and only as long as the level says so."""
    reeve.start(DEBUGGED, daemon="loglevel = debug\nstrip_ansi = true\n")

    def entry(text):
        return re.search(r"^[-0-9]+ [:0-9]+,\d{3} DEBG " + re.escape(text), reeve.file("reeved.log"), re.M)

    for text in ("'p' stdout output:\nhello\n\n", "'p' stderr output:\ntrouble\n\n", "'one' stdout output:\ntwo\n\n", "'one' stdout output:\nlines\n"):
        found = eventually(lambda t=text: entry(t), what=text)
        name = text.split("'")[1]
        assert reeve.file("reeved.log").index(f"INFO spawned: '{name}' with pid") < found.start()
    reeve.call("SendStdin", name="p", data="go\n")
    eventually(lambda: entry("'p' stdout output:\nUndecodable: b'\\xff\\n'\n"), what="bytes that are no text")
    eventually(lambda: reeve.log() == reeve.file("reeved.log"), what="the same on stdout")
    reeve.write(DEBUGGED, daemon="loglevel = info\nstrip_ansi = true\n")
    assert reeve.ctl("update")[0] == 0
    reeve.call("SendStdin", name="p", data="go\n")
    eventually(lambda: reeve.file("p.log").endswith("quiet\n"))
    reeve.ctl("stop", "all")
    reeve.wait_log("stopped: p")
    assert "quiet" not in reeve.file("reeved.log")


def test_debug_copy_is_rotated_and_survives(reeve):
    """A flood does not grow the daemon's log beyond its limit, nor does a death of the logger lose what is not a copy."""
    reeve.start("[program:flood]\ncommand = sh -c 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo end; exec sleep 1000'\n"
                "stdout_logfile = @/flood.log\nstdout_logfile_maxbytes = 0\n",
                daemon="loglevel = debug\nlogfile_maxbytes = 20KB\nlogfile_backups = 2\n")
    eventually(lambda: "line 500\n" in reeve.file("flood.log"))
    reeve.kill_part("logger")
    eventually(lambda: reeve.file("flood.log").endswith("end\n"), 60, "the last line")
    assert reeve.file("flood.log").splitlines() == [f"line {i}" for i in range(20000)] + ["end"]
    logs = sorted(p.name for p in reeve.folder.glob("reeved.log*"))
    assert logs == ["reeved.log", "reeved.log.1", "reeved.log.2"]
    assert all((reeve.folder / name).stat().st_size < (20 << 10) + (70 << 10) for name in logs)


def test_pidfile(reeve):
    reeve.start(SLEEPER)
    assert reeve.file("reeved.pid") == f"{reeve.daemon.pid}\n"
    assert stat.S_IMODE(os.stat(reeve.folder / "reeved.pid").st_mode) == 0o644
    assert reeve.stop() == 0 and not (reeve.folder / "reeved.pid").exists()


def test_pidfile_that_cannot_be_written(reeve):
    """Is told, and nothing else."""
    (reeve.folder / "reeved.pid").mkdir()
    reeve.start(SLEEPER)
    reeve.wait_log(f"CRIT could not write pidfile {reeve.folder}/reeved.pid")
    reeve.wait_state("p", "RUNNING")
    assert reeve.stop() == 0 and (reeve.folder / "reeved.pid").is_dir()


def owners(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return [set(re.search(rf"^{key}:\s+(.*)$", status, re.M)[1].split()) for key in ("Uid", "Gid", "Groups")]


@pytest.mark.parametrize("user", ["nobody", str(pwd.getpwnam("nobody").pw_uid)])
def test_user_of_the_daemon(open_reeve, user):
    """The daemon and everything that it starts and makes is the user's."""
    reeve, nobody = open_reeve, pwd.getpwnam("nobody")
    work = reeve.folder / "work"
    work.mkdir()
    os.chown(work, nobody.pw_uid, nobody.pw_gid)
    reeve.start("[program:p]\ncommand = sh -c 'echo hello; exec sleep 1000'\nstartsecs = 0\n", daemon=f"user = {user}\nlogfile = {work}/own.log\n"
                f"pidfile = {work}/own.pid\nchildlogdir = {work}\n")
    status = reeve.answers()
    p = reeve.wait_state("p", "RUNNING")
    for pid in (status["pid"], status["supervisor_pid"], status["logger_pid"], p["pid"]):
        uid, gid, groups = owners(pid)
        assert uid == {str(nobody.pw_uid)} and gid == {str(nobody.pw_gid)} and "0" not in groups
    log = eventually(lambda: reeve.process("p")["stdout_logfile"], what="the log's name")
    eventually(lambda: pathlib.Path(log).read_text() == "hello\n", what="the log")
    made = [work / "own.log", work / "own.pid", pathlib.Path(log), reeve.rundir, reeve.rundir / "control.sock"]
    assert {os.stat(path).st_uid for path in made} == {nobody.pw_uid}
    assert "running as root" not in reeve.log()
    # its own user may do everything, and a program as root cannot be had from it
    reeve.write("[program:p]\ncommand = sh -c 'echo hello; exec sleep 1000'\nstartsecs = 0\n[program:r]\ncommand = sleep 1000\nuser = root\n"
                "startretries = 0\n", f"user = {user}\nlogfile = {work}/own.log\npidfile = {work}/own.pid\nchildlogdir = {work}\n")
    code, out = reeve.ctl("update")
    assert code == 0, out
    assert "setuid" in reeve.wait_state("r", "FATAL")["description"] and reeve.pid("p") == p["pid"]
    assert reeve.stop() == 0


def old_logs(folder, identifier):
    """AUTO logs that an earlier daemon left, one of them rotated."""
    names = [f"p-stdout---{identifier}-abc_4567.log", f"p-stdout---{identifier}-abc_4567.log.1", f"q-stderr---{identifier}-00000000.log"]
    for name in names:
        (folder / name).write_text("old\n")
    return names


@pytest.mark.parametrize("keep", [False, True])
def test_auto_logs(reeve, keep):
    """childlogdir, identifier, nocleanup: where they lie, what they are called, what becomes of those of an earlier daemon."""
    logs = reeve.folder / "logs"
    logs.mkdir()
    mine, others = old_logs(logs, "me"), [*old_logs(logs, "other"), "p-stdout---me.log", "me-abcdefgh.log"]
    for name in others[-2:]:
        (logs / name).write_text("old\n")
    reeve.start(SLEEPER, daemon=f"childlogdir = {logs}\nidentifier = me\nnocleanup = {keep}\n")
    reeve.wait_state("p", "RUNNING")
    p = eventually(lambda: (p := reeve.process("p")) and p["stdout_logfile"] and p["stderr_logfile"] and p, what="names of logs")
    out, err = pathlib.Path(p["stdout_logfile"]), pathlib.Path(p["stderr_logfile"])
    assert out.parent == err.parent == logs
    assert re.fullmatch(r"p-stdout---me-[a-z0-9_]{8}\.log", out.name) and re.fullmatch(r"p-stderr---me-[a-z0-9_]{8}\.log", err.name)
    eventually(lambda: out.exists() and stat.S_IMODE(out.stat().st_mode) == 0o600, what="the log")
    expected = {*others, out.name, err.name, *(mine if keep else [])}
    eventually(lambda: {f.name for f in logs.iterdir()} == expected, what="old logs cleared")
    assert reeve.answers()["identifier"] == "me"
    assert reeve.stop() == 0
    assert {f.name for f in logs.iterdir()} == expected     # at the end they stay


def test_minfds_and_minprocs(reeve):
    """Soft limits are raised to them, and programs get exactly that."""
    reeve.start(SLEEPER, daemon="minfds = 512\nminprocs = 350\n", wrap=("prlimit", "--nofile=100:5000", "--nproc=300:400"))
    pid = reeve.wait_state("p", "RUNNING")["pid"]
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (512, 5000)
    assert resource.prlimit(pid, resource.RLIMIT_NPROC) == (350, 400)
    assert reeve.stop() == 0


def test_syslog(reeve):
    """logfile = syslog, and stdout_syslog beside a file: to the /dev/log of a mount namespace."""
    device = reeve.folder / "dev"
    device.mkdir()
    for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        os.mknod(device / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslogd:
        syslogd.bind(str(device / "log"))
        syslogd.settimeout(20)
        reeve.start("[program:p]\ncommand = sh -c 'printf one\\\\n\\\\nend\\\\n; echo two >&2; exec sleep 1000'\nstartsecs = 0\nstdout_syslog = true\n"
                    "stderr_syslog = true\nstdout_logfile = @/p.log\n", daemon="logfile = syslog\n",
                    wrap=("unshare", "-m", "sh", "-c", 'mount --bind "$0" /dev && exec "$@"', str(device)))
        lines = []
        wanted = {"p one", "p ", "p end", "p two"}
        while not wanted <= set(lines) or not any("entered RUNNING state" in line for line in lines):
            try:
                head, _, text = syslogd.recv(5000).decode().partition("]: ")
            except TimeoutError:
                raise AssertionError(lines) from None
            assert re.match(r"<\d+>[A-Z][a-z]{2} [ \d]\d [\d:]{8} [a-z-]+\[\d+$", head), head
            lines.append(text)
        assert any(LINE.match(line) and "spawned: 'p' with pid" in line for line in lines)
        eventually(lambda: reeve.file("p.log") == "one\n\nend\n", what="the file")
        assert not (reeve.folder / "syslog").exists()
        reeve.daemon.send_signal(signal.SIGTERM)
        assert reeve.daemon.wait(30) == 0
