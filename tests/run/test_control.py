"""The control socket, configuration changes, and manners of the daemon."""

import json
import os
import signal
import socket
import stat
import subprocess
import time

import pytest

from basics import eventually, soon
from reeve import REEVECTL, REEVED


def test_update_touches_only_what_differs(reeve):
    base = "[program:a]\ncommand = sleep 1000\n[program:b]\ncommand = sleep 1000\n[program:gone]\ncommand = sleep 1000\n"
    reeve.start(base)
    for name in ("a", "b", "gone"):
        reeve.wait_state(name, "RUNNING")
    before = {name: reeve.pid(name) for name in ("a", "b")}
    reeve.write("[program:a]\ncommand = sleep 1000\nstopwaitsecs = 3\n[program:b]\ncommand = sleep 1001\n[program:new]\ncommand = sleep 1000\n")
    code, out = reeve.ctl("plan")
    assert code == 2
    lines = {line.split()[0]: line.split(None, 1)[1] for line in out.splitlines()}
    assert lines == {"a": "live (stopwaitsecs)", "b": "restart (command)", "new": "add", "gone": "remove"}
    assert reeve.ctl("reread")[1] == "a: changed\nb: changed\ngone: disappeared\nnew: available\n"
    code, out = reeve.ctl("update")
    assert code == 0
    assert sorted(out.splitlines()) == sorted(["gone: stopped", "gone: removed process group", "a: updated process group", "b: stopped",
                                               "b: updated process group", "new: added process group"])
    assert reeve.pid("a") == before["a"]
    reeve.wait_state("b", "RUNNING")
    assert reeve.pid("b") != before["b"]
    reeve.wait_state("new", "RUNNING")
    assert "gone" not in reeve.processes()
    assert reeve.ctl("plan")[0] == 0
    assert reeve.ctl("update") == (0, "")


def test_more_processes_start_only_the_new_ones(reeve):
    text = "[program:w]\ncommand = sleep 1000\nnumprocs = {}\nprocess_name = w%(process_num)d\n"
    reeve.start(text.format(2))
    reeve.wait_state("w:w1", "RUNNING")
    before = {name: reeve.pid(name) for name in ("w:w0", "w:w1")}
    reeve.write(text.format(4))
    assert reeve.ctl("update")[0] == 0
    reeve.wait_state("w:w3", "RUNNING")
    assert {name: reeve.pid(name) for name in before} == before
    reeve.write(text.format(1))
    assert reeve.ctl("update")[0] == 0
    assert list(reeve.processes()) == ["w:w0"] and reeve.pid("w:w0") == before["w:w0"]


def test_bad_edit_changes_nothing(reeve):
    reeve.start("[program:a]\ncommand = sleep 1000\n")
    pid = reeve.wait_state("a", "RUNNING")["pid"]
    reeve.write("[program:a]\ncommand = sleep 1001\nautostart = maybe\n")
    code, out = reeve.ctl("update")
    assert code == 1 and "not a valid boolean value: 'maybe'" in out
    assert reeve.pid("a") == pid
    reeve.daemon.send_signal(signal.SIGHUP)
    reeve.wait_log("nothing was changed")
    reeve.write("[program:a]\ncommand = sleep 1001\n")
    reeve.daemon.send_signal(signal.SIGHUP)
    eventually(lambda: reeve.pid("a") not in (0, pid))


def test_bad_section_is_invalid_the_rest_runs(reeve):
    reeve.start("[program:good]\ncommand = sleep 1000\n[program:bad]\ncommand = sleep 1000\nstopsignal = TERMM\n")
    reeve.wait_state("good", "RUNNING")
    code, out = reeve.ctl("status")
    assert code == 3
    assert "bad                              INVALID   value 'TERMM' is not a valid signal name" in out


def test_add_and_remove(reeve):
    reeve.start("[program:a]\ncommand = sleep 1000\n")
    reeve.wait_state("a", "RUNNING")
    assert reeve.ctl("add", "a") == (0, "ERROR: process group already active\n")
    assert reeve.ctl("remove", "a") == (1, "ERROR: process/group still running: a\n")
    reeve.ctl("stop", "a")
    assert reeve.ctl("remove", "a") == (0, "a: removed process group\n")
    assert reeve.ctl("remove", "a") == (1, "ERROR: no such process/group: a\n")
    assert reeve.ctl("add", "a") == (0, "a: added process group\n")
    reeve.wait_state("a", "RUNNING")
    assert reeve.ctl("avail") == (0, f"{'a':32} in use    auto      999:999\n")


