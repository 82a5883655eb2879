"""Processes, memory, descriptors, disks and readers run out, and come back."""

import fcntl
import os
import pathlib
import re
import signal
import struct
import subprocess
import termios

import pytest

from basics import SANITIZED, eventually
from fault import Injected, Preload, chance, kill, long_or, parts, pause, programs, shared_reeve
from reeve import HELPERS, REEVECTL, REEVED, Reeve

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
    reeve.sanitizer = ":allocator_may_return_null=1"
    reeve.start(f"[program:p]\ncommand = {HELPERS}/counter @ 7 100000 100000 1000\nstartretries = 5\nstartsecs = 0\nautostart = false\n"
                "stdout_logfile = @/p.log\nuser = root\numask = 022\ndirectory = /tmp\n[program:other]\ncommand = sleep 1000\n")
    supervisor = parts(reeve.daemon.pid)["supervisor"]
    ours = [("clone3", "EPERM"), ("clone3", "ENOSYS"), ("clone3,clone", "EAGAIN"), ("pipe2", "EMFILE"), ("fcntl", "EMFILE"),
            ("openat", "EMFILE"), ("sendmsg", "ENOBUFS"), ("rt_sigprocmask", "EINVAL")]
    if not SANITIZED:         # whose own mappings would fail
        ours.append(("mmap", "ENOMEM"))
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


# ---- the kernel's out-of-memory killer

OWN = "it ended: terminated by SIGKILL; the kernel has killed in its control group for want of memory"
SHARED = "it ended: terminated by SIGKILL; meanwhile the kernel has killed for want of memory, in a control group that it shares with others"


def test_want_of_memory_is_named(reeve):
    """What the memory controller counts comes from a preloaded helper: the second version of cgroups often has no memory controller, where
    the first one has it. In a booted systemd with one, test_systemd.py has the kernel itself kill."""
    counted = Preload(reeve.folder, "memory_events").use(reeve)
    counted[1] = 1 + 5                      # before our time
    reeve.start(TWO, daemon="cgroups = on\n")

    def killed(number=signal.SIGKILL):
        before = reeve.wait_state("good", "RUNNING")
        kill(before["pid"], number)
        eventually(lambda: reeve.process("good")["run"] == before["run"] + 1)
        exits = [t["cause"] for t in reeve.call("Why", name="good")["parameters"]["transitions"] if t["cause"]["kind"] == "exit"]
        return exits[-1]["text"], exits[-1].get("oom")

    plain = ("it ended: terminated by SIGKILL", None)
    assert killed() == plain, "somebody else's SIGKILL"
    counted[1] += 1
    assert killed() == (SHARED, "shared")
    assert killed() == plain, "that was told"
    counted[0] = 1
    assert killed() == plain, "a group of its own, in which nothing happened"
    counted[0] = 1 + 1
    assert killed(signal.SIGTERM)[1] is None
    assert killed() == (OWN, "own")
    assert OWN in reeve.ctl("why", "good")[1]
    assert f"WARN good: {OWN}" in reeve.log() and f"WARN good: {SHARED}" in reeve.log()
    kill(parts(reeve.daemon.pid)["supervisor"])
    eventually(lambda: (s := reeve.try_status()) and s["successions"] == 1)
    assert OWN in reeve.ctl("why", "good")[1]


# ---- memory

RICH = """
[unix_http_server]
file = @/s.sock
username = a
password = b
[supervisorctl]
serverurl = unix://@/s.sock
[program:a]
command = /bin/sleep %(process_num)d
process_name = %(program_name)s_%(process_num)02d
numprocs = 3
exitcodes = 0,2
environment = X="y",Z="%(group_name)s"
stdout_logfile = @/%(program_name)s.log
stopsignal = INT
[program:b]
command = cat
[group:g]
programs = b
priority = 5
[eventlistener:l]
command = cat
events = PROCESS_STATE,TICK_5
[fcgi-program:f]
command = cat
socket = unix://@/f.sock
[pool:p]
command = cat
[program:bad]
comand = x
[include]
files = @/*.inc
"""


