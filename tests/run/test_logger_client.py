"""io.reeve.Log: what clients get from reeve-logger."""

import os
import subprocess

import pytest

from logger_rig import Rig, backups, decoded, joined, write_all


@pytest.fixture
def rig(tmp_path):
    with Rig(tmp_path) as made:
        yield made


class Follower:
    def __init__(self, rig, process="web", **parameters):
        self.client = rig.connect()
        self.client.send("Follow", more=True, process=process, **parameters)
        self.data = bytearray()
        self.at = None
        self.events = []

    def more(self):
        reply = self.client.receive()
        assert "error" not in reply, reply
        self.data += decoded(reply["parameters"]["data"])
        self.at = reply["parameters"]["at"]
        if reply["parameters"]["event"]:
            self.events.append(reply["parameters"]["event"])

    def until(self, text):
        while not self.data.endswith(text):
            self.more()


def test_read_and_tail(rig):
    pipe = rig.stream("web")
    data = b"".join(b"%02d" % i for i in range(28))
    write_all(pipe, data)
    rig.flush()
    client = rig.connect()

    def read(offset, length):
        reply = client.call("Read", process="web", channel="stdout", offset=offset, length=length)
        return reply.get("error") or decoded(reply["parameters"]["data"])

    def tail(offset, length):
        reply = client.call("Tail", process="web", offset=offset, length=length)["parameters"]
        return decoded(reply["data"]), reply["offset"], reply["overflow"]

    assert read(0, 0) == data and read(-10, 0) == data[-10:] and read(5, 3) == data[5:8] and read(99, 0) == b""
    assert read(-1, 1) == read(0, -1) == "io.reeve.Log.BadArguments"
    assert tail(0, 10) == (data[-10:], 56, True)
    assert tail(0, 1000) == (data, 56, False)
    assert tail(1000, 10) == (b"", 56, False)
    assert tail(0, 0) == (b"", 56, True)
    client.close()


def test_names(rig):
    rig.stream("1", process="web", group="site", path=str(rig.folder / "a"))
    rig.stream("2", process="solo", group="solo", path=str(rig.folder / "b"))
    rig.stream("3", process="site:db", group="site", path=str(rig.folder / "c"), channel="stderr")
    rig.stream("4", process="mute", group="mute", path=None)
    rig.flush()
    client = rig.connect()

    def result(process, channel=None):
        reply = client.call("Read", process=process, channel=channel, offset=0, length=0)
        return reply.get("error", "").rpartition(".")[2]

    assert result("site:web") == result("solo") == result("solo:solo") == result("site:db", "stderr") == ""
    assert result("web") == result("other:web") == result("") == result("nothing") == "BadName"
    assert result("site:db") == result("mute") == "NoFile"
    assert result("solo", "sideways") == "InvalidParameter"
    streams = client.call("Streams")["parameters"]["streams"]
    assert [s["process"] for s in streams] == ["web", "solo", "site:db", "mute"]
    client.close()


def test_large_logs_come_in_pieces(rig):
    data = os.urandom(1500000)
    rig.path("web").write_bytes(data)
    rig.stream("web")
    rig.flush()
    client = rig.connect()
    got = b""
    while True:
        reply = client.call("Read", process="web", channel=None, offset=len(got), length=0)["parameters"]
        if not reply["data"]:
            break
        got += decoded(reply["data"])
    assert got == data and reply["size"] == len(data)
    client.close()


def test_follow_across_rotation(rig):
    rig.path("web").write_bytes(b"old lines\n" * 10)
    pipe = rig.stream("web", maxbytes=5000, backups=1000)
    rig.flush()
    follower = Follower(rig, bytes=10)
    follower.until(b"old lines\n")
    assert follower.data == b"old lines\n"
    for block in range(20):
        write_all(pipe, b"".join(b"block %d line %d\n" % (block, i) for i in range(100)))
        follower.until(b"block %d line 99\n" % block)
    everything = joined(rig.path("web"))
    assert everything.endswith(bytes(follower.data)) and len(everything) - len(follower.data) == 90
    assert not follower.events
    follower.client.close()
    write_all(pipe, b"nobody listens\n")
    rig.flush()


def test_follow_after_truncation(rig):
    pipe = rig.stream("web")
    write_all(pipe, b"first lines\n")
    rig.flush()
    follower = Follower(rig)
    follower.until(b"first lines\n")
    os.truncate(rig.path("web"), 0)
    write_all(pipe, b"2\n")
    follower.until(b"2\n")
    assert follower.events == ["truncated"] and follower.data == b"first lines\n2\n"
    follower.client.close()


