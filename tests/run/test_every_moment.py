"""The supervisor dies at an exact system call, before it or after it, in the middle of everything that it does."""

import os
import random
import re
import signal
import socket
import subprocess

import pytest

from basics import eventually
from reeve import HELPERS, Reeve, command_line, environ

NEXT = HELPERS / "reeved-next"
KILL_AT = HELPERS / "kill_at"
POINTS = int(os.environ.get("REEVE_MOMENTS", 8))        # moments per scenario; 0: every single one
seed = int(os.environ.get("REEVE_SEED", random.randrange(1 << 30)))


class Killer:
    """kill_at on the supervisor (or, with NEXT_FORK, on the next one)."""

    def __init__(self, reeve, at, next_fork=False, how=signal.SIGKILL):
        pid = reeve.daemon.pid if next_fork else reeve.part("supervisor")
        self.run = subprocess.Popen([str(KILL_AT), *(["-k"] if next_fork else []), str(at), str(pid)], stdout=subprocess.PIPE,
                                    text=True, env={**os.environ, "KILL_AT_SIGNAL": str(int(how))})
        assert self.run.stdout.readline() == "ready\n"

    def end(self):
        """None: killed, else the number of stops that it lived through."""
        if self.run.poll() is None:
            self.run.terminate()
        self.run.wait(20)
        result = self.run.stdout.read().split()     # not communicate(): it forgets what has been read along with "ready"
        return int(result[1]) if result[0] == "lived" else None


