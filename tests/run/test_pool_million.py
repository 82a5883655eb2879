"""A million waiting tasks of 100 bytes in at most 250 MB."""

import json
import socket
import struct
import time

from basics import SANITIZED, eventually

TASKS, END = 1, 2


def upgrade(pool, **parameters):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(str(pool.socket))
    s.sendall(json.dumps({"method": "io.reeve.Pool.Map", "parameters": parameters, "upgrade": True}).encode() + b"\0")
    reply = b""
    while not reply.endswith(b"\0"):
        reply += s.recv(1)
    assert "error" not in json.loads(reply[:-1]), reply
    return s


def test_a_million_tasks(pool):
    n = 100000 if SANITIZED else 1000000
    pool.start("sleep", "1000", mode="line", workers=1, stopwaitsecs=0)
    idle = pool.status()["memory"]
    pool.call("Pause")
    with upgrade(pool, inflight=1000000) as s:
        one = struct.pack("=II", 100, 0)
        batch = b"".join(one + b"%0100d" % i for i in range(1000))
        began = time.monotonic()
        for _ in range(n // 1000):
            s.sendall(struct.pack("=II", len(batch), TASKS) + batch)
        status = eventually(lambda: (x := pool.status())["queued"] == n and x, 60, "all tasks")
        memory, took = status["memory"], time.monotonic() - began
        print(f"{n} tasks: {memory / 1e6:.0f} MB, {(memory - idle) / n:.0f} bytes each, {took:.1f} s")
        if not SANITIZED:
            assert memory <= 250e6
    eventually(lambda: pool.status()["queued"] == 0, what="the gone client's tasks to be dropped")
    if not SANITIZED:
        eventually(lambda: pool.status()["memory"] < 100e6, what="the memory to be given back")