def test_clear_and_rotate(rig):
    pipe = rig.stream("web", backups=3)
    write_all(pipe, b"one\n")
    rig.flush()
    client = rig.connect()
    assert client.call("Rotate", processes=["web"])["parameters"] == {}
    assert (rig.folder / "web.log.1").read_bytes() == b"one\n"
    write_all(pipe, b"two\n")
    rig.flush()
    results = client.call("Clear", processes=["web", "nothing"])["parameters"]["results"]
    assert [(r["name"], r["status"], r["description"]) for r in results] == \
        [("web", 80, "OK"), ("nothing", 10, "BAD_NAME")]
    assert rig.path("web").read_bytes() == b""
    assert client.call("Rotate", processes=["nothing"])["error"].endswith("BadName")
    assert client.call("Clear", processes=3)["error"].endswith("InvalidParameter")
    client.close()


ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'{"method":"io.reeve.Log.%s","parameters":{"processes":[]}}\\0' % sys.argv[2].encode())
print(s.recv(65536).decode())
"""


def ask_as(rig, method, uid, gid):
    done = subprocess.run(["/usr/bin/python3", "-c", ASK, rig.socket_path, method], user=uid, group=gid,
                          extra_groups=[], capture_output=True, text=True, check=True)
    return "PermissionDenied" not in done.stdout


def test_access(open_folder):
    with Rig(open_folder) as rig:
        os.chmod(rig.socket_path, 0o777)
        rig.flush()
        assert not ask_as(rig, "Streams", 65534, 65534)
        rig.send("settings", access={"uid": 65534, "group": -1})
        rig.flush()
        assert ask_as(rig, "Streams", 65534, 65533) and ask_as(rig, "Rotate", 65534, 65533)
        assert not ask_as(rig, "Streams", 65532, 65532)
        rig.send("settings", access={"uid": -1, "group": 65532, "level": "read"})
        rig.flush()
        assert ask_as(rig, "Streams", 65531, 65532) and not ask_as(rig, "Rotate", 65531, 65532)
        assert not ask_as(rig, "Streams", 65534, 65534)


def test_follow_from_far_back(rig):
    data = os.urandom(5000000)
    rig.path("web").write_bytes(data)
    pipe = rig.stream("web")
    rig.flush()
    follower = Follower(rig, bytes=len(data))
    while len(follower.data) < len(data):
        follower.more()
    assert follower.data == data
    write_all(pipe, b"the end\n")
    follower.until(b"the end\n")
    follower.client.close()


def test_slow_follower_holds_up_nobody(rig):
    pipe = rig.stream("web")
    rig.flush()
    follower = Follower(rig)
    write_all(pipe, b"begin\n")
    follower.until(b"begin\n")
    for _ in range(64):
        write_all(pipe, b"x" * ((1 << 18) - 1) + b"\n")
    rig.flush()
    assert rig.path("web").stat().st_size == 6 + (64 << 18)
    write_all(pipe, b"the end\n")
    follower.until(b"the end\n")
    assert len(follower.data) == 6 + (64 << 18) + 8
    follower.client.close()


def test_slow_follower_misses_no_rotation(rig):
    pipe = rig.stream("web", maxbytes=50000, backups=1000)
    rig.flush()
    follower = Follower(rig)
    lines = b"".join(b"%08d\n" % i for i in range(500000))
    write_all(pipe, lines)
    rig.flush()
    assert len(backups(rig.path("web"))) > 80
    follower.until(lines[-9:])
    assert follower.data == lines
    follower.client.close()


def test_follower_comes_back(rig):
    """To another logger: it goes on behind what it has, also where that file is a backup by now."""
    pipe = rig.stream("web", maxbytes=1000, backups=5)
    rig.stream("empty")
    rig.announce()
    follower, empty = Follower(rig), Follower(rig, process="empty")
    empty.more()
    assert empty.data == b""
    write_all(pipe, b"one\n")
    follower.until(b"one\n")
    rig.kill()
    write_all(pipe, b"".join(b"line %d\n" % i for i in range(300)))
    write_all(rig.pipes["empty"], b"first\n")
    rig.start()
    rig.announce()
    rig.flush()
    assert len(backups(rig.path("web"))) > 2
    again = Follower(rig, after=follower.at)
    again.until(b"line 299\n")
    assert again.data == b"".join(b"line %d\n" % i for i in range(300)) and not again.events
    other = Follower(rig, process="empty", after=empty.at)
    other.until(b"first\n")
    assert other.data == b"first\n"
    gone = Follower(rig, after="1:1:0")
    gone.until(b"line 299\n")
    assert gone.data == rig.path("web").read_bytes()
    nonsense = Follower(rig, after="here")
    nonsense.until(b"line 299\n")
    os.truncate(rig.path("web"), 0)
    cut = Follower(rig, after=again.at)
    cut.more()
    assert cut.events == ["truncated"]


def test_clients_wait_until_streams_are_named(rig):
    rig.stream("web")
    rig.flush()
    rig.kill()
    client = rig.connect()
    client.send("Read", process="web", offset=0, length=0)
    rig.start()
    rig.send("begin")
    rig.send("flush", cookie="x")
    rig.wait_event("flushed", cookie="x")
    rig.announce()
    assert "error" not in client.receive()
