"""The HTTP door as strangers, slow readers and killers find it: passwords, limits, sockets, and the gateway's own death."""

import base64
import contextlib
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import time
import xmlrpc.client

import pytest
from supervisor.xmlrpc import SupervisorTransport

from basics import SANITIZED, eventually, free_port, soon
from reeve import REEVECTL, REEVED, Reeve, alive

SLEEP = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n"
UNIX = "[unix_http_server]\nfile = @/s.sock\n"


def connect(place):
    """PLACE: a path or a port."""
    s = socket.socket(socket.AF_INET if isinstance(place, int) else socket.AF_UNIX)
    try:
        s.connect(("127.0.0.1", place) if isinstance(place, int) else str(place))
    except OSError:
        s.close()
        raise
    return s


class Connection(http.client.HTTPConnection):
    def __init__(self, place):
        super().__init__("localhost")
        self.place = place

    def connect(self):
        self.sock = connect(self.place)


def ask(place, path, method="GET", body=None, user=None, headers=None):
    c = Connection(place)
    headers = dict(headers or {})
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    try:
        c.request(method, path, body, headers)
        r = c.getresponse()
        return r.status, r.read(), r.headers
    finally:
        c.close()


def fetch(place, path, method="GET"):
    code, body, _ = ask(place, path, method)
    return code, body.decode()


def status(place, path="/ok.html", **more):
    return ask(place, path, **more)[0]


def rpc(place, username=None, password=None):
    url = f"http://127.0.0.1:{place}" if isinstance(place, int) else f"unix://{place}"
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=SupervisorTransport(username, password, url)).supervisor


def served(place, **more):
    def try_once():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return status(place, **more) == 200
    return eventually(try_once, 30, f"an answer at {place}")


def gateway(reeve):
    return (reeve.try_status() or {}).get("gateway_pid", 0)


def start(reeve, text):
    reeve.start(text)
    eventually(lambda: gateway(reeve), 30, "the gateway")
    return reeve.folder / "s.sock"


def steal(pid, fd):
    """A duplicate of another process's descriptor."""
    process = os.pidfd_open(pid)
    try:
        found = ctypes.CDLL(None, use_errno=True).syscall(438, process, fd, 0)      # pidfd_getfd
        assert found >= 0, os.strerror(ctypes.get_errno())
        return found
    finally:
        os.close(process)


# ---- who may come in ----


