#!/usr/bin/python3
"""Compare `reeved --check --dump=json` with the parser of the installed supervisord (4.2.5) on configurations made at random:
compare-supervisord.py REEVED [COUNT [SEED]]

Where supervisord refuses a file, Reeve must refuse it, and the other way round; else every value must agree. The deliberate
differences (a comment that would leave an open quote, users and directories that are looked up later) are kept out by the generator.
"""
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings

import supervisor.options
from supervisor.datatypes import Automatic, RestartUnconditionally, Syslog

from differences import differences

LOOKED_UP_LATER = ("Invalid sockchown value", "Invalid user name", "is not an existing directory", "The directory named as part of the path")
LEVELS = {50: "critical", 40: "error", 30: "warn", 20: "info", 10: "debug", 5: "trace", 3: "blather"}
DAEMON = ("logfile", "logfile_maxbytes", "logfile_backups", "pidfile", "nodaemon", "silent", "minfds", "minprocs", "user", "directory",
          "identifier", "childlogdir", "nocleanup", "strip_ansi")
PROCESS = ("name", "command", "directory", "priority", "autostart", "startsecs", "startretries", "exitcodes", "stopwaitsecs", "stopasgroup",
           "killasgroup", "redirect_stderr", "environment", "serverurl", "stdout_logfile_maxbytes", "stdout_logfile_backups",
           "stdout_capture_maxbytes", "stdout_events_enabled", "stdout_syslog", "stderr_logfile_maxbytes", "stderr_logfile_backups",
           "stderr_capture_maxbytes", "stderr_events_enabled", "stderr_syslog")


# ---- what supervisord makes of it

def logfile(value):
    return "AUTO" if value is Automatic else None if value is Syslog else value or None


def process_truth(group, p):
    truth = {key: getattr(p, key) for key in PROCESS}
    truth["group"] = group.name
    truth["umask"] = None if p.umask is None else octal(p.umask)
    truth["stopsignal_number"] = int(p.stopsignal)
    truth["autorestart"] = {True: "true", RestartUnconditionally: "true", False: "false"}.get(p.autorestart, "unexpected")
    truth["stdout_logfile"], truth["stderr_logfile"] = logfile(p.stdout_logfile), logfile(p.stderr_logfile)
    return truth


def octal(value):
    return f"{value & 0xffffffff:04o}"


def truth_of(path, err):
    options = supervisor.options.ServerOptions()
    options.stderr = options.stdout = err
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options.realize(["-c", path])
    daemon = {key: getattr(options, key) for key in DAEMON}
    daemon["umask"], daemon["loglevel"] = octal(options.umask), LEVELS[options.loglevel]
    daemon["environment"] = options.configroot.supervisord.environment
    groups, seen = [], set()
    for g in sorted(options.process_group_configs, key=lambda g: (g.priority, g.name)):
        if g.name in seen:
            continue
        seen.add(g.name)
        processes = {}
        for p in g.process_configs:
            processes[p.name] = p
        made = {"name": g.name, "priority": g.priority, "processes": [process_truth(g, p) for p in processes.values()]}
        if hasattr(g, "buffer_size"):
            made["buffer_size"] = g.buffer_size
        groups.append(made)
    servers = [{"section": s["section"], "username": s["username"], "password": s["password"], **(
        {"file": s["file"], "chmod": octal(s["chmod"])} if "file" in s else {"host": s["host"], "port": s["port"]})}
        for s in options.server_configs]
    return {"supervisord": daemon, "groups": groups, "servers": servers}


def supervisord(path):
    """(truth, "") or (None, message)."""
    err = io.StringIO()
    try:
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(err):
            return truth_of(path, err), ""
    except SystemExit:
        return None, err.getvalue()
    except Exception as e:  # what it does not expect ends it with a traceback
        return None, f"traceback: {e}"


def reeved(program, path, cwd):
    r = subprocess.run([program, "--check", "--dump=json", "-c", path], capture_output=True, text=True, cwd=cwd, check=False)
    return (json.loads(r.stdout) if r.returncode == 0 else None), r.stderr


# ---- configurations at random

class Choice:
    """Mostly a value that is right."""

    def __init__(self, good, bad=()):
        self.good, self.bad = list(good), list(bad)

    def of(self, r):
        return r.choice(self.bad if self.bad and r.random() < 0.06 else self.good)


NUMBER = Choice(["0", "1", "7", "010", "-3", "+4", "1_0", " 5 ", "3 ;x"],
                ["1.5", "x", "", "0x1", "3;x", "%(numprocs)d", "%(process_num)d", "%%", "50 MB"])
