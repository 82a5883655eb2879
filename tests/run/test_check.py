"""reeved --check: what it accepts, what it says, what it prints."""

import json
import subprocess

import pytest

from reeve import REEVED


def check(folder, text, *args, name="reeve.ini"):
    path = folder / name
    path.write_text(text)
    path.chmod(0o644)
    r = subprocess.run([str(REEVED), "--check", *args, "-c", str(path)], capture_output=True, text=True, timeout=60, cwd=folder, check=False)
    return r.returncode, r.stdout, r.stderr.replace(str(folder) + "/", "")


BAD = [
    ("[program:a]\ncommand=x\n", "reeve.ini: .ini file does not include supervisord section; add a line [supervisord]\n"),
    ("x=1\n", "reeve.ini:1: text before the first section: 'x=1'; begin with a section such as [supervisord]\n"),
    ("[supervisord]\njunk\n", "reeve.ini:2: [supervisord] neither a section nor a key: 'junk'; write KEY=VALUE, or indent it if it "
     "continues the value above\n"),
    ("[supervisord]\n[program:a]\n", "reeve.ini:2: [program:a] command: program section program:a does not specify a command; add "
     "command=PROGRAM ARGUMENTS\n"),
    ("[supervisord]\n[program:a]\ncommand=x\nautostart=maybe\n", "reeve.ini:4: [program:a] autostart: not a valid boolean value: 'maybe'; "
     "write true or false\n"),
    ("[supervisord]\n[program:a]\ncommand=x\nstopsignal=TERMM\n", "reeve.ini:4: [program:a] stopsignal: value 'TERMM' is not a valid "
     "signal name; write a name such as TERM, or a number\n"),
    ("[supervisord]\n[program:a]\ncommand=x\nstartsecs=1.5\n", "reeve.ini:4: [program:a] startsecs: invalid literal for int() with base "
     "10: '1.5'; write a whole number\n"),
    ("[supervisord]\n[program:a]\ncommand=x\nnumprocs=2\n", "reeve.ini:2: [program:a] process_name: %(process_num) must be present within "
     "process_name when numprocs > 1; write for instance %(program_name)s_%(process_num)02d\n"),
    ("[supervisord]\n[program:a]\ncommand=date +%Y\n", "reeve.ini:3: [program:a] command: Format string 'date +%Y' for "
     "'program:a.command' is badly formatted: a '%' that does not begin %(name)s; write a percent sign as %%\n"),
    ("[supervisord]\n[group:g]\nprograms=zz\n", "reeve.ini:3: [group:g] programs: [group:g] names unknown program or fcgi-program zz; "
     "correct the name, or add its section\n"),
    ("[supervisord]\n[eventlistener:l]\ncommand=x\n", "reeve.ini:2: [eventlistener:l] events: [eventlistener:l] section requires an "
     "\"events\" line; name event types such as PROCESS_STATE\n"),
    ("[supervisord]\n[program:a b]\ncommand=x\n", "reeve.ini:2: [program:a b] Invalid name: 'a b' because of character: ' '; leave it out "
     "of the name\n"),
]


@pytest.mark.parametrize("text, expected", BAD)
def test_errors(tmp_path, text, expected):
    assert check(tmp_path, text) == (78, "", expected)


def test_all_errors_at_once(tmp_path):
    code, _, err = check(tmp_path, "[supervisord]\nloglevel=loud\n[program:a]\ncommand=x\nautostart=maybe\n[program:b]\nnumprocs=x\n")
    assert code == 78 and [line.split(":")[1] for line in err.splitlines()] == ["2", "5", "7"] or err.count("\n") == 4


def test_suggestions(tmp_path):
    code, _, err = check(tmp_path, "[supervisord]\n[program:a]\ncommand=/bin/true\nautostrat=true\n[progam:b]\ncommand=x\n")
    assert code == 0
    assert "reeve.ini:4: [program:a] autostrat: warning: unknown key, ignored; did you mean autostart?" in err
    assert "reeve.ini:5: [progam:b] warning: unknown section, ignored; did you mean [program:b]?" in err