def test_configuration_without_memory(reeve):
    """Each allocation in turn fails while a configuration is read: it is refused, never half of it taken, never a crash."""
    (reeve.folder / "more.inc").write_text("[program:inc]\ncommand = sleep 4\n")
    reeve.write(RICH)
    preload = Preload(reeve.folder, "fail_alloc", "reeved").use(reeve)

    def check(n):
        preload[0], preload[2], preload[4], preload[1] = 0, n, 0, 1
        r = subprocess.run([str(REEVED), "-c", str(reeve.config), "--check", "--dump=json"], capture_output=True, text=True, timeout=60,
                           env=reeve.environment(), check=False)
        return r.returncode, r.stdout, r.stderr

    whole = check(0)
    total = preload[0]
    assert whole[0] == 78 and total > 300
    offset = chance().randrange(17)
    for n in range(1 + long_or(offset, 0), total, long_or(17, 1)):
        code, out, err = check(n)
        assert code >= 0, f"allocation {n}: signal {-code}"
        if code == whole[0] and out == whole[1] and whole[2].splitlines()[0] in err:
            continue        # the error is there; a warning could not be kept
        assert (code, out, err) == whole or (code in (1, 2, 78) and "memory" in err + out or "ENOMEM" in err) or preload[4] == 0, (n, code, err)


def test_each_allocation_of_a_request_fails_once(reeve):
    """The request is refused or its connection ends; no reply has a hole, the supervisor lives on and no program notices."""
    reeve.sanitizer = ":detect_leaks=0"     # the JSON library leaks what it was about to pack when memory runs out
    preload = Preload(reeve.folder, "fail_alloc").use(reeve)
    text = "[program:p]\ncommand = sleep 1000\nstartsecs = 0\n[program:q]\ncommand = sleep {0}\nstartsecs = 0\nstdout_logfile = @/q.log\n"
    reeve.start(text.format(1001))
    for name in "pq":
        reeve.wait_state(name, "RUNNING")
    supervisor, first = parts(reeve.daemon.pid)["supervisor"], reeve.pid("p")
    flip = [0]

    def update():
        flip[0] += 1
        reeve.write(text.format(1001 + flip[0] % 2))
        return reeve.call("Update")

    requests = {"GetStatus": lambda: reeve.call("GetStatus"), "List": lambda: reeve.call("List", names=[]),
                "Why": lambda: reeve.call("Why", name="p"), "Restart": lambda: reeve.call("Restart", names=["q"]),
                "Signal": lambda: reeve.call("Signal", names=["all"], signal="CONT"), "Plan": lambda: reeve.call("Plan"),
                "GetConfig": lambda: reeve.call("GetConfig"), "Update": update}
    rng = chance()
    for name, request in requests.items():
        preload[2], preload[0], preload[1] = 0, 0, 1
        keys = set(request()["parameters"])
        total = preload[0]
        assert total > 20
        for n in range(1, total + 1) if long_or(False, True) else sorted(rng.sample(range(1, total + 1), min(total, 25))):
            preload[0], preload[2], preload[1] = 0, n, 1
            try:
                reply = request()
                assert "error" in reply or keys <= set(reply["parameters"]), (name, n, reply)
            except (OSError, EOFError):
                pass
            finally:
                preload[1] = 0
            assert parts(reeve.daemon.pid).get("supervisor") == supervisor, (name, n)
    assert reeve.ctl("update")[0] == 0
    reeve.call("Start", names=["all"])
    for name in "pq":
        reeve.wait_state(name, "RUNNING")
    assert reeve.pid("p") == first
    assert sorted(programs(reeve.daemon.pid)) == sorted(p["pid"] for p in reeve.processes().values())


def test_restarts_while_allocations_fail(reeve):
    """One allocation of every 40 fails for a while: whatever was refused meanwhile, afterwards all programs run, each once."""
    preload = Preload(reeve.folder, "fail_alloc").use(reeve)
    reeve.start(f"[program:c]\ncommand = {HELPERS}/counter @ %(process_num)d 100 300 10\nprocess_name = c%(process_num)d\nnumprocs = 10\n"
                "startsecs = 0\nautorestart = true\nstdout_logfile = @/c%(process_num)d.log\nstdout_logfile_maxbytes = 0\n"
                "stderr_logfile = NONE\n")
    preload[3], preload[1] = 40, 1
    pause(long_or(3, 60))
    preload[1] = 0
    assert preload[4] > 10
    for i in range(10):
        runs = reeve.file(f"{i}.runs").count("\n")
        eventually(lambda i=i, runs=runs: reeve.file(f"{i}.runs").count("\n") > runs, 60, f"another run of {i}")
    assert reeve.ctl("stop", "all")[0] == 0
    eventually(lambda: not programs(reeve.daemon.pid))
    assert reeve.file("doubles") == ""
    for i in range(10):     # and the logger was told of every pipe
        written = int.from_bytes((reeve.folder / f"{i}.next").read_bytes(), "little")
        eventually(lambda i=i, n=written: reeve.file(f"c{i}.log").splitlines() == [f"{i} {k}" for k in range(n)], what=f"the lines of {i}")


