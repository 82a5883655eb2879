"""A disk and a name service that do not answer: who needs them is told so, all others are served as ever, and all is well when they are back."""

import http.client
import os
import pathlib
import signal
import socket
import subprocess
import time
import xmlrpc.client

import pytest

from fault import Preload, comm, kill
from reeve import HELPERS, REEVECTL, eventually, processes

SLEEP = "[program:{0}]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = true\nstdout_logfile = NONE\nstderr_logfile = NONE\n"
INCLUDE = "[include]\nfiles = @/mnt/file\n"
AT_ONCE = 5             # seconds: below the ten that files have, and far above what a busy machine needs


class DeadDisk:
    """A file system with one file, which can be told to answer no more."""

    def __init__(self, folder):
        self.mountpoint = folder / "mnt"
        self.mountpoint.mkdir()
        self.source = folder / "source"
        self.source.write_text("")
        self.run = subprocess.Popen([str(HELPERS / "stuck_fs"), str(self.mountpoint), str(self.source)], text=True,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.run.stdout.readline() == "mounted\n"

    def say(self, word):
        self.run.stdin.write(word + "\n")
        self.run.stdin.flush()
        assert self.run.stdout.readline() == "ok\n"

    def close(self):
        self.run.kill()
        self.run.wait()
        subprocess.run(["fusermount3", "-uzq", str(self.mountpoint)], check=False)


@pytest.fixture
def disk(reeve):
    made = DeadDisk(reeve.folder)
    yield made
    made.close()
    eventually(lambda: not asides(reeve), what="the end of those who hang")


def asides(reeve):
    """The children that do what may hang."""
    return [pid for pid in reeve.mine() if comm(pid) == "reeve-aside"]


def children(parent):
    return [pid for pid, ppid, _ in processes() if ppid == parent]


class Command:
    """A reevectl that may take its time."""

    def __init__(self, reeve, *words):
        self.began = time.monotonic()
        self.run = subprocess.Popen([str(REEVECTL), "-c", str(reeve.config), *words], text=True, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, env=reeve.environment())

    def end(self):
        """(exit status, output, seconds)"""
        out = self.run.communicate(timeout=60)[0]
        return self.run.returncode, out, time.monotonic() - self.began


def quickly(act):
    began = time.monotonic()
    result = act()
    assert time.monotonic() - began < AT_ONCE
    return result


def crash(reeve, name):
    """NAME dies; its next pid."""
    old = reeve.pid(name)
    kill(old)
    return quickly(lambda: eventually(lambda: (p := reeve.process(name))["statename"] == "RUNNING" and p["pid"] != old and p["pid"]))


def serves_all_others(reeve):
    assert quickly(lambda: reeve.ctl("status", "web"))[1].split()[1] == "RUNNING"
    assert quickly(lambda: reeve.ctl("-s", str(reeve.rundir), "status", "web"))[1].split()[1] == "RUNNING"
    assert quickly(lambda: reeve.ctl("stop", "web")) == (0, "web: stopped\n")
    assert quickly(lambda: reeve.ctl("start", "web")) == (0, "web: started\n")
    assert quickly(lambda: reeve.ctl("avail"))[0] == 0
    crash(reeve, "web")


class Gateway:
    """XML-RPC, also with an answer that may take its time."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.section = f"[inet_http_server]\nport = 127.0.0.1:{self.port}\n"

    def call(self, method, *args):
        return getattr(xmlrpc.client.ServerProxy(f"http://127.0.0.1:{self.port}/RPC2").supervisor, method)(*args)

    def answers(self):
        try:
            return self.call("getState")["statename"] == "RUNNING"
        except (OSError, http.client.HTTPException):
            return False

    def begin(self, method):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/RPC2", xmlrpc.client.dumps((), f"supervisor.{method}"), {"Content-Type": "text/xml"})
        return connection


def test_configuration_on_a_dead_disk(reeve, disk):
    gateway = Gateway()
    reeve.start(SLEEP.format("web") + INCLUDE + gateway.section)
    supervisor = reeve.answers()["supervisor_pid"]
    reeve.wait_state("web", "RUNNING")
    eventually(gateway.answers, what="the gateway")
    disk.say("hold")
    commands = [Command(reeve, word) for word in ("reread", "plan", "update", "reread")]
    os.kill(reeve.daemon.pid, signal.SIGHUP)
    eventually(lambda: asides(reeve), what="somebody who hangs")
    reload = gateway.begin("reloadConfig")
    serves_all_others(reeve)
    assert quickly(lambda: gateway.call("getProcessInfo", "web"))["name"] == "web"
    assert quickly(lambda: gateway.call("stopProcess", "web")) and quickly(lambda: gateway.call("startProcess", "web"))
    for command in commands:
        code, out, seconds = command.end()
        assert code and f"CANT_REREAD: could not read config file {reeve.config}: no answer within 10 seconds ({disk.mountpoint}/file)" in out
        assert len(out.splitlines()) == 1 and 9 < seconds < 35    # two readings at most: who came during the first shares the second
    reeve.wait_log("nothing was changed: could not read config file")
    with pytest.raises(xmlrpc.client.Fault) as fault:
        xmlrpc.client.loads(reload.getresponse().read())
    assert fault.value.faultCode == 92 and "no answer within 10 seconds" in fault.value.faultString

    disk.source.write_text(SLEEP.format("more"))
    disk.say("go")
    assert quickly(lambda: reeve.ctl("reread")) == (0, "more: available\n")
    assert quickly(lambda: gateway.call("reloadConfig")) == [[["more"], [], []]]
    assert quickly(lambda: reeve.ctl("update")) == (0, "more: added process group\n")
    reeve.wait_state("more", "RUNNING")
    eventually(lambda: not asides(reeve), what="the end of those who hang")
    assert reeve.answers()["supervisor_pid"] == supervisor and reeve.stop() == 0


def test_client_of_a_dead_disk(reeve, disk):
    """reevectl looks for its daemon without the included files; when even the main one does not answer it says what to do."""
    def ask(*words):
        r = quickly(lambda: subprocess.run([str(REEVECTL), *words], capture_output=True, text=True, timeout=60, env=reeve.environment(), check=False))
        return r.returncode, r.stdout, r.stderr

    reeve.start(SLEEP.format("web") + INCLUDE)
    reeve.wait_state("web", "RUNNING")
    disk.say("hold")
    code, out, err = ask("-c", str(reeve.config), "alive", "web")
    assert code == 0 and err == f"note: {reeve.config}: the included files do not answer; going on without them\n", (out, err)
    code, out, err = ask("-c", str(disk.mountpoint / "file"), "alive", "web")
    assert code and f"could not read config file {disk.mountpoint}/file: its disk does not answer; name the daemon with -s" in out + err
    assert ask("-s", str(reeve.rundir), "alive", "web") == (0, "", "")


def test_end_during_a_reading(reeve, disk):
    """Neither the end of the daemon nor a death of the supervisor waits for a disk."""
    reeve.start(SLEEP.format("web") + INCLUDE)
    web = reeve.wait_state("web", "RUNNING")["pid"]
    disk.say("hold")
    command = Command(reeve, "reread")
    eventually(lambda: asides(reeve), what="somebody who hangs")
    old = reeve.answers()["supervisor_pid"]
    kill(old)
    assert quickly(lambda: eventually(lambda: (s := reeve.try_status()) and s["supervisor_pid"] != old))
    assert reeve.pid("web") == web
    eventually(lambda: "reeve-aside" in [comm(pid) for pid in children(reeve.answers()["supervisor_pid"])], what="the reader of the successor")
    assert quickly(reeve.stop) == 0
    assert command.end()[0]


def test_reload_without_a_disk(reeve, disk):
    """All is stopped when the files are read: the old configuration runs again. An end in between does not wait."""
    reeve.start(SLEEP.format("web") + INCLUDE)
    web = reeve.wait_state("web", "RUNNING")["pid"]
    disk.say("hold")
    assert quickly(lambda: reeve.ctl("reload")) == (0, "Restarted supervisord\n")
    reeve.wait_log("the new configuration cannot be used, the old one stays: could not read config file", 40)
    assert reeve.wait_state("web", "RUNNING")["pid"] != web
    assert quickly(lambda: reeve.ctl("reload"))[0] == 0
    eventually(lambda: "stopped: web" in reeve.log().rsplit("the old one stays", 1)[1], what="a second reload")
    assert quickly(reeve.stop) == 0


def test_autoupdate_of_a_dead_disk(reeve, disk):
    """A successor watches its files without waiting for them; what did not answer is tried again."""
    reeve.start(SLEEP.format("web") + INCLUDE, daemon="autoupdate = true\n")
    reeve.wait_state("web", "RUNNING")
    disk.say("hold")
    old = reeve.answers()["supervisor_pid"]
    kill(old)
    assert quickly(lambda: eventually(lambda: (s := reeve.try_status()) and s["supervisor_pid"] != old))
    crash(reeve, "web")
    reeve.wait_log("autoupdate: could not read config file", 40)
    disk.source.write_text(SLEEP.format("more"))
    disk.say("go")
    reeve.wait_state("more", "RUNNING", seconds=60)     # nobody tells of a change on such a disk: they are read again


def test_pid_file_and_sockets_on_a_dead_disk(reeve, disk):
    """Nothing that a user can place there holds up the others."""
    reeve.start(SLEEP.format("web"))
    reeve.wait_state("web", "RUNNING")
    disk.say("hold")
    reeve.write(SLEEP.format("web") + "[unix_http_server]\nfile = @/mnt/file\nchmod = 0700\n"
                "[fcgi-program:f]\ncommand = sleep 1000\nsocket = unix://@/mnt/file\nstdout_logfile = NONE\nstderr_logfile = NONE\n")
    with open(reeve.config, encoding="utf-8") as f:
        text = f.read().replace(f"pidfile = {reeve.folder}/reeved.pid", f"pidfile = {disk.mountpoint}/file")
    reeve.config.write_text(text)
    assert quickly(lambda: reeve.ctl("update"))[0] == 0
    serves_all_others(reeve)
    assert "does not answer" in reeve.wait_state("f", "BACKOFF")["description"]
    reeve.wait_log("[unix_http_server]: it is not made yet")
    assert quickly(reeve.stop) == 0


USER = "user = nobody\n"


def test_name_service_that_does_not_answer(reeve):
    """What it said before is used; who is not known waits."""
    names = Preload(reeve.folder, "slow_names").use(reeve)
    text = SLEEP.format("web") + USER + SLEEP.format("late") + "user = daemon\nautostart = false\n"
    reeve.start(text)
    supervisor = reeve.answers()["supervisor_pid"]
    reeve.wait_state("web", "RUNNING")
    names[1] = 1
    try:
        serves_all_others(reeve)
        assert os.stat(f"/proc/{reeve.pid('web')}").st_uid == 65534
        reeve.wait_log("the name service does not answer (user nobody); going on with what it said before")
        assert quickly(lambda: reeve.ctl("reread")) == (0, "No config updates to processes\n")
        reeve.wait_log("the configuration is taken without it")
        reeve.write(text + SLEEP.format("new") + "user = bin\n")
        assert quickly(lambda: reeve.ctl("update")) == (0, "new: added process group\n")
        assert "the name service does not say who bin is" in reeve.wait_state("new", "BACKOFF")["description"]
        assert reeve.ctl("start", "late")[0] == 0       # read, not started, when the service was well
        assert reeve.answers()["supervisor_pid"] == supervisor
    finally:
        names[1] = 0
    reeve.wait_state("new", "RUNNING", seconds=60)
    reeve.wait_log("the name service answers again")


def test_successor_without_a_name_service(reeve):
    """It knows from its predecessor who the users are."""
    names = Preload(reeve.folder, "slow_names").use(reeve)
    reeve.start(SLEEP.format("web") + USER)
    reeve.wait_state("web", "RUNNING")
    names[1] = 1
    try:
        old = reeve.answers()["supervisor_pid"]
        kill(old)
        assert quickly(lambda: eventually(lambda: (s := reeve.try_status()) and s["supervisor_pid"] != old))
        assert os.stat(f"/proc/{crash(reeve, 'web')}").st_uid == 65534
    finally:
        names[1] = 0


def test_home_of_a_user_that_nobody_knows(reeve):
    """A "~user" cannot be read without the name service: the old configuration stays."""
    names = Preload(reeve.folder, "slow_names").use(reeve)
    reeve.start(SLEEP.format("web"))
    reeve.wait_state("web", "RUNNING")
    reeve.write(SLEEP.format("web").replace("stdout_logfile = NONE", "stdout_logfile = ~nobody/web.log"))
    names[1] = 1
    try:
        command = Command(reeve, "reread")
        eventually(lambda: asides(reeve), what="somebody who hangs")
        serves_all_others(reeve)
        code, out, _ = command.end()
        assert code and "no answer within 10 seconds (user nobody)" in out
    finally:
        names[1] = 0
    assert reeve.ctl("reread") == (0, "web: changed\n")


def test_nobody_is_asked_twice_at_a_start_of_many(reeve):
    names = Preload(reeve.folder, "slow_names").use(reeve)
    reeve.start("[program:w]\ncommand = sleep 1000\nnumprocs = 50\nprocess_name = w%(process_num)d\nstartsecs = 0\nautostart = false\n" + USER +
                "stdout_logfile = NONE\nstderr_logfile = NONE\n")
    before = names[0]
    reeve.ctl("start", "w:*")
    assert all(p["statename"] == "RUNNING" for p in reeve.processes().values())
    assert names[0] - before <= 50
