"""A pool among clients and workers that lie, leave, or ask for several things at once."""

import json
import pathlib
import socket
import struct
import sys

import pytest

from basics import SANITIZED, eventually

TASKS, END, CANCEL, RESULTS, DONE = 1, 2, 3, 4, 5


def resident(pool):
    """MiB."""
    text = pathlib.Path(f"/proc/{pool.process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) >> 10


def connect(pool):
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(pool.socket))
    s.settimeout(30)
    return s


def message(method, more=None, **parameters):
    return json.dumps({"method": "io.reeve.Pool." + method, "parameters": parameters, **(more or {})}).encode() + b"\0"


def replies(s, n):
    data = b""
    while data.count(b"\0") < n:
        more = s.recv(1 << 16)
        assert more, f"the pool has hung up after {data!r}"
        data += more
    return [json.loads(one) for one in data.split(b"\0")[:n]]


def bulk(pool, **parameters):
    """A connection that carries frames."""
    s = connect(pool)
    s.sendall(message("Map", {"upgrade": True}, **parameters))
    assert "job" in replies(s, 1)[0]["parameters"]
    return s


def frame(kind, body=b"", length=None):
    return struct.pack("<II", len(body) if length is None else length, kind) + body


def task(words, length=None, bare=0):
    return struct.pack("<II", len(words) if length is None else length, bare) + words


def frames(s):
    """[(type, body)] until the pool hangs up."""
    found, data = [], b""
    while more := s.recv(1 << 16):
        data += more
    while data:
        length, kind = struct.unpack_from("<II", data)
        found.append((kind, data[8:8 + length]))
        data = data[8 + length:]
    return found


@pytest.mark.parametrize("first", ["Wait", "Result"])
def test_a_call_behind_one_that_times_out(pool, first):
    """The second call of a connection ends what the first has just waited for in vain."""
    pool.start("sleep", "1000", workers=1)
    running, waiting = pool.call("Submit", tasks=[{"args": []}, {"args": []}])["ids"]
    for n in (waiting, running):
        one = {"ids": [n]} if first == "Wait" else {"id": n}
        with connect(pool) as s:
            s.sendall(message(first, timeout=0.1, **one) + message("Cancel", ids=[n]) + message("GetStatus"))
            late, cancelled, status = replies(s, 3)
        assert late["parameters"].get("timed_out") or late["error"].endswith(".TimedOut")
        assert cancelled["parameters"]["cancelled"] == [n] and status["parameters"]["status"]["name"] == "p"


def test_terminate_behind_a_drain_that_times_out(pool):
    pool.start("sleep", "1000", workers=1)
    pool.call("Submit", tasks=[{"args": []}, {"args": []}])
    with connect(pool) as s:
        s.sendall(message("Drain", timeout=0.1) + message("Terminate") + message("Open") + message("GetStatus"))
        drained, terminated = replies(s, 4)[:2]
    assert drained["parameters"]["timed_out"] and terminated["parameters"]["cancelled"] == 2


@pytest.mark.parametrize("data", [
    frame(TASKS, task(b"x", 10)),                           # longer than its frame
    frame(TASKS, length=3) + b"abc" + frame(END),           # too short for a task
    frame(TASKS, task(b"a" * 100, 0xffffffff)),
    frame(99), frame(RESULTS),
    frame(END) + frame(TASKS, task(b"late")),
], ids=range(6))
def test_lies_in_frames(pool, data):
    """Who lies about a length, or speaks out of turn, is cut off, and nobody else."""
    pool.start("cat", mode="line", workers=1)
    with bulk(pool) as s:
        s.sendall(data)
        assert [kind for kind, _ in frames(s)] in ([], [DONE])
    assert pool.result(pool.submit("after"))["output"] == "after"


def test_cancel_again_and_again(pool):
    pool.start("sleep", workers=1)
    with bulk(pool) as s:
        s.sendall(frame(TASKS, task(b"1000") * 5) + frame(CANCEL) * 3 + frame(END) + frame(TASKS, task(b"1000")))
        assert [kind for kind, _ in frames(s)] == [RESULTS] * 5 + [DONE]
    pool.wait_status(running=0, queued=0, maps=0, cancelled=5)


def test_a_client_that_speaks_after_its_end(pool):
    """What it says can mean nothing: it is cut off, or not listened to, but nothing of it is kept."""
    pool.start("sleep", workers=1)
    for last in (frame(END), frame(CANCEL)):
        with bulk(pool) as s:
            s.sendall(frame(TASKS, task(b"1000")) + last)
            before = resident(pool)
            try:
                for _ in range(64):
                    s.sendall(frame(END) * (1 << 16))       # 32 MiB
            except OSError:
                pass
            assert resident(pool) - before < 16
    pool.wait_status(running=0, maps=0)


def test_a_gone_client_whose_tasks_nobody_had_read(pool):
    """It had sent far more than the pool takes at once, so that the pool did not read from it when it left."""
    pool.start("sleep", workers=1)
    with bulk(pool, inflight=1) as s:
        s.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                s.sendall(frame(TASKS, task(b"1000") * 1000))
        pool.wait_status(running=1)
    pool.wait_status(running=0, queued=0, maps=0)


FRAMES = """
import os, struct, sys
def read(n):
    d = b""
    while len(d) < n:
        more = os.read(0, n - len(d))
        if not more:
            sys.exit(0)
        d += more
    return d
def write(d):
    while d:
        d = d[os.write(1, d):]
while True:
    length, _, number = struct.unpack("<IIQ", read(16))
    words = read(length - 12)
    if words == b"huge":
        write(struct.pack("<IIQ", 12 + (1 << 28), 0, number))
        for _ in range(1 << 8):
            write(b"z" * (1 << 20))
    elif words == b"twice":
        write(struct.pack("<IIQ", 12, 0, number) * 2)
    elif words == b"exact":
        write(struct.pack("<IIQ", 12 + 1000, 0, number) + b"y" * 1000)
    else:
        write(struct.pack("<IIQ", 12 + len(words), 0, number) + words)
"""


def test_huge_frames_are_cut_as_they_come(pool):
    """256 MiB in one frame: what is too much is never in memory, and the next frame is found."""
    (pool.folder / "worker.py").write_text(FRAMES)
    pool.start(sys.executable, pool.folder / "worker.py", mode="frame", workers=1, window=4, max_result_bytes=1000)
    numbers = [pool.submit(word) for word in ("huge", "after", "exact", "huge", "last")]
    before, most = resident(pool), 0
    done = []

    def all_done():
        nonlocal most
        most = max(most, resident(pool))
        return len([t for t in pool.call("List", states=["done"])["tasks"]]) == len(numbers)
    eventually(all_done, 60, "the tasks")
    done = [pool.result(n) for n in numbers]
    assert [(len(t["output"]), t["truncated"]) for t in done] == [(1000, True), (5, False), (1000, False), (1000, True), (4, False)]
    assert most - before < (64 if SANITIZED else 16)
    assert pool.status()["worker_deaths"] == 0


def test_answers_twice(pool):
    """The second answer is to nobody's task: that worker is replaced, the results are right."""
    (pool.folder / "worker.py").write_text(FRAMES)
    pool.start(sys.executable, pool.folder / "worker.py", mode="frame", workers=1, window=1)
    for word in ("twice", "after", "twice"):
        assert pool.result(pool.submit(word))["state"] == "done"