NUMBER_EACH = Choice([*NUMBER.good, "%(process_num)d", "%(numprocs)s"], NUMBER.bad[:5])
BOOLEAN = Choice(["true", "FALSE", "yes", "No", "on", "off", "1", "0"], ["y", "maybe", "", "2", "%(process_num)d"])
BYTES = Choice(["0", "100", "1KB", "2 MB", "1gb", "-1KB"], ["5K", "1.5MB", "MB", "", "50m", "%(process_num)d"])
SIGNAL = Choice(["TERM", "sigint", "9", "0", "34", "RTMIN", " HUP ", "CLD", "IO"], ["35", "BOGUS", "", "SIG"])
LEVEL = Choice(["info", "DEBUG", "blather", "Warn"], ["warning", ""])
OCTAL = Choice(["022", "0o22", "777", "0"], ["9", ""])
ENVIRONMENT = Choice(
    ["A=1", 'A="x y",B=2', "A='q',", "A=http://x/y?z=1", "A=a#b", 'A="a;b"', "A=%(here)s", "", 'B="%(ENV_HOME)s"', "A=1,\n B=2", "A=(x)",
     "A=$HOME", "A=1;B=2", "A=1 # c\n  ,B=2", "B='it\"s'", "A=1,A=2", 'A="x\n   y"', "HOME=/x", 'A="\\"', "a-b=1", "A=x ,B=y"],
    ["A=1,B", "A=1 B=2", "A=x@y", 'A="open', 'A="%(ENV_A)s"', "A=,B=1", 'A="50%"'])
ENVIRONMENT_EACH = Choice([*ENVIRONMENT.good, 'N="%(program_name)s_%(process_num)02d"', 'A="50%%"', "G=%(group_name)s"], ENVIRONMENT.bad)
PATH = Choice(["/tmp/x", "NONE", "none", "OFF", "AUTO", "auto", "", "x.log", "/tmp/%(program_name)s", "/tmp/%(process_num)s.log", "/tmp/100%%%%",
               "/tmp/%%(group_name)s", "no", "~/x", "/dev/stdout", "%(here)s/l", "%(ENV_HOME)s/l", "syslog", "SysLog", "/tmp/%(host_node_name)s"],
              ["/tmp/a%%b", "/tmp/%(nosuch)s", "/tmp/%"])
COMMAND = Choice(["/bin/cat", "sh -c x;y", "a ; comment", "a #comment", "a;b #c", "a\n  b\n\n  c", "%(program_name)s %(process_num)d", "100%%", "",
                  "%(ENV_HOME)s", "%(here)s/x", "a # b ; c", "a;b ;c #d", "%(group_name)-5s|", "%(numprocs)05d", "%%(here)s", "%(here)r",
                  "%(numprocs)#o", "a\n# c\n  b", "a\n\n\n\n  b ;c", "%(process_num)5s|", "%(program_name).1s", "x=y", "[a]"],
                 ["50% of", "date +%Y", "%(nosuch)s", "%(ENV_NOSUCH)s", "%(here)d", "%(here", "%("])
NAME = Choice(["%(program_name)s", "%(program_name)s_%(process_num)02d", "x", "%(process_num)d", "%(group_name)s", "%(program_name)s%(process_num)x"],
              ["a b", "p:%(process_num)d", "%(nosuch)s", "p%(process_num)", "%(ENV_A)s_%(process_num)d"])
TEXT = Choice(["x", "", "%(here)s", "%%", "%(program_name)s", "AUTO", "a b", "\u00e9", "%(ENV_HOME)s", "http://x;y"], ["%", "%(process_num)d"])
DAEMON_TEXT = Choice(["x", "", "%(here)s", "%%", "a b", "\u00e9", "%(ENV_HOME)s", "http://x;y"], ["%", "%(program_name)s", "%(host_node_name)s"])
VALUES = {
    "command": COMMAND, "process_name": NAME, "numprocs": Choice(["1", "2", "3", "0", "-1"], ["x", ""]), "numprocs_start": NUMBER, "priority": NUMBER,
    "autostart": BOOLEAN, "startsecs": NUMBER, "startretries": NUMBER, "autorestart": Choice([*BOOLEAN.good, "unexpected", "UNEXPECTED"], ["always", ""]),
    "exitcodes": Choice(["0", "0,2", "", " 1 , 2 "], ["256", "0,", "-1", "x"]), "stopsignal": SIGNAL, "stopwaitsecs": NUMBER, "stopasgroup": BOOLEAN,
    "killasgroup": BOOLEAN, "umask": OCTAL, "directory": TEXT, "environment": ENVIRONMENT_EACH, "serverurl": TEXT, "redirect_stderr": BOOLEAN,
    "stdout_logfile": PATH, "stdout_logfile_maxbytes": BYTES, "stdout_logfile_backups": NUMBER_EACH, "stdout_capture_maxbytes": BYTES,
    "stdout_events_enabled": BOOLEAN, "stdout_syslog": BOOLEAN, "stderr_logfile": PATH, "stderr_logfile_maxbytes": BYTES, "stderr_syslog": BOOLEAN,
    "nosuch_key": Choice(["%bad", "x"]), "user": Choice(["root", "nobody", "0", "65534"]),
}
DAEMON_VALUES = {
    "logfile": Choice(["/tmp/x", "syslog", "NONE", "x.log", "%(here)s/l", "~/l", "/tmp/../tmp/l", "/tmp/%%", "//tmp/x"]), "logfile_maxbytes": BYTES,
    "logfile_backups": NUMBER, "loglevel": LEVEL, "pidfile": Choice(["/tmp/p", "p", "%(here)s/p"]), "umask": OCTAL, "nodaemon": BOOLEAN, "silent": BOOLEAN,
    "minfds": Choice(["10"], ["x"]), "minprocs": Choice(["10"], ["1.5"]), "nocleanup": BOOLEAN, "environment": ENVIRONMENT, "identifier": DAEMON_TEXT,
    "strip_ansi": BOOLEAN, "http_port": Choice(["%bad"]), "childlogdir": Choice(["/tmp", "%(here)s", "~"]), "directory": Choice(["/tmp", "%(here)s"]),
}
SERVER_VALUES = {
    "file": Choice(["/tmp/s", "%(here)s/s", "s", "~/s"]), "chmod": Choice(["0700", "770", "0o7"], ["9"]), "username": Choice(["u", ""]),
    "password": Choice(["p", "%(ENV_HOME)s"]), "chown": Choice(["root", "root:root", "0:0"]),
    "port": Choice(["9001", "*:9001", "LOCALHOST:80", ":80", "[::1]:80", "1.2.3.4:5", " x : 7 "], ["0", "99999", "abc", "", "x:"]),
}
EVENTS = Choice(["EVENT", "tick_5", "PROCESS_STATE,TICK", " tick , Process_Log "], ["TICK,", "FOO", ""])
PLAIN_COMMAND = Choice(["/bin/cat", "x y", "a 'b c'", "%(program_name)s %(process_num)d"])
JUNK = Choice(["; comment\n", "\n", "  ; comment\n", "  continued\n", "\n  continued\n", "x = 1\n"], ["junk\n", "[broken\n", "= 1\n"])
SIZES = [0, 0, 1, 1, 1, 2, 3, 5]


