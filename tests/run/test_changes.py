"""Every row of the key table says what a change of its key does. Here each is changed in a real daemon: the plan must say the same,
and an update must keep the process, or start it again. A new row is tested without a new line, if a value of its type will do."""

import grp
import json
import os
import pathlib
import signal
import subprocess

from basics import eventually, free_port
from reeve import REEVECTL, REEVED

COMMAND = "sleep 1000"

# Values that differ from the default, by type. "@": the folder.
BY_TYPE = {"integer": "7", "bytes": "3MB", "octal": "077", "exit codes": "0,7", "signal": "INT", "environment": 'CHANGED="1"', "log file": "@/log-{name}",
           "seconds": "7", "autorestart": "false", "log level": "debug"}

# Keys that need a certain value.
BY_KEY = {
    "command": "sleep 2000", "directory": "/", "user": "nobody", "serverurl": "http://localhost:7", "result_handler": "other.module:handler",
    "events": "TICK_60", "socket": "unix://@/other-{name}", "socket_owner": "nobody", "socket_mode": "0770", "socket_backlog": "7", "initializer": "true",
    "queue": "sqlite:@/q-{name}", "mode": "line", "error_prefix": "E", "window": "3", "priority": "7",
}

# What a section of each kind needs beside its name.
REQUIRED = {"program": "", "eventlistener": "events = TICK_3600\n", "fcgi-program": "socket = unix://@/fcgi-{name}\n", "pool": "workers = 1\nmode = line\n"}
REQUIRED_BUT = {("pool", "mode"): "workers = 1\n", ("pool", "workers"): "mode = line\n", ("fcgi-program", "socket"): "",
                ("eventlistener", "events"): ""}
OLD = {("pool", "mode"): "exec", ("pool", "workers"): "1", ("fcgi-program", "socket"): "unix://@/fcgi-{name}", ("eventlistener", "events"): "TICK_3600",
       ("pool", "command"): "cat"}
NEW = {("pool", "command"): "cat -u", ("pool", "workers"): "2"}


def table():
    out = subprocess.run([str(REEVED), "--print=keys"], capture_output=True, text=True, check=True).stdout
    return [line.split("\t")[:5] for line in out.splitlines()]


def rows():
    """(kind, key, type, default, change) of what belongs to processes; keys that all kinds share are tried with programs."""
    shared = {key for kind, key, *_ in table() if kind == "program"}
    return [row for row in table() if row[0] in REQUIRED and (row[0] == "program" or row[1] not in shared)]


def value(kind, key, type_, initial, name):
    if type_ == "boolean":
        text = "false" if initial == "true" else "true"
    else:
        text = NEW.get((kind, key)) or BY_KEY.get(key) or other_word(type_, initial) or BY_TYPE[type_]
    return text.format(name=name)


def other_word(type_, initial):
    """Of "stop|kill|leave" one that is not the default."""
    return next((word for word in type_.split("|") if word != initial), None) if "|" in type_ else None


def section(row, changed):
    kind, key, type_, initial, _ = row
    name = f"{kind}.{key}"
    lines = [f"[{kind}:{name}]\n", REQUIRED_BUT.get((kind, key), REQUIRED[kind]).format(name=name)]
    if key != "command":
        lines.append(f"command = {'cat' if kind == 'pool' else COMMAND}\n")
    elif not changed:
        lines.append(f"command = {OLD.get((kind, key), COMMAND)}\n")
    if key not in ("stdout_logfile", "redirect_stderr"):
        lines.append("stdout_logfile = NONE\n")
    if key not in ("stderr_logfile", "redirect_stderr"):
        lines.append("stderr_logfile = NONE\n")
    if key != "startsecs":
        lines.append("startsecs = 0\n")
    if changed:
        lines.append(f"{key} = {value(kind, key, type_, initial, name)}\n")
    elif (kind, key) in OLD and key != "command":
        lines.append(f"{key} = {OLD[kind, key].format(name=name)}\n")
    return "".join(lines)


