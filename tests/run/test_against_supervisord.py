"""What Debian's supervisord and supervisorctl print, and what ours print in the same scenario of the same run.

Each scenario is a configuration, which both daemons run, and a table of steps. A step that compares runs one action with both clients and
compares standard output, standard error and exit status, after pids, times and folders have been made equal. A difference that is meant
has its reason in the step, as the first cell of a row of the table in docs/guide/migrating-from-supervisord.md.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

from basics import eventually
from reeve import REEVECTL, REEVED, processes

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "guide" / "migrating-from-supervisord.md"
HERE = pathlib.Path(__file__).resolve().parent

HEAD = """[unix_http_server]
file = %(here)s/s.sock
[supervisord]
logfile = %(here)s/main.log
pidfile = %(here)s/main.pid
childlogdir = %(here)s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://%(here)s/s.sock
"""


# ---- steps ----

class Compare:
    """One action. OURS: what we print instead (None: anything), because of REASON; MAYBE: theirs is not always so."""

    def __init__(self, *words, stdin="", reason=None, ours=None, status=None, config=True, sort=False, maybe=False):
        self.words, self.stdin, self.reason, self.ours, self.status = words, stdin, reason, ours, status
        self.config, self.sort, self.maybe = config, sort, maybe


class Meanwhile:
    """WORDS go on while, in state STATE of NAME, OTHER is done by a second client."""

    def __init__(self, words, name, state, other):
        self.words, self.name, self.state, self.other = words, name, state, other

    def play(self, side):
        with subprocess.Popen([side.client(), "-c", "s.conf", *self.words], cwd=side.folder, stdout=subprocess.PIPE, text=True,
                              env=side.environment()) as first:
            side.wait(self.name, self.state)
            second = side.run(("-c", "s.conf", *self.other))
            out = first.communicate(timeout=40)[0]
        return equalise(out), first.returncode, equalise(second["stdout"]), second["status"]


class Interrupt:
    """WORDS go on until Ctrl-C, which comes when they have printed TEXT."""

    def __init__(self, *words, text):
        self.words, self.text = words, text

    def play(self, side):
        with subprocess.Popen([side.client(), "-c", "s.conf", *self.words], cwd=side.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, env=side.environment()) as client:
            os.set_blocking(client.stdout.fileno(), False)
            seen = b""

            def more():
                nonlocal seen
                seen += client.stdout.read() or b""
                return self.text.encode() in seen

            eventually(more, 30, f"{self.text} ({side.name}: {seen})")
            client.send_signal(signal.SIGINT)
            status = client.wait(30)
            more()
        return seen.decode(), status


class Wait:
    def __init__(self, name, state):
        self.name, self.state = name, state


class WaitOurs(Wait):
    """Where theirs does not come to that state."""


class Edit:
    """From here on both files say TEXT."""

    def __init__(self, text):
        self.text = text


class Call:
    """FUNCTION(side) for both."""

    def __init__(self, function):
        self.function = function


def act(*words, **options):
    return Compare(*words, **options)


# ---- the two sides ----

class Side:
    def __init__(self, folder, name):
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        self.config = self.folder / "s.conf"
        self.daemon = None

    def write(self, text):
        self.config.write_text(HEAD + text)

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("SUPERVISOR", "REEVE_SOCKET"))}
        return {**env, "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8", "LSAN_OPTIONS": "report_objects=0"}

    def start(self):
        with open(self.folder / "out", "ab") as out:
            self.daemon = subprocess.Popen([*self.command(), "-c", "s.conf", "-n"], cwd=self.folder, stdout=out, stderr=out,
                                           stdin=subprocess.DEVNULL, env=self.environment(), start_new_session=True)

    def state(self, name):
        out = self.run(("-c", "s.conf", "status", name))["stdout"].split()
        return out[1] if len(out) > 1 else ""

    def wait(self, name, state):
        eventually(lambda: self.state(name) == state, 30, f"{name} {state} ({self.name})")

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(40)

    def up(self):
        return (self.folder / "s.sock").exists() or (self.folder / "s.sock.reeve" / "control.sock").exists()


class Theirs(Side):
    def __init__(self, folder):
        super().__init__(folder, "theirs")
        self.runner = subprocess.Popen(["/usr/bin/python3", str(HERE / "supervisorctl_runner.py")], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, env=self.environment())

    def command(self):
        return ["/usr/bin/python3", str(HERE / "supervisord_runner.py")]

    def client(self):
        return "/usr/bin/supervisorctl"

    def run(self, argv, stdin=""):
        self.runner.stdin.write(json.dumps({"argv": argv, "cwd": str(self.folder), "stdin": stdin}) + "\n")
        self.runner.stdin.flush()
        return json.loads(self.runner.stdout.readline())

    def stop(self):
        """Not with TERM: it would stop its programs one after the other."""
        if self.daemon and self.daemon.poll() is None:
            programs = [pid for pid, parent, _ in processes() if parent == self.daemon.pid]
            for pid in (self.daemon.pid, *programs):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.daemon.wait(20)

    def close(self):
        self.stop()
        self.runner.stdin.close()
        self.runner.wait(20)
        self.runner.stdout.close()


class Ours(Side):
    def __init__(self, folder):
        super().__init__(folder, "ours")
        for name, target in (("supervisord", REEVED), ("supervisorctl", REEVECTL)):
            (self.folder / name).symlink_to(target)

    def command(self):
        return [str(self.folder / "supervisord")]

    def client(self):
        return str(self.folder / "supervisorctl")

    def run(self, argv, stdin=""):
        r = subprocess.run([str(self.folder / "supervisorctl"), *argv], input=stdin, capture_output=True, text=True, timeout=60,
                           cwd=self.folder, env=self.environment(), errors="replace")
        return {"status": r.returncode, "stdout": r.stdout, "stderr": r.stderr}

    def close(self):
        self.stop()
        out = self.folder / "out"
        assert not out.exists() or "Sanitizer" not in out.read_text(errors="replace")


# ---- comparing ----

EQUAL = [(r"/\S*/(theirs|ours)\b", "@"), (r"/usr/bin/supervisorctl|@/supervisorctl", "PROG"), (r"pid \d+", "pid N"),
         (r"uptime \d+:\d\d:\d\d", "uptime T"), (r"\b[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M", "TIME"), (r"(?m)^(supervisor> )?[1-9]\d*$", r"\1N"),
         (r"file: \S+ line: \d+", "file: F line: L"), (r"unknown\d+", "unknownN")]


def cut_help(line):
    """Usage is compared, explanations are each project's own; so are their continuation lines and notes."""
    return None if line.startswith(("\t", "Note:")) else line.split("\t")[0].rstrip() if "\t" in line else line