# ---- descriptors

def test_hundred_programs_with_64_descriptors():
    """As a user who may have 64 open files: what there is room for runs, the rest waits and says why; everything answers and ends."""
    with shared_reeve(uid=54321) as reeve:
        reeve.start("[program:w]\ncommand = sleep 1000\nnumprocs = 100\nprocess_name = w%(process_num)d\n", daemon="minfds = 64\n",
                    wrap=("prlimit", "--nofile=64:64"))
        eventually(lambda: all(p["statename"] in ("RUNNING", "BACKOFF") for p in reeve.processes().values()), 60)
        states = [p["statename"] for p in reeve.processes().values()]
        assert "RUNNING" in states and "BACKOFF" in states
        waiting = next(p for p in reeve.processes().values() if p["statename"] == "BACKOFF")
        assert "no resources" in waiting["description"] and waiting["backoff"] == 0
        supervisor = parts(reeve.daemon.pid)["supervisor"]
        running = sorted(p["pid"] for p in reeve.processes().values() if p["statename"] == "RUNNING")
        kill(supervisor)        # its successor finds room for all that runs
        eventually(lambda: parts(reeve.daemon.pid).get("supervisor", supervisor) != supervisor and reeve.try_status(), 30)
        assert set(running) <= {p["pid"] for p in reeve.processes().values()}
        assert reeve.stop(seconds=60) == 0


def test_accept_without_descriptors(reeve):
    """The supervisor is out of descriptors: clients wait, nothing spins, and they are served when there are some again."""
    reeve.start("[program:p]\ncommand = sleep 1000\n")
    reeve.wait_state("p", "RUNNING")
    supervisor = parts(reeve.daemon.pid)["supervisor"]
    with Injected(supervisor, "accept4:error=EMFILE", follow=False):
        client = subprocess.Popen([str(REEVECTL), "-c", str(reeve.config), "pid"], stdout=subprocess.PIPE, text=True, env=reeve.environment())
        pause(1.2)
        assert client.poll() is None
    assert client.communicate(timeout=20)[0] == f"{reeve.daemon.pid}\n"


# ---- logs

def dropped(text):
    """What the daemon says was dropped, in all."""
    return sum(int(n) for n in re.findall(r"can be written again; (\d+) bytes were dropped", text))


def feed(reeve, name, text):
    assert "error" not in reeve.call("SendStdin", name=name, data=text), text


ECHO = "[program:p]\ncommand = cat\nstdout_logfile = @/logs/p.log\nstdout_logfile_maxbytes = 0\nstderr_logfile = NONE\n" \
       "[program:other]\ncommand = cat\nstdout_logfile = @/other.log\nstderr_logfile = NONE\n"


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EDQUOT", "EFBIG"])
def test_log_cannot_be_written(reeve, error):
    """The loss is told and counted, in the daemon's log and in the file; the program is not held up; afterwards all goes on."""
    (reeve.folder / "logs").mkdir()
    reeve.start(ECHO)
    reeve.wait_state("p", "RUNNING")
    feed(reeve, "p", "before\n")
    eventually(lambda: reeve.file("logs/p.log") == "before\n")
    logger = parts(reeve.daemon.pid)["logger"]
    lines = "".join(f"lost {i}\n" for i in range(100))
    with Injected(logger, f"pwrite64:error={error}", follow=False):
        feed(reeve, "p", lines)
        reeve.wait_log("p/stdout: cannot write the log")
        eventually(lambda: not unread(reeve.pid("p")), what="its output taken")
    eventually(lambda: [feed(reeve, "p", "tick\n"), pause(0.2), reeve.file("logs/p.log").endswith("tick\n")][-1], 30)
    reeve.wait_log("p/stdout: the log can be written again")
    text = reeve.file("logs/p.log")
    assert text.startswith("before\n")
    ticks = text.count("tick\n")
    lost = int(re.search(r"reeve-logger: (\d+) bytes \((\d+) lines\) were lost here", text)[1])
    assert lost >= len(lines) and dropped(reeve.log()) >= lost and ticks >= 1
    assert parts(reeve.daemon.pid)["logger"] == logger