# Keys whose default, or whose meaning, follows another.
FOLLOW = {"stopasgroup": ["killasgroup"], "redirect_stderr": ["stderr_logfile"]}


def wait_running(reeve, names):
    state = {}

    def running():
        state.update(reeve.processes())
        return all(state.get(n, {}).get("statename") == "RUNNING" for n in names)
    try:
        eventually(running, 60)
    except AssertionError:
        raise AssertionError({n: state.get(n) for n in names if state.get(n, {}).get("statename") != "RUNNING"}) from None
    return dict(state)


def plan(reeve):
    code, out = reeve.ctl("-s", str(reeve.rundir), "plan", "--json", timeout=120)
    return code, json.loads(out)


def update(reeve):
    code, out = reeve.ctl("-s", str(reeve.rundir), "update", timeout=120)
    assert code == 0, out
    return out


def test_processes(reeve):
    tested = [row for row in rows() if row[4] in ("live", "restart")]
    assert len(tested) > 50
    names = {f"{kind}.{key}": change for kind, key, _, _, change in tested}
    reeve.start("".join(section(row, False) for row in tested), wait=True)
    before = wait_running(reeve, names)
    assert plan(reeve)[0] == 0
    reeve.write("".join(section(row, True) for row in tested))

    code, planned = plan(reeve)
    said = {change["namespec"]: change for change in planned["changes"]}
    wrong = {}
    for name, change in names.items():
        key = name.split(".", 1)[1]
        if said[name]["action"] != change or sorted(said[name]["keys"]) != sorted([key, *FOLLOW.get(key, [])]):
            wrong[name] = said[name]
    assert code == 2 and planned["pending"] and not wrong, wrong

    update(reeve)
    after = wait_running(reeve, names)
    wrong = [name for name, change in names.items() if (before[name]["pid"] == after[name]["pid"]) != (change == "live")]
    assert not wrong
    assert plan(reeve)[0] == 0


def test_which_processes_there_are(reeve):
    """Keys of class none decide which processes exist."""
    text = "[program:{0}]\ncommand = sleep 1000\nstartsecs = 0\n"
    reeve.start(text.format("grown") + "process_name = %(process_num)d\n" + text.format("moved") + "process_name = %(process_num)d\nnumprocs = 2\n" +
                text.format("named") + text.format("a") + text.format("b") + "[group:g]\nprograms = a\n")
    before = wait_running(reeve, ["grown:0", "moved:0", "moved:1", "named", "g:a", "b"])
    reeve.write(text.format("grown") + "process_name = %(process_num)d\nnumprocs = 2\n" +
                text.format("moved") + "process_name = %(process_num)d\nnumprocs = 2\nnumprocs_start = 1\n" +
                text.format("named") + "process_name = other\n" + text.format("a") + text.format("b") + "[group:g]\nprograms = a,b\npriority = 5\n")
    said = {change["namespec"]: change["action"] for change in plan(reeve)[1]["changes"]}
    assert said == {"grown:0": "unchanged", "grown:1": "add", "moved:0": "remove", "moved:1": "unchanged", "moved:2": "add", "named": "remove",
                    "named:other": "add", "g:a": "unchanged", "g:b": "add", "b": "remove"}
    update(reeve)
    after = wait_running(reeve, ["grown:0", "grown:1", "moved:1", "moved:2", "named:other", "g:a", "g:b"])
    assert "moved:0" not in after and "named" not in after and "b" not in after
    for name in ("grown:0", "moved:1", "g:a"):
        assert before[name]["pid"] == after[name]["pid"], name


# ---- the daemon's own keys

def daemon_rows():
    """Without nodaemon: this daemon was told on its command line, which wins."""
    return [row for row in table() if row[0] == "supervisord" and row[1] != "nodaemon"]


