"""reeve-logger alone: every line once, in order, whatever happens to the disk, the files and the logger."""

import fcntl
import json
import os
import random
import re
import shutil
import socket
import stat
import statistics
import subprocess
import termios
import threading
import time

import pytest

from basics import SANITIZED, eventually
from logger_rig import DIE_AT, Rig, backups, decoded, joined, write_all


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
    eventually(lambda: rig.path("web").exists() and rig.path("web").read_bytes() == b"login: ")
    write_all(pipe, b"root\n")
    eventually(lambda: rig.path("web").read_bytes() == b"login: root\n")


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


# ---- the disk and the files ----


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a tmpfs of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk(small_disk, rig):
    pipe = rig.stream("web", path=str(small_disk / "web.log"))
    (small_disk / "ballast").write_bytes(b"b" * (700 << 10))
    data = numbered(30000)
    started = time.monotonic()
    write_all(pipe, data)
    rig.flush()
    assert time.monotonic() - started < 20, "a full disk must not hold up the program"
    fault = rig.wait_event("fault", id="web")
    assert "No space left" in fault["text"]
    kept = (small_disk / "web.log").read_bytes()
    assert kept.endswith(b"\n") and data.startswith(kept), "only whole lines are kept"
    (small_disk / "ballast").unlink()
    good = rig.wait_event("fault", id="web", text=None)
    lost = data[len(kept):]
    assert good["dropped"] == len(lost)
    write_all(pipe, b"after\n")
    rig.flush()
    rest = (small_disk / "web.log").read_bytes()[len(kept):]
    assert rest.startswith(b"reeve-logger: %d bytes (%d lines) were lost here: " % (len(lost), lost.count(b"\n")))
    assert rest.endswith(b"\nafter\n") and rest.count(b"\n") == 2
    assert not [e for e in rig.events if e["event"] == "fault"], "one fault per outage"


def test_full_disk_costs_no_processor(small_disk, rig):
    pipe = rig.stream("web", path=str(small_disk / "web.log"))
    write_all(pipe, numbered(40000))
    rig.flush()
    rig.wait_event("fault", id="web")
    before = cpu_of(rig.process.pid)
    time.sleep(1)       # the measurement itself
    assert cpu_of(rig.process.pid) - before < 0.05


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_directory_removed_and_returned(rig):
    folder = rig.folder / "logs"
    folder.mkdir()
    pipe = rig.stream("web", path=str(folder / "web.log"))
    write_all(pipe, b"one\n")
    rig.flush()
    shutil.rmtree(folder)
    write_all(pipe, b"two\n")
    rig.flush()
    assert "No such file" in rig.wait_event("fault", id="web")["text"]
    folder.mkdir()
    assert rig.wait_event("fault", id="web", text=None)["dropped"] == 4
    write_all(pipe, b"three\n")
    rig.flush()
    text = (folder / "web.log").read_bytes()
    assert text.startswith(b"reeve-logger: 4 bytes (1 lines) were lost here") and text.endswith(b"\nthree\n")


def test_removed_file_is_made_again(rig):
    pipe = rig.stream("web")
    write_all(pipe, b"one\n")
    rig.flush()
    rig.path("web").unlink()
    write_all(pipe, b"two\n")
    rig.flush()
    assert rig.path("web").read_bytes() == b"two\n"


def test_truncated_by_others(rig):
    pipe = rig.stream("web")
    write_all(pipe, b"one\n" * 100)
    rig.flush()
    os.truncate(rig.path("web"), 0)
    write_all(pipe, b"two\n")
    rig.flush()
    assert rig.path("web").read_bytes() == b"two\n"


def test_moved_and_reopened(rig):
    pipe = rig.stream("web")
    write_all(pipe, b"one\n")
    rig.flush()
    rig.path("web").rename(rig.folder / "moved")
    write_all(pipe, b"two\n")
    rig.flush()
    rig.send("reopen")
    write_all(pipe, b"three\n")
    rig.flush()
    assert (rig.folder / "moved").read_bytes() == b"one\ntwo\n"
    assert rig.path("web").read_bytes() == b"three\n"


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "directory", "dangling"])
def test_suspicious_paths_are_refused(rig, kind):
    victim, path = rig.folder / "victim", rig.path("web")
    victim.write_bytes(b"precious")
    {
        "symlink": lambda: path.symlink_to(victim),
        "dangling": lambda: path.symlink_to(rig.folder / "made-by-log"),
        "hard link": lambda: os.link(victim, path),
        "fifo": lambda: os.mkfifo(path),
        "directory": path.mkdir,
    }[kind]()
    pipe = rig.stream("web", maxbytes=1000, backups=2)
    write_all(pipe, numbered(100))
    rig.flush()
    assert str(path) in rig.wait_event("fault", id="web")["text"]
    assert victim.read_bytes() == b"precious"
    assert not (rig.folder / "made-by-log").exists()


