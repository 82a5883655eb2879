"""The shell of reevectl, with a terminal and without, and fg."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from reeve import REEVECTL, eventually, varlink

PROGRAMS = """[program:echo]
command = sh -c 'echo hello; while read x; do echo "got $x"; echo "err $x" >&2; done; sleep 1000'
[program:pair]
command = sleep 1000
numprocs = 2
process_name = p%(process_num)d
"""


class Terminal:
    """A client on a terminal of its own."""

    def __init__(self, reeve, *words, name="reevectl"):
        link = reeve.folder / "bin" / name
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            link.symlink_to(REEVECTL)
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        env = {**reeve.environment(), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen([str(link), "-c", str(reeve.config), *words], stdin=slave, stdout=slave, stderr=slave, env=env,
                                        preexec_fn=self.take_terminal)
        os.close(slave)
        self.text = ""

    @staticmethod
    def take_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read(self, seconds=0.05):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                return False
            self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r", "", data)
            return bool(data)
        return True

    def expect(self, text, seconds=20):
        """Wait for TEXT; what comes up to its end is taken."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert self.read() or text in self.text, f"{text!r} has not come before the end: {self.text!r}"
            assert time.monotonic() < deadline, f"no {text!r} in {self.text!r}"
        before, self.text = self.text.split(text, 1)
        return before

    def prompt(self, text="reeve> "):
        """Wait for the prompt, and until it is the editor that gets what is typed."""
        before = self.expect(text)
        eventually(lambda: not termios.tcgetattr(self.master)[3] & termios.ICANON, what="the editor")
        return before

    def send(self, text):
        os.write(self.master, text.encode())

    def end(self):
        deadline = time.monotonic() + 20
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < deadline, self.text
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(reeve):
    made = []

    def make(*words, **options):
        made.append(Terminal(reeve, *words, **options))
        return made[-1]

    yield make
    for t in made:
        t.close()


def start(reeve):
    reeve.start(PROGRAMS, daemon=f"[supervisorctl]\nhistory_file = {reeve.folder}/history\n")
    for name in ("echo", "pair:p1"):
        reeve.wait_state(name, "RUNNING")


def test_prompt_completion_and_history(reeve, terminal):
    start(reeve)
    t = terminal()
    t.expect("pair:p1 ")                # status comes first
    t.prompt()
    t.send("avai\t\r")                  # a command
    assert "in use" in t.prompt()
    t.send("pid pair:p\t1\r")           # as far as the live names agree
    t.expect(str(reeve.pid("pair:p1")) + "\n")
    t.prompt()
    t.send("status pa\t\t")             # what could follow is listed
    shown = t.expect("pair:p1")
    assert "pair:*" in shown and "pair:p0" in shown and "echo" not in shown
    t.send("\x15")                      # forget the line
    t.send("signal HU\tpair:p0\r")
    t.expect("pair:p0: signalled")
    t.prompt()
    t.send("remove pai\t\r")
    t.expect("still running: pair")
    t.prompt()
    t.send("\x1b[A\x1b[A\x1b[A\r")      # the third from last again
    t.prompt()
    t.send("nonsense 'x\r")
    t.expect("No closing quotation")
    t.prompt()
    t.send("quit\r")
    assert t.end() == 0
    assert "avail" in (reeve.folder / "history").read_text()
    again = terminal()
    again.prompt()
    again.send("\x1b[A\x1b[A\r")        # behind "quit": the last of the session before
    again.expect("No closing quotation")
    again.prompt()                      # between two lines the terminal would take the key for itself
    again.send("\x04")
    assert again.end() == 0


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_control_keys_leave(reeve, terminal, key):
    start(reeve)
    t = terminal(name="supervisorctl")
    t.prompt("supervisor> ")
    t.send("stat" + key if key == "\x03" else key)
    assert t.end() == 0


def test_control_c_ends_the_wait_not_the_shell(reeve, terminal):
    start(reeve)
    t = terminal()
    t.prompt()
    t.send("tail -f echo\r")
    t.expect("hello")
    t.send("\x03")
    t.prompt()
    t.send("wait pair:p0\r")
    t.expect("wait pair:p0\n")
    t.send("\x03")
    t.expect("no longer waited for")
    t.prompt()
    t.send("status echo\r")
    t.expect("RUNNING")


def test_commands_from_a_pipe(reeve):
    start(reeve)
    r = subprocess.run([str(REEVECTL), "-c", str(reeve.config)], input="# nothing\npid echo\n\nstatus nosuch", capture_output=True, text=True,
                       timeout=60, env=reeve.environment())
    assert r.returncode == 4            # of the last error; no prompts
    assert r.stdout.splitlines() == [str(reeve.pid("echo")), "nosuch: ERROR (no such process)"]


def test_shell_survives_the_daemon(reeve, terminal):
    start(reeve)
    t = terminal()
    t.prompt()
    os.kill(reeve.part("supervisor"), signal.SIGKILL)
    t.send("status echo\r")
    t.expect("RUNNING")
    t.prompt()
    t.send("shutdown\r")
    t.expect("Really shut the remote supervisord process down y/N? ")
    t.send("n\r")
    t.prompt()
    reeve.stop()
    t.send("status\r")
    t.expect("is reeved running")
    t.prompt()
    t.send("exit\r")
    assert t.end() == 0


def test_fg_both_ways(reeve, terminal):
    start(reeve)
    pid = reeve.pid("echo")
    t = terminal("fg", "echo")
    t.expect("==> Press Ctrl-C to exit <==")
    t.expect("hello")
    t.send("ping\r")
    before = t.expect("got ping")       # the order of the two logs is nobody's
    eventually(lambda: t.read() and "err ping" in before + t.text)
    t.send("\x03")
    t.expect("Exiting foreground")
    t.expect(f"echo runs on (pid {pid})")
    assert t.end() == 0
    assert reeve.pid("echo") == pid


def test_fg_without_a_terminal(reeve):
    start(reeve)
    r = subprocess.run([str(REEVECTL), "-c", str(reeve.config), "fg", "echo"], input="one\ntwo", capture_output=True, text=True, timeout=60,
                       env=reeve.environment())
    assert r.returncode == 0 and r.stdout.startswith("==> Press Ctrl-C to exit <==\n") and "Exiting foreground" in r.stdout
    eventually(lambda: reeve.ctl("tail", "echo") == (0, "hello\ngot one\ngot two\n\n"))


def test_fg_ends_with_its_process(reeve, terminal):
    start(reeve)
    t = terminal("fg", "echo")
    t.expect("hello")
    reeve.ctl("stop", "echo")
    t.expect("Process got killed")
    t.expect("Exiting foreground")
    t.expect("echo is STOPPED")
    assert t.end() == 0


def test_fg_outlives_supervisor_and_logger(reeve, terminal):
    start(reeve)
    t = terminal("fg", "echo")
    t.expect("hello")
    old = {role: reeve.part(role) for role in ("supervisor", "logger")}
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    reeve.wait_successor(old["supervisor"])
    eventually(lambda: reeve.part("logger") != old["logger"], what="another logger")
    varlink(reeve.rundir / "log.sock", "io.reeve.Log.Streams")
    t.expect("(connected again)")
    t.send("still there\r")
    t.expect("got still there")
    t.send("\x04")
    t.expect("Exiting foreground")
    assert t.end() == 0
