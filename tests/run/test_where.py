"""How the client finds its daemon: options, files, URLs; and what it says when it cannot."""

import re
import socket
import subprocess
import threading

import pytest

from basics import eventually, free_port
from reeve import REEVECTL
from test_against_supervisord import Theirs

WEB = "[inet_http_server]\nport = 127.0.0.1:{port}\n"
CLIENT = "[supervisorctl]\nserverurl = {url}\n"


@pytest.fixture
def client(reeve):
    """client(WORDS..., name=...) -> (status, stdout, stderr), in the folder of the daemon."""

    def call(*words, name="supervisorctl", stdin="", **variables):
        link = reeve.folder / "bin" / name
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            link.symlink_to(REEVECTL)
        r = subprocess.run([str(link), *map(str, words)], capture_output=True, text=True, timeout=60, cwd=reeve.folder, input=stdin,
                           env={**reeve.environment(), **variables})
        return r.returncode, r.stdout, r.stderr

    return call


def start(reeve, text=""):
    reeve.start(text + "[program:web]\ncommand = sleep 1000\n")
    return (0, f"{reeve.wait_state('web', 'RUNNING')['pid']}\n", "")


def test_by_run_directory_and_sockets(reeve, client):
    pid = start(reeve)
    for name in ("reeved.sock", "reeve.ini.x"):
        (reeve.folder / f"{name}.reeve").symlink_to(reeve.rundir)
        assert client("-s", f"unix://{reeve.folder}/{name}", "pid", "web") == pid
    for server in (reeve.rundir, f"{reeve.rundir}/control.sock", f"unix://{reeve.rundir}/control.sock"):
        assert client("-s", server, "pid", "web", name="reevectl") == pid
        assert client("pid", "web", name="reevectl", REEVE_SOCKET=str(server)) == pid
    assert client("-s", f"unix://{reeve.rundir}/control.sock", "pid", "web") == pid


def test_by_the_file(reeve, client):
    pid = start(reeve, CLIENT.format(url="http://localhost:9001"))
    assert client("-c", "reeve.ini", "pid", "web") == pid    # the default URL, whether there is such a server or not
    assert client("-c", "reeve.ini", "pid", "web", name="reevectl") == pid
    assert client("-c", "reeve.ini", stdin="pid web\n") == (0, client("-c", "reeve.ini", "status")[1] + f"supervisor> {pid[1]}supervisor> \n", "")


def test_by_a_file_for_clients(reeve, client):
    pid = start(reeve)
    (reeve.folder / "client.ini").write_text(CLIENT.format(url=f"unix://{reeve.rundir}/control.sock") + "prompt = here\n")
    assert client("-c", "client.ini", "pid", "web") == pid
    assert client("-c", "client.ini", stdin="pid web\n")[1].endswith(f"here> {pid[1]}here> \n")
    (reeve.folder / "none.ini").write_text("[supervisord]\n")
    code, out, err = client("-c", "none.ini", "pid")
    assert (code, out) == (2, "") and err.startswith("Error: .ini file does not include supervisorctl section\nFor help, use ")
    code, out, err = client("-c", "missing.ini", "pid")
    assert (code, out) == (2, "") and err.startswith("Error: could not find config file missing.ini\nFor help, use ")


def test_by_http_urls(reeve, client):
    port, other = free_port(), free_port()
    (reeve.folder / "http.ini").write_text(f"[supervisord]\nrundir = {reeve.rundir}\n{WEB.format(port=port)}[supervisorctl]\n")
    pid = start(reeve)
    for url in (f"http://localhost:{port}", f"http://127.0.0.1:{port}/", f"http://me:secret@localhost:{port}"):
        assert client("-c", "http.ini", "-s", url, "pid", "web") == pid
        assert client("-c", "http.ini", "-s", url, "pid", "web", name="reevectl") == pid
    assert client("-c", "http.ini", "-s", f"http://localhost:{other}", "pid") == (4, f"http://localhost:{other} refused connection\n", "")
    assert client("-c", "http.ini", "-s", f"http://localhost:{other}", "status")[0] == 4
    code, out, _ = client("-c", "http.ini", "-s", f"http://localhost:{other}", "status", name="reevectl")
    assert code == 4 and out == f"error: http://localhost:{other}: Connection refused\n"
    shown = client("-c", "http.ini", "open", f"unix://{reeve.rundir}/control.sock")
    assert shown[0] == 0 and shown[1].startswith("web ")
    assert client("-c", "http.ini", "open", f"http://localhost:{other}")[:1] == (0,)