def test_clear_and_rotate(rig):
    pipe = rig.stream("web", backups=2)
    write_all(pipe, b"one\n")
    rig.flush()
    rig.send("rotate", id="web")
    write_all(pipe, b"two\n")
    rig.flush()
    assert (rig.folder / "web.log.1").read_bytes() == b"one\n"
    assert rig.path("web").read_bytes() == b"two\n"
    rig.send("clear", id="web")
    rig.flush()
    assert rig.path("web").read_bytes() == b""


def test_auto_names(rig):
    auto = {"dir": str(rig.folder), "name": "web", "identifier": "reeve"}
    stale = rig.folder / "gone-stdout---reeve-abcdefgh.log.2"
    stale.write_bytes(b"")
    other = rig.folder / "gone-stdout---other-abcdefgh.log"
    other.write_bytes(b"")
    rig.send("clean", dir=str(rig.folder), identifier="reeve")
    pipe = rig.stream("web", path=None, auto=auto)
    path = rig.wait_event("opened", id="web")["path"]
    assert re.fullmatch(r"web-stdout---reeve-[a-z0-9_]{8}\.log", os.path.basename(path))
    assert os.stat(path).st_mode & 0o7777 == 0o600
    write_all(pipe, b"one\n")
    rig.flush()
    rig.restart()
    assert rig.wait_event("opened", id="web")["path"] == path
    write_all(pipe, b"two\n")
    rig.send("clean", dir=str(rig.folder), identifier="reeve")
    rig.flush()
    assert open(path, "rb").read() == b"one\ntwo\n"
    assert other.exists() and not stale.exists()


# ---- what else is done with output ----


def test_strip_ansi(rig):
    pipe = rig.stream("web", strip_ansi=True)
    for _ in range(3):
        write_all(pipe, b"\x1b[1;31mred\x1b[0m and \x1b[2Kplain\n")
    write_all(pipe, b"split \x1b[3")
    eventually(lambda: waiting(pipe) == len(b"split \x1b[3"), what="the logger to look at it")
    write_all(pipe, b"1mdone\x1b[m\n")
    rig.flush()
    assert rig.path("web").read_bytes() == b"red and plain\n" * 3 + b"split done\n"


def waiting(fd):
    buffer = bytearray(4)
    fcntl.ioctl(fd, termios.FIONREAD, buffer)
    return int.from_bytes(buffer, "little")


BEGIN, END = b"<!--XSUPERVISOR:BEGIN-->", b"<!--XSUPERVISOR:END-->"


def test_capture(rig):
    pipe = rig.stream("web", capture=100, events=True, pid=42)
    write_all(pipe, b"before\n" + BEGIN + b"message" + END + b"after\n")
    event = rig.wait_event("capture", id="web")
    assert decoded(event["data"]) == b"message" and event["pid"] == 42
    rig.flush()
    assert rig.path("web").read_bytes() == b"before\nafter\n"
    assert decoded(rig.wait_event("output", id="web")["data"]) == b"before\nafter\n"
    write_all(pipe, BEGIN + b"0123456789" * 20 + END)
    assert decoded(rig.wait_event("capture", id="web")["data"]) == b"0123456789" * 10, "the newest bytes are kept"
    write_all(pipe, b"short")
    eventually(lambda: rig.path("web").read_bytes().endswith(b"short"), what="short output")


def test_capture_survives_kills(rig):
    pipe = rig.stream("web", capture=10000)
    message = b"".join(b"part %d\n" % i for i in range(300))
    text = b"text\n" + BEGIN + message + END + b"more\n"
    moments = random.Random(3)
    for _ in range(30):
        for at in range(0, len(text), 97):
            write_all(pipe, text[at:at + 97])
            if moments.random() < 0.1:
                rig.restart()
        rig.flush()
        rig.receive()
    captures = {e["seq"]: decoded(e["data"]) for e in rig.events if e["event"] == "capture"}
    assert all(capture == message for capture in captures.values())
    assert len(captures) == 30
    assert rig.path("web").read_bytes() == b"text\nmore\n" * 30


def test_main_log(tmp_path):
    out_read, out_write = os.pipe()
    with Rig(tmp_path, stdout=out_write) as rig:
        os.close(out_write)
        read, write = os.pipe()
        rig.send("main", fd=read, path=str(tmp_path / "main.log"), maxbytes=0, backups=0, stdout=True, syslog=False)
        write_all(write, b"a line of the daemon\n")
        rig.flush()
        assert (tmp_path / "main.log").read_bytes() == b"a line of the daemon\n"
        assert os.read(out_read, 1000) == b"a line of the daemon\n"
        os.close(read)
        os.close(write)
        os.close(out_read)


