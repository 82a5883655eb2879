"""A real reeved in a private folder, driven by the real reevectl."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from basics import build_dir, eventually

REEVED = build_dir() / "daemon" / "reeved"
REEVECTL = build_dir() / "ctl" / "reevectl"
HELPERS = build_dir() / "tests" / "helpers"


def varlink(path, method, parameters=None, timeout=20):
    """One call, one reply."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(timeout)
        s.connect(str(path))
        s.sendall(json.dumps({"method": method, "parameters": parameters or {}}).encode() + b"\0")
        data = b""
        while b"\0" not in data:
            more = s.recv(1 << 16)
            if not more:
                raise EOFError(method)
            data += more
    return json.loads(data.split(b"\0", 1)[0])


def alive(pid):
    """Is there a process PID that is no zombie?"""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def processes():
    """(pid, ppid, state) of all."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="latin-1") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
                yield int(name), int(fields[1]), fields[0]
            except OSError:
                pass


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def environ(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def unified():
    """Our own control group of version 2, or None."""
    groups = pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8")
    own = next((line[3:] for line in groups.splitlines() if line.startswith("0::")), None)
    for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if own and fields[fields.index("-") + 1] == "cgroup2" and fields[3] == "/" and os.access(fields[4] + own, os.W_OK):
            return pathlib.Path(fields[4] + own)
    return None


class ControlGroup:
    """A group of a test's own: the daemon's subtree is made in it, and whatever happens, nothing stays in it."""

    def __init__(self, name):
        root = unified()
        self.path = root and root / f"reeve-test-{name}"

    def make(self):
        if self.path and not self.path.exists():
            self.path.mkdir()
            os.setxattr(self.path, "trusted.delegate", b"1")

    def enter(self):
        if self.path:
            (self.path / "cgroup.procs").write_text("0")

    def groups(self):
        return [pathlib.Path(p) for p, _, _ in os.walk(self.path)] if self.path and self.path.exists() else []

    def members(self):
        """{name of the group: [pid]} below the daemon's subtree."""
        return {p.name: [int(n) for n in (p / "cgroup.procs").read_text().split()] for p in self.groups() if p.parent.parent == self.path}

    def close(self):
        for path in reversed(self.groups()):
            kill = path / "cgroup.kill"
            if kill.exists():
                kill.write_text("1")

            def gone(path=path):
                try:
                    path.rmdir()
                except OSError:
                    return not path.exists()
                return True
            eventually(gone, what=f"{path} to be empty")


own_group = None


def remove_stale_groups():
    """What test runs that were killed have left: groups of dead processes in which nobody lives."""
    for top in (unified() or pathlib.Path("/nonexistent")).glob("reeve-test-*"):
        owner = top.name.split("-")[2]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            for path in reversed([p for p, _, _ in os.walk(top)]):
                try:
                    os.rmdir(path)
                except OSError:         # somebody lives in it after all
                    break


def enter_own_group():
    """Everything that this process starts from now on lies in a control group that goes with it. For pytest_configure."""
    global own_group
    if not own_group:
        remove_stale_groups()
        own_group = ControlGroup(os.getpid())
        own_group.make()
        own_group.enter()


def leave_own_group():
    global own_group
    if own_group and own_group.path:
        (own_group.path.parent / "cgroup.procs").write_text("0")
        own_group.close()
    own_group = None


