"""[fcgi-program:x]: processes that share a listening socket as their stdin."""

import os
import pwd
import socket
import stat

import pytest

from basics import free_port

SERVER = """
import os, socket
s = socket.socket(fileno=0)
while True:
    c, _ = s.accept()
    c.sendall(b"%d " % os.getpid() + (c.recv(100) or b""))
    c.close()
"""


@pytest.fixture
def server(reeve):
    path = reeve.folder / "server.py"
    path.write_text(SERVER)
    return f"command = /usr/bin/python3 {path}\nstartsecs = 0\n"


def ask(address, text=b"hello"):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as c:
        c.settimeout(20)
        c.connect(address)
        c.sendall(text)
        answer = b""
        while True:
            more = c.recv(1000)
            if not more:
                break
            answer += more
    pid, _, said = answer.partition(b" ")
    assert said == text
    return int(pid)


def test_unix_socket(reeve, server):
    """Mode and owner as configured; several processes share it; it survives restarts without refusing anybody."""
    path = f"{reeve.folder}/app.sock"
    reeve.start(f"[fcgi-program:app]\nsocket = unix://{path}\nsocket_mode = 0770\nsocket_owner = daemon\nnumprocs = 2\n"
                f"process_name = app_%(process_num)d\n" + server)
    pids = {reeve.wait_state(f"app:app_{i}", "RUNNING")["pid"] for i in range(2)}
    st = os.stat(path)
    assert stat.S_IMODE(st.st_mode) == 0o770 and st.st_uid == pwd.getpwnam("daemon").pw_uid
    assert ask(path) in pids
    assert reeve.ctl("stop", "app:*")[0] == 0
    with socket.socket(socket.AF_UNIX) as early:        # while nobody runs: it waits in the queue
        early.settimeout(20)
        early.connect(path)
        early.sendall(b"x")
        assert reeve.ctl("start", "app:app_0")[0] == 0
        assert early.recv(100).startswith(b"%d " % reeve.pid("app:app_0"))
    assert reeve.stop() == 0
    assert not os.path.exists(path)


def test_tcp_socket_and_stdin(reeve, server):
    port = free_port()
    reeve.start(f"[fcgi-program:app]\nsocket = tcp://127.0.0.1:{port}\n" + server)
    pid = reeve.wait_state("app", "RUNNING")["pid"]
    assert ask(("127.0.0.1", port)) == pid
    assert reeve.call("SendStdin", name="app", data="x")["parameters"]["name"] == "NO_FILE"
    reeve.wait_log(f"Creating socket tcp://127.0.0.1:{port}")


def test_in_a_group(reeve, server):
    """Listed in a [group:x] it keeps its socket, which supervisord forgets."""
    path = f"{reeve.folder}/app.sock"
    reeve.start(f"[group:web]\nprograms = app,other\n[program:other]\ncommand = sleep 1000\n"
                f"[fcgi-program:app]\nsocket = unix://{path}\n" + server)
    pid = reeve.wait_state("web:app", "RUNNING")["pid"]
    assert ask(path) == pid
    assert reeve.call("SendStdin", name="web:other", data="x") == {"parameters": {}}


def test_survives_the_supervisor(reeve, server):
    path = f"{reeve.folder}/app.sock"
    reeve.start(f"[fcgi-program:app]\nsocket = unix://{path}\n" + server)
    pid = reeve.wait_state("app", "RUNNING")["pid"]
    inode = os.stat(path).st_ino
    reeve.kill_supervisor()
    assert ask(path) == pid
    assert reeve.ctl("restart", "app")[0] == 0
    assert ask(path) == reeve.pid("app") != pid
    assert os.stat(path).st_ino == inode, "the same socket"


def test_changes(reeve, server):
    """Another socket restarts the processes; a removed program takes its socket along."""
    paths = [f"{reeve.folder}/{n}.sock" for n in "ab"]
    section = "[fcgi-program:app]\nsocket = unix://%s\n" + server
    reeve.start(section % paths[0])
    pid = reeve.wait_state("app", "RUNNING")["pid"]
    reeve.write(section % paths[1])
    status, out = reeve.ctl("plan", "--json")
    assert status == 2 and '"socket"' in out
    assert reeve.ctl("update")[0] == 0
    assert ask(paths[1]) == reeve.wait_state("app", "RUNNING")["pid"] != pid
    assert not os.path.exists(paths[0])
    reeve.write("")
    assert reeve.ctl("update")[0] == 0
    assert not os.path.exists(paths[1])
    reeve.wait_log(f"Closing socket unix://{paths[1]}")


def test_address_in_use(reeve, server):
    """Somebody else has it: the reason is said, and it starts once the address is free."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        reeve.start(f"[fcgi-program:app]\nsocket = tcp://127.0.0.1:{port}\nstartretries = 1000\n" + server)
        reeve.wait_state("app", "BACKOFF", "FATAL")
        assert f"127.0.0.1:{port}" in reeve.process("app")["spawnerr"]
    reeve.ctl("stop", "app")
    assert reeve.ctl("start", "app")[0] == 0
    assert ask(("127.0.0.1", port)) == reeve.pid("app")