def test_blocked_stdout_harms_nobody(tmp_path):
    out_read, out_write = os.pipe()
    with Rig(tmp_path, stdout=out_write) as rig:
        os.close(out_write)
        loud, quiet = rig.stream("loud", path="/dev/stdout"), rig.stream("quiet")
        data = numbered(100000)
        write_all(loud, data)
        write_all(quiet, b"still served\n")
        rig.flush()
        assert rig.path("quiet").read_bytes() == b"still served\n"
        assert os.get_blocking(out_read)
        got = bytearray()
        while b"were lost here" not in got or not got.endswith(b"\n"):
            got += os.read(out_read, 1 << 16)
        head, notice = bytes(got).rsplit(b"reeve-logger: ", 1)
        assert data.startswith(head) and len(head) + int(notice.split()[0]) == len(data)
        os.close(out_read)


def test_flood_does_not_delay_others(rig):
    floods = [rig.stream(f"flood{i}", path="/dev/null") for i in range(4)]
    quiet = rig.stream("quiet")
    rig.flush()
    programs = [subprocess.Popen(["yes"], stdout=fd) for fd in floods]
    try:
        delays = []
        for i in range(20):
            started = time.monotonic()
            write_all(quiet, b"line %d\n" % i)
            eventually(lambda i=i: rig.path("quiet").read_bytes().endswith(b"line %d\n" % i))
            delays.append(time.monotonic() - started)
        assert statistics.median(delays) < 0.1 * machine_slack(), delays
    finally:
        for program in programs:
            program.kill()
            program.wait()