def test_why_and_events(reeve):
    reeve.start("[program:crash]\ncommand = sh -c 'echo the reason >&2; exit 3'\nstartretries = 1\n[program:web]\ncommand = sleep 1000\n")
    reeve.wait_state("crash", "FATAL")
    code, out = reeve.ctl("why", "crash")
    assert code == 0 and "exit status 3" in out and "BACKOFF" in out and "Next: stays down" in out
    eventually(lambda: "the reason" in reeve.ctl("why", "crash")[1])
    reeve.ctl("stop", "web")
    why = json.loads(reeve.ctl("why", "web", "--json")[1])
    asked = [t["cause"] for t in why["transitions"] if t["to"] == "STOPPING"][0]
    assert asked["kind"] == "command" and asked["uid"] == os.getuid() and asked["command"] == "Stop"
    types = [json.loads(line)["type"] for line in reeve.ctl("events", "--json")[1].splitlines()]
    assert "PROCESS_STATE_FATAL" in types and types[-1] == "PROCESS_STATE_STOPPED"


def test_tail_and_clear(reeve):
    reeve.start("[program:p]\ncommand = sh -c 'echo out; echo err >&2; while read x; do echo $x; done'\nstdout_logfile = @/p.log\n")
    reeve.wait_state("p", "RUNNING")
    eventually(lambda: reeve.file("p.log") == "out\n")
    assert reeve.ctl("tail", "p") == (0, "out\n\n")
    eventually(lambda: reeve.ctl("tail", "p", "stderr") == (0, "err\n\n"), what="AUTO log")
    assert reeve.ctl("tail", "-2", "p")[1] == "t\n\n"
    assert reeve.ctl("tail", "nosuch") == (1, "nosuch: ERROR (no such process name)\n")
    follower = subprocess.Popen([str(REEVECTL), "-c", str(reeve.config), "tail", "-f", "p"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=reeve.environment())
    assert follower.stdout.readline() == "==> Press Ctrl-C to exit <==\n" and follower.stdout.readline() == "out\n"
    assert "error" not in reeve.call("SendStdin", name="p", data="typed\n")
    assert follower.stdout.readline() == "typed\n"
    logger = reeve.part("logger")
    os.kill(logger, signal.SIGKILL)     # its successor is followed
    assert follower.stderr.readline() == "(connected again)\n"
    reeve.call("SendStdin", name="p", data="more\n")
    assert follower.stdout.readline() == "more\n"
    follower.send_signal(signal.SIGINT)
    assert follower.wait(20) == 0
    follower.stdout.close()
    follower.stderr.close()
    assert reeve.ctl("clear", "p") == (0, "p: cleared\n")
    eventually(lambda: reeve.file("p.log") == "")
    eventually(lambda: "spawned: 'p'" in reeve.ctl("maintail")[1])


def test_pid_and_version(reeve):
    reeve.start("[program:p]\ncommand = sleep 1000\n")
    assert reeve.ctl("pid") == (0, f"{reeve.daemon.pid}\n")
    assert (reeve.folder / "reeved.pid").read_text() == f"{reeve.daemon.pid}\n"
    pid = reeve.wait_state("p", "RUNNING")["pid"]
    assert reeve.ctl("pid", "p") == (0, f"{pid}\n")
    assert reeve.ctl("version")[0] == 0


def test_second_instance_is_refused(reeve):
    reeve.start("[program:p]\ncommand = sleep 1000\n")
    r = subprocess.run([str(REEVED), "-c", str(reeve.config)], capture_output=True, text=True, timeout=20, env=reeve.environment())
    assert r.returncode == 1 and "another reeved already runs" in r.stderr
    assert reeve.answers()


def test_stale_sockets_are_replaced(reeve):
    reeve.rundir.mkdir()
    for name in ("control.sock", "log.sock"):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(reeve.rundir / name))
    reeve.start("[program:p]\ncommand = sleep 1000\n")
    reeve.wait_state("p", "RUNNING")
    assert stat.S_IMODE(os.stat(reeve.rundir / "control.sock").st_mode) == 0o600


def test_errors_of_reevectl(reeve):
    reeve.write("[program:p]\ncommand = sleep 1\n")
    code, out = reeve.ctl("status")
    assert code == 4 and "is reeved running" in out
    assert reeve.ctl("frobnicate", "x") == (1, "*** Unknown syntax: frobnicate x (`help` lists the commands)\n")
    assert reeve.ctl("start")[0] == 2


def test_idle_and_hostile_connections(reeve):
    reeve.start("[program:p]\ncommand = sleep 1000\n")
    path = str(reeve.rundir / "control.sock")
    idle = []
    try:
        for i in range(600):
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            s.send([b"", b'{"method":"io.reeve.Super', b"{" * 100][i % 3] or b"")
            idle.append(s)
        for garbage in (b"\0\0\0", b"not json\0", b'{"method":7}\0', b'["a"]\0', os.urandom(5000) + b"\0", b"[" * 3000 + b"\0"):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(20)
            s.connect(path)
            s.send(garbage)
            while s.recv(4096):
                pass
            s.close()
        big = socket.socket(socket.AF_UNIX)
        big.settimeout(20)
        big.connect(path)
        try:
            big.sendall(b"x" * (2 << 20))
        except OSError:
            pass
        big.close()

        def asked():
            began = time.monotonic()
            assert reeve.ctl("status", "p")[0] == 0
            return time.monotonic() - began
        soon(asked, 5)
    finally:
        for s in idle:
            s.close()


