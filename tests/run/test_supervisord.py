"""Called as supervisord: its options, its messages for what is wrong, its way into the background."""

import json
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from basics import eventually
from reeve import REEVED

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}


@pytest.fixture
def ours(tmp_path):
    """Our daemon behind a link of supervisord's name."""
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "supervisord"
    link.symlink_to(REEVED)
    return str(link)


def run(program, args, folder):
    env = {**ENVIRONMENT, **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}
    return subprocess.run([program, *args], capture_output=True, text=True, timeout=60, cwd=folder, env=env, check=False)


# Debian's supervisord, many times in one process: only as far as it reads options and files.
READER = """
import io, json, os, sys, warnings
import supervisor.options
warnings.simplefilter("ignore")
sys.argv[0] = "PROGRAM"
answers = []
for text, args in json.load(sys.stdin):
    if text is None:
        os.path.exists("c.conf") and os.unlink("c.conf")
    else:
        open("c.conf", "w").write(text)
    out, status = io.StringIO(), 0
    options = supervisor.options.ServerOptions()
    options.progname, options.stderr, options.stdout = "PROGRAM", out, out
    try:
        options.realize(args)
    except SystemExit as e:
        status = e.code
    answers.append([out.getvalue(), status])
json.dump(answers, sys.stdout)
"""


def essence(text, status):
    """What is printed from "Error: " on, and the exit status; of names that are available there may be more or fewer."""
    at = text.find("Error: ")
    return [line.split("Available names:")[0] for line in (text[at:] if at >= 0 else text).splitlines()], status


def theirs(cases, folder):
    (folder / "more.conf").write_text("[program:m]\ncommand=x\nstartsecs=x\n")
    r = subprocess.run(["/usr/bin/python3", "-c", READER], input=json.dumps(cases), capture_output=True, text=True, timeout=120, cwd=folder,
                       env=ENVIRONMENT, check=True)
    return [essence(*answer) for answer in json.loads(r.stdout)]


def same(cases, folder, program):
    """Each case is a text (None: no file) and arguments."""
    for (text, args), expected in zip(cases, theirs(cases, folder), strict=True):
        (folder / "c.conf").unlink(missing_ok=True)
        if text is not None:
            (folder / "c.conf").write_text(text)
        r = run(program, args, folder)
        assert expected[1] == 2 and essence(r.stderr.replace(program, "PROGRAM"), r.returncode) == expected, (text, args)


# Text behind "[supervisord]\n" with which supervisord does not start.
REFUSED = [
    "x", "[program:a]", "[program:a]\ncommand=x\nautostart=maybe", "[program:a]\ncommand=x\nuser=nosuch", "[program:a]\ncommand=x\nuser=65533",
    "[program:a]\ncommand=x\nstdout_logfile=/nosuch/x", "directory=/nosuch", "childlogdir=/nosuch", "logfile=/nosuch/x", "pidfile=/nosuch/x",
    "[group:g]\nprograms=z", "[group:g]\nprograms=z\npriority=x", "[program:a]\ncommand=x\npriority=x", "[program:a]\ncommand=%(x)s", "loglevel=warning",
    "umask=9", "minfds=x", "user=nosuch", "environment=A", "nodaemon=y", "[program:a]\ncommand=x\nstopsignal=TERMM",
    "[program:a]\ncommand=x\nstopsignal=35", "[program:a]\ncommand=x\nnumprocs=2", "[program:a]\ncommand=x\nnumprocs=x", "[program:a b]\ncommand=x",
    "[program:a]\ncommand=x\nprocess_name=a/b", "[program:a]\ncommand=x\nexitcodes=300", "[program:a]\ncommand=x\nautorestart=always",
    "[program:a]\ncommand=x\nenvironment=A=\"x", "[program:a]\ncommand=x\nstdout_logfile_maxbytes=5K", "[program:a]\ncommand=x\numask=x",
    "[program:a]\ncommand=x\nstopasgroup=1\nkillasgroup=0", "[eventlistener:a]\ncommand=x", "[eventlistener:a]\ncommand=x\nevents=FOO",
    "[eventlistener:a]\ncommand=x\nevents=TICK\nbuffer_size=0", "[eventlistener:a]\ncommand=x\nevents=TICK\nredirect_stderr=1",
    "[fcgi-program:a]\ncommand=x", "[fcgi-program:a]\ncommand=x\nsocket=tcp://a:99999", "[fcgi-program:a]\ncommand=x\nsocket=unix:///x\nsocket_owner=nosuch",
    "[inet_http_server]", "[inet_http_server]\nport=0", "[inet_http_server]\nport=a:0", "[inet_http_server]\nport=a:x", "[inet_http_server]\nport=a:",
    "[unix_http_server]", "[unix_http_server]\nfile=/x\nchown=nosuch", "[unix_http_server]\nfile=/x\nchmod=x", "[unix_http_server]\nfile=/x\nusername=x",
    "[rpcinterface:x]", "[include]", "[include]\nfiles=%(x)s", "[include]\nfiles=more.conf",
]


