"""Processes, memory, descriptors, disks and readers run out, and come back."""

import subprocess

import pytest

from fault import Injected, Preload, chance, long_or, parts, pause, programs, shared_reeve
from reeve import HELPERS, REEVED, eventually

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
user = nobody
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
socket = tcp://localhost:9123
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
        assert (code, out, err) == whole or (code in (1, 2, 78) and "memory" in err + out or "ENOMEM" in err) or preload[4] == 0, (n, code, err)


def test_each_allocation_of_a_request_fails_once(reeve):
    """The request is refused or its connection ends; no reply has a hole, the supervisor lives on and no program notices."""
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