def unread(pid):
    """Bytes in the stdout pipe of PID."""
    fd = os.open(f"/proc/{pid}/fd/1", os.O_RDWR | os.O_NONBLOCK)
    try:
        return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"    "))[0]
    finally:
        os.close(fd)


def test_log_on_a_read_only_file_system(reeve):
    """Told, counted, nobody held up; the log begins when the file system can be written."""
    (reeve.folder / "logs").mkdir()
    reeve.start(ECHO, wrap=("unshare", "-m", "sh", "-c", f"mount -t tmpfs -o ro none {reeve.folder}/logs && exec \"$@\"", "sh"))
    reeve.wait_state("p", "RUNNING")
    logger = parts(reeve.daemon.pid)["logger"]
    inside = pathlib.Path(f"/proc/{logger}/root{reeve.folder}/logs/p.log")
    feed(reeve, "p", "lost\n")
    reeve.wait_log("p/stdout: cannot write the log")
    feed(reeve, "other", "fine\n")
    eventually(lambda: reeve.file("other.log") == "fine\n")
    eventually(lambda: not unread(reeve.pid("p")))
    subprocess.run(["nsenter", "-t", str(logger), "-m", "mount", "-o", "remount,rw", f"{reeve.folder}/logs"], check=True)
    reeve.wait_log("p/stdout: the log can be written again")
    feed(reeve, "p", "after\n")
    eventually(lambda: inside.read_text(encoding="utf-8").endswith("after\n"))
    assert "5 bytes (1 lines) were lost here: Read-only file system" in inside.read_text(encoding="utf-8")


def test_log_file_and_directory_removed(reeve):
    """A removed file is made again; while its directory is away the loss is counted, and the log goes on when it is back."""
    (reeve.folder / "logs").mkdir()
    reeve.start(ECHO)
    reeve.wait_state("p", "RUNNING")
    feed(reeve, "p", "one\n")
    eventually(lambda: reeve.file("logs/p.log") == "one\n")
    (reeve.folder / "logs" / "p.log").unlink()
    feed(reeve, "p", "two\n")
    eventually(lambda: reeve.file("logs/p.log") == "two\n")
    (reeve.folder / "logs" / "p.log").unlink()
    (reeve.folder / "logs").rmdir()
    feed(reeve, "p", "three\n")
    reeve.wait_log("cannot write the log")
    assert reeve.process("p")["statename"] == "RUNNING"
    (reeve.folder / "logs").mkdir()
    reeve.wait_log("p/stdout: the log can be written again; 6 bytes were dropped")
    feed(reeve, "p", "four\n")
    eventually(lambda: reeve.file("logs/p.log").endswith("four\n"))


# ---- our own stdout

NOISY = "[program:noisy]\ncommand = yes noise\nstdout_logfile = /dev/stdout\nstdout_logfile_maxbytes = 0\n" \
        "[program:quiet]\ncommand = cat\nstdout_logfile = @/quiet.log\n"


@pytest.mark.parametrize("how", ["blocked", "closed"])
def test_stdout_that_nobody_reads(tmp_path, how):
    """Our stdout is a pipe that is full for ever, or whose reader is gone: other logs, clients and the end are not held up."""
    reeve = Reeve(tmp_path)
    reader, writer = os.pipe()
    try:
        reeve.write(NOISY)
        reeve.daemon = subprocess.Popen([str(REEVED), "-c", str(reeve.config)], stdout=writer, stderr=subprocess.DEVNULL,
                                        stdin=subprocess.DEVNULL, env=reeve.environment(), start_new_session=True)
        if how == "closed":
            os.close(reader)
        eventually(reeve.try_status)
        reeve.wait_state("quiet", "RUNNING")
        for i in range(3):
            feed(reeve, "quiet", f"{i}\n")
            eventually(lambda i=i: reeve.file("quiet.log").endswith(f"{i}\n"))
        assert reeve.ctl("restart", "noisy")[0] == 0
        assert len(parts(reeve.daemon.pid)) == 2
        assert reeve.stop(seconds=40) == 0
    finally:
        if how == "blocked":
            os.close(reader)
        os.close(writer)
        reeve.close()