DAEMON_VALUES = {
    "logfile": "@/other.log", "pidfile": "@/other.pid", "user": "root", "directory": "/", "identifier": "other", "childlogdir": "@/logs", "rundir": "@/other",
    "control_group": "nogroup", "control_access": "read", "exit_with": "web", "environment": 'CHANGED="1"',
}


def daemon_value(row):
    _, key, type_, initial, _ = row
    if key in DAEMON_VALUES:
        return DAEMON_VALUES[key]
    return ("false" if initial == "true" else "true") if type_ == "boolean" else other_word(type_, initial) or BY_TYPE[type_]


def test_daemon_keys(reeve):
    """One key after the other is changed and the plan says its class; those that wait for a restart are logged."""
    program = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = true\n"
    (reeve.folder / "logs").mkdir()
    reeve.start(program)
    web = wait_running(reeve, ["web"])["web"]["pid"]
    for row in daemon_rows():
        reeve.write(program, daemon=f"{row[1]} = {daemon_value(row)}\n".replace("@", str(reeve.folder)))
        code, planned = plan(reeve)
        assert planned["daemon"] == [{"section": "supervisord", "key": row[1], "change": row[4]}], row
        assert code == (0 if row[4] == "daemon" else 2), row
        said = {change["namespec"]: change["action"] for change in planned["changes"]}
        assert said == {"web": "restart" if row[4] == "restart" else "unchanged"}, row

    waiting = [row for row in daemon_rows() if row[4] == "daemon"]
    reeve.write(program, daemon="".join(f"{row[1]} = {daemon_value(row)}\n" for row in waiting).replace("@", str(reeve.folder)))
    update(reeve)
    assert reeve.pid("web") == web
    for row in waiting:
        reeve.wait_log(f"[supervisord] {row[1]} changed: takes effect when the daemon is restarted")

    # loaded by now, and by a successor too: it is named until the daemon has been restarted, or until it is taken back
    for _ in range(2):
        code, planned = plan(reeve)
        assert code == 0 and [key["key"] for key in planned["daemon"]] == [row[1] for row in waiting]
        assert all(key["change"] == "daemon" for key in planned["daemon"])
        old = reeve.answers()["supervisor_pid"]
        os.kill(old, signal.SIGKILL)
        eventually(lambda: (s := reeve.try_status()) and s["supervisor_pid"] != old, what="a successor")
    reeve.write(program)
    update(reeve)
    assert plan(reeve)[1]["daemon"] == []


SERVER_VALUES = {"file": "@/other.sock", "chmod": "0770", "chown": "nobody", "port": "127.0.0.1:1", "username": "you", "password": "other"}


def test_server_keys(reeve):
    """A plan names changed keys of servers, with their class, and new and removed servers."""
    servers = {"unix_http_server": {"file": "@/s.sock", "username": "me", "password": "secret"},
               "inet_http_server": {"port": f"127.0.0.1:{free_port()}", "username": "me", "password": "secret"}}

    def text(changed=None, key=None, new=None):
        return "".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in {**keys, **({key: new} if name == changed else {})}.items())
                       for name, keys in servers.items())

    reeve.start(text())
    for kind, key, type_, initial, change in table():
        if kind in servers:
            new = ("false" if initial == "true" else "true") if type_ == "boolean" else SERVER_VALUES[key]
            reeve.write(text(kind, key, new))
            code, planned = plan(reeve)
            assert planned["daemon"] == [{"section": kind, "key": key, "change": change}], (kind, key)
            assert code == (0 if change == "daemon" else 2), (kind, key)
    reeve.write("[unix_http_server]\nfile = @/s.sock\nusername = me\npassword = secret\n[inet_http_server:b]\nport = 127.0.0.1:1\n")
    assert plan(reeve)[1]["daemon"] == [{"section": "inet_http_server:b", "key": None, "change": "live"},
                                        {"section": "inet_http_server", "key": None, "change": "live"}]


