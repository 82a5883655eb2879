"""Under a real systemd, booted in namespaces: the unit files as they are installed, one service per test."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from basics import build_dir, eventually
from reeve import HELPERS, REEVECTL, REEVED, ControlGroup, unified, varlink

pytestmark = pytest.mark.xdist_group("systemd")     # one boot, in one worker

SYSTEMD = "/lib/systemd/systemd"
NEXT = HELPERS / "reeved-next"          # another version
BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/systemd/system
umount -l /sys/fs/cgroup 2>/dev/null || :
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/systemd/system /run/lock
[ ! -e /dev/console ] || mount --bind /dev/null /dev/console
echo '[Unit]' >/run/systemd/system/test.target
# /tmp and /dev are the host's: what a start does to them (sysinit.target) must never happen here.
for unit in sysinit.target systemd-tmpfiles-setup.service systemd-tmpfiles-clean.service systemd-udevd.service systemd-sysctl.service; do
    ln -s /dev/null /run/systemd/system/$unit
done
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other """ + SYSTEMD + r""" --unit=test.target --show-status=no --log-target=null
"""


class Machine:
    def __init__(self, folder):
        self.folder = folder
        self.group = ControlGroup(f"{os.getpid()}-systemd")
        self.group.make()
        with open(folder / "console", "wb") as console:
            self.unshare = subprocess.Popen(
                ["unshare", "--pid", "--mount", "--cgroup", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc", "sh", "-c", BOOT],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=self.group.enter)
        children = pathlib.Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children")
        self.init = int(eventually(lambda: children.read_text().split(), what="PID 1")[0])
        eventually(lambda: self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"), 60, "the boot")

    def run(self, *command, timeout=90):
        return subprocess.run(["nsenter", "-t", str(self.init), "-m", "-p", "-C", "-u", "-i", "-r", "--", *map(str, command)],
                              capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
                              start_new_session=True)

    def systemctl(self, *words):
        return self.run("systemctl", *words)

    def kill(self, number, *pids):
        assert all(int(pid) > 1 for pid in pids), pids
        self.run("kill", f"-{int(number)}", *pids)

    def alive(self, pid):
        state = self.run("sh", "-c", f"cat /proc/{pid}/stat 2>/dev/null").stdout
        return bool(state) and state.rsplit(")", 1)[1].split()[0] != "Z"

    def read(self, path):
        return self.run("cat", path).stdout

    def write(self, path, text):
        r = self.run("sh", "-c", 'mkdir -p "${1%/*}"; printf %s "$2" >"$1"', "sh", path, text)
        assert r.returncode == 0, r.stderr

    def close(self):
        os.kill(self.init, signal.SIGKILL)
        self.unshare.wait(20)
        self.group.close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    assert os.path.exists(SYSTEMD), "systemd is not installed"
    assert unified(), "no control groups of version 2 here"
    made = Machine(tmp_path_factory.mktemp("machine"))
    yield made
    made.close()


class Service:
    """The installed unit under another name, with the files of the build."""

    def __init__(self, machine, folder, name):
        self.machine, self.folder, self.name = machine, folder, name
        self.config = folder / "reeve.ini"
        self.rundir = folder / "run"
        self.rundir.mkdir()

    def configure(self, text, daemon=""):
        self.config.write_text(f"[supervisord]\nlogfile = {self.folder}/reeved.log\npidfile = {self.folder}/reeved.pid\nrundir = {self.rundir}\n"
                               f"childlogdir = {self.folder}\n{daemon}\n" + text.replace("@", str(self.folder)))

    def install(self, extra="", kind="service"):
        unit = (build_dir() / "packaging" / f"system-reeve.{kind}").read_text()
        for path, ours in (("reeved", REEVED), ("reevectl", REEVECTL)):
            unit = re.sub(rf"(Exec\w+=)\S*/{path}\b", rf"\1{ours} -c {self.config}", unit)
        unit = unit.replace("/run/reeve/control.sock", f"{self.rundir}/control.sock").replace("RuntimeDirectory=reeve", f"RuntimeDirectory={self.name}")
        path = f"/run/systemd/system/{self.name}.{kind}"
        self.machine.write(path, unit)
        log = f"StandardOutput=append:{self.folder}/out\nStandardError=inherit\nEnvironment=ASAN_OPTIONS=log_path={self.folder}/sanitizer\n"
        self.machine.write(f"{path}.d/test.conf", "[Unit]\nDefaultDependencies=no\n" + (f"[Service]\n{log}" if kind == "service" else "") + extra)
        assert self.systemctl("daemon-reload").returncode == 0

    def start(self, text, daemon="", extra=""):
        self.configure(text, daemon)
        self.install(extra)
        r = self.systemctl("start", self.name)
        assert r.returncode == 0, r.stderr + self.systemctl("status", self.name).stdout + self.log()
        return self

    def systemctl(self, *words):
        return self.machine.systemctl(*words)

    def show(self, *names):
        out = self.systemctl("show", self.name, *(f"-p{n}" for n in names)).stdout
        found = dict(line.split("=", 1) for line in out.splitlines())
        return found[names[0]] if len(names) == 1 else [found[n] for n in names]

    def call(self, method, **parameters):
        return varlink(self.rundir / "control.sock", "io.reeve.Supervisor." + method, parameters)["parameters"]

    def try_status(self):
        try:
            return self.call("GetStatus")
        except (OSError, EOFError):
            return None

    def processes(self):
        return {p["namespec"]: p for p in self.call("List", names=[])["processes"]}

    def pid(self, name):
        return self.processes()[name]["pid"]

    def wait_state(self, name, state):
        return eventually(lambda: (p := self.processes()[name])["statename"] == state and p, 30, f"{name} {state}")

    def log(self):
        path = self.folder / "out"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self):
        self.systemctl("stop", self.name)
        assert not list(self.folder.glob("sanitizer.*")), [p.read_text() for p in self.folder.glob("sanitizer.*")]
        tree = self.machine.run("sh", "-c", f"find /sys/fs/cgroup/system.slice/{self.name}.service 2>/dev/null | head -3").stdout
        assert not tree, tree


@pytest.fixture
def service(machine, tmp_path):
    made = Service(machine, tmp_path, re.sub(r"\W", "-", tmp_path.name))
    yield made
    made.close()


WEB = "[program:web]\ncommand = sleep 1000\n"


def test_ready_when_programs_are_up_or_have_failed(service):
    began = time.monotonic()
    service.start(WEB + "[program:slow]\ncommand = sleep 1000\nstartsecs = 3\n[program:crash]\ncommand = sh -c 'exit 3'\nstartretries = 20\n"
                  "[program:off]\ncommand = sleep 1000\nautostart = false\n")
    assert time.monotonic() - began >= 3
    states = {name: p["statename"] for name, p in service.processes().items()}
    assert states["web"] == states["slow"] == "RUNNING" and states["crash"] in ("BACKOFF", "STARTING") and states["off"] == "STOPPED"
    assert service.show("ActiveState", "SubState", "StatusText") == ["active", "running", "2 of 4 processes running"]
    assert int(service.show("MainPID")) == service.call("GetStatus")["pid"]


def test_programs_have_groups_and_no_way_to_systemd(service):
    service.start(WEB + "[program:env]\ncommand = sh -c 'env; cat /proc/self/oom_score_adj; exec sleep 1000'\nstdout_logfile = @/env.log\n")
    assert re.search(rf"(?m)^0::/system.slice/{service.name}.service/reeve-[0-9a-f-]+/web\.\d+$",
                     service.machine.read(f"/proc/{service.pid('web')}/cgroup"))
    text = eventually(lambda: (service.folder / "env.log").read_text().endswith("\n0\n") and (service.folder / "env.log").read_text())
    assert "SUPERVISOR_ENABLED=1" in text
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"):
        assert name not in text


def test_a_long_start_gets_its_time(service):
    service.start("[program:slow]\ncommand = sleep 1000\nstartsecs = 5\n", extra="TimeoutStartSec=2\n")
    assert service.processes()["slow"]["statename"] == "RUNNING"


def test_reload(service):
    service.start(WEB)
    web = service.pid("web")
    service.configure(WEB + "[program:more]\ncommand = sleep 1000\n")
    assert service.systemctl("reload", service.name).returncode == 0
    assert service.wait_state("more", "RUNNING") and service.pid("web") == web
    service.configure(WEB + "stopwaitsecs = soon\n")
    assert service.systemctl("reload", service.name).returncode != 0
    assert service.show("ActiveState") == "active" and service.pid("web") == web and "more" in service.processes()
    assert "'soon'" in service.log(), "the reason is in the log"
    service.configure(WEB)
    service.machine.kill(signal.SIGHUP, service.show("MainPID"))
    eventually(lambda: "more" not in service.processes())
    assert eventually(lambda: service.show("SubState") == "running")


def test_stopped_supervisor_is_replaced_by_the_keeper(service):
    service.start(WEB, daemon="heartbeat = 1\n", extra="WatchdogSec=4\n")
    before, status = service.pid("web"), service.call("GetStatus")
    service.machine.kill(signal.SIGSTOP, status["supervisor_pid"])
    eventually(lambda: (s := service.try_status()) and s["supervisor_pid"] != status["supervisor_pid"], 40, "a successor")
    assert service.pid("web") == before and service.show("NRestarts") == "0"


def test_stopped_keeper_is_restarted_by_the_watchdog(service):
    service.start(WEB, extra="WatchdogSec=3\n")
    before, keeper = service.pid("web"), service.show("MainPID")
    service.machine.kill(signal.SIGSTOP, keeper)
    eventually(lambda: service.show("NRestarts", "ActiveState") == ["1", "active"], 40, "the restart")
    assert service.show("MainPID") != keeper and not service.machine.alive(before)
    assert service.wait_state("web", "RUNNING")["pid"] != before


def test_kill_supervisor_and_logger(service):
    service.start(WEB)
    before = service.pid("web")
    for role in ("supervisor_pid", "logger_pid"):
        old = service.call("GetStatus")[role]
        service.machine.kill(signal.SIGKILL, old)
        eventually(lambda o=old, r=role: (s := service.try_status()) and s[r] not in (0, o), what="another " + role)
    assert service.pid("web") == before
    assert service.show("NRestarts", "ActiveState") == ["0", "active"]


def test_kill_keeper(service):
    """The unit starts again, nothing runs twice, and a client finds the socket open at every moment."""
    service.start("[program:web]\ncommand = sh -c 'setsid sleep 1000 & echo $!; exec sleep 1000'\nstdout_logfile = @/web.log\n")
    old, keeper = service.pid("web"), service.show("MainPID")
    child = int(eventually((service.folder / "web.log").read_text))
    assert service.show("NFileDescriptorStore") == "2"
    service.machine.kill(signal.SIGKILL, keeper)
    answered = None
    while answered in (None, keeper):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(30)
            s.connect(str(service.rundir / "control.sock"))       # refused: the test fails here
            s.sendall(b'{"method":"io.reeve.Supervisor.GetStatus"}\0')
            try:
                data = s.recv(1 << 16)
            except ConnectionResetError:
                continue
            if data:
                answered = str(json.loads(data.rstrip(b"\0"))["parameters"]["pid"])
    new = service.wait_state("web", "RUNNING")["pid"]
    assert not service.machine.alive(old) and not service.machine.alive(child) and new != old
    assert eventually(lambda: service.show("NRestarts", "ActiveState", "NFileDescriptorStore") == ["1", "active", "2"])


def test_restart_and_stop_in_order(service):
    program = "[program:{0}]\ncommand = sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.05; done'\npriority = {1}\n"
    service.start(program.format("first", 1) + program.format("last", 9))
    assert service.systemctl("restart", service.name).returncode == 0
    assert re.findall(r" stopped: (\w+)", service.log()) == ["last", "first"]
    assert service.show("NFileDescriptorStore", "ActiveState", "NRestarts") == ["2", "active", "0"]
    assert service.systemctl("stop", service.name).returncode == 0
    assert re.findall(r" stopped: (\w+)", service.log()) == ["last", "first"] * 2
    assert service.show("ActiveState", "Result") == ["inactive", "success"]


@pytest.mark.parametrize("daemon, seconds, result", [("", 3, "timeout"), ("stop_deadline = 1\n", 20, "success")])
def test_stop_within_its_time(service, daemon, seconds, result):
    service.start("[program:deaf]\ncommand = sh -c \"trap '' TERM; while :; do sleep 0.1; done\"\nstopwaitsecs = 600\n", daemon=daemon,
                  extra=f"TimeoutStopSec={seconds}\n")
    deaf = service.pid("deaf")
    began = time.monotonic()
    service.systemctl("stop", service.name)
    assert time.monotonic() - began < 15
    assert not service.machine.alive(deaf)
    assert service.show("Result") == result
    service.systemctl("reset-failed", service.name)


COUNT = """[program:count]
command = sh -c 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo end; exec sleep 1000'
stdout_logfile = @/count.log
stdout_logfile_maxbytes = 0
"""


def upgrade(service, path):
    """Supervisor and keeper are PATH afterwards, and for systemd nothing has happened."""
    keeper, supervisor = service.show("MainPID"), service.call("GetStatus")["supervisor_pid"]
    r = service.machine.run(REEVECTL, "-c", service.config, "upgrade", path)
    assert r.returncode == 0 and "has taken over" in r.stdout, r.stdout + r.stderr
    eventually(lambda: service.machine.run("readlink", f"/proc/{keeper}/exe").stdout.strip() == str(path), 40, "the keeper's own upgrade")
    assert service.call("GetStatus")["supervisor_pid"] != supervisor
    assert service.show("ActiveState", "SubState", "MainPID", "NRestarts") == ["active", "running", keeper, "0"]
    assert service.show("NFileDescriptorStore") == "2"
    fed = int(service.show("WatchdogTimestampMonotonic"))
    eventually(lambda: int(service.show("WatchdogTimestampMonotonic")) > fed, 40, "a keeper that feeds the watchdog")


def test_upgrade(service):
    """To another version and back to the one before; then an orderly end."""
    service.start(WEB + COUNT, extra="WatchdogSec=2\n")
    before = {name: p["pid"] for name, p in service.processes().items()}
    for path in (NEXT, REEVED):
        upgrade(service, path)
        assert {name: p["pid"] for name, p in service.processes().items()} == before
        assert service.call("GetStatus")["version"].endswith(".next") == (path == NEXT)
    count = service.folder / "count.log"
    eventually(lambda: count.read_text().endswith("end\n"), 40, "the last line")
    assert count.read_text().splitlines() == [f"line {i}" for i in range(20000)] + ["end"]
    assert service.systemctl("stop", service.name).returncode == 0
    assert service.show("ActiveState", "Result", "NRestarts") == ["inactive", "success", "0"]
    assert not any(service.machine.alive(pid) for pid in before.values())


def test_restart_after_an_upgrade(service):
    """The unit starts what its file says."""
    service.start(WEB, extra="WatchdogSec=2\n")
    keeper, web = service.show("MainPID"), service.pid("web")
    upgrade(service, NEXT)
    assert service.systemctl("restart", service.name).returncode == 0
    assert not service.call("GetStatus")["version"].endswith(".next")
    assert service.show("ActiveState", "Result", "NFileDescriptorStore") == ["active", "success", "2"]
    assert service.show("MainPID") != keeper and not service.machine.alive(web)
    assert service.wait_state("web", "RUNNING")["pid"] != web


def limit_memory(service, pid):
    """Let PID and its children have 24 MB; a function that undoes what has to be undone."""
    host = next(int(p) for p in service.machine.group.groups()[0].glob(f"**/{service.name}.service/**/eater.*/cgroup.procs")
                for p in p.read_text().split())
    group = pathlib.Path(f"/sys/fs/cgroup/memory/reeve-test-{os.getpid()}")
    if group.parent.exists():
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(24 << 20))
        (group / "cgroup.procs").write_text(str(host))
        return group.rmdir
    unit = next(g for g in service.machine.group.groups() if g.name == f"{service.name}.service")
    eater = next(unit.glob("reeve-*/eater.*"))
    for parent in (unit, eater.parent):
        (parent / "cgroup.subtree_control").write_text("+memory")
    (eater / "memory.max").write_text(str(24 << 20))
    if (eater / "memory.swap.max").exists():
        (eater / "memory.swap.max").write_text("0")
    return lambda: None


def test_one_program_out_of_memory(service):
    eat = "x = input(); y = b'x' * (200 << 20)"
    service.start(WEB + f"[program:eater]\ncommand = /usr/bin/python3 -c \"{eat}\"\n")
    web, eater = service.pid("web"), service.pid("eater")
    undo = limit_memory(service, eater)
    try:
        service.call("SendStdin", name="eater", data="go\n")
        again = eventually(lambda: (p := service.processes()["eater"])["run"] == 2 and p["statename"] == "RUNNING" and p, 40)
        assert again["pid"] != eater and service.pid("web") == web
        assert "exited: eater (terminated by SIGKILL; not expected)" in service.log()
        assert service.show("ActiveState", "NRestarts", "Result") == ["active", "0", "success"]
        # The first version of control groups, where it has the memory controller, is not asked.
        named = "the kernel has killed in its control group for want of memory" in json.dumps(service.call("Why", name="eater"))
        assert named != pathlib.Path("/sys/fs/cgroup/memory").exists()
    finally:
        eventually(lambda: not service.machine.alive(eater))
        undo()


def test_socket_activation(service):
    service.configure(WEB)
    service.install()
    service.install(kind="socket")
    try:
        assert service.systemctl("start", f"{service.name}.socket").returncode == 0
        assert service.show("ActiveState") == "inactive"
        for _ in range(2):
            assert service.call("GetStatus")["statename"] == "RUNNING"
            service.wait_state("web", "RUNNING")
            supervisor = service.call("GetStatus")["supervisor_pid"]
            service.machine.kill(signal.SIGKILL, supervisor)
            eventually(lambda s=supervisor: service.call("GetStatus")["supervisor_pid"] != s)
            eventually(lambda: service.show("ActiveState") == "active")
            assert service.systemctl("stop", f"{service.name}.service").returncode == 0
            assert (service.rundir / "control.sock").is_socket()
    finally:
        service.systemctl("stop", f"{service.name}.socket")


def test_an_end_that_was_asked_for_is_no_failure(service):
    service.start(WEB)
    service.call("Shutdown")
    eventually(lambda: service.show("ActiveState") == "inactive")
    assert service.show("Result", "NRestarts") == ["success", "0"]


def test_unreadable_configuration_is_not_tried_for_ever(service):
    service.configure("")
    service.config.unlink()
    service.install()
    assert service.systemctl("start", service.name).returncode != 0
    assert eventually(lambda: service.show("ActiveState", "NRestarts") == ["failed", "0"])
    service.systemctl("reset-failed", service.name)


def test_exit_with_under_systemd(service):
    service.start("[program:app]\ncommand = sh -c 'sleep 2; kill -9 $$'\nautorestart = false\n", daemon="exit_with = app\n",
                  extra="Restart=no\n")
    eventually(lambda: service.show("ActiveState") == "failed")
    assert service.show("ExecMainStatus") == "137"
    service.systemctl("reset-failed", service.name)


def test_unit_of_one_user(machine):
    """A user's own systemd, and the unit for it: groups are made there too."""
    home = "/run/user-test"
    variables = {"HOME": home, "XDG_RUNTIME_DIR": f"{home}/xdg", "XDG_CONFIG_HOME": f"{home}/config", "ASAN_OPTIONS": f"log_path={home}/sanitizer"}
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env", *(f"{k}={v}" for k, v in variables.items())]
    unit = (build_dir() / "packaging" / "user-reeve.service").read_text()
    unit = re.sub(r"(Exec\w+=)\S*/(reeved|reevectl)\b", rf"\1{home}/\2", unit)
    machine.write(f"{home}/config/systemd/user/reeve.service", unit)
    machine.write(f"{home}/config/systemd/user/reeve.service.d/test.conf", "[Unit]\nDefaultDependencies=no\n")
    machine.write(f"{home}/config/systemd/user/user-test.target", "[Unit]\n")
    machine.write(f"{home}/config/reeve/reeve.ini", f"[supervisord]\nlogfile={home}/reeved.log\npidfile={home}/pid\nchildlogdir={home}\n{WEB}")
    machine.write("/run/systemd/system/user-test.service", "[Unit]\nDefaultDependencies=no\n[Service]\nType=notify\nUser=nobody\nDelegate=yes\n"
                  + "".join(f"Environment={k}={v}\n" for k, v in variables.items()) + f"ExecStart={SYSTEMD} --user --unit=user-test.target\n")
    machine.run("sh", "-c", f"mkdir {home}/xdg; cp {REEVED} {REEVECTL} {build_dir()}/daemon/logger/reeve-logger {home}; chown -R nobody:nogroup {home}; "
                f"chmod 700 {home}/xdg")
    reevectl = [*as_user, f"{home}/reevectl", "-c", f"{home}/config/reeve/reeve.ini"]
    try:
        machine.systemctl("daemon-reload")
        r = machine.systemctl("start", "user-test")
        assert r.returncode == 0, r.stderr
        r = machine.run(*as_user, "systemctl", "--user", "start", "reeve")
        assert r.returncode == 0, r.stderr + machine.read(f"{home}/reeved.log")
        pid = machine.run(*reevectl, "pid", "web").stdout.strip()
        assert re.search(r"(?m)^0::/system.slice/user-test.service/app.slice/reeve.service/reeve-[0-9a-f-]+/web\.\d+$", machine.read(f"/proc/{pid}/cgroup"))
        assert machine.run(*as_user, "systemctl", "--user", "reload", "reeve").returncode == 0
        assert machine.run(*as_user, "systemctl", "--user", "stop", "reeve").returncode == 0
        assert not machine.alive(pid)
        assert not machine.run("sh", "-c", f"cat {home}/sanitizer* 2>/dev/null").stdout
    finally:
        machine.systemctl("stop", "user-test")


def test_units_are_sound(tmp_path):
    """systemd's own check, on the files as they are installed."""
    for name in ("system-reeve.service", "system-reeve.socket", "user-reeve.service"):
        text = (build_dir() / "packaging" / name).read_text()
        text = re.sub(r"(Exec\w+=)\S*/(reeved|reevectl)\b", r"\1/bin/true", text)
        text = "\n".join(line for line in text.splitlines() if not line.startswith("Documentation="))
        (tmp_path / name.split("-", 1)[1]).write_text(text)
        kind = "--user" if name.startswith("user") else "--system"
        if not name.endswith(".socket"):
            r = subprocess.run(["systemd-analyze", "verify", "--man=no", kind, str(tmp_path / "reeve.service")], capture_output=True, text=True,
                               check=False, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
            assert "reeve." not in r.stderr, r.stderr
