"""A reeve-pool by itself, without a daemon, driven by the real reevectl or by its socket."""

import json
import signal
import subprocess

from basics import build_dir, eventually
from reeve import REEVECTL, Marked, varlink

POOL = build_dir() / "daemon" / "pool" / "reeve-pool"


class Refused(Exception):
    """The pool answered with an error."""


class Pool(Marked):
    """Settings as keywords; everything lies in FOLDER, whose `run` is the run directory."""

    def __init__(self, folder, name="p"):
        super().__init__(folder)
        self.name = name
        self.rundir = self.folder / "run"
        self.socket = self.rundir / "pool" / f"{name}.sock"
        self.process = None
        self.log_path = folder / f"{name}.log"

    def start(self, *argv, wait=True, **settings):
        (self.rundir / "pool").mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}.json"
        if argv or settings:
            path.write_text(json.dumps({"name": self.name, "argv": [str(a) for a in argv], **settings}))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(POOL), "--settings", str(path), "--socket", str(self.socket)], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, env=self.environment())
        if wait:
            eventually(self.answers, what="the pool's socket")
        return self

    def answers(self):
        assert self.process.poll() is None, self.log()
        try:
            return self.status()
        except (OSError, EOFError):
            return None

    def log(self):
        return self.log_path.read_text(errors="replace")

    # -- commands

    def command(self, *words):
        return [str(REEVECTL), "-s", str(self.rundir), *map(str, words)]

    def ctl(self, *words, stdin=None, timeout=60):
        """(exit status, stdout, stderr) of reevectl."""
        r = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout, input=stdin, errors="replace",
                           env=self.environment(), stdin=subprocess.DEVNULL if stdin is None else None)
        return r.returncode, r.stdout, r.stderr

    def popen(self, *words, **more):
        return subprocess.Popen(self.command(*words), env=self.environment(), text=True, **more)

    def call(self, method, **parameters):
        reply = varlink(self.socket, "io.reeve.Pool." + method, parameters, 30 + parameters.get("timeout", 0))
        if "error" in reply:
            raise Refused(reply["error"].rsplit(".", 1)[1], reply.get("parameters"))
        return reply["parameters"]

    def status(self):
        return self.call("GetStatus")["status"]

    def submit(self, *args, **more):
        return self.call("Submit", tasks=[{"args": [str(a) for a in args], **more}])["ids"][0]

    def submit_many(self, tasks):
        return self.call("Submit", tasks=[{"args": [str(a) for a in args]} for args in tasks])["ids"]

    def result(self, id_, timeout=20, keep=False):
        return self.call("Result", id=id_, timeout=timeout, keep=keep)["task"]

    def wait_status(self, seconds=20, **wanted):
        return eventually(lambda: (s := self.status()) and all(s[k] == v for k, v in wanted.items()) and s, seconds,
                          lambda: f"status {wanted}: {self.status()}")

    def workers(self):
        return [w["pid"] for w in self.status()["slots"] if w["pid"]]

    # -- the end

    def stop(self, how=signal.SIGTERM, seconds=30):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(seconds) if self.process else None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        try:
            if self.process and self.process.poll() is None:
                self.stop(seconds=40)
        finally:
            left = self.kill_left()
            left.pop(self.process and self.process.pid, None)
        self.complain(left)