def test_refused_in_the_same_words(tmp_path, ours):
    texts = [f"[supervisord]\n{text}\n" for text in REFUSED] + ["[program:a]\ncommand=x\n", "x=1\n[supervisord]\n", "", None]
    same([(text, ["-n", "-c", "c.conf"]) for text in texts], tmp_path, ours)


# Command lines that are wrong.
WRONG = [
    ["-x"], ["--nosuch"], ["extra"], ["-n", "extra"], ["-n", "-n"], ["--nodaemon", "-n"], ["-c"], ["--configuration"], ["--logf=x"], ["--log=x"], ["--min=5"],
    ["-m", "9"], ["--umask=9"], ["-e", "warning"], ["-y", "5K"], ["-z", "x"], ["-a", "x"], ["--minprocs=x"], ["-d", "/nosuch"], ["-q", "/nosuch"], ["-l", "/nosuch/x"],
    ["-j", "/nosuch/x"], ["-u", "nosuch"], ["--nodaemon=1"], ["-t", "-t"], ["--strip_ansi=yes"],
]


def test_wrong_command_lines(tmp_path, ours):
    cases = [("[supervisord]\n", args if args[0] in ("-c", "--configuration") else ["-c", "c.conf", *args]) for args in WRONG]
    same(cases, tmp_path, ours)


# Every option that sets a key: its spellings, a value, the key, and what the dump has.
OPTIONS = [
    (["-n", "--nodaemon", "--nod"], None, "nodaemon", True), (["-s", "--silent"], None, "silent", True), (["-u", "--user"], "root", "user", "root"),
    (["-m", "--umask"], "077", "umask", "0077"), (["-d", "--directory"], "/tmp", "directory", "/tmp"), (["-l", "--logfile"], "/tmp/x.log", "logfile", "/tmp/x.log"),
    (["-y", "--logfile_maxbytes"], "3KB", "logfile_maxbytes", 3072), (["-z", "--logfile_backups"], "7", "logfile_backups", 7),
    (["-e", "--loglevel", "--loglev"], "debug", "loglevel", "debug"), (["-j", "--pidfile"], "/tmp/x.pid", "pidfile", "/tmp/x.pid"),
    (["-i", "--identifier"], "me", "identifier", "me"), (["-q", "--childlogdir"], "/tmp", "childlogdir", "/tmp"), (["-k", "--nocleanup"], None, "nocleanup", True),
    (["-a", "--minfds"], "77", "minfds", 77), (["-t", "--strip_ansi"], None, "strip_ansi", True), (["--minprocs"], "77", "minprocs", 77),
]


def test_options_win_over_the_file(tmp_path, ours):
    for option in OPTIONS:
        check_option(tmp_path, ours, *option)