def equalise(text, sort=False):
    for pattern, replacement in EQUAL:
        text = re.sub(pattern, replacement, text)
    lines = [line for line in map(cut_help, text.split("\n")) if line is not None]
    return "\n".join(sorted(lines) if sort else lines)


def compare(step, theirs, ours):
    """The difference as text, or None."""
    argv = (("-c", "s.conf") if step.config else ()) + step.words
    results = [side.run(argv, step.stdin) for side in (theirs, ours)]
    shown = [(equalise(r["stdout"], step.sort), equalise(r["stderr"]), r["status"]) for r in results]
    if step.reason:
        if step.reason not in GUIDE.read_text(encoding="utf-8"):
            return f"{step.words}: the guide has no row for {step.reason!r}"
        if shown[0] == shown[1] and not step.maybe:
            return f"{step.words}: there is no difference any more: {shown[0]}"
        shown[0] = (step.ours if step.ours is not None else shown[1][0], shown[1][1], shown[0][2] if step.status is None else step.status)
    if shown[0] == shown[1]:
        return None
    return "%s\n  wanted %r\n  got    %r" % (" ".join(step.words), *shown)


def take(step, theirs, ours):
    if isinstance(step, Compare):
        return compare(step, theirs, ours)
    if isinstance(step, (Meanwhile, Interrupt)):
        results = step.play(theirs), step.play(ours)
        return None if results[0] == results[1] else "%s\n  wanted %r\n  got    %r" % (step.words, *results)
    for side in (theirs, ours):
        if isinstance(step, WaitOurs) and side is theirs:
            continue
        if isinstance(step, Wait):
            side.wait(step.name, step.state)
        elif isinstance(step, Edit):
            side.write(step.text)
        else:
            step.function(side)
    return None