def test_live_daemon_keys_have_an_effect(reeve):
    program = "[program:web]\ncommand = sh -c 'while read x; do echo \"$x\"; done'\nstartsecs = 0\n[program:new]\ncommand = sleep 1000\nstartsecs = 0\n"
    (reeve.folder / "logs").mkdir()
    reeve.start(program)
    web = wait_running(reeve, ["web", "new"])["web"]
    old_log = web["stdout_logfile"]
    assert pathlib.Path(old_log).parent == reeve.folder and (reeve.folder / "reeved.pid").exists()
    reeve.write(program.replace("sleep 1000", "sleep 2000"), daemon=f"""
logfile = {reeve.folder}/other.log
logfile_maxbytes = 3KB
logfile_backups = 1
loglevel = debug
pidfile = {reeve.folder}/other.pid
silent = true
identifier = other
childlogdir = {reeve.folder}/logs
strip_ansi = true
control_group = nogroup
""")
    update(reeve)
    eventually(lambda: (reeve.folder / "other.pid").exists() and not (reeve.folder / "reeved.pid").exists(), what="the pidfile")
    assert int((reeve.folder / "other.pid").read_text()) == reeve.daemon.pid
    assert reeve.call("GetStatus")["parameters"]["identifier"] == "other"
    assert reeve.pid("web") == web["pid"]

    socket = os.stat(reeve.rundir / "control.sock")
    assert socket.st_gid == grp.getgrnam("nogroup").gr_gid and socket.st_mode & 0o777 == 0o660
    assert os.stat(reeve.rundir).st_mode & 0o777 == 0o711

    # an AUTO log moves to the new directory and is named after the new identifier; colours are removed from now on
    moved = eventually(lambda: (p := reeve.process("web")["stdout_logfile"]) != old_log and p, what="another log")
    assert pathlib.Path(moved).parent == reeve.folder / "logs" and "---other-" in moved
    reeve.call("SendStdin", name="web", data="\033[31mred\n")
    eventually(lambda: pathlib.Path(moved).read_text() == "red\n", what="the line without colours")

    # the daemon's own log: another file, more of it, rotated, no copy on stdout
    reeve.ctl("restart", "new")
    eventually(lambda: " DEBG " in reeve.file("other.log") + reeve.file("other.log.1"), what="a debug line")
    copied = len(reeve.log())
    for _ in range(30):
        reeve.ctl("restart", "new")
        if (reeve.folder / "other.log.1").exists():
            break
    eventually((reeve.folder / "other.log.1").exists, what="a rotated log")
    assert not (reeve.folder / "other.log.2").exists()
    assert len(reeve.log()) == copied


def test_members_of_control_group(open_reeve):
    """control_group and control_access are asked at each call, also for logs."""
    reeve = open_reeve

    def ask(*words):
        return subprocess.run(["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", str(REEVECTL), "-s",
                               str(reeve.rundir), *words], capture_output=True, text=True, timeout=60, cwd="/", check=False)

    program = "[program:web]\ncommand = sh -c 'echo hello; exec sleep 1000'\nstartsecs = 0\nstdout_logfile = @/web.log\n"
    reeve.start(program)
    wait_running(reeve, ["web"])
    assert ask("status").returncode == 4
    reeve.write(program, daemon="control_group = nogroup\ncontrol_access = read\n")
    update(reeve)
    eventually(lambda: ask("status").returncode == 0, what="access")
    eventually(lambda: "hello" in ask("tail", "web").stdout, what="access to logs")
    assert ask("stop", "web").returncode != 0 and reeve.process("web")["statename"] == "RUNNING"
    reeve.write(program, daemon="control_group = nogroup\ncontrol_access = operate\n")
    update(reeve)
    assert ask("stop", "web").stdout == "web: stopped\n"
    reeve.write(program)
    update(reeve)
    assert ask("status").returncode == 4
    assert reeve.stop(signal.SIGTERM) == 0
