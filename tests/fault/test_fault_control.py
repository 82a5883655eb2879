"""Clients that are many, slow, silent, greedy or mad, and those that contradict each other."""

import json
import os
import socket
import subprocess
import threading
import time

import pytest

from basics import SANITIZED, eventually, soon
from fault import chance, descriptors, long_or, memory, parts, pause, programs
from reeve import REEVECTL, alive, varlink

TWO = "[program:p]\ncommand = sleep 1000\nstartsecs = 0\n[program:other]\ncommand = sleep 1000\n"


def connect(reeve, name="control.sock"):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(str(reeve.rundir / name))
    return s


def answered_within(reeve, seconds):
    def asked():
        began = time.monotonic()
        assert varlink(reeve.rundir / "control.sock", "io.reeve.Supervisor.List", {"names": ["p"]})["parameters"]["processes"]
        return time.monotonic() - began
    soon(asked, 10 * seconds if SANITIZED else seconds, 5)


@pytest.mark.parametrize("name", ["control.sock", "log.sock"])
def test_two_thousand_idle_connections(reeve, name):
    """The longest idle ones make room: a new client is served at once, and descriptors are bounded."""
    reeve.start(TWO)
    reeve.wait_state("p", "RUNNING")
    part = parts(reeve.daemon.pid)["supervisor" if name == "control.sock" else "logger"]
    idle = []
    try:
        for _ in range(2000):
            idle.append(connect(reeve, name))
        answered_within(reeve, 2)
        assert descriptors(part) < 1200
    finally:
        for s in idle:
            s.close()
    eventually(lambda: descriptors(part) < 100)


def test_half_requests(reeve):
    """A request that never ends is given up after half a minute (looked at with REEVE_LONG=1); others do not wait for it."""
    reeve.start(TWO)
    request = json.dumps({"method": "io.reeve.Supervisor.List", "parameters": {"names": []}}).encode()
    halves = [connect(reeve) for _ in range(200)]
    try:
        for i, s in enumerate(halves):
            s.sendall(request[:1 + i % len(request)])
        answered_within(reeve, 2)
        halves[0].sendall(request[1:] + b"\0")      # in the end it comes whole
        assert b"processes" in halves[0].recv(1 << 16)
        if long_or(False, True):
            for s in halves[1:]:
                s.settimeout(60)
                assert s.recv(1) == b""
    finally:
        for s in halves:
            s.close()


def test_writers_of_a_byte_at_a_time(reeve):
    reeve.start(TWO)
    request = json.dumps({"method": "io.reeve.Supervisor.List", "parameters": {"names": ["p"]}}).encode() + b"\0"
    slow = [connect(reeve) for _ in range(20)]
    try:
        for byte in request:
            for s in slow:
                s.send(bytes([byte]))
            pause(long_or(0.001, 0.3))
        answered_within(reeve, 2)
        for s in slow:
            assert b"processes" in s.recv(1 << 16)
    finally:
        for s in slow:
            s.close()


def test_readers_that_never_read(reeve):
    """They ask and ask and take no answer: their queue is bounded, then their connection ends; nobody else waits."""
    reeve.start(TWO + "[program:w]\ncommand = sleep 1000\nnumprocs = 100\nprocess_name = w%(process_num)d\nautostart = false\n")
    supervisor = parts(reeve.daemon.pid)["supervisor"]
    request = json.dumps({"method": "io.reeve.Supervisor.List", "parameters": {"names": []}}).encode() + b"\0"
    before, base = memory(supervisor), descriptors(supervisor)
    greedy = [connect(reeve) for _ in range(8)]
    try:
        for s in greedy:
            s.setblocking(False)
        for _ in range(400):
            for s in greedy:
                try:
                    s.send(request)
                except OSError:
                    pass
        answered_within(reeve, 5)
        if not SANITIZED:
            assert memory(supervisor) < before + 20 * 1024
    finally:
        for s in greedy:
            s.close()
    eventually(lambda: descriptors(supervisor) <= base)
    followers = [connect(reeve) for _ in range(8)]      # streams that nobody takes
    try:
        for s in followers:
            s.sendall(b'{"method":"io.reeve.Supervisor.Events","parameters":{"follow":true},"more":true}\0')
        for _ in range(30):
            reeve.call("Restart", names=["p"])
        answered_within(reeve, 5)
    finally:
        for s in followers:
            s.close()