class Marked:
    """Processes that carry a mark of FOLDER in their environment, by which those are found that should not be there any more."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.sanitizer = ""             # further options, for tests that send what a sanitizer would report

    def environment(self):
        env = {**os.environ, "REEVE_TEST": str(self.folder), "LSAN_OPTIONS": "report_objects=0"}
        for variable in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            env[variable] = f"log_path={self.folder}/sanitizer:print_stacktrace=1{self.sanitizer}"
        env.pop("REEVE_SOCKET", None)
        return env

    def mine(self):
        """Pids of all that live."""
        mark = f"REEVE_TEST={self.folder}".encode()
        return [pid for pid, _, state in processes() if state != "Z" and mark in environ(pid)]

    def kill_left(self):
        """{pid: command} of what lived still."""
        left = {pid: command_line(pid) for pid in self.mine()}
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left

    def complain(self, left):
        """About LEFT, and about what a sanitizer has found; that its search was ended by SIGKILL is nothing found."""
        reports = [p.read_text(errors="replace")[:4000] for p in self.folder.glob("sanitizer.*")]
        reports = [text for text in reports if not all("Unable to get registers from thread" in line for line in text.splitlines())]
        assert not reports, "\n".join(reports)
        assert not left, f"left behind: {left}"


class Reeve(Marked):
    """Start with start(CONFIG); everything lies in FOLDER."""

    def __init__(self, folder):
        super().__init__(folder)
        self.rundir = self.folder / "run"
        self.config = self.folder / "reeve.ini"
        self.daemon = None
        self.group = ControlGroup(f"{os.getpid()}-{os.stat(self.folder).st_ino}")
        self.reeved = REEVED            # the executable to start
        self.out = self.folder / "out"

    # -- configuration

    def write(self, text, daemon=""):
        """Replace the file at once: who reads it meanwhile has the one or the other."""
        new = self.config.with_suffix(f".{threading.get_ident()}")
        new.write_text(
            f"[supervisord]\nlogfile = {self.folder}/reeved.log\npidfile = {self.folder}/reeved.pid\n"
            f"rundir = {self.rundir}\nchildlogdir = {self.folder}\n{daemon}\n" + text.replace("@", str(self.folder)))
        new.replace(self.config)

    # -- life

    def start(self, text="", daemon="", args=(), wrap=(), cwd=None, wait=True):
        self.write(text, daemon)
        self.group.make()
        with open(self.out, "ab") as out:
            self.daemon = subprocess.Popen([*wrap, str(self.reeved), "-c", str(self.config), *args], stdout=out, stderr=out,
                                           stdin=subprocess.DEVNULL, env=self.environment(), start_new_session=True,
                                           preexec_fn=self.group.enter,
                                           cwd=cwd or self.folder)
        if wait:
            eventually(self.answers, what="the control socket")
        return self

    def answers(self):
        assert self.daemon.poll() is None, self.out.read_text()
        try:
            return varlink(self.rundir / "control.sock", "io.reeve.Supervisor.GetStatus")["parameters"]
        except (OSError, EOFError):
            return None

    def try_status(self):
        """As answers(), while the daemon may be between two supervisors."""
        try:
            return self.call("GetStatus")["parameters"]
        except (OSError, EOFError):
            return None

    def part(self, name):
        """Pid of the present "supervisor", "logger" or "gateway"."""
        return eventually(lambda: (self.try_status() or {}).get(f"{name}_pid"), what=f"a {name}")

    def wait_successor(self, old):
        """Until a supervisor that is not OLD answers."""
        return eventually(lambda: (s := self.try_status()) and s["supervisor_pid"] != old and s, what="a successor")

    def kill_part(self, name, how=signal.SIGKILL):
        """Kill it; seconds until there is another."""
        old = self.part(name)
        os.kill(old, how)
        began = time.monotonic()
        eventually(lambda: self.part(name) != old, what=f"another {name}")
        return time.monotonic() - began

    def kill_supervisor(self, how=signal.SIGKILL):
        return self.kill_part("supervisor", how)

    def call(self, method, **parameters):
        return varlink(self.rundir / "control.sock", "io.reeve.Supervisor." + method, parameters)

    def ctl(self, *words, timeout=60, env=None):
        """(exit status, stdout) of reevectl."""
        r = subprocess.run([str(REEVECTL), "-c", str(self.config), *words], capture_output=True, text=True, timeout=timeout,
                           env={**self.environment(), **(env or {})}, errors="replace")
        return r.returncode, r.stdout

    def processes(self):
        reply = eventually(lambda: self.try_list(), what="a list")
        return {p["namespec"]: p for p in reply["processes"]}

    def try_list(self):
        try:
            return self.call("List", names=[])["parameters"]
        except (OSError, EOFError):
            return None

    def process(self, name):
        return self.processes()[name]

    def wait_state(self, name, *states, seconds=20.0):
        return eventually(lambda: (p := self.processes().get(name)) and p["statename"] in states and p, seconds,
                          lambda: f"{name} in {states}: {self.processes().get(name)}")

    def facts(self):
        """What must not change while daemons come and go: {namespec: (state, pid, run, restarts, start)}."""
        return {name: (p["statename"], p["pid"], p["run"], p["restarts"], round(p["start"])) for name, p in self.processes().items()}

    def pid(self, name):
        return self.process(name)["pid"]

    def log(self):
        """The daemon's own log so far."""
        return self.out.read_text(errors="replace")

    def wait_log(self, text, seconds=20.0):
        eventually(lambda: text in self.log(), seconds, lambda: f"{text!r} in the log:\n{self.log()[-3000:]}")

    def file(self, name):
        try:
            return (self.folder / name).read_text(errors="replace")
        except FileNotFoundError:           # not there yet, or being rotated
            return ""

    def stop(self, how=signal.SIGTERM, seconds=30):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(how)
        return self.daemon.wait(seconds) if self.daemon else None

    def close(self):
        """End it, whatever state it is in, and complain about what it leaves behind."""
        try:
            if self.daemon and self.daemon.poll() is None:
                self.stop(seconds=40)
        finally:
            left = self.kill_left()
            self.group.close()
        self.complain(left)