def keys(r, values, count):
    chosen = r.sample(sorted(values), min(count, len(values)))
    for key in chosen:
        name = key.upper() if r.random() < 0.05 else key
        delimiter = r.choice(["=", "=", "=", " = ", ": ", ":"])
        indent = " " * r.choice([0, 0, 0, 0, 0, 0, 0, 0, 2])
        yield f"{indent}{name}{delimiter}{values[key].of(r)}{r.choice(['', '', '', ' ; c', ' #c', ' '])}\n"
        if r.random() < 0.04:
            yield JUNK.of(r)


def section(r, head, values, required=()):
    lines = [f"{key}={choices.of(r)}\n" for key, choices in required if r.random() < 0.97]
    return f"[{head}]{r.choice(['', '', '', ' ; c', ' junk'])}\n" + "".join(lines) + "".join(keys(r, values, r.choice(SIZES)))


def configuration(r):
    name = lambda: r.choice("abcde")  # noqa: E731
    parts = [section(r, "supervisord", DAEMON_VALUES)] if r.random() < 0.98 else []
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        parts.append(section(r, f"program:{name()}", VALUES, [("command", PLAIN_COMMAND)]))
    if r.random() < 0.3:
        parts.append(f"[group:{name()}]\nprograms={r.choice(['a', 'a,b', 'b, a', 'zz', '', 'a,', 'c'])}\n" + r.choice(["", "priority=5\n", "priority=x\n"]))
    if r.random() < 0.2:
        values = {k: v for k, v in VALUES.items()} | {"buffer_size": NUMBER}
        parts.append(section(r, f"eventlistener:{name()}", values, [("command", PLAIN_COMMAND), ("events", EVENTS)]))
    if r.random() < 0.2:
        kind, values = r.choice([("unix_http_server", "file"), ("inet_http_server", "port")])
        parts.append(section(r, kind, {k: SERVER_VALUES[k] for k in ("username", "password", *(["chmod", "chown"] if values == "file" else []))}, [(values, SERVER_VALUES[values])]))
    if r.random() < 0.1:
        parts.append(f"[DEFAULT]\n{''.join(keys(r, {k: v for k, v in VALUES.items() if k not in ('directory', 'user')}, 1))}")
    if r.random() < 0.1:
        parts.append("[include]\nfiles = none/*\n")
    r.shuffle(parts)
    return "".join(parts)


def main():
    program, count = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 500
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    accepted = refused = bad = 0
    os.environ.update(HOME="/root")
    os.environ.pop("A", None)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path = os.path.join(os.path.realpath(folder), "random.conf")
        for i in range(count):
            text = configuration(random.Random(seed * 1000003 + i))
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            want, message = supervisord(path)
            got, err = reeved(program, path, folder)
            accepted, refused = accepted + (want is not None), refused + (want is None)
            if any(text in message for text in LOOKED_UP_LATER):
                continue
            if (got is None) != (want is None):
                found = [f"refused: {err[-500:]}" if want else f"accepted, but supervisord says: {message}"]
            else:
                found = list(differences(got, want)) if want else []
            if found:
                bad += 1
                print(f"---- {seed}/{i}\n{text}---- differs:\n" + "\n".join(found[:5]))
            if bad >= 10:
                break
    print(f"{accepted} accepted, {refused} refused by supervisord; {bad} differ")
    return bad != 0


sys.exit(main())