def check_option(tmp_path, ours, spellings, value, key, dumped):
    other = {"nodaemon": "false", "silent": "false", "nocleanup": "false", "strip_ansi": "false", "umask": "022", "loglevel": "info"}.get(key)
    (tmp_path / "c.conf").write_text("[supervisord]\n" + (f"{key}={other}\n" if other else ""))
    for spelling in spellings:
        forms = [[spelling]] if value is None else [[f"{spelling}={value}"]] if spelling.startswith("--") else [[spelling + value]]
        if value is not None:
            forms.append([spelling, value])
        for args in forms:
            r = run(ours, ["--check", "--dump=json", "-c", "c.conf", *args], tmp_path)
            assert r.returncode == 0 and json.loads(r.stdout)["supervisord"][key] == dumped, (args, r.stderr)


def test_help_and_version(tmp_path, ours):
    for args in (["-h"], ["--help"], ["-?"]):
        r = run(ours, args, tmp_path)
        assert r.returncode == 0 and "--configuration" in r.stdout and not r.stderr
    for args in (["-v"], ["--version"]):
        assert run(ours, args, tmp_path).stdout == "4.2.5\n"
    # joined short options, and the one for Python's profiler, which has no effect
    (tmp_path / "c.conf").write_text("[supervisord]\n")
    r = run(ours, ["-nstk", "--profile_options=cumulative,calls", "--check", "--dump=json", "-cc.conf"], tmp_path)
    assert r.returncode == 0 and json.loads(r.stdout)["supervisord"]["silent"] is True


def start_in_background(reeve, ours, text, daemon="", args=()):
    """As supervisord does; the pid comes from the pidfile."""
    reeve.write(text, daemon)
    r = subprocess.run([ours, "-c", str(reeve.config), *args], timeout=60, env=reeve.environment(), cwd=reeve.folder, capture_output=True, text=True, check=False)
    assert r.returncode == 0, r.stderr
    return r


def stop(reeve, pidfile="reeved.pid"):
    os.kill(int(reeve.file(pidfile)), signal.SIGTERM)
    eventually(lambda: not reeve.mine(), what="the end")


def test_background(reeve, ours):
    """directory= and umask= count, relative paths mean the folder that it was started in, nothing is on a terminal."""
    (reeve.folder / "work").mkdir()
    program = "[program:p]\ncommand = sh -c 'umask; pwd; exec sleep 1000'\nstdout_logfile = @/p.log\n"
    r = start_in_background(reeve, ours, program, f"directory = {reeve.folder}/work\numask = 027\nlogfile = own.log\npidfile = own.pid\n")
    assert not r.stdout and not r.stderr
    pid = int(eventually(lambda: reeve.file("own.pid").strip(), what="the pidfile in the folder of the start"))
    eventually(lambda: reeve.file("p.log") == f"0027\n{reeve.folder}/work\n", what="the program's output")
    eventually(lambda: "supervisord started with pid" in reeve.file("own.log"), what="the log in the folder of the start")
    assert os.readlink(f"/proc/{pid}/cwd") == f"{reeve.folder}/work" and os.getsid(pid) != os.getsid(0)
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
    assert list((reeve.folder / "work").iterdir()) == []

    # an update reads relative paths as the start did
    reeve.write(program.replace("sleep 1000", "sleep 2000"), f"directory = {reeve.folder}/work\numask = 027\nlogfile = own.log\npidfile = own.pid\n")
    assert reeve.ctl("update")[0] == 0 and int(reeve.file("own.pid")) == pid
    stop(reeve, "own.pid")
    assert not (reeve.folder / "own.pid").exists()