def play(tmp_path, text, steps, start=True):
    theirs, ours = Theirs(tmp_path), Ours(tmp_path)
    try:
        for side in (theirs, ours):
            side.write(text)
            if start:
                side.start()
        for side in (theirs, ours):
            if start:
                eventually(side.up, 30, side.name)
        differences = [d for d in (take(step, theirs, ours) for step in steps) if d]
    finally:
        theirs.close()
        ours.close()
    assert not differences, "\n" + "\n".join(differences)


# ---- scenarios ----

PROGRAMS = """[program:cat]
command = cat
startsecs = 0
[program:grp]
command = sleep 1000
startsecs = 0
numprocs = 2
process_name = g%(process_num)d
[program:manual]
command = sleep 1000
autostart = false
startsecs = 0
[program:once]
command = sh -c 'exit 0'
startsecs = 0
autorestart = false
[program:odd]
command = sh -c 'exit 7'
startsecs = 0
autorestart = false
[program:nofile]
command = /nonexistent/program
autostart = false
startretries = 0
[program:noexec]
command = %(here)s/plain
autostart = false
startretries = 0
[program:fails]
command = false
autostart = false
startretries = 0
[program:fatal]
command = false
startretries = 0
[program:x]
command = sleep 1000
startsecs = 0
priority = 30
[program:y]
command = sleep 1000
startsecs = 0
autostart = false
[program:z]
command = sleep 1000
[group:both]
programs = x,y
priority = 7
"""
READY = [Wait("cat", "RUNNING"), Wait("grp:g1", "RUNNING"), Wait("once", "EXITED"), Wait("odd", "EXITED"), Wait("fatal", "FATAL"),
         Wait("z", "RUNNING"), Wait("both:x", "RUNNING")]


def make_plain(side):
    (side.folder / "plain").write_text("x")


def test_status_and_pid(tmp_path):
    play(tmp_path, PROGRAMS, READY + [
        act("status"), act("status", "all"), act("status", "cat"), act("status", "cat", "grp:*"), act("status", "grp:"),
        act("status", "z", "cat", "cat"), act("status", "nosuch"), act("status", "nosuch", "cat"), act("status", "nosuch:*"),
        act("status", "nosuch:x"), act("status", "grp"), act("status", "grp:nosuch"), act("status", "both:y", "nosuch"),
        act("status", "c*"), act("status", "cat", "all", "nosuch"), act("status", "cat:cat"), act("status", "-v"),
        act("status", "  cat   z "), act("status;x"), act("pid"), act("pid", "cat"), act("pid", "all"), act("pid", "cat", "manual"),
        act("pid", "manual"), act("pid", "nosuch"), act("pid", "nosuch", "cat"), act("pid", "grp:*"), act("pid", "grp:g0", "z"),
        act("pid", "cat", "all"), act("pid", "x"), act("avail"), act("version"), act("version", "x"), act("avail", "x"),
    ])


def test_start_stop_restart(tmp_path):
    at_once = "`start` of a program with startsecs=0 that ends at once"
    play(tmp_path, PROGRAMS, [Call(make_plain)] + READY + [
        act("start"), act("stop"), act("restart"), act("start", "cat"), act("start", "manual"), act("status", "manual"),
        act("stop", "manual"), act("stop", "manual"), act("status", "manual"), act("start", "nosuch"), act("start", "nosuch", "manual"),
        act("start", "nosuch:*"), act("start", "nosuch:*", "manual"), act("start", "grp:nosuch"), act("start", "grp"),
        act("start", "cat:cat"), act("stop", "nosuch"), act("stop", "nosuch:*"), act("stop", "nosuch:x"), act("stop", "cat:cat"),
        act("start", "c*"), act("start", "cat", "cat"), act("start", "grp:*"), act("stop", "grp:*", sort=True),
        act("stop", "grp:*"), act("start", "grp:*", sort=True), act("start", "fails"), Wait("fails", "FATAL"), act("status", "fails"),
        act("start", "odd", reason=at_once, ours="odd: started\n", status=0, maybe=True),
        act("start", "once", reason=at_once, ours="once: started\n", status=0, maybe=True),
        act("restart", "manual"), act("restart", "manual"), act("restart", "nosuch"), act("restart", "grp:*", sort=True),
        act("restart", "nosuch:*"), act("restart", "z", "cat"), act("stop", "both:*"), act("start", "both:*", sort=True),
        act("stop", "all", sort=True), act("stop", "all"), act("start", "nofile"), act("start", "noexec"),
        WaitOurs("nofile", "FATAL"), act("status", "nofile", reason="`start` of a missing file leaves the process as it was", status=3,
                                          ours="nofile                           FATAL     can't find command '/nonexistent/program'\n"),
    ])