def frames(rng):
    """Requests that are none, or nearly."""
    good = json.dumps({"method": "io.reeve.Supervisor.Start", "parameters": {"names": ["nosuch"], "wait": False}}).encode()
    yield os.urandom(rng.randrange(1, 3000))
    yield os.urandom(rng.randrange(1, 3000)) + b"\0"
    broken = bytearray(good)
    for _ in range(rng.randrange(1, 6)):
        broken[rng.randrange(len(broken))] = rng.randrange(256)
    yield bytes(broken) + b"\0"
    yield b"[" * rng.randrange(1, 5000) + b"\0"
    yield b'{"a":' * rng.randrange(1, 3000) + b"\0"
    yield json.dumps({"method": "io.reeve.Supervisor." + rng.choice(["List", "Why", "Wait", "Signal", "Update", "Start", "Events"]),
                      "parameters": rng.choice([[], 7, "x", None, {"names": {}}, {"names": [[]]}, {"name": "\ud800"}, {"name": "x" * 70000},
                                                {"names": ["*"] * 5000}, {"names": ["nosuch:*"], "timeout": -1e308}, {"groups": 9}]),
                      "more": rng.choice([True, False, 3]), "oneway": rng.choice([True, False])}).encode("utf-8", "surrogatepass") + b"\0"


def test_random_frames(reeve):
    rng = chance()
    reeve.start(TWO)
    pid = reeve.wait_state("p", "RUNNING")["pid"]
    supervisor = parts(reeve.daemon.pid)["supervisor"]
    for name in ("control.sock", "log.sock"):
        for _ in range(long_or(40, 1000)):
            for frame in frames(rng):
                with connect(reeve, name) as s:
                    try:
                        s.sendall(frame)
                        s.shutdown(socket.SHUT_WR)
                        while s.recv(1 << 16):
                            pass
                    except OSError:
                        pass
    assert parts(reeve.daemon.pid)["supervisor"] == supervisor and reeve.pid("p") == pid
    answered_within(reeve, 2)
    eventually(lambda: descriptors(supervisor) < 60)


def test_truncation_at_each_length(reeve):
    """A request cut short is no request: nothing is done."""
    reeve.start(TWO)
    pid = reeve.wait_state("p", "RUNNING")["pid"]
    request = json.dumps({"method": "io.reeve.Supervisor.Restart", "parameters": {"names": ["p"], "wait": False}}).encode() + b"\0"
    for n in range(len(request)):
        for tail in (b"", b"\0"):
            if n == len(request) - 1 and tail:
                continue        # that is the whole
            with connect(reeve) as s:
                s.sendall(request[:n] + tail)
    answered_within(reeve, 2)
    assert reeve.pid("p") == pid


def test_clients_that_vanish(reeve):
    """Clients that go away in the middle of an answer, of a stream, of an operation."""
    reeve.start(TWO)
    supervisor = parts(reeve.daemon.pid)["supervisor"]
    for _ in range(long_or(60, 1000)):
        for request in (b'{"method":"io.reeve.Supervisor.List","parameters":{"names":[]}}\0' * 20,
                        b'{"method":"io.reeve.Supervisor.Events","parameters":{"follow":true},"more":true}\0',
                        b'{"method":"io.reeve.Supervisor.Restart","parameters":{"names":["p"]},"more":true}\0',
                        b'{"method":"io.reeve.Supervisor.Wait","parameters":{"names":["p"],"timeout":1}}\0',
                        b'{"method":"io.reeve.Supervisor.Update","parameters":{},"more":true}\0'):
            s = connect(reeve)
            s.sendall(request)
            s.close()
    eventually(lambda: descriptors(supervisor) < 60)
    reeve.wait_state("p", "RUNNING")        # restarts that nobody waits for may still be made
    eventually(lambda: sorted(programs(reeve.daemon.pid)) == sorted(p["pid"] for p in reeve.processes().values()), what="each once")


def test_removed_behind_its_own_run(reeve):
    """One connection, two calls: wait for the end of a program, then remove it. The second must not happen in the middle of the first."""
    reeve.start(TWO)
    supervisor = parts(reeve.daemon.pid)["supervisor"]
    for _ in range(5):
        with connect(reeve) as s:
            s.sendall(b'{"method":"io.reeve.Supervisor.Run","parameters":{"name":"x","command":["sleep","0.1"],"wait":true}}\0'
                      b'{"method":"io.reeve.Supervisor.RemoveGroup","parameters":{"name":"x"}}\0')
            data = b""
            while data.count(b"\0") < 2:
                more = s.recv(1 << 16)
                assert more, "the supervisor has hung up"
                data += more
        first, second = map(json.loads, data.split(b"\0")[:2])
        assert first["parameters"] == {"namespec": "x", "exitcode": 0} and second["parameters"]["name"] == "BAD_NAME"
    assert parts(reeve.daemon.pid)["supervisor"] == supervisor


