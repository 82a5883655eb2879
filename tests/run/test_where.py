"""How the client finds its daemon: options, files, URLs; and what it says when it cannot."""

import subprocess

import pytest

from reeve import REEVECTL

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
    (reeve.folder / "http.ini").write_text(f"[supervisord]\nrundir = {reeve.rundir}\n{WEB.format(port=19001)}[supervisorctl]\n")
    pid = start(reeve)
    for url in ("http://localhost:19001", "http://127.0.0.1:19001/", "http://me:secret@localhost:19001"):
        assert client("-c", "http.ini", "-s", url, "pid", "web") == pid
        assert client("-c", "http.ini", "-s", url, "pid", "web", name="reevectl") == pid
    for url in ("http://elsewhere.example:19001", "http://localhost:19002"):
        code, out, _ = client("-c", "http.ini", "-s", url, "pid")
        assert code == 1 and out.startswith(f"error: {url}: only daemons of this machine can be reached, over their sockets")
        assert client("-c", "http.ini", "-s", url, "status")[0] == 4
    shown = client("-c", "http.ini", "open", f"unix://{reeve.rundir}/control.sock")
    assert shown[0] == 0 and shown[1].startswith("web ")
    assert client("-c", "http.ini", "open", "http://localhost:19002")[:1] == (0,)


def test_without_permission(reeve, client):
    start(reeve)
    (reeve.folder / "bad.ini").write_text(CLIENT.format(url=f"unix://{reeve.folder}/file"))
    (reeve.folder / "file.reeve").mkdir()
    (reeve.folder / "file.reeve" / "control.sock").write_text("")
    code, out, _ = client("-c", "bad.ini", "status")
    assert code == 4 and out == f"unix://{reeve.folder}/file refused connection\n"
    assert client("-c", "bad.ini", "reread") == (
        1, "error: <class 'ConnectionRefusedError'>, [Errno 111] Connection refused: file: reevectl line: 0\n", "")
