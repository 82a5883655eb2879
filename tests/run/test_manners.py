"""Service managers, hangs, shortages, and documents that agree with the programs."""

import os
import resource
import signal
import socket
import subprocess

from basics import build_dir
from reeve import REEVECTL, REEVED, eventually


def test_readiness_is_told_by_the_keeper(reeve, monkeypatch):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(reeve.folder / "notify"))
    notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    notify.settimeout(20)
    monkeypatch.setenv("NOTIFY_SOCKET", str(reeve.folder / "notify"))
    reeve.start("[program:web]\ncommand = sh -c 'env; echo end; exec sleep 1000'\nstdout_logfile = @/web.log\n")

    def wait_for(text):
        while True:
            data, ancillary, _, _ = notify.recvmsg(4096, 64)
            if text in data:
                return int.from_bytes(ancillary[0][2][:4], "little")

    assert wait_for(b"READY=1") == reeve.daemon.pid
    assert reeve.process("web")["statename"] == "RUNNING"
    eventually(lambda: reeve.file("web.log").endswith("end\n"), what="its environment")
    assert "NOTIFY_SOCKET" not in reeve.file("web.log")
    reeve.daemon.send_signal(signal.SIGHUP)
    wait_for(b"RELOADING=1")
    wait_for(b"READY=1")
    reeve.daemon.send_signal(signal.SIGTERM)
    wait_for(b"STOPPING=1")
    assert reeve.daemon.wait(30) == 0
    notify.close()


def test_hanging_supervisor_is_replaced(reeve):
    reeve.start("[program:web]\ncommand = sleep 1000\n", daemon="heartbeat = 1\n")
    web = reeve.wait_state("web", "RUNNING")["pid"]
    supervisor = reeve.part("supervisor")
    os.kill(supervisor, signal.SIGSTOP)
    reeve.wait_log("has not answered for", seconds=40)
    reeve.wait_successor(supervisor)
    assert reeve.pid("web") == web


def test_shortage_of_descriptors_is_no_fault_of_programs(reeve):
    """Out of descriptors a program waits and is never FATAL; with more of them it comes up by itself."""
    program = "[program:{0}]\ncommand = sleep 1000\nnumprocs = 5\nprocess_name = {0}%(process_num)d\nstartretries = 0\n"
    reeve.start(program.format("a"))
    reeve.wait_state("a:a4", "RUNNING")
    supervisor = reeve.part("supervisor")
    hard = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)[1]
    reeve.write(program.format("a") + program.format("b"))
    used = len(os.listdir(f"/proc/{supervisor}/fd"))
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (used + 6, hard))
    reeve.call("Update")
    short = eventually(lambda: (p := reeve.processes().get("b:b4")) and p["statename"] == "BACKOFF" and p)
    assert "no resources to start 'b4'" in short["description"] and "EMFILE" in short["description"]
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (hard, hard))
    reeve.wait_state("b:b4", "RUNNING", seconds=60)
    assert reeve.process("b:b4")["backoff"] == 0


def test_manual_pages_have_every_row():
    def rows(*command):
        out = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True).stdout
        return [line.split("\t") for line in out.splitlines()]

    docs = build_dir() / "docs"
    plain = {page: (docs / f"{page}.scd").read_text(encoding="utf-8").replace("\\", "") for page in ("reeve.conf.5", "reeved.8", "reevectl.1")}
    keys, options, commands = rows(REEVED, "--print=keys"), rows(REEVED, "--print=options"), rows(REEVECTL, "--print=commands")
    assert len(keys) > 80 and len(options) > 20 and len(commands) > 25
    for kind, key, *_, help_ in keys:
        assert f"*{key}*" in plain["reeve.conf.5"] and help_ in plain["reeve.conf.5"], (kind, key)
    for _, name, _, help_ in options:
        assert f"*--{name}*" in plain["reeved.8"] and help_ in plain["reeved.8"]
    for name, _, help_ in commands:
        assert f"*{name}*" in plain["reevectl.1"] and help_ in plain["reevectl.1"]