@pytest.mark.parametrize("method, parameters", [
    ("NoSuch", {}), ("Start", {"names": 7}), ("Start", {"names": [7]}), ("Signal", {"names": ["p"]}), ("Why", {}), ("Why", {"name": "zz"}),
    ("Wait", {"names": ["p"], "until": "never"}), ("AddGroup", {}), ("RemoveGroup", {"name": 1}), ("SendStdin", {"name": "p"}),
])
def test_bad_calls_are_answered(reeve, method, parameters):
    reeve.start("[program:p]\ncommand = sleep 1000\n")
    assert "error" in reeve.call(method, **parameters)


def test_introspection(reeve):
    from reeve import varlink
    reeve.start()
    info = varlink(reeve.rundir / "control.sock", "org.varlink.service.GetInfo")["parameters"]
    assert "io.reeve.Supervisor" in info["interfaces"]
    text = varlink(reeve.rundir / "control.sock", "org.varlink.service.GetInterfaceDescription",
                   {"interface": "io.reeve.Supervisor"})["parameters"]["description"]
    assert "method List(" in text


def test_operation_goes_on_without_its_client(reeve):
    reeve.start("[program:slow]\ncommand = sh -c 'trap \"until test -e @/go; do sleep 0.05; done; exit 0\" TERM; while :; do sleep 0.05; done'\n")
    reeve.wait_state("slow", "RUNNING")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(reeve.rundir / "control.sock"))
        s.sendall(b'{"method":"io.reeve.Supervisor.Restart","parameters":{"names":["slow"]},"more":true}\0')
        reeve.wait_state("slow", "STOPPING")
    (reeve.folder / "go").touch()
    eventually(lambda: reeve.process("slow")["run"] == 2)


def test_daemon_goes_to_the_background(reeve):
    reeve.write("[program:p]\ncommand = sleep 1000\n")
    r = subprocess.run([str(REEVED), "--daemon", "-c", str(reeve.config)], capture_output=True, timeout=20, env=reeve.environment())
    assert r.returncode == 0
    pid = int(eventually(lambda: reeve.file("reeved.pid").strip()))
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not reeve.mine())


def test_supervisord_link_daemonises(reeve):
    link = reeve.folder / "supervisord"
    link.symlink_to(REEVED)
    assert subprocess.run([str(link), "--version"], capture_output=True, text=True, check=True).stdout == "4.2.5\n"
    reeve.write("[program:p]\ncommand = sleep 1000\n")
    assert subprocess.run([str(link), "-c", str(reeve.config)], timeout=20, env=reeve.environment(), check=False).returncode == 0
    assert eventually(lambda: reeve.ctl("shutdown") == (0, "Shut down\n"))
    eventually(lambda: not reeve.mine())


@pytest.mark.parametrize("args, text", [
    (["-n", "-n"], "conflicting command line option '-n'"), (["-x"], "option -x not recognized"),
    (["extra"], "positional arguments are not supported: ['extra']"), (["--logf"], "option --logf not a unique prefix"),
    (["-m", "9"], "invalid value for -m '9': 9 can not be converted to an octal type"), (["-c", "/no/such"], "could not find config file /no/such"),
])
def test_usage_errors(args, text):
    r = subprocess.run([str(REEVED), *args], capture_output=True, text=True, timeout=20, check=False)
    assert r.returncode == 2 and r.stderr == f"Error: {text}\nFor help, use {REEVED} -h\n"


def test_reload_starts_afresh(reeve):
    reeve.start("[program:a]\ncommand = sleep 1000\n")
    pid = reeve.wait_state("a", "RUNNING")["pid"]
    reeve.write("[program:b]\ncommand = sleep 1000\n")
    assert reeve.ctl("reload") == (0, "Restarted supervisord\n")
    eventually(lambda: list(reeve.processes()) == ["b"])
    reeve.wait_state("b", "RUNNING")
    assert not os.path.exists(f"/proc/{pid}") and reeve.answers()["pid"] == reeve.daemon.pid


def test_list_with_history_and_loop_latency(reeve):
    reeve.start("[program:once]\ncommand = sh -c 'exit 3'\nstartsecs = 0\nautorestart = false\n")
    reeve.wait_state("once", "EXITED")
    process, = reeve.call("List", names=["once"], history=True)["parameters"]["processes"]
    last = process["transitions"][-1]
    assert (last["from"], last["to"], last["cause"]["kind"], last["cause"]["exitcode"]) == ("RUNNING", "EXITED", "exit", 3)
    assert "transitions" not in reeve.process("once")
    assert 0 < reeve.answers()["loop_latency"] < 5