def test_signal_and_clear(tmp_path):
    play(tmp_path, PROGRAMS, READY + [
        act("signal"), act("signal", "HUP"), act("signal", "CONT", "cat"), act("signal", "sigcont", "cat", "z"), act("signal", "18", "cat"),
        act("signal", "BOGUS", "cat"), act("signal", "BOGUS", "nosuch"), act("signal", "BOGUS", "grp:*"), act("signal", "CONT", "grp:*"),
        act("signal", "CONT", "manual"), act("signal", "CONT", "nosuch"), act("signal", "CONT", "nosuch:*"), act("signal", "CONT", "all"),
        act("signal", "CONT", "both:*"), act("signal", "99", "cat"), act("signal", "CONT", "both:*", "nosuch"),
        act("clear"), act("clear", "cat"), act("clear", "nosuch"), act("clear", "cat", "nosuch"), act("clear", "grp:*"),
        act("clear", "grp:g0"), act("clear", "c*"), act("clear", "all"), act("clear", "both:x", "both:y"),
    ])


LOGS = """[program:talk]
command = sh -c 'echo one; echo two; echo problem >&2; exec sleep 1000'
stdout_logfile = %(here)s/talk.log
stderr_logfile = %(here)s/talk.err
[program:one]
command = sh -c 'echo both; echo both >&2; exec sleep 1000'
redirect_stderr = true
[program:mute]
command = sleep 1000
stdout_logfile = NONE
stderr_logfile = NONE
[program:never]
command = sleep 1000
autostart = false
stdout_logfile = %(here)s/never.log
"""


def written(name, text):
    return Call(lambda side: eventually(lambda: (side.folder / name).exists() and (side.folder / name).read_text() == text, 20, name))


def test_tail(tmp_path):
    play(tmp_path, LOGS, [
        Wait("talk", "RUNNING"), Wait("one", "RUNNING"), Wait("mute", "RUNNING"), written("talk.log", "one\ntwo\n"),
        written("talk.err", "problem\n"),
        act("tail", "talk"), act("tail", "talk", "stdout"), act("tail", "talk", "stderr"), act("tail", "talk", "STDERR"),
        act("tail", "-3", "talk"), act("tail", "-3", "talk", "stderr"), act("tail", "-0", "talk"), act("tail", "-100000", "talk"),
        act("tail", "talk", "bogus"), act("tail", "-x", "talk"), act("tail", "-", "talk"), act("tail"), act("tail", "-5"),
        act("tail", "a", "b", "c", "d"), act("tail", "talk", "b", "stderr"), act("tail", "nosuch"), act("tail", "talk:*"),
        act("tail", "mute"), act("tail", "mute", "stderr"), act("tail", "one", "stderr"), act("tail", "never"),
        act("tail", "t*"), act("tail", "-f", "nosuch"), act("tail", "-f", "nosuch", "stderr"), act("tail", "-f", "mute"),
        act("tail", "-f", "talk:*"), act("tail", "-f", "talk", "bogus"), act("tail", "-f"),
        Interrupt("tail", "-f", "talk", text="two\n"), Interrupt("tail", "-f", "talk", "stderr", text="problem\n"),
        act("maintail", "-x"), act("maintail", "x"), act("maintail", "1", "2"),
        act("clear", "talk"), written("talk.log", ""), act("tail", "talk"), act("clear", "mute"),
    ])