def test_without_permission(reeve, client):
    start(reeve)
    (reeve.folder / "bad.ini").write_text(CLIENT.format(url=f"unix://{reeve.folder}/file"))
    (reeve.folder / "file.reeve").mkdir()
    (reeve.folder / "file.reeve" / "control.sock").write_text("")
    code, out, _ = client("-c", "bad.ini", "status")
    assert code == 4 and out == f"unix://{reeve.folder}/file refused connection\n"
    assert client("-c", "bad.ini", "reread") == (
        1, "error: <class 'ConnectionRefusedError'>, [Errno 111] Connection refused: file: reevectl line: 0\n", "")


def test_supervisors_own_daemon(tmp_path, client, reeve):
    """Commands that supervisord knows work on it; others say that they do not."""
    side = Theirs(tmp_path)
    side.write("[program:echo]\ncommand = sh -c 'echo hello; while read x; do echo \"<$x>&\"; done'\nstartsecs = 0\n"
               "[program:pair]\ncommand = sleep 1000\nnumprocs = 2\nprocess_name = p%(process_num)d\nstartsecs = 0\n")

    def ctl(*words, **options):
        return client("-c", side.config, *words, **options)

    try:
        side.start()
        eventually(lambda: "RUNNING" in ctl("status", "pair:p1")[1], 40)
        for words in (("status",), ("status", "pair:*", "nosuch"), ("pid", "all"), ("avail",), ("version",), ("stop", "nosuch"), ("start", "echo"),
                      ("signal", "BOGUS", "pair:*"), ("signal", "CONT", "all"), ("reread",), ("update",), ("update", "nosuch"), ("add", "echo"),
                      ("remove", "echo"), ("tail", "echo"), ("tail", "-3", "echo"), ("tail", "nosuch"), ("tail", "-f", "nosuch"),
                      ("clear", "nosuch"), ("pid", "nosuch"), ("fg", "nosuch"), ("restart", "pair:p0"), ("add", "nosuch")):
            theirs = side.run(("-c", "s.conf", *words))
            ours = ctl(*words)
            same = [re.sub(r"uptime \S+|pid \d+", "N", text) for text in (theirs["stdout"], ours[1])]
            assert same[0] == same[1] and (theirs["status"], theirs["stderr"]) == (ours[0], ours[2]), words
        assert ctl("status", "p*:*", "pair:p?", name="reevectl")[1].count("RUNNING") >= 2
        assert ctl("restart", "pair:*", name="reevectl")[1].count("started") == 2
        for words in (("why", "echo"), ("events",), ("run", "true"), ("plan",), ("pool",)):
            code, out, _ = ctl(*words, name="reevectl")
            assert code == 1 and out == f"error: unix://{side.folder}/s.sock: this needs the daemon's own socket, on its machine\n", words
        with subprocess.Popen([str(reeve.folder / "bin" / "supervisorctl"), "-c", str(side.config), "fg", "echo"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as fg:
            assert fg.stdout.readline() == "==> Press Ctrl-C to exit <==\n" and fg.stdout.readline() == "hello\n"
            fg.stdin.write("a<b\n")
            fg.stdin.flush()
            assert fg.stdout.readline() == "<a<b>&\n"
            fg.stdin.close()
            assert fg.stdout.read() == "Exiting foreground\n" and fg.wait(20) == 0
        assert ctl("shutdown") == (0, "Shut down\n", "")
        assert side.daemon.wait(30) == 0
    finally:
        side.close()


def test_over_the_network(reeve, client):
    """A daemon whose sockets are not ours to use, by its HTTP server and with a password."""
    port = free_port()
    reeve.start(f"[inet_http_server]\nport = 127.0.0.1:{port}\nusername = u\npassword = p:w\n"
                "[program:echo]\ncommand = sh -c 'echo hello; sleep 1000'\nstartsecs = 0\n")
    reeve.wait_state("echo", "RUNNING")
    (reeve.folder / "empty.ini").write_text(f"[supervisorctl]\nserverurl = http://127.0.0.1:{port}\nusername = u\npassword = p:w\n")
    (reeve.folder / "wrong.ini").write_text(f"[supervisorctl]\nserverurl = http://127.0.0.1:{port}\n")
    eventually(lambda: client("-c", "empty.ini", "status")[0] == 0, what="the HTTP server")
    pid = (0, f"{reeve.pid('echo')}\n", "")
    assert client("-c", "empty.ini", "pid", "echo") == pid
    assert client("-c", "wrong.ini", "-u", "u", "-p", "p:w", "pid", "echo") == pid
    assert client("-s", f"http://127.0.0.1:{port}", "-u", "u", "-p", "p:w", "pid", "echo", name="reevectl") == pid
    assert client("-s", f"http://u:p%3Aw@127.0.0.1:{port}".replace("%3A", ":"), "pid", "echo", name="reevectl") == pid
    eventually(lambda: client("-c", "empty.ini", "tail", "echo") == (0, "hello\n\n", ""))
    code, out, _ = client("-c", "wrong.ini", "status")
    assert code == 1 and out.startswith("Server requires authentication\nerror: <class 'xmlrpc.client.ProtocolError'>, ")
    code, out, _ = client("-c", "wrong.ini", stdin="u\np:w\npid echo\n")
    assert code == 0 and out.startswith("Server requires authentication\nUsername:Password:\necho ") and f"supervisor> {pid[1]}" in out
    assert client("-c", "empty.ini", "stop", "echo") == (0, "echo: stopped\n", "")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<x>",
                                    b"HTTP/1.1 200 OK\r\n\r\n" + b"<methodResponse><params><param>" + b"<value><array><data>" * 5000,
                                    b"HTTP/1.1 200 OK\r\n\r\n<methodResponse><params><param><value><struct><member><name>&#;&#x;&",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx", b"x" * 100000])
def test_servers_that_are_none(reeve, client, answer):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()

        def serve():
            for _ in range(2):
                c, _ = s.accept()
                with c:
                    c.settimeout(20)
                    try:
                        c.recv(65536)
                        c.sendall(answer)
                        c.shutdown(socket.SHUT_WR)
                        c.recv(65536)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        for name in ("reevectl", "supervisorctl"):
            code, out, err = client("-s", f"http://127.0.0.1:{s.getsockname()[1]}", "avail", name=name)
            assert code in (1, 4) and "rror" in out and "anitizer" not in err, (out, err)
        thread.join(20)


def test_completion_is_quiet(reeve, client):
    (reeve.folder / "bad.ini").write_text("[supervisord\n")
    for where in (("-c", "bad.ini"), ("-c", "missing.ini"), ("-s", "http://localhost:1"), ("-s", "/nonexistent")):
        assert client(*where, "--words", "status ", name="reevectl") == (0, "", "")
    assert client("-c", "bad.ini", "--words", "stat", name="reevectl") == (0, "status\n", "")


def test_a_mistake_in_an_included_file(reeve, client):
    """It is the daemon's to tell; who asks for something else is answered."""
    (reeve.folder / "web.conf").write_text("[program:web]\ncommand = sleep 1000\n")
    reeve.start("[include]\nfiles = @/*.conf\n" + CLIENT.format(url=f"unix://{reeve.rundir}/control.sock"))
    pid = (0, f"{reeve.wait_state('web', 'RUNNING')['pid']}\n", "")
    (reeve.folder / "typo.conf").write_text("[program:x\n")
    for name in ("reevectl", "supervisorctl"):
        assert client("-c", "reeve.ini", "pid", "web", name=name) == pid
        status, out, _ = client("-c", "reeve.ini", "update", name=name)
        assert status == 1 and "typo.conf', line: 1" in out
    assert client("-c", "reeve.ini", "check", name="reevectl")[0] == 78


def test_supervisorctl_with_our_own_default_file(reeve, client):
    """/etc/reeve.ini needs no [supervisorctl]; a file that was named does."""
    pid = start(reeve)
    assert client("-c", "reeve.ini", "pid", "web")[0] == 2
    script = """mkdir -p layers && mount -t tmpfs none layers && mkdir layers/upper layers/work &&
        mount -t overlay -o lowerdir=/etc,upperdir=layers/upper,workdir=layers/work none /etc && cp reeve.ini /etc/reeve.ini &&
        cd / && exec "$0" "$@" """
    for words in (["pid", "web"], ["-s", f"unix://{reeve.rundir}/control.sock", "pid", "web"]):
        r = subprocess.run(["unshare", "--mount", "sh", "-c", script,
                            str(reeve.folder / "bin" / "supervisorctl"), *words], capture_output=True, text=True, timeout=60, cwd=reeve.folder,
                           env=reeve.environment(), check=False)
        assert (r.returncode, r.stdout, r.stderr) == pid, words
