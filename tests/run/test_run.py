"""Transient programs: the method Run."""

import json
import socket
import threading

from reeve import eventually


def run(reeve, *command, **parameters):
    reply = reeve.call("Run", command=list(command), **parameters)
    assert "error" not in reply, reply
    return reply["parameters"]


def test_words_travel_unharmed(reeve):
    """Quotes, percent signs, semicolons, newlines: no character of a command is special."""
    reeve.start()
    words = ["it's", 'a "b"', "100%", "%(here)s", "a ; b", "two\nlines", " # ", "", "\\", "ü"]
    out = reeve.folder / "words"
    run(reeve, "/usr/bin/python3", "-c", "import json,os,sys; json.dump([sys.argv[2:], os.environ['X']], open(sys.argv[1], 'w'))",
        str(out), *words, environment={"X": "'\"; %\n"}, wait=True)
    assert json.loads(out.read_text()) == [words, "'\"; %\n"]


def test_exit_status(reeve):
    """The end of a program is the answer; what was waited for is gone afterwards."""
    reeve.start()
    assert run(reeve, "sh", "-c", "exit 7", wait=True) == {"namespec": "run1", "exitcode": 7}
    assert run(reeve, "sh", "-c", "kill -9 $$", name="victim", wait=True) == {"namespec": "victim", "exitcode": -9}
    assert reeve.processes() == {}
    assert reeve.call("Run", command=["/no/such/program"], wait=True)["parameters"]["exitcode"] == 127


def test_stays_until_removed(reeve):
    """Without waiting it is a program like any other, which update does not touch."""
    reeve.start("[program:p]\ncommand = sleep 100\n")
    assert run(reeve, "sleep", "100", name="job") == {"namespec": "job", "exitcode": None}
    reeve.wait_state("job", "RUNNING")
    pid = reeve.pid("job")
    assert reeve.ctl("update")[0] == 0 and reeve.ctl("plan")[0] == 0
    assert reeve.pid("job") == pid
    assert reeve.call("Run", command=["true"], name="job")["parameters"]["name"] == "ALREADY_ADDED"
    assert reeve.call("Run", command=["true"], name="p")["parameters"]["name"] == "ALREADY_ADDED"
    assert reeve.ctl("stop", "job")[0] == 0 and reeve.ctl("remove", "job")[0] == 0
    assert "job" not in reeve.processes()


def test_survives_the_supervisor(reeve):
    reeve.start()
    run(reeve, "sh", "-c", "sleep 100; echo 'x ; y'", name="job")
    pid = eventually(lambda: reeve.pid("job"), what="a pid")
    reeve.kill_supervisor()
    assert reeve.pid("job") == pid and reeve.process("job")["statename"] == "RUNNING"
    assert reeve.ctl("restart", "job")[0] == 0
    assert reeve.pid("job") != pid


def test_bad_parameters(reeve):
    reeve.start()
    for parameters in ({"command": []}, {"command": "x"}, {"command": [1]}, {"command": ["true"], "name": "a:b"},
                       {"command": ["true"], "name": ""}, {"command": ["true"], "environment": {"A": 1}},
                       {"command": ["true"], "environment": []}, {"command": ["true"], "user": "x\ny"}):
        assert reeve.call("Run", **parameters)["error"] == "org.varlink.service.InvalidParameter", parameters
    assert reeve.processes() == {}


def test_client_leaves(reeve):
    """The program goes on without the client that waited."""
    reeve.start()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(reeve.rundir / "control.sock"))
        s.sendall(json.dumps({"method": "io.reeve.Supervisor.Run", "more": True, "parameters":
                              {"command": ["sleep", "100"], "name": "job", "wait": True}}).encode() + b"\0")
        assert b'"job"' in s.recv(1000)
    reeve.wait_state("job", "RUNNING")


def test_many_at_once(reeve):
    reeve.start()
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(run(reeve, "sh", "-c", f"exit {i}", wait=True)["exitcode"]))
               for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert sorted(results) == list(range(20))