def test_help_and_syntax(tmp_path):
    actions = ("add avail clear exit fg maintail open pid quit reload remove reread restart shutdown signal start status stop tail update "
               "version help").split()
    play(tmp_path, "", [act("help", name) for name in actions] + [
        act("help"), act("?"), act("?stop"), act("help", "bogus"), act("help", "EOF"), act("exit"), act("quit"), act("EOF"),
        act("quit", "x"), act("bogus"), act("bogus", "a", "b"), act("!ls"), act("foo;bar"), act("  "), act("help start"),
        act("reread", "x"), act("reload", "x"), act("shutdown", "x"), act("fg"), act("fg", "a", "b"), act("open", "bogus"), act("open"),
        act("open", "https://localhost:1"), act("-x", "status"), act("--bogus"), act("--h", "status"), act("-s", "bogus", "status"),
        act("-s"), act("-c", "other", "status"), act("--config=x", "status"), act("--interactive=1", "status"),
        act("-c", "nonexistent", "status", config=False), act("--conf", "s.conf", "pid", config=False), act("--", "pid"),
        act("-u", "me", "-p", "secret", "pid"), act("-h", reason="explanations in `help` and `-h`", status=0),
    ])


def test_fg(tmp_path):
    play(tmp_path, PROGRAMS, READY + [
        act("fg", "nosuch"), act("fg", "manual"), act("fg", "grp:*"), act("fg", "c*"), act("fg", "once"),
        act("fg", "z", stdin="hello\n", reason="`fg` at the end of its input", ours="==> Press Ctrl-C to exit <==\nExiting foreground\n",
            status=0, maybe=True),
    ])


def test_unreachable(tmp_path):
    actions = [("status",), ("status", "x"), ("start", "x"), ("start",), ("stop", "x"), ("restart",), ("signal",), ("pid",), ("pid", "x"), ("tail",),
               ("tail", "x"), ("maintail",), ("clear",), ("clear", "x"), ("fg",), ("version",), ("version", "x"), ("avail",), ("reread",),
               ("update",), ("add", "x"), ("remove", "x"), ("reload",), ("shutdown",), ("help", "pid"), ("add",), ("exit",)]

    def nobody_listens(side):
        import socket
        (side.folder / "s.sock.reeve").mkdir(exist_ok=True)
        for path in (side.folder / "s.sock", side.folder / "s.sock.reeve" / "control.sock"):
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(str(path))

    play(tmp_path, "", [act(*words) for words in actions] + [act("open", "unix:///nonexistent/socket")] + [Call(nobody_listens)] +
         [act(*words) for words in actions], start=False)


def test_groups_come_and_go(tmp_path):
    sleep = "[program:%s]\ncommand = sleep 1000\nstartsecs = 0\n"
    base = sleep % "a" + sleep % "b"
    bad_value = "messages about a bad value name the file as it was given"
    ab = [Wait("a", "RUNNING"), Wait("b", "RUNNING")]
    play(tmp_path, base, ab + [
        act("add"), act("remove"), act("add", "a"), act("add", "nosuch"), act("add", "nosuch", "a"), act("remove", "nosuch"), act("remove", "a"),
        act("reread"), act("update"), act("stop", "a"), act("remove", "a"), act("status"), act("avail"), act("remove", "a"), act("add", "a"),
        Wait("a", "RUNNING"), act("status"),
        Edit(base + sleep % "c"), act("reread"), act("avail"), act("status"), act("update", "nosuch"), act("update", "b"), act("update", "c"),
        Wait("c", "RUNNING"), act("reread"), act("update"),
        Edit(base + sleep % "d" + "environment = A=1\n"), act("reread"), act("update", "all"), Wait("d", "RUNNING"), act("status"),
        Edit(base + sleep % "d" + "environment = A=2\n"), act("reread"), act("update"), Wait("d", "RUNNING"), act("status"),
        Edit(base), act("reread"), act("update", "nosuch", "d"), act("status"),
        Edit(base + sleep % "e" + "autostart = maybe\n"), 
        act("reread", reason=bad_value, status=1,
            ours="ERROR: CANT_REREAD: not a valid boolean value: 'maybe' in section 'program:e' (file: '@/s.conf')\n"),
        act("update", reason=bad_value, status=1), act("status"), act("avail"),
        Edit(base.replace("[program:b]", "[program:b]\nstopwaitsecs = 3")), act("reread"),
        act("update", reason="`update` restarts every changed group", ours="b: updated process group\n", status=0),
        Edit("no section\n"), act("reread", reason="messages about a file that is no INI file", status=2),
    ])