def test_more_names_than_are_looked_up(reeve):
    """Many names are found at once, far too many are refused; patterns, which are held against every process, are few."""
    reeve.start("[program:n]\ncommand = sleep 1000\nnumprocs = 50\nprocess_name = %(program_name)s_%(process_num)d\n")
    reply = reeve.call("List", names=[f"no{i}" for i in range(19000)] + ["n:*", "all", "n:n_7"] * 300)
    assert len(reply["parameters"]["processes"]) == 50 and len(reply["parameters"]["unknown"]) == 19000
    assert [p["namespec"] for p in reeve.call("List", names=["n:n_7", "n:", "n:n_[67]"])["parameters"]["processes"]][:2] == ["n:n_7", "n:n_0"]
    for names in (["no"] * 20001, [f"n:n_{i}*" for i in range(257)]):
        for method in ("List", "Stop", "Wait", "Plan"):
            reply = reeve.call(method, **{"groups" if method == "Plan" else "names": names})
            assert reply["error"] == "org.varlink.service.InvalidParameter"


def test_fifty_clients_on_one_program(reeve):
    """Start, stop, restart and signal at once, from everywhere: each gets an answer, and in the end there is one process or none."""
    rng = chance()
    reeve.start("[program:p]\ncommand = sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.05; done'\nstartsecs = 0\nautorestart = true\n")
    words = ["start", "stop", "restart", "status", "kill", "pid"]
    clients = [subprocess.Popen([str(REEVECTL), "-c", str(reeve.config), rng.choice(words), "p"], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=reeve.environment()) for _ in range(50)]
    for client in clients:
        assert client.communicate(timeout=60)[0] or client.args[3] == "pid", client.args
    reeve.ctl("stop", "p")
    eventually(lambda: not programs(reeve.daemon.pid))
    assert reeve.ctl("start", "p")[1] == "p: started\n"
    assert len(programs(reeve.daemon.pid)) == 1


def test_update_during_stop(reeve):
    """A program is being stopped and changed again and again: what is left is what the last configuration says."""
    slow = "[program:slow]\ncommand = sh -c 'trap \"sleep 0.02; exit 0\" TERM; : {0}; while :; do sleep 0.02; done'\nstartsecs = 0\n"
    keep = "[program:keep]\ncommand = sleep 1000\n"
    reeve.start(slow.format(0) + keep)
    kept = reeve.wait_state("keep", "RUNNING")["pid"]
    rounds = long_or(60, 1000)
    over = threading.Event()

    def stop_and_start():
        rng = chance(1)
        while not over.is_set():
            try:
                reeve.call(rng.choice(["Stop", "Start", "Restart"]), names=["slow"], wait=rng.random() < 0.5)
            except (OSError, EOFError):
                pass

    thread = threading.Thread(target=stop_and_start)
    thread.start()
    try:
        for i in range(1, rounds):
            reeve.write((slow.format(i) if i % 3 else "") + keep)
            assert "error" not in reeve.call("Update")
    finally:
        over.set()
        thread.join()
    reeve.write(slow.format(rounds) + keep)
    assert "error" not in reeve.call("Update")
    reeve.call("Start", names=["slow"])
    slow_pid = reeve.wait_state("slow", "RUNNING")["pid"]
    assert f": {rounds};" in open(f"/proc/{slow_pid}/cmdline", encoding="utf-8").read()
    assert reeve.pid("keep") == kept and alive(kept)
    eventually(lambda: sorted(programs(reeve.daemon.pid)) == sorted([slow_pid, kept]))


def test_two_updates_at_once(reeve):
    """Updates that overlap are made one after the other."""
    slow = "[program:slow]\ncommand = sh -c 'trap \"sleep 0.3; exit 0\" TERM; : {0}; while :; do sleep 0.02; done'\nstartsecs = 0\n"
    reeve.start(slow.format(0))
    reeve.wait_state("slow", "RUNNING")
    results = []

    def update(i):
        reeve.write(slow.format(i))
        results.append(reeve.call("Update"))

    threads = []
    for i in range(1, 6):
        threads.append(threading.Thread(target=update, args=(i,)))
        threads[-1].start()
        pause(0.05)
    for thread in threads:
        thread.join()
    assert len(results) == 5 and not any("error" in r for r in results)
    p = reeve.wait_state("slow", "RUNNING")
    assert ": 5;" in open(f"/proc/{p['pid']}/cmdline", encoding="utf-8").read()
    assert programs(reeve.daemon.pid) == [p["pid"]]