def test_who_breaks_into_the_gateway_runs_no_command(reeve):
    """It can do what the page can do: start and stop. A command or a binary of its own choice is not for it."""
    start(reeve, "[unix_http_server]\nfile = @/s.sock\n[program:p]\ncommand = sleep 1000\n")
    pid = gateway(reeve)
    eventually(lambda: b"reeve-gateway" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes(), what="its exec")
    with socket.socket(fileno=steal(pid, 0)) as channel:
        os.kill(pid, signal.SIGSTOP)        # or it takes the connection for itself
        try:
            eventually(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", what="its stop")
            channel.settimeout(20)
            channel.send(json.dumps({"event": "want", "what": "supervisor"}).encode())
            fds = []
            while not fds:
                packet, fds, _, _ = socket.recv_fds(channel, 1 << 16, 1)
                if fds and json.loads(packet)["op"] != "supervisor":
                    os.close(fds.pop())
        finally:
            os.kill(pid, signal.SIGCONT)
    with socket.socket(fileno=fds[0]) as s:
        s.setblocking(True)
        s.settimeout(20)
        for method, parameters, right in (("List", {"names": []}, True), ("Stop", {"names": ["p"]}, True),
                                          ("Run", {"command": ["touch", str(reeve.folder / "mine")]}, False), ("Upgrade", {"binary": "/bin/true"}, False)):
            s.sendall(json.dumps({"method": "io.reeve.Supervisor." + method, "parameters": parameters}).encode() + b"\0")
            data = b""
            while b"\0" not in data:
                data += s.recv(1 << 16)
            assert ("PermissionDenied" not in json.loads(data[:-1]).get("error", "")) == right, method
    assert not (reeve.folder / "mine").exists()

def test_passwords(reeve):
    port = free_port()
    digest = hashlib.sha1(b"secret").hexdigest()
    sock = start(reeve, SLEEP + UNIX + "username = me\npassword = pass:word\n" +
                 f"[inet_http_server]\nport = 127.0.0.1:{port}\nusername = you\npassword = {{SHA}}{digest}\n")
    code, _, headers = ask(sock, "/ok.html")
    assert code == 401 and headers["WWW-Authenticate"] == 'Basic realm="default"'
    assert status(sock, user="me:pass:word") == 200
    assert status(port, user="you:secret") == 200
    assert status(sock, headers={"Authorization": "Digest x"}) == 401
    assert status(sock, headers={"Authorization": "Basic !"}) == 400
    for path in ("/RPC2", "/logtail/web", "/mainlogtail", "/nosuch"):
        assert status(sock, path) == 401
    assert rpc(sock, "me", "pass:word").getState()["statecode"] == 1
    assert rpc(port, "you", "secret").getState()["statecode"] == 1
    for wrong in ("me:passwort", "me:", "me", ":", "me:pass:word "):
        begin = time.monotonic()
        assert status(sock, user=wrong) == 401
        assert time.monotonic() - begin > 0.9           # a guess costs a second
    assert status(port, user=f"you:{digest}") == 401
    reeve.wait_log("gateway: [unix_http_server]: wrong user name or password from a unix socket")
    # nobody can read the passwords but the gateway itself
    pid = gateway(reeve)
    for name in ("cmdline", "environ"):
        with open(f"/proc/{pid}/{name}", "rb") as f:
            text = f.read()
        assert b"pass:word" not in text and digest.encode() not in text
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        lines = dict(line.split(":\t", 1) for line in f if ":\t" in line)
    assert "0" not in lines["Uid"].split() and "0" not in lines["Gid"].split() and lines["CapEff"].strip() == "0" * 16


def test_guesses_do_not_delay_the_owner(reeve):
    sock = start(reeve, SLEEP + UNIX + "username = me\npassword = p\n")
    guesses = []
    for _ in range(560):                                  # more than there are connections
        s = connect(sock)
        with contextlib.suppress(BrokenPipeError):
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic bWU6eA==\r\n\r\n")
        guesses.append(s)
    def owner():
        begin = time.monotonic()
        assert status(sock, user="me:p") == 200
        return time.monotonic() - begin
    soon(owner, 0.9)
    with contextlib.suppress(ConnectionResetError):       # its request may not have been read
        assert guesses[0].recv(100) == b""                # it made room
    assert guesses[80].recv(100).startswith(b"HTTP/1.1 401")
    for s in guesses:
        s.close()


def test_public_port_without_password(reeve):
    closed, opened = free_port(), free_port()
    sock = start(reeve, SLEEP + UNIX + f"[inet_http_server:a]\nport = *:{closed}\n"
                 f"[inet_http_server:b]\nport = 0.0.0.0:{opened}\ninsecure = true\n")
    served(opened)
    with pytest.raises(ConnectionRefusedError):
        connect(closed)
    reeve.wait_log(f"[inet_http_server:a]: *:{closed} is not served: it has no password")
    reeve.wait_log(f"0.0.0.0:{opened} has no password: everybody who can reach this port")
    assert status(sock) == 200


def test_compatibility_serves_and_warns(tmp_path):
    port = free_port()
    (tmp_path / "supervisord").symlink_to(REEVED)
    (tmp_path / "c").write_text(f"[supervisord]\nlogfile={tmp_path}/log\npidfile={tmp_path}/pid\nrundir={tmp_path}/run\n"
                                f"[inet_http_server]\nport={port}\n")
    daemon = subprocess.Popen([str(tmp_path / "supervisord"), "-n", "-c", str(tmp_path / "c")], cwd=tmp_path, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        served(port)
        log = tmp_path / "log"
        eventually(lambda: log.exists() and "has no password: everybody" in log.read_text(), 20, "the warning")
    finally:
        daemon.terminate()
        assert daemon.wait(30) == 0


def test_ipv6(reeve):
    with socket.socket(socket.AF_INET6) as s:
        s.bind(("::1", 0))
        port = s.getsockname()[1]
    start(reeve, SLEEP + f"[inet_http_server]\nport = [::1]:{port}\n")
    with socket.create_connection(("::1", port)) as s:
        s.sendall(b"GET /ok.html HTTP/1.0\r\n\r\n")
        assert b" 200 OK" in s.recv(100)


# ---- sockets ----

def test_socket_mode_and_owner(reeve):
    sock = start(reeve, SLEEP + UNIX + "chmod = 0770\nchown = nobody:nogroup\n[unix_http_server:two]\nfile = @/two.sock\n")
    served(sock)
    info = sock.stat()
    assert stat.S_IMODE(info.st_mode) == 0o770 and info.st_uid == 65534 and info.st_gid == 65534
    info = (reeve.folder / "two.sock").stat()
    assert stat.S_IMODE(info.st_mode) == 0o700 and info.st_uid == os.geteuid()
    assert status(reeve.folder / "two.sock") == 200
    assert reeve.stop() == 0
    assert not sock.exists() and not (reeve.folder / "two.sock").exists()


def test_taken_places_are_tried_again(reeve):
    with socket.socket() as other, socket.socket(socket.AF_UNIX) as unix_other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        unix_other.bind(str(reeve.folder / "s.sock"))
        unix_other.listen()
        reeve.start(SLEEP + UNIX + f"[inet_http_server]\nport = 127.0.0.1:{port}\n")
        reeve.wait_state("web", "RUNNING")
        reeve.wait_log(f"[inet_http_server]: 127.0.0.1:{port}: another program listens there")
        reeve.wait_log("s.sock: another program serves it")
    served(port)
    served(reeve.folder / "s.sock")                       # a stale socket is replaced
    assert reeve.log().count("another program listens there") == 1


def refused(port):
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_update_replaces_what_changed(reeve):
    old, new = free_port(), free_port()
    text = SLEEP + UNIX + "[inet_http_server]\nport = 127.0.0.1:%d\n%s"
    sock = start(reeve, text % (old, ""))
    served(old)
    first, pid = gateway(reeve), reeve.pid("web")
    assert reeve.ctl("update")[0] == 0
    assert gateway(reeve) == first                        # nothing changed
    reeve.write(text % (new, "username = a\npassword = b\n"))
    assert reeve.ctl("update")[0] == 0
    served(new, user="a:b")
    assert status(new) == 401
    eventually(lambda: refused(old), 20, "the old gateway to listen no more")
    assert status(sock) == 200 and gateway(reeve) != first and reeve.pid("web") == pid
    eventually(lambda: not alive(first), 20, "the end of the old gateway")
    reeve.write(SLEEP)
    assert reeve.ctl("update")[0] == 0
    eventually(lambda: not gateway(reeve) and not sock.exists(), 20, "the end of HTTP")
    assert reeve.pid("web") == pid
    reeve.ctl("stop", "web")
    reeve.wait_log("stopped: web")
    assert "reeve-gateway (pid" not in reeve.log()


def test_no_server_no_gateway(reeve):
    reeve.start(SLEEP)
    reeve.wait_state("web", "RUNNING")
    assert gateway(reeve) == 0


# ---- deaths ----

def readable(server, name):
    """A new logger knows a program's log only when it has been told of it."""
    with contextlib.suppress(xmlrpc.client.Fault):
        return isinstance(server.readProcessStdoutLog(name, 0, 0), str)
    return False


def test_deaths_harm_nothing(reeve):
    sock = start(reeve, SLEEP + UNIX)
    reeve.wait_state("web", "RUNNING")
    served(sock)
    pid = reeve.pid("web")
    for _ in range(3):
        first = gateway(reeve)
        os.kill(first, signal.SIGKILL)
        eventually(lambda old=first: gateway(reeve) not in (0, old), 20, "another gateway")
        served(sock)
    assert rpc(sock).getProcessInfo("web")["pid"] == pid
    assert rpc(sock).stopProcess("web") and rpc(sock).startProcess("web")
    assert "Start asked for over HTTP" in reeve.ctl("why", "web")[1]
    pid = reeve.pid("web")
    reeve.wait_log("starting another; no program is affected")
    # the supervisor dies: the gateway goes on, a connection too
    first = gateway(reeve)
    kept = rpc(sock)
    assert kept.getProcessInfo("web")["pid"] == pid
    for _ in range(2):
        os.kill(reeve.part("supervisor"), signal.SIGKILL)
        assert kept.getProcessInfo("web")["pid"] == pid   # waits for the successor
        assert kept.stopProcess("web") and kept.startProcess("web")
        pid = kept.getProcessInfo("web")["pid"]
    eventually(lambda: gateway(reeve) == first, 20, "the same gateway")
    os.kill(reeve.part("logger"), signal.SIGKILL)
    eventually(lambda: readable(kept, "web"), 20, "the log by another logger")
    # the keeper dies: everything ends
    reeve.daemon.kill()
    eventually(lambda: not alive(first) and not reeve.mine(), 30, "the end of all")


def test_followers_outlive_the_logger(reeve):
    """Whoever follows gets every line once, through rotations, however often the logger is killed."""
    sock = start(reeve, UNIX + "[program:talk]\ncommand = sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.005; done'\n"
                 "stdout_logfile_maxbytes = 2000\nstdout_logfile_backups = 20\n")
    reeve.wait_state("talk", "RUNNING")
    files = [open(reeve.folder / name, "w+b") for name in ("tail", "stderr")]
    tail = subprocess.Popen([REEVECTL, "-c", reeve.config, "tail", "-f", "talk"], stdout=files[0], stderr=files[1])
    s = connect(sock)
    s.sendall(b"GET /logtail/talk HTTP/1.1\r\nHost:\r\n\r\n")
    response = http.client.HTTPResponse(s)
    response.begin()
    assert response.status == 200 and response.getheader("Transfer-Encoding") == "chunked"

    def read(text):
        """Numbers of whole lines, from the second on: the first may be the end of one."""
        lines = [line for line in text.split(b"\n")[1:-1] if line.startswith(b"line ")]
        return [int(line.split()[1]) for line in lines]

    try:
        begin = eventually(lambda: read(reeve.file("tail").encode()))[0]
        for _ in range(8):
            reeve.kill_part("logger")
        before = read(reeve.file("tail").encode())[-1]
        got = b""
        while not read(got) or read(got)[-1] < before + 300:
            got += response.read1()
        eventually(lambda: read(reeve.file("tail").encode())[-1] > before + 300)
        for numbers in (read(got), read(reeve.file("tail").encode())):
            assert numbers == list(range(numbers[0], numbers[-1] + 1)) and numbers[0] < begin + 200
        assert set(reeve.file("stderr").splitlines()) == {"(connected again)"}
    finally:
        tail.kill()
        tail.wait()
        s.close()
        for f in files:
            f.close()


def test_curves_outlive_the_gateway(reeve):
    """Its death, its supervisor's, and its replacement; what has been removed meanwhile comes back without a past."""
    text = SLEEP + UNIX + "[program:other]\ncommand = sleep 1000\n"
    sock = start(reeve, text)

    def history():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return json.loads(fetch(sock, "/api/history?names=web%0Aother")[1])

    def another(action):
        old = gateway(reeve)
        action(old)
        eventually(lambda: (g := eventually(lambda: gateway(reeve))) != old and g, 20, "another gateway")
        return eventually(lambda: (h := history()) and "web" in h["series"] and h, 20, "its list")

    def kill(*pids):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    served(sock)
    another(kill)                                         # before there is anything: the next one keeps the step
    first = eventually(lambda: (h := history()) and all(s["memory"] for s in h["series"].values()) and h, 30, "a sample")
    again = another(kill)
    assert again["series"]["web"]["memory"][:1] == first["series"]["web"]["memory"] and 0 <= again["t"] - first["t"] < 11
    another(lambda old: kill(old, reeve.answers()["supervisor_pid"]))
    reeve.write(text.replace("[program:other]", "[unix_http_server:two]\nfile = @/two.sock\n[program:else]"))
    another(lambda _: reeve.ctl("update"))
    again = eventually(lambda: (h := history()) and list(h["series"]) == ["web"] and h)
    assert again["series"]["web"]["memory"][:1] == first["series"]["web"]["memory"]
    reeve.write(text)
    again = another(lambda _: reeve.ctl("update"))
    again = eventually(lambda: (h := history()) and "other" in h["series"] and h)
    assert again["series"]["web"]["memory"][:1] == first["series"]["web"]["memory"]
    assert len(again["series"]["other"]["memory"]) < len(again["series"]["web"]["memory"])


def test_tail_page(reeve):
    """supervisord's address for the end of a log, with its texts."""
    sock = start(reeve, UNIX + "[program:talk]\ncommand = sh -c 'seq 1000 1999; printf \"<b>&\\\\377\\\\n\"; exec sleep 1000'\n"
                 "[program:mute]\ncommand = sleep 1000\nstdout_logfile = NONE\n[group:g]\nprograms = a\n[program:a]\ncommand = sleep 1000\n")
    eventually(lambda: "&lt;b&gt;&amp;\ufffd\n</pre>" in fetch(sock, "/tail.html?processname=talk")[1], what="the end of the log")
    code, page = fetch(sock, "/tail.html?processname=talk&limit=2000")
    assert code == 200 and "<title>Supervisor tail of process talk</title>" in page
    assert 'href="tail.html?processname=talk&amp;limit=2000"' in page

    def shown(query):
        code, page = fetch(sock, "/tail.html" + query)
        assert code == 200
        return page.split("<pre>")[1].split("</pre>")[0]

    assert 1990 <= len(shown("?processname=talk&limit=2000")) <= 2020 > len(shown("?processname=talk&limit=1")) > 1000
    assert shown("?processname=talk:talk") == shown("?processname=talk") == shown("?processname=talk&limit=-5")
    assert len(shown("?processname=talk&limit=99999999999999999999")) > 5000
    assert shown("?processname=g:a") == ""
    assert shown("?processname=mute") == "No file for mute"
    assert shown("") == shown("?processname=") == "No process name found"
    for name in ("nosuch", "a", "g:*", "talk*", "g"):
        assert shown(f"?processname={name}") == f"ERROR: unexpected rpc fault [10] BAD_NAME: {name}"
    assert "<script" not in shown("?processname=%3Cscript%3E") and fetch(sock, "/tail.html", "POST")[0] in (405, 411)
    supervisor = reeve.part("supervisor")
    os.kill(supervisor, signal.SIGSTOP)         # the logger gives it, not the supervisor
    assert "<b" not in shown("?processname=talk") and "1999\n" in shown("?processname=talk")
    os.kill(supervisor, signal.SIGCONT)


@pytest.mark.parametrize("action, instead", [
    ("stop", "reevectl stop web</code>, or XML-RPC: <code>supervisor.stopProcess<"), ("restart", "reevectl restart web<"),
    ("clearlog", "reevectl clear web<"), ("stopall", "reevectl stop all<"), ("restartall", "reevectl restart all<"), ("start", "reevectl start web<"),
    ("%3Cb%3E", "<code>reevectl</code>, or XML-RPC.")])
def test_actions_by_link_are_refused(door, action, instead):
    """With the page, and with what to use."""
    reeve, sock, _ = door
    before = reeve.pid("web")
    for path in ("/index.html", "/"):
        code, page = fetch(sock, f"{path}?action={action}&processname=web")
        assert code == 403 and "Nothing was done" in page and instead in page and 'src="web/app.js"' in page
    assert reeve.pid("web") == before
    assert fetch(sock, "/index.html?action=refresh") == fetch(sock, "/?message=x") == fetch(sock, "/")
    assert fetch(sock, "/")[0] == 200


def test_shutdown_is_not_held_up(reeve):
    sock = start(reeve, SLEEP + UNIX)
    served(sock)
    idle, half, follower = connect(sock), connect(sock), connect(sock)
    idle.sendall(b"GET /ok.html HTTP/1.1\r\nHost: x\r\n\r\n")
    assert idle.recv(1000)
    half.sendall(b"GET /")
    follower.sendall(b"GET /mainlogtail HTTP/1.1\r\nHost: x\r\n\r\n")
    assert follower.recv(1000)
    assert rpc(sock).shutdown() is True
    assert reeve.daemon.wait(20) == 0
    assert not sock.exists()
    for s in (idle, half, follower):
        s.close()


# ---- the hostile ----

def quick_status(reeve):
    """The supervisor answers within 100 ms."""
    def asked():
        begin = time.monotonic()
        assert reeve.call("List", names=[])["parameters"]["processes"]
        return time.monotonic() - begin
    soon(asked, 0.1)
    assert reeve.ctl("status")[0] in (0, 3)


def test_half_open_connections(reeve):
    sock = start(reeve, UNIX + "[program:crash]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = true\n")
    served(sock)
    first = gateway(reeve)
    reeve.wait_state("crash", "RUNNING")
    crowd = []
    for i in range(600):
        s = connect(sock)
        with contextlib.suppress(BrokenPipeError):
            s.sendall((b"", b"GET ", b"POST /RPC2 HTTP/1.1\r\nContent-Length: 1000\r\n\r\n<", b"GET / HTTP/1.1\r\nA: ")[i % 4])
        crowd.append(s)
    quick_status(reeve)
    assert status(sock) == 200                            # the oldest one made room
    assert rpc(sock).getState()["statecode"] == 1
    pid = reeve.pid("crash")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: reeve.pid("crash") not in (0, pid), 20, "the restart")
    assert crowd[0].recv(1) == b""                        # it was the oldest
    assert crowd[-1].recv(1) == b""                       # nobody may take for ever over the headers
    assert gateway(reeve) == first
    for s in crowd:
        s.close()


def test_slow_readers(reeve):
    text = "x" * 1000
    sock = start(reeve, UNIX + f"[program:flood]\ncommand = sh -c 'while :; do echo {text}; done'\nstdout_logfile_maxbytes = 1MB\n"
                 "stdout_logfile_backups = 1\nautostart = false\n")
    served(sock)
    reeve.call("Start", names=["flood"])
    eventually(lambda: reeve.process("flood")["stdout_logfile"], what="a log")
    readers = []
    for _ in range(50):
        s = connect(sock)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(b"GET /logtail/flood HTTP/1.1\r\nHost: x\r\n\r\n")
        readers.append(s)
    for s in readers:
        assert s.recv(10)
    eventually(lambda: rpc(sock).tailProcessStdoutLog("flood", 0, 10)[1] > 500000, 30, "a flood")
    quick_status(reeve)
    assert status(sock) == 200
    with open(f"/proc/{gateway(reeve)}/status", encoding="ascii") as f:
        rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    if not SANITIZED:
        assert rss < 100000, f"{rss} kB"
    for s in readers:
        s.close()


RPC = b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
CALL = b"<methodCall><methodName>supervisor.getState</methodName></methodCall>"
DEEP = b"<methodCall><methodName>m</methodName><params><param>" + b"<value><array><data>" * 200
BOMB = (b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]>"
        b"<methodCall><methodName>supervisor.getState</methodName><params><param><value>&b;</value></param></params></methodCall>")