def test_foreground(reeve, ours):
    """nodaemon=true or -n; directory= and umask= have no effect then, as in supervisord."""
    (reeve.folder / "work").mkdir()
    reeve.write("[program:p]\ncommand = sh -c 'umask; pwd; exec sleep 1000'\nstdout_logfile = @/p.log\n",
                f"nodaemon = true\ndirectory = {reeve.folder}/work\numask = 027\n")
    with subprocess.Popen([ours, "-c", str(reeve.config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=reeve.environment(), cwd=reeve.folder,
                          umask=0o022, text=True) as daemon:
        eventually(lambda: reeve.file("p.log") == f"0022\n{reeve.folder}\n", what="the program's output")
        assert int(reeve.file("reeved.pid")) == daemon.pid
        daemon.terminate()
        out = daemon.stdout.read()
        assert daemon.wait(30) == 0
    assert " INFO supervisord started with pid " in out and out == reeve.file("reeved.log")


def test_silent(reeve, ours):
    reeve.write("[program:p]\ncommand = sleep 1000\n")
    with subprocess.Popen([ours, "-ns", "-c", str(reeve.config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=reeve.environment(),
                          cwd=reeve.folder, text=True) as daemon:
        eventually(lambda: "entered RUNNING state" in reeve.file("reeved.log"), what="the log")
        daemon.terminate()
        assert daemon.stdout.read() == "" and daemon.wait(30) == 0


def test_found_without_a_name(tmp_path, ours):
    """The places are tried in supervisord's order: beside the program's folder, then in the working directory."""
    places = [tmp_path / "etc" / "supervisord.conf", tmp_path / "supervisord.conf", tmp_path / "work" / "supervisord.conf",
              tmp_path / "work" / "etc" / "supervisord.conf"]
    for place in places:
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"[supervisord]\nidentifier = {place}\n")
    for place in places:
        r = run(ours, ["--check", "--dump=json"], tmp_path / "work")
        found = json.loads(r.stdout)["supervisord"]["identifier"]
        assert os.path.normpath(found) == str(place)
        place.unlink()
    if not any(pathlib.Path(p).exists() for p in ("/etc/reeve.ini", "/etc/reeve/reeve.ini", "/etc/supervisord.conf", "/etc/supervisor/supervisord.conf")):
        r = run(ours, [], tmp_path / "work")
        assert r.returncode == 2 and "No config file found at default paths (" in r.stderr


@pytest.mark.parametrize("server", ["[unix_http_server]\nfile = @/s.sock\n", "[inet_http_server]\nport = 127.0.0.1:PORT\n"])
def test_another_daemon_has_the_servers(reeve, ours, server):
    """As supervisord we refuse: its programs would run twice. As reeved we say so and go on."""
    with socket.socket() as inet, socket.socket(socket.AF_UNIX) as unix:
        inet.bind(("127.0.0.1", 0))
        unix.bind(str(reeve.folder / "s.sock"))
        inet.listen()
        unix.listen()
        reeve.write("[program:p]\ncommand = sleep 1000\n" + server.replace("PORT", str(inet.getsockname()[1])))
        r = run(ours, ["-c", str(reeve.config)], reeve.folder)
        assert r.returncode == 2 and "Error: Another program is already listening on a port that one of our" in r.stderr
        assert "another program serves " in r.stderr and not reeve.file("reeved.pid")
        r = run(REEVED, ["-c", str(reeve.config), "--daemon"], reeve.folder)
        assert r.returncode == 0 and "reeved: warning: [" in r.stderr and "stop one of the two" in r.stderr
        eventually(reeve.try_status, what="the daemon")
        stop(reeve)


def test_an_update_refuses_what_a_start_refuses(reeve, ours):
    program = "[program:p]\ncommand = sleep 1000\n"
    start_in_background(reeve, ours, program)
    eventually(reeve.try_status, what="the daemon")
    reeve.write(program + "user = nobody-of-that-name\n")
    for action in ("reread", "update", "plan"):
        status, out = reeve.ctl(action)
        assert status == 1 and "Invalid user name nobody-of-that-name in section 'program:p'" in out, action
    assert run(ours, ["-c", str(reeve.config)], reeve.folder).returncode == 2
    stop(reeve)
