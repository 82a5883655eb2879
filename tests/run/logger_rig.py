"""Drives the real reeve-logger as keeper and supervisor would: socket pair, journal, staging pipe, log pipes."""

import array
import base64
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

from basics import build_dir

DIE_AT = build_dir() / "tests" / "helpers" / "die_at.so"
LOGGER = build_dir() / "daemon" / "logger" / "reeve-logger"


class Rig:
    """One logger with everything that the keeper holds for it."""

    def __init__(self, folder, stdout=None, wrap=(), arguments=()):
        self.folder = pathlib.Path(folder)
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.journal = os.memfd_create("journal")
        self.staging_read, self.staging_write = os.pipe()
        self.staging = os.open(f"/proc/self/fd/{self.staging_read}", os.O_RDWR)
        os.close(self.staging_read)
        os.close(self.staging_write)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket_path = str(self.folder / "log.sock")
        self.listener.bind(self.socket_path)
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.pipes = {}
        self.settings = {}
        self.events = []
        self.stdout = stdout
        self.command = [*wrap, str(LOGGER), *arguments]
        self.process = None
        self.main_settings = None
        self.start()

    # -- the logger's life

    def start(self, **environment):
        """Execute the logger with its descriptors at 3 to 6, ENVIRONMENT added to ours."""
        sources = [self.theirs.fileno(), self.journal, self.staging, self.listener.fileno()]
        high = [os.dup(fd) for fd in sources]
        top = max(high) + 10

        def place():
            for i, fd in enumerate(high):
                os.dup2(fd, top + i)
            for i in range(4):
                os.dup2(top + i, 3 + i, inheritable=True)
            os.closerange(7, top + 5)

        self.process = subprocess.Popen(self.command, close_fds=False, preexec_fn=place,
                                        stdout=self.stdout, env={**os.environ, **environment})
        for fd in high:
            os.close(fd)

    def kill(self):
        """kill -9, and wait until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def finish(self, timeout=20):
        """The end of supervisor and keeper: the logger drains and exits 0."""
        self.ours.close()
        self.theirs.close()
        return self.process.wait(timeout)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in [self.journal, self.staging, *self.pipes.values()]:
            os.close(fd)
        self.pipes = {}
        for sock in (self.ours, self.theirs, self.listener):
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- the conversation

    def send(self, op, fd=None, **fields):
        data = json.dumps({"op": op, **fields}).encode()
        ancillary = []
        if fd is not None:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self.ours.sendmsg([data], ancillary)

    def receive(self, timeout=0.0):
        """Collect events; returns the new ones."""
        new = []
        while select.select([self.ours], [], [], 0.0 if new else timeout)[0]:
            data = self.ours.recv(1 << 18)
            if not data:
                break
            new.append(json.loads(data))
        self.events += new
        return new

    def wait_event(self, name, seconds=20.0, **fields):
        """The first event with this name and these fields that has not been waited for."""
        deadline = time.monotonic() + seconds
        while True:
            for event in self.events:
                if event["event"] == name and all(event.get(k) == v for k, v in fields.items()):
                    self.events.remove(event)
                    return event
            left = deadline - time.monotonic()
            assert left > 0, f"no {name} {fields} among {self.events}"
            self.receive(min(left, 0.2))

    def stream(self, name, sync=True, **settings):
        """Make a stream with a pipe of its own; returns the descriptor to write to."""
        fields = {"process": name, "channel": "stdout", "group": name, "maxbytes": 0, "backups": 0, "pid": 0}
        fields.update(settings)
        if "path" not in fields and "auto" not in fields:
            fields["path"] = str(self.folder / f"{name}.log")
        if name not in self.pipes:
            read, write = os.pipe()
            self.pipes[name] = os.open(f"/proc/self/fd/{read}", os.O_RDWR)
            os.close(read)
            os.close(write)
        self.settings[name] = fields
        self.send("stream", fd=self.pipes[name], id=name, **fields)
        return self.pipes[name]

    def announce(self):
        """What a new supervisor, or a supervisor with a new logger, says."""
        self.send("begin")
        for name, fields in self.settings.items():
            self.send("stream", fd=self.pipes[name], id=name, **fields)
        self.send("sync")

    def restart(self):
        self.kill()
        self.start()
        self.announce()

    def flush(self, seconds=20.0):
        cookie = f"flush-{time.monotonic_ns()}"
        self.send("flush", cookie=cookie)
        return self.wait_event("flushed", seconds, cookie=cookie)

    def path(self, name):
        return self.folder / f"{name}.log"

    def connect(self):
        return LogClient(self.socket_path)


class LogClient:
    """A client of io.reeve.Log."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def send(self, method, more=False, **parameters):
        call = {"method": "io.reeve.Log." + method, "parameters": parameters}
        if more:
            call["more"] = True
        self.socket.sendall(json.dumps(call).encode() + b"\0")

    def receive(self, timeout=20.0):
        self.socket.settimeout(timeout)
        while b"\0" not in self.buffer:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.send(method, **parameters)
        return self.receive()


def decoded(text):
    return base64.b64decode(text)


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def backups(path):
    """F and its backups, oldest first."""
    path = pathlib.Path(path)
    numbered = sorted((p for p in path.parent.glob(path.name + ".*") if p.name[len(path.name) + 1:].isdigit()),
                      key=lambda p: -int(p.name[len(path.name) + 1:]))
    return numbered + ([path] if path.exists() else [])


def joined(path):
    return b"".join(p.read_bytes() for p in backups(path))