def dumped(folder, text, **env):
    code, out, err = check(folder, text, "--dump=json")
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize("line, value", [
    ("command=sh -c 'a ; b'", "sh -c 'a ; b'"), ("command=a=b;c", "a=b;c"), ("command=x #c", "x"), ("command=x ;c", "x"),
    ("command=;x", ";x"), ("command : x", "x"), ("COMMAND=x", "x"), ("command=one\n\n  two", "one\n\ntwo"),
    ("command=one\n; c\n  two ; c", "one\ntwo"), ("command=50%%", "50%"), ("command=x\r", "x"),
    ("command=%(program_name)s-%(process_num)02d", "a-00"), ("command=%(here)s/x", "@/x"),
])
def test_values(tmp_path, line, value):
    got = dumped(tmp_path, f"[supervisord]\n[program:a]\n{line}\n")
    assert got["groups"][0]["processes"][0]["command"] == value.replace("@", str(tmp_path))


@pytest.mark.parametrize("text, expected", [
    ('A=1,B="2"', {"A": "1", "B": "2"}), ('A="x,y"', {"A": "x,y"}), ('A=""', {"A": ""}), ("A=1,", {"A": "1"}), ("A=a b", {"A": "a"}),
    ("A=http://x/y?z=1", {"A": "http://x/y", "z": "1"}), ("A=$HOME", {"A": "$"}), ('A="a#b"', {"A": "a#b"}), ("A='\"q\"'", {"A": "q"}),
    ('A=foo"bar"', {"A": 'foo"bar'}), ("A=1;B=2", {"A": "1", "B": "2"}), ('A="x\\"y"', {"A": "x\\"}), ("", {}),
])
def test_environment(tmp_path, text, expected):
    got = dumped(tmp_path, f"[supervisord]\n[program:a]\ncommand=x\nenvironment={text}\n")
    assert got["groups"][0]["processes"][0]["environment"] == expected


@pytest.mark.parametrize("text", ["A=", "A=,B=1", "A=1,B", ",A=1", "A=1 B=2", "A=x@y", "A=a=b", "A=a\\,b"])
def test_bad_environment(tmp_path, text):
    assert check(tmp_path, f"[supervisord]\n[program:a]\ncommand=x\nenvironment={text}\n")[0] == 78


def test_long_command(tmp_path):
    long = "x" * 100000
    got = dumped(tmp_path, f"[supervisord]\n[program:a]\ncommand={long}\n")
    assert got["groups"][0]["processes"][0]["command"] == long