def test_shell_from_a_pipe(tmp_path):
    play(tmp_path, PROGRAMS, READY + [
        act(stdin="pid\n\nbogus\nstatus cat\nquit\nstatus\n"), act(stdin="pid"), act(stdin=""), act("-i", stdin="help start\nexit\n"),
        act(stdin="open unix:///nonexistent/socket\nstatus\n"), act(stdin="?stop\n!x\nEOF\npid\n"), act("-i", "pid", stdin="pid\n"),
        act(stdin="shutdown\nn\nreload\nno\nstatus cat\n"), act("-i", "shutdown", stdin="n\n"), act("-i", "reload", stdin="x\n"),
    ])


def test_reload_and_shutdown(tmp_path):
    play(tmp_path, PROGRAMS, READY + [
        act("reload"), Wait("cat", "RUNNING"), act("status", "cat"), act("-i", "shutdown", stdin="Yes\n"),
        Call(lambda side: side.daemon.wait(30)), act("status"), act("shutdown"),
    ])


STUBBORN = """[program:stubborn]
command = sh -c 'trap "" TERM; echo $$ > pid; while :; do sleep 0.2; done'
directory = %(here)s
stopwaitsecs = 60
[program:other]
command = sleep 1000
[program:late]
command = sleep 1000
autostart = false
"""


def kill_stubborn(side):
    os.kill(int((side.folder / "pid").read_text()), 9)
    side.daemon.wait(30)


def test_while_it_shuts_down(tmp_path):
    told = "during a shutdown every request is refused"
    play(tmp_path, STUBBORN, [
        Wait("stubborn", "RUNNING"), Wait("other", "RUNNING"), act("shutdown"),
        *[act(*words, reason=told, maybe=True, status=status)
          for words, status in ((("status",), 3), (("status", "nosuch"), 4), (("pid",), 0), (("pid", "all"), 0), (("version",), 0),
                                (("tail", "stubborn"), 0), (("clear", "stubborn"), 0), (("fg", "late"), 1), (("avail",), 0))],
        *[act(*words) for words in (("start", "late"), ("start", "other"), ("start", "all"), ("stop", "stubborn"), ("stop", "all"),
                                    ("restart", "late"), ("signal", "HUP", "stubborn"), ("signal", "HUP", "all"), ("reread",), ("update",),
                                    ("add", "late"), ("remove", "late"), ("reload",), ("shutdown",), ("start", "nosuch"),
                                    ("stop", "nosuch:*"))],
        Call(kill_stubborn), act("shutdown"), act("status"),
    ])


def test_names_in_two_groups(tmp_path):
    """A start that is stopped, a process that stops, a group with members in many states."""
    text = """[program:slow]
command = sleep 1000
startsecs = 600
[program:a]
command = sleep 1000
autostart = false
startsecs = 0
[program:b]
command = sleep 1000
startsecs = 0
[program:averyveryverylongnamethatpushesthecolumns]
command = sleep 1000
startsecs = 0
[group:g]
programs = b,a
"""
    play(tmp_path, text, [
        Wait("slow", "STARTING"), Wait("g:b", "RUNNING"), act("status"), act("start", "slow"), act("start", "g:*"), act("start", "g:*"),
        act("stop", "g:a"), act("restart", "g:*", sort=True), act("status", "g:*"), act("signal", "CONT", "slow"), act("pid", "slow"),
        act("avail"), act("stop", "slow"), act("status", "slow"),
        Meanwhile(("start", "slow"), "slow", "STARTING", ("stop", "slow")),
        act("pid", "slow"), act("clear", "g:a", "b"), act("start", "a"), act("status", "a", "g:a"),
        act("remove", "g"), act("stop", "g:*", sort=True), act("remove", "g"), act("start", "g:*"), act("start", "g:a"), act("add", "g"),
        Wait("g:b", "RUNNING"), act("status", "g:*", "averyveryverylongnamethatpushesthecolumns"),
    ])