FILE = (b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><methodCall><methodName>supervisor.getProcessInfo</methodName>"
        b"<params><param><value>&a;</value></param></params></methodCall>")
MANY = (b"<methodCall><methodName>system.multicall</methodName><params><param><value><array><data>" +
        b"<value><struct></struct></value>" * 5000 + b"</data></array></value></param></params></methodCall>")


def get(path):
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def post(*lines):
    return b"\r\n".join((b"POST /RPC2 HTTP/1.1", b"Host: x", *lines, b"", b""))


MALFORMED = {
    "good": (RPC % (len(CALL), CALL), 200),
    "blank lines first": (b"\r\n\r\n" + RPC % (len(CALL), CALL), 200),
    "version 1.0": (b"POST /RPC2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(CALL), CALL), 200),
    "no xml": (RPC % (3, b"abc"), 400),
    "no body": (RPC % (0, b""), 400),
    "deep": (RPC % (len(DEEP), DEEP), 400),
    "entities": (RPC % (len(BOMB), BOMB), 400),
    "a file": (RPC % (len(FILE), FILE), 400),
    "cut": (RPC % (len(CALL) - 1, CALL[:-1]), 400),
    "utf-16": (RPC % (4, b"\xff\xfe\x00<"), 400),
    "get": (get(b"/RPC2"), 400),
    "put": (b"PUT /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400),
    "no length": (post(), 411),
    "chunked": (post(b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 411),
    "long": (post(b"Content-Length: 2000000"), 413),
    "very long": (post(b"Content-Length: 99999999999999999999999"), (400, 413)),
    "negative": (post(b"Content-Length: -1"), 400),
    "hexadecimal": (post(b"Content-Length: 0x10"), 400),
    "two lengths": (post(b"Content-Length: 5", b"Content-Length: 6") + b"abcdef", (400, 411)),
    "no such page": (get(b"/nosuch"), 404),
    "no such log": (get(b"/logtail/nosuch"), 404),
    "no log": (get(b"/logtail"), 404),
    "a group's log": (get(b"/logtail/web:*"), 404),
    "a pattern's log": (get(b"/logtail/w*"), 404),
    "no such channel": (get(b"/logtail/web/nosuch"), 404),
    "out of the folder": (get(b"/logtail/..%2f..%2fetc%2fpasswd"), 404),
    "odd bytes": (get(b"/%00%ff%zz"), (200, 404)),
    "posted log": (b"POST /logtail/web HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400),
    "many headers": (b"GET /ok.html HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20000 + b"\r\n", (413, 431)),
    "long line": (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (413, 414, 431)),
    "nonsense": (b"nonsense\r\n\r\n", None),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", None),
    "version 9": (b"GET /ok.html HTTP/9.9\r\n\r\n", None),
}


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    reeve = Reeve(tmp_path_factory.mktemp("door"))
    sock = start(reeve, SLEEP + UNIX)
    served(sock)
    yield reeve, sock, gateway(reeve)
    reeve.close()


def test_malformed(door):
    reeve, sock, pid = door
    for name, (request, answer) in MALFORMED.items():
        with connect(sock) as s:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(request)
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while answer is not None and b"\r\n" not in got:
                    more = s.recv(4096)
                    if not more:
                        break
                    got += more
        if answer is not None:
            assert got.startswith(b"HTTP/1."), (name, got)
            assert int(got.split()[1]) in (answer if isinstance(answer, tuple) else (answer,)), (name, got)
        assert status(sock) == 200 and gateway(reeve) == pid, name


def test_limits_of_a_call(door):
    _, sock, _ = door
    code, body, _ = ask(sock, "/RPC2", "POST", MANY)
    assert code == 200 and b"too many calls" in body
    code, body, _ = ask(sock, "/RPC2", "POST", CALL.replace(b"getState", b"x" * 1000000))
    assert code == 200 and b"UNKNOWN_METHOD" in body
    assert ask(sock, "/RPC2", "POST", b" " * 1000 + b"x")[0] == 400


def test_pages_of_other_sites_cannot_call(door):
    _, sock, _ = door
    for origin, host, answer in (("http://evil.example", "localhost", 403), ("null", "localhost", 403), ("http://localhost", "localhost", 200),
                                 ("http://evil.example", "evil.example", 403)):
        assert ask(sock, "/RPC2", "POST", CALL, headers={"Origin": origin, "Host": host, "Content-Type": "text/plain"})[0] == answer


def test_pipelining(door):
    _, sock, _ = door
    with connect(sock) as s:
        s.sendall((RPC % (len(CALL), CALL)) * 5)
        got = b""
        while got.count(b"</methodResponse>") < 5:
            more = s.recv(65536)
            assert more, got
            got += more
    assert got.count(b"HTTP/1.1 200 OK") == 5


def test_odd_bytes_in_a_log(reeve):
    (reeve.folder / "odd").write_bytes(b"a\x1b[31mred\x1b[0m \xff\xfe \xc3\xa9 \x00 \xed\xa0\x80 <&>\r\nend\n")
    sock = start(reeve, UNIX + "[program:odd]\ncommand = sh -c 'cat @/odd; exec sleep 1000'\nstartsecs = 0\n")
    served(sock)
    eventually(lambda: reeve.process("odd")["stdout_logfile"], what="a log")
    text = eventually(lambda: (t := rpc(sock).readProcessStdoutLog("odd", 0, 0)).endswith("end\n") and t, 20, "the log")
    assert text == "a\ufffd[31mred\ufffd[0m \ufffd\ufffd \u00e9 \ufffd \ufffd\ufffd\ufffd <&>\r\nend\n"


def test_large_log(reeve):
    sock = start(reeve, UNIX + "[program:big]\ncommand = sh -c 'seq 300000; echo done; exec sleep 1000'\nstartsecs = 0\n")
    served(sock)
    path = eventually(lambda: reeve.process("big")["stdout_logfile"])
    eventually(lambda: reeve.file(os.path.basename(path)).endswith("done\n"), 30, "the log")
    whole = reeve.file(os.path.basename(path))
    assert rpc(sock).readProcessStdoutLog("big", 0, 0) == whole
    assert rpc(sock).readProcessStdoutLog("big", -1500000, 0) == whole[-1500000:]
    assert rpc(sock).readProcessStdoutLog("big", 100, 1000000) == whole[100:1000100]


# ---- Ansible's module ----

PLAYBOOK = """- hosts: localhost
  connection: local
  gather_facts: false
  module_defaults:
    community.general.supervisorctl:
      config: "{config}"
      supervisorctl_path: /usr/bin/supervisorctl
  tasks:
    - community.general.supervisorctl: {{name: web, state: stopped}}
      register: a
    - community.general.supervisorctl: {{name: web, state: stopped}}
      register: b
    - community.general.supervisorctl: {{name: web, state: restarted}}
      register: c
    - ansible.builtin.copy:
        dest: "{folder}/result"
        content: "{{{{ [a, b, c] | map(attribute='changed') | list | to_json }}}}"
"""


def test_ansible(reeve):
    sock = start(reeve, SLEEP + UNIX + "[supervisorctl]\nserverurl = unix://@/s.sock\n")
    served(sock)
    book = reeve.folder / "play.yml"
    book.write_text(PLAYBOOK.format(config=reeve.config, folder=reeve.folder))
    r = subprocess.run(["ansible-playbook", "-i", "localhost,", str(book)], capture_output=True, text=True, timeout=240, cwd=reeve.folder,
                       env={**os.environ, "HOME": str(reeve.folder), "ANSIBLE_LOCAL_TEMP": str(reeve.folder / "tmp"),
                            "ANSIBLE_REMOTE_TEMP": str(reeve.folder / "tmp2"), "ANSIBLE_NOCOWS": "1",
                            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3", "LC_ALL": "C.UTF-8"})
    assert r.returncode == 0, r.stdout + r.stderr
    assert json.loads((reeve.folder / "result").read_text()) == [True, False, True]
    assert reeve.process("web")["statename"] == "RUNNING"