def moments(count):
    """Some of 1..COUNT, spread over all of it."""
    if not POINTS or POINTS >= count:
        return range(1, count + 1)
    dice = random.Random(seed)
    return sorted(dice.randrange(1 + count * i // POINTS, 1 + count * (i + 1) // POINTS) for i in range(POINTS))


def at_every_moment(reeve, act, check, prepare=lambda: None, next_fork=False, how=signal.SIGKILL):
    """Do ACT with nobody killed, then with the supervisor killed at moments all over it; CHECK after each."""
    prepare()
    killer = Killer(reeve, 0, next_fork)
    act()
    count = killer.end()
    check()
    print(f"REEVE_SEED={seed}: {count} moments")
    def kill_at(at):
        """None: killed, else how many moments there were this time."""
        prepare()
        killer = Killer(reeve, at, next_fork, how)
        act()
        lived = killer.end()
        try:
            check()
        except BaseException:
            print(f"killed at {at} of {count}")
            raise
        return lived

    killed = 0
    for at in moments(count):
        lived = kill_at(at)
        if lived:       # it was over sooner than the first: how often it is asked depends on the machine
            lived = kill_at(max(1, at * lived // (count + 1)))
        killed += lived is None
    assert killed >= len(moments(count)) / 2


def runs(reeve):
    """Who really runs: namespec -> pids of session leaders that carry its mark."""
    found = {}
    for pid in reeve.mine():
        for variable in environ(pid):
            match = re.fullmatch(rb"REEVE_RUN=(.+):(\d+)", variable)
            if match and os.getsid(pid) == pid:
                found.setdefault(match[1].decode(), []).append(pid)
    return found


def consistent(reeve):
    """Each process that should run does so exactly once, and nobody else does."""
    def agree():
        try:
            told = {name: [p["pid"]] for name, p in reeve.processes().items() if p["pid"]}
            return told == runs(reeve)
        except (ProcessLookupError, KeyError):
            return False
    try:
        eventually(agree, what="agreement")
    except AssertionError:
        print(f"told: {reeve.processes()}\nfound: {runs(reeve)}")
        raise


def facts(reeve, name):
    reeve.wait_state(name, "RUNNING", "STOPPED")
    return reeve.facts()[name]


KEEP = "[program:keep]\ncommand = sleep 1000\nstartsecs = 0\n"
WEB = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_restart(reeve, how):
    reeve.sanitizer = ":handle_segv=0"
    reeve.start(KEEP + WEB)
    keep = facts(reeve, "keep")
    was = {}

    def prepare():
        reeve.wait_state("web", "RUNNING")
        was.update(reeve.process("web"))

    def act():
        was["said"] = reeve.ctl("restart", "web")

    def check():
        assert was["said"] == (0, "web: stopped\nweb: started\n")
        web = reeve.wait_state("web", "RUNNING")
        assert web["run"] == was["run"] + 1 and web["pid"] != was["pid"]
        consistent(reeve)
        assert facts(reeve, "keep") == keep

    at_every_moment(reeve, act, check, prepare, how=how)


def test_stop_and_start(reeve):
    reeve.start(KEEP + WEB)
    keep = facts(reeve, "keep")
    was = {}

    def prepare():
        eventually(reeve.try_status)
        if reeve.process("web")["statename"] != "RUNNING":
            reeve.ctl("start", "web")
            reeve.wait_state("web", "RUNNING")
        was.update(reeve.process("web"))

    def act():
        was["stop"] = reeve.ctl("stop", "web")
        was["state"] = reeve.process("web")
        was["start"] = reeve.ctl("start", "web")

    def check():
        assert was["stop"] == (0, "web: stopped\n")
        assert was["state"]["statename"] == "STOPPED" and was["state"]["exitcode"] == -15
        assert was["start"] == (0, "web: started\n")
        assert reeve.process("web")["statename"] == "RUNNING" and reeve.process("web")["run"] == was["run"] + 1
        consistent(reeve)
        assert facts(reeve, "keep") == keep

    at_every_moment(reeve, act, check, prepare)


def test_a_program_dies(reeve):
    reeve.start(KEEP + WEB)
    keep = facts(reeve, "keep")
    was = {}

    def prepare():
        was.update(reeve.wait_state("web", "RUNNING"))

    def act():
        os.kill(was["pid"], signal.SIGUSR1)
        eventually(lambda: (p := reeve.process("web"))["run"] > was["run"] and p["statename"] == "RUNNING")

    def check():
        web = reeve.process("web")
        assert (web["run"], web["restarts"]) == (was["run"] + 1, was["restarts"] + 1)
        assert "SIGUSR1" in str(reeve.call("Why", name="web"))
        consistent(reeve)
        assert facts(reeve, "keep") == keep

    at_every_moment(reeve, act, check, prepare)


def test_a_program_fails(reeve):
    """Early deaths are counted right, also over supervisors: FATAL after exactly two tries, each of which has left its line."""
    reeve.start(KEEP + "[program:bad]\ncommand = sh -c 'echo x >> @/tries; exit 9'\nautostart = false\nstartretries = 1\n")
    keep = facts(reeve, "keep")
    tries = reeve.folder / "tries"

    def act():
        assert reeve.ctl("start", "bad") == (7, "bad: ERROR (spawn error)\n")
        reeve.wait_state("bad", "FATAL")

    def check():
        bad = reeve.process("bad")
        assert (bad["statename"], bad["exitcode"]) == ("FATAL", 9)
        assert len(tries.read_text().splitlines()) == bad["run"]
        assert bad["run"] % 2 == 0
        consistent(reeve)
        assert facts(reeve, "keep") == keep

    at_every_moment(reeve, act, check)


class Changing:
    """A configuration that is another in each round: one program stays as it is, two get another command, two come and two go."""

    def __init__(self, reeve):
        self.reeve, self.round = reeve, 0
        reeve.start(self.text())
        reeve.ctl("start", "manual")
        self.keep = facts(reeve, "keep")

    def text(self):
        n, program = self.round, "[program:{}]\ncommand = sleep {}\nstartsecs = 0\n".format
        return (KEEP + program("web", 1000 + n) + program("manual", 2000 + n) + "autostart = false\n"
                + program(f"new{n}", 1000) + program(f"more{n}", 1000))

    def names(self):
        return {"keep", "web", "manual", f"new{self.round}", f"more{self.round}"}

    def prepare(self):
        self.reeve.wait_state("manual", "RUNNING")
        self.round += 1
        self.reeve.write(self.text())

    def check(self):
        for name in self.names():
            self.reeve.wait_state(name, "RUNNING")
        eventually(lambda: command_line(self.reeve.pid("manual"))[1:] == [str(2000 + self.round)], what="the new command")
        consistent(self.reeve)
        assert facts(self.reeve, "keep") == self.keep


def test_update(reeve):
    """The configuration changes to and fro; whoever dies in between, the end is what is on disk."""
    changing = Changing(reeve)
    said = {}

    def act():
        said["update"] = reeve.ctl("update")
        eventually(lambda: reeve.ctl("plan")[0] == 0, what="nothing left to do")

    def check():
        assert said["update"][0] == 0, said
        assert set(reeve.processes()) == changing.names()
        changing.check()

    at_every_moment(reeve, act, check, changing.prepare)


def test_update_by_signal(reeve):
    """As above, but nobody is there who could ask again."""
    changing = Changing(reeve)

    def act():
        reeve.daemon.send_signal(signal.SIGHUP)
        eventually(lambda: set(reeve.processes()) == changing.names() and all(p["statename"] == "RUNNING" for p in reeve.processes().values()),
                   what="the new configuration")

    at_every_moment(reeve, act, changing.check, changing.prepare)


def test_reload(reeve):
    reeve.start(KEEP + WEB + "[program:off]\ncommand = sleep 1000\nautostart = false\n")

    def prepare():
        for name in ("keep", "web"):
            reeve.wait_state(name, "RUNNING")
        prepare.pids = [reeve.pid("keep"), reeve.pid("web")]

    def act():
        reeve.ctl("reload")
        eventually(lambda: (s := reeve.try_status()) and s["statename"] == "RUNNING")

    def check():
        for name in ("keep", "web"):
            reeve.wait_state(name, "RUNNING")
        consistent(reeve)
        told = reeve.processes()
        assert set(told) == {"keep", "web", "off"} and told["off"]["statename"] == "STOPPED"
        if not any(pid in prepare.pids for pid in (told["keep"]["pid"], told["web"]["pid"])):
            assert told["web"]["run"] == 1

    at_every_moment(reeve, act, check, prepare)


def test_successor(reeve):
    """The one who takes over dies while it does."""
    reeve.start(KEEP + WEB + "[program:off]\ncommand = sleep 1000\nautostart = false\n"
                "[program:tick]\ncommand = sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done'\nstdout_logfile = @/tick.log\n")
    reeve.wait_state("tick", "RUNNING")
    before = {name: facts(reeve, name) for name in reeve.processes()}

    def act():
        reeve.kill_supervisor()

    def check():
        assert {name: facts(reeve, name) for name in reeve.processes()} == before
        consistent(reeve)

    at_every_moment(reeve, act, check, next_fork=True)
    lines = reeve.file("tick.log").split("\n")[:-1]
    assert lines == [str(i + 1) for i in range(len(lines))]


EVERYTHING = KEEP + WEB + """
[unix_http_server]
file = @/http.sock
[eventlistener:ear]
command = sh -c 'printf "READY\\n"; exec sleep 1000'
events = PROCESS_STATE
startsecs = 0
[fcgi-program:fcgi]
command = sleep 1000
socket = unix://@/fcgi.sock
numprocs = 2
process_name = fcgi%(process_num)d
startsecs = 0
[pool:work]
command = cat
workers = 2
"""


def serves(reeve):
    """Everything that Reeve listens on answers."""
    def http():
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(reeve.folder / "http.sock"))
            s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return s.recv(100).startswith(b"HTTP/1.")
    def try_http():
        try:
            return http()
        except OSError:
            return False
    eventually(try_http, what="HTTP")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(reeve.folder / "fcgi.sock"))


def test_successor_of_everything(reeve):
    reeve.start(EVERYTHING)
    for name in reeve.processes():
        reeve.wait_state(name, "RUNNING")
    before = {name: facts(reeve, name) for name in reeve.processes()}
    fcgi = os.stat(reeve.folder / "fcgi.sock").st_ino
    serves(reeve)

    def act():
        reeve.kill_supervisor()

    def check():
        assert {name: facts(reeve, name) for name in reeve.processes()} == before
        assert os.stat(reeve.folder / "fcgi.sock").st_ino == fcgi
        serves(reeve)
        consistent(reeve)

    at_every_moment(reeve, act, check, next_fork=True)


def test_reload_of_everything(reeve):
    reeve.start(EVERYTHING)

    def prepare():
        for name in reeve.processes():
            reeve.wait_state(name, "RUNNING")

    def act():
        reeve.ctl("reload")
        eventually(lambda: (s := reeve.try_status()) and s["statename"] == "RUNNING")

    def check():
        eventually(lambda: len(reeve.processes()) == 6, what="all six")
        for name in reeve.processes():
            reeve.wait_state(name, "RUNNING")
        serves(reeve)
        consistent(reeve)

    at_every_moment(reeve, act, check, prepare)


def test_logs_are_reopened(reeve):
    """SIGUSR2, as a rotation by somebody else sends it: it is not lost with the supervisor, and no line is."""
    reeve.start("[program:tick]\ncommand = sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done'\nstdout_logfile = @/tick.log\n"
                "stdout_logfile_maxbytes = 0\n")
    reeve.wait_state("tick", "RUNNING")
    log, parts = reeve.folder / "tick.log", []

    def act():
        eventually(log.exists)
        parts.append(reeve.folder / f"tick.{len(parts)}")
        os.rename(log, parts[-1])
        reeve.daemon.send_signal(signal.SIGUSR2)
        eventually(log.exists, what="a new file")

    at_every_moment(reeve, act, lambda: eventually(reeve.try_status))
    eventually(lambda: len(log.read_text().split()) > 3, what="lines in the last file")
    reeve.ctl("stop", "tick")
    lines = "".join(p.read_text() for p in [*parts, log]).split("\n")[:-1]
    assert lines == [str(i + 1) for i in range(len(lines))]


def test_upgrade(reeve):
    reeve.start(KEEP + WEB)
    before = {name: facts(reeve, name) for name in reeve.processes()}

    def act():
        reeve.ctl("upgrade", str(NEXT))
        eventually(reeve.try_status)

    def check():
        eventually(reeve.try_status)
        assert {name: facts(reeve, name) for name in reeve.processes()} == before
        consistent(reeve)

    at_every_moment(reeve, act, check)


@pytest.mark.parametrize("part", range(3))
def test_first_start(tmp_path, part):
    """The very first supervisor dies before it has done its work: its successor does it."""
    def start(at):
        (tmp_path / str(at)).mkdir()
        reeve = Reeve(tmp_path / str(at))
        reeve.sanitizer = ":detect_leaks=0"     # which does not work under a tracer
        os.environ["KILL_AT_RESULT"] = str(reeve.folder / "killed")
        reeve.start(EVERYTHING + "[program:off]\ncommand = sleep 1000\nautostart = false\n[program:two]\ncommand = sleep 1000\n"
                    "numprocs = 2\nprocess_name = two%(process_num)d\nstartsecs = 0\n", wrap=[str(KILL_AT), "-r", str(at)], wait=False)
        try:
            eventually(lambda: reeve.daemon.poll() is not None or reeve.try_status(), what="an answer")
            assert reeve.daemon.poll() is None, reeve.log()
            eventually(lambda: len(reeve.processes()) == 9, what="all of them")
            for name in reeve.processes():
                if name != "off":
                    reeve.wait_state(name, "RUNNING")
                    assert reeve.process(name)["run"] == 1, name
            assert reeve.process("off")["statename"] == "STOPPED"
            serves(reeve)
            consistent(reeve)
            assert reeve.stop() == 0
        except BaseException:
            print(f"killed at {at}\n{reeve.log()}")
            raise
        finally:
            reeve.close()
        return eventually(lambda: reeve.file("killed").split(), what="the tracer's word")

    count = int(start(0)[1])
    for at in list(moments(count))[part::3]:
        start(at)


def test_shutdown(reeve):
    """The end comes, and it is the end of everything."""
    text = KEEP + WEB + "[program:slow]\ncommand = sh -c 'trap \"sleep 0.2; exit 0\" TERM; while :; do sleep 0.05; done'\nstartsecs = 0\n"

    reeve.sanitizer = ":detect_leaks=0"         # which does not work under a tracer

    def end(at):
        reeve.start(text)
        reeve.wait_state("slow", "RUNNING")
        killer = Killer(reeve, at)
        reeve.daemon.send_signal(signal.SIGTERM)
        assert reeve.daemon.wait(30) == 0
        eventually(lambda: not reeve.mine(), what="the end of everything")
        return killer.end()

    count = end(0)
    print(f"REEVE_SEED={seed}: {count} moments")
    for at in moments(count):
        end(at)