def machine_slack():
    """Other work on a small machine: its processors are shared."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_malformed_messages_are_ignored(rig):
    pipe = rig.stream("web")
    for junk in (b"{", b"[]", b"null", b"\0\0", b'{"op":5}', b'{"op":"nothing"}', b'{"op":"stream"}',
                 b'{"op":"stream","id":"x","process":"x"}', b'{"op":"stream","id":{},"process":[]}',
                 b'{"op":"main","maxbytes":-1,"path":7}', b"x" * 100000):
        rig.ours.send(junk)
    write_all(pipe, b"alive\n")
    rig.flush()
    assert rig.path("web").read_bytes() == b"alive\n"
    assert rig.wait_event("log", level="warn")


def test_closed_stream_is_drained_first(rig):
    pipe = rig.stream("web")
    write_all(pipe, numbered(1000) + b"end without newline")
    rig.send("close", id="web")
    eventually(lambda: rig.path("web").exists() and rig.path("web").read_bytes().endswith(b"newline"))
    assert rig.path("web").read_bytes().startswith(numbered(1000))


def test_streams_not_named_again_are_closed(rig):
    rig.stream("old")
    new = rig.stream("new")
    rig.flush()
    del rig.settings["old"]
    rig.announce()
    write_all(new, b"x\n")
    rig.flush()

    def links():
        found = []
        for fd in os.listdir(f"/proc/{rig.process.pid}/fd"):
            try:
                found.append(os.readlink(f"/proc/{rig.process.pid}/fd/{fd}"))
            except OSError:
                pass        # closed meanwhile
        return found

    eventually(lambda: str(rig.path("old")) not in links(), what="the old log to be closed")
    assert str(rig.path("new")) in links()


def test_long_capture_comes_in_parts(rig):
    pipe = rig.stream("web", capture=1 << 20)
    message = random.Random(5).randbytes(300000)
    write_all(pipe, BEGIN + message + END)
    parts = {}
    while True:
        event = rig.wait_event("capture", id="web")
        parts[event["offset"]] = decoded(event["data"])
        if not event["more"]:
            break
    assert b"".join(parts[offset] for offset in sorted(parts)) == message


@pytest.mark.parametrize("form", ["raw", "prefix", "json"])
def test_console(tmp_path, form):
    out_read, out_write = os.pipe()
    with Rig(tmp_path, stdout=out_write) as rig:
        os.close(out_write)
        pipe = rig.stream("web", console=form)
        write_all(pipe, b'say "hi"\nbytes \xff\n')
        rig.flush()
        got = os.read(out_read, 1000)
        assert rig.path("web").read_bytes() == b'say "hi"\nbytes \xff\n'
        if form == "json":
            lines = [json.loads(line) for line in got.splitlines()]
            assert [line["text"] for line in lines] == ['say "hi"', "bytes \ufffd"]
            assert lines[0]["process"] == "web" and lines[0]["channel"] == "stdout"
        else:
            prefix = b"web | " if form == "prefix" else b""
            assert got == prefix + b'say "hi"\n' + prefix + b"bytes \xff\n"
        os.close(out_read)


def test_new_supervisor_learns_of_names_and_faults(rig):
    rig.path("web").mkdir()
    rig.stream("web")
    rig.wait_event("fault", id="web")
    rig.events.clear()
    rig.announce()
    assert rig.wait_event("fault", id="web")["text"]
    assert rig.wait_event("opened", id="web")["path"] == str(rig.path("web"))


def flushed_or_dead(rig, cookie):
    rig.send("flush", cookie=cookie)
    eventually(lambda: rig.process.poll() is not None or
               rig.receive(0.01) and any(e.get("cookie") == cookie for e in rig.events), what="death or an answer")


@pytest.mark.parametrize("side", [1, -1], ids=["before", "after"])
@pytest.mark.parametrize("settings", [{"maxbytes": 100, "backups": 50}, {"capture": 200, "backups": 50},
                                      {"strip_ansi": True, "maxbytes": 100}],
                         ids=["rotating", "capturing", "truncating"])
def test_killed_at_every_step(tmp_path, side, settings):
    """Die before and after each system call that leaves a trace: nothing is lost, nothing is doubled."""
    parts = [b"one %s\n" % (b"1" * 30), b"two\n" + b"2" * 70 + b"\n" + b"3" * 150 + b"\n",
             BEGIN + b"caught " if "capture" in settings else b"four\n",
             b"more" + END if "capture" in settings else b"",
             b"".join(b"line %d\n" % i for i in range(40))]
    text = b"".join(parts).replace(BEGIN + b"caught more" + END, b"")
    preload = str(DIE_AT)
    if SANITIZED:       # such a binary refuses to be preloaded into unless its runtime comes first
        runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
        preload = runtime.stdout.strip() + ":" + preload
    for step in range(1, 400):
        folder = tmp_path / str(step)
        folder.mkdir()
        with Rig(folder) as rig:
            rig.kill()
            rig.start(LD_PRELOAD=preload, DIE_AT=str(side * step))
            pipe = rig.stream("web", **settings)
            for cookie, part in enumerate(parts):
                write_all(pipe, part)
                flushed_or_dead(rig, cookie)
            rig.send("rotate", id="web")
            flushed_or_dead(rig, "end")
            died = rig.process.poll() is not None
            if died:
                rig.start()
                rig.announce()
                rig.flush()
            got = joined(rig.path("web"))
            if settings.get("backups"):
                assert got == text, step
            else:
                assert text.endswith(got) and len(got) <= 150, step
            captures = {e["seq"]: decoded(e["data"]) for e in rig.events if e["event"] == "capture"}
            assert list(captures.values()) == ([b"caught more"] if "capture" in settings else []), step
        if not died:
            break
    else:
        pytest.fail("it never came to an end")
    assert step > 8


def test_syslog(tmp_path):
    """In a mount namespace whose /dev is ours, with a syslogd that stops reading."""
    device = tmp_path / "dev"
    device.mkdir()
    os.mknod(device / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    syslogd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    syslogd.bind(str(device / "log"))
    script = 'mount --bind "$1" /dev && exec "$0"'
    wrap = ["unshare", "-m", "sh", "-c", script]
    with Rig(tmp_path, wrap=wrap, arguments=[str(device)]) as rig:
        pipe = rig.stream("web", syslog="reeved")
        write_all(pipe, b"one\n\ntwo\n")
        syslogd.settimeout(20)
        lines = [syslogd.recv(1000).decode() for _ in range(3)]
        assert [re.sub(r"^<14>[A-Z][a-z]{2} [ \d]\d [\d:]{8} reeved\[\d+\]: ", "", line) for line in lines] == \
            ["web one", "web ", "web two"]
        write_all(pipe, numbered(5000))
        rig.flush()
        assert rig.path("web").read_bytes() == b"one\n\ntwo\n" + numbered(5000)
    syslogd.close()


def test_closed_standard_descriptors(tmp_path):
    with Rig(tmp_path, wrap=["sh", "-c", 'exec "$0" <&- >&- 2>&-']) as rig:
        loud, file = rig.stream("loud", path="/dev/stdout"), rig.stream("web")
        write_all(loud, b"lost\n")
        write_all(file, b"kept\n")
        rig.flush()
        assert rig.path("web").read_bytes() == b"kept\n"
        assert rig.process.poll() is None


def test_read_only_disk(small_disk, rig):
    pipe = rig.stream("web", path=str(small_disk / "web.log"))
    write_all(pipe, b"one\n")
    rig.flush()
    rig.send("close", id="web")
    rig.flush()
    eventually(lambda: remount(small_disk, "ro"), what="the disk to be free")
    rig.stream("web", path=str(small_disk / "web.log"))
    write_all(pipe, b"two\n")
    rig.flush()
    assert "Read-only" in rig.wait_event("fault", id="web")["text"]
    assert remount(small_disk, "rw")
    assert rig.wait_event("fault", id="web", text=None)["dropped"] == 4


def remount(folder, how):
    return subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0