def test_includes_and_groups(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.conf").write_text("[program:a]\ncommand=%(here)s/run\npriority=5\n")
    (tmp_path / "conf.d" / "b.conf").write_text("[program:b]\ncommand=y\n[group:g]\nprograms=b\npriority=1\n")
    got = dumped(tmp_path, "[supervisord]\n[include]\nfiles = conf.d/*.conf none/*.conf\n")
    assert got["process_list"] == ["g:b", "a"]
    assert got["groups"][1]["processes"][0]["command"] == f"{tmp_path}/conf.d/run"


def test_defaults(tmp_path):
    got = dumped(tmp_path, "[supervisord]\n[program:a]\ncommand=x\n")
    process = got["groups"][0]["processes"][0]
    assert {k: process[k] for k in ("priority", "startsecs", "startretries", "exitcodes", "stopsignal", "stopwaitsecs", "autorestart",
                                    "stdout_logfile", "stdout_logfile_maxbytes", "umask")} == {
        "priority": 999, "startsecs": 1, "startretries": 3, "exitcodes": [0], "stopsignal": "TERM", "stopwaitsecs": 10,
        "autorestart": "unexpected", "stdout_logfile": "AUTO", "stdout_logfile_maxbytes": 52428800, "umask": None}


# What hurts on this machine: text behind "[supervisord]\n", what is said.
MACHINE = [
    ("[program:a]\ncommand=/bin/sh -c x ; exit\n", '3: [program:a] command: warning: a comment begins here: "; exit" is no part of the command; '
     "quote it if it is meant to be"),
    ("[program:a]\ncommand=nosuch-program x\n", "2: [program:a] command: warning: there is no nosuch-program on the PATH; write where it is"),
    ("[program:a]\ncommand=/nosuch/program x\n", "2: [program:a] command: warning: there is no /nosuch/program"),
    ("[program:a]\ncommand=/tmp\n", "2: [program:a] command: warning: /tmp is a directory"),
    ("[program:a]\ncommand=/etc/passwd\n", "2: [program:a] command: warning: /etc/passwd is not executable; chmod +x it"),
    ("[program:a]\ncommand=\n", "2: [program:a] command: warning: it is empty, so it cannot start"),
    ("[program:a]\ncommand=sh -c 'x\n", "2: [program:a] command: warning: it cannot be split into words, so it cannot start: No closing quotation"),
    ("[program:a]\ncommand=sh\ndirectory=/nosuch\n", "2: [program:a] directory: warning: /nosuch is not an existing directory, so it cannot start"),
    ("[program:a]\ncommand=sh\nuser=nosuch\n", "2: [program:a] user: warning: Invalid user name nosuch"),
    ("[program:a]\ncommand=sh\nuser=65533\n", "2: [program:a] user: warning: Invalid user id 65533"),
    ("[program:a]\ncommand=sh\nstderr_logfile=/nosuch/log\n", "2: [program:a] stderr_logfile: warning: The directory named as part of the path "
     "/nosuch/log does not exist"),
    ("[program:a]\ncommand=sh\nstdout_logfile=/tmp/l\n[eventlistener:b]\ncommand=sh\nevents=TICK\nstderr_logfile=/tmp/l\n",
     "[eventlistener:b] stderr_logfile: warning: /tmp/l is the log of a too: their lines will be mixed|"
     "[program:a] stdout_logfile: warning: /tmp/l is the log of b too: their lines will be mixed"),
    ("[program:a]\ncommand=sh\nnumprocs=2\nprocess_name=%(process_num)d\nstdout_logfile=/tmp/l\n", "[program:a] stdout_logfile: warning: /tmp/l is "
     "the log of a:0 too|[program:a] stdout_logfile: warning: /tmp/l is the log of a:1 too"),
    ("user=nosuch\n", "reeve.ini: [supervisord] user: warning: Invalid user name nosuch"),
    ("directory=/nosuch\n", "[supervisord] directory: warning: /nosuch is not an existing directory"),
    ("childlogdir=/nosuch\n", "[supervisord] childlogdir: warning: /nosuch is not an existing directory"),
    ("logfile=/nosuch/x\n", "[supervisord] logfile: warning: The directory named as part of the path /nosuch/x does not exist"),
    ("pidfile=/nosuch/x\n", "[supervisord] pidfile: warning: The directory named as part of the path /nosuch/x does not exist"),
    ("control_group=nosuch\n", "[supervisord] control_group: warning: there is no such group: nosuch"),
    ("[unix_http_server]\nfile=/nosuch/x\n", "[unix_http_server] file: warning: the directory of /nosuch/x does not exist"),
    ("[unix_http_server]\nfile=/tmp/x\nchown=nosuch\n", "[unix_http_server] chown: warning: Invalid sockchown value nosuch"),
    ("[fcgi-program:f]\ncommand=sh\nsocket=unix:///tmp/s\nsocket_owner=a:nosuch\n", "socket_owner: warning: Invalid socket_owner value a:nosuch"),
    ("[rpcinterface:twiddler]\nsupervisor.rpcinterface_factory = supervisor_twiddler.rpcinterface:make\nkey = %(ENV_PATH)s\n",
     "3: [rpcinterface:twiddler] supervisor.rpcinterface_factory: warning: a Python plug-in, which is not loaded here: its methods do not exist"),
    ("[ctlplugin:cache]\nsupervisor.ctl_factory = supervisor_cache.controllerplugin:make\n",
     "2: [ctlplugin:cache] warning: a Python plug-in of supervisorctl, which is not loaded here: its commands do not exist"),
]


@pytest.mark.parametrize("text, said", MACHINE)
def test_warnings(tmp_path, text, said):
    code, _, err = check(tmp_path, "[supervisord]\n" + text)
    assert code == 0, err
    assert any(part in err for part in said.split("|")), err
    assert "warning" in err and len(err.splitlines()) < 4, err


def test_writable_configuration(tmp_path):
    (tmp_path / "more.ini").write_text("[program:a]\ncommand=sh\n")
    (tmp_path / "more.ini").chmod(0o646)
    code, _, err = check(tmp_path, "[supervisord]\n[include]\nfiles=more.ini\n")
    assert (code, err) == (0, "more.ini: warning: writable by others than its owner, and read by root; chmod go-w it\n")


def test_unprivileged(open_folder):
    """As a user that cannot become another."""
    path = open_folder / "reeve.ini"
    path.write_text("[supervisord]\nuser=root\nchildlogdir=/tmp\n[program:a]\ncommand=sh\nuser=daemon\n")
    path.chmod(0o666)
    r = subprocess.run(["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", str(REEVED), "--check", "-c", str(path)],
                       capture_output=True, text=True, timeout=60, cwd="/", check=False)
    assert r.returncode == 0, r.stderr
    assert "[supervisord] user: warning: Can't drop privilege as nonroot user" in r.stderr
    assert "4: [program:a] user: warning: only root can start a program as daemon, so it cannot start" in r.stderr
    assert "writable" not in r.stderr
