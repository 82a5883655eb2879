"""reeve-logger alone: every line once, in order, whatever happens to the disk, the files and the logger."""

import os
import random
import threading
import time

import pytest

from logger_rig import Rig, backups, decoded, joined, wait_for, write_all


@pytest.fixture
def rig(tmp_path):
    with Rig(tmp_path) as made:
        yield made


def numbered(count, start=0, width=60):
    return b"".join(b"%08d %s\n" % (i, b"x" * (i % width)) for i in range(start, start + count))


def test_writes_what_was_written(rig):
    pipe = rig.stream("web")
    rig.send("sync")
    write_all(pipe, b"hello\nworld\n")
    rig.flush()
    assert rig.path("web").read_bytes() == b"hello\nworld\n"
    assert rig.wait_event("opened", id="web")["path"] == str(rig.path("web"))


def test_unfinished_line_arrives(rig):
    pipe = rig.stream("web")
    write_all(pipe, b"login: ")
    wait_for(lambda: rig.path("web").exists() and rig.path("web").read_bytes() == b"login: ")
    write_all(pipe, b"root\n")
    wait_for(lambda: rig.path("web").read_bytes() == b"login: root\n")


def test_rotation_is_exact(rig):
    pipe = rig.stream("web", maxbytes=10000, backups=500)
    data = numbered(20000)
    write_all(pipe, data)
    rig.flush()
    files = backups(rig.path("web"))
    assert joined(rig.path("web")) == data
    assert len(files) > 50
    for file in files:
        content = file.read_bytes()
        assert len(content) <= 10000
        assert content == b"" or content.endswith(b"\n")


def test_rotation_keeps_only_its_backups(rig):
    pipe = rig.stream("web", maxbytes=1000, backups=3)
    data = numbered(2000)
    write_all(pipe, data)
    rig.flush()
    names = sorted(p.name for p in rig.folder.glob("web.log*"))
    assert names == ["web.log", "web.log.1", "web.log.2", "web.log.3"]
    assert data.endswith(joined(rig.path("web")))


def test_no_backups_truncates(rig):
    pipe = rig.stream("web", maxbytes=1000, backups=0)
    data = numbered(2000)
    write_all(pipe, data)
    rig.flush()
    assert [p.name for p in rig.folder.glob("web.log*")] == ["web.log"]
    assert data.endswith(rig.path("web").read_bytes())
    assert rig.path("web").stat().st_size <= 1000


def test_existing_size_counts(rig):
    rig.path("web").write_bytes(b"old\n" * 240)
    pipe = rig.stream("web", maxbytes=1000, backups=2)
    write_all(pipe, b"y" * 99 + b"\n")
    rig.flush()
    assert (rig.folder / "web.log.1").read_bytes() == b"old\n" * 240
    assert rig.path("web").read_bytes() == b"y" * 99 + b"\n"


def test_huge_line_and_binary(rig):
    pipe = rig.stream("long", maxbytes=10 << 20, backups=20)
    binary = rig.stream("binary")
    block = b"z" * (1 << 20)
    for _ in range(100):
        write_all(pipe, block)
    noise = random.Random(1).randbytes(3 << 20)
    write_all(binary, noise)
    rig.flush()
    files = backups(rig.path("long"))
    assert sum(f.stat().st_size for f in files) == 100 << 20
    assert all(f.stat().st_size <= 10 << 20 for f in files)
    assert rig.path("binary").read_bytes() == noise


def test_shared_file(rig):
    path = str(rig.folder / "both.log")
    one, two = rig.stream("one", path=path), rig.stream("two", path=path)
    for i in range(200):
        write_all(one, b"one %d\n" % i)
        write_all(two, b"two %d\n" % i)
    rig.flush()
    lines = (rig.folder / "both.log").read_bytes().splitlines()
    for name in (b"one", b"two"):
        assert [line for line in lines if line.startswith(name)] == [b"%s %d" % (name, i) for i in range(200)]


def test_drains_and_exits_at_the_end(rig):
    pipe = rig.stream("web")
    rig.flush()
    write_all(pipe, numbered(1000))
    write_all(pipe, b"no newline")
    assert rig.finish() == 0
    assert rig.path("web").read_bytes() == numbered(1000) + b"no newline"


def test_signals_are_ignored(rig):
    pipe = rig.stream("web")
    rig.flush()
    for number in (1, 2, 3, 10, 12, 15):
        rig.process.send_signal(number)
    write_all(pipe, b"still here\n")
    rig.flush()
    assert rig.path("web").read_bytes() == b"still here\n"


class Writer(threading.Thread):
    """Numbered lines with pauses, whatever happens on the other side."""

    def __init__(self, fd, name, seed):
        super().__init__()
        self.fd, self.tag, self.random = fd, name.encode(), random.Random(seed)
        self.written = bytearray()
        self.stop = False

    def run(self):
        number = 0
        while not self.stop:
            block = bytearray()
            for _ in range(self.random.choice([1, 1, 2, 20, 300])):
                block += b"%s %d %s\n" % (self.tag, number, b"." * self.random.randrange(80))
                number += 1
            write_all(self.fd, block)
            self.written += block
            if self.random.random() < 0.5:
                time.sleep(self.random.random() * 0.002)


@pytest.mark.parametrize("settings", [{}, {"maxbytes": 20000, "backups": 100000}], ids=["plain", "rotating"])
def test_killed_at_random_moments(rig, settings):
    names = [f"w{i}" for i in range(4)]
    writers = [Writer(rig.stream(name, **settings), name, i) for i, name in enumerate(names)]
    rig.send("sync")
    for writer in writers:
        writer.start()
    moments = random.Random(7)
    try:
        for _ in range(220):
            time.sleep(moments.random() * 0.02)
            rig.restart()
            rig.receive()
    finally:
        for writer in writers:
            writer.stop = True
        for writer in writers:
            writer.join()
    rig.flush()
    for name, writer in zip(names, writers):
        got = joined(rig.path(name))
        assert len(got) == len(writer.written), name
        assert got == bytes(writer.written), name
