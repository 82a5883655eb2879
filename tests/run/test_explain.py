"""Why, plan, events, run, status -v: what an operator asks, in words and as JSON."""

import getpass
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess

from reeve import REEVECTL, REEVED, eventually

DYING = """[program:dying]
command = sh -c 'echo "dying for the reason" >&2; exit 3'
startsecs = 0
autorestart = false
stderr_logfile = @/dying.err
[program:web]
command = sh -c 'echo begun >&2; exec sleep 1000'
stderr_logfile = @/web.err
autorestart = true
"""


def why(reeve, name):
    code, out = reeve.ctl("why", name, "--json")
    assert code == 0
    return json.loads(out)


def test_why_tells_who_did_it(reeve):
    reeve.start(DYING)
    reeve.wait_state("web", "RUNNING")
    user = getpass.getuser()
    assert reeve.ctl("restart", "web")[0] == 0
    text = reeve.ctl("why", "web")[1]
    assert f"It was started, because Restart asked for by {user} (reevectl, pid " in text
    assert re.search(r"web is RUNNING since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(\d+ s\), because it stayed up for startsecs", text)
    assert "Next: runs on; is started again if it ends (autorestart=true)" in text
    causes = [t["cause"] for t in why(reeve, "web")["transitions"]]
    assert [c["kind"] for c in causes] == ["autostart", "timer", "command", "exit", "command", "timer"]
    for cause in (causes[2], causes[4]):
        assert cause["user"] == user and cause["uid"] == os.getuid() and cause["command"] == "Restart" and cause["client"] == "reevectl"
    assert causes[3]["exitcode"] == -signal.SIGTERM
    assert all(c["generation"] == 1 for c in causes)
    reeve.ctl("stop", "web")
    assert f"It was stopped, because Stop asked for by {user} (reevectl, pid " in reeve.ctl("why", "web")[1]
    reeve.write(DYING.replace("1000", "1001").replace("[program:web]", "[program:web]\nautostart = true"))
    reeve.ctl("start", "web")
    assert reeve.ctl("update") == (0, "web: stopped\nweb: updated process group\n")
    cause = [t["cause"] for t in why(reeve, "web")["transitions"] if t["to"] == "STOPPING"][-1]
    assert cause["kind"] == "config" and cause["command"] == "Update" and cause["uid"] == os.getuid()
    assert reeve.ctl("why", "nosuch") == (1, "nosuch: ERROR (no such process)\n")


def test_why_tells_of_a_log_that_cannot_be_written(reeve):
    reeve.start("[program:p]\ncommand = sh -c 'echo x; sleep 1000'\nstdout_logfile = @/later/p.log\n")
    trouble = f"Its stdout log cannot be written: {reeve.folder}/later/p.log: "
    eventually(lambda: trouble in reeve.ctl("why", "p")[1], what="the trouble")
    os.kill(reeve.call("GetStatus")["parameters"]["supervisor_pid"], signal.SIGKILL)
    eventually(lambda: reeve.try_status() and trouble in reeve.ctl("why", "p")[1], what="the trouble, told to a successor")
    (reeve.folder / "later").mkdir()
    eventually(lambda: "cannot be written" not in reeve.ctl("why", "p")[1], what="the end of the trouble")


def test_why_of_several(reeve):
    reeve.start("[program:w]\ncommand = sleep 1000\nnumprocs = 2\nprocess_name = w_%(process_num)d\n[program:off]\ncommand = x\nautostart = false\n")
    reeve.wait_state("w:w_1", "RUNNING")
    code, out = reeve.ctl("why", "w:*", "off")
    assert code == 0 and [block.split(' is ')[0] for block in out.split('\n\n')] == ["w:w_0", "w:w_1", "off"], out
    assert out.count("Next: ") == 3
    code, out = reeve.ctl("why", "nosuch:*", "off")
    assert code == 1 and out.startswith("nosuch:*: ERROR (no such process)\n\noff is STOPPED")


def test_why_has_the_last_words_of_the_last_run(reeve):
    reeve.start(DYING)
    reeve.wait_state("dying", "EXITED")
    answer = eventually(lambda: (w := why(reeve, "dying"))["stderr_before_exit"] and w)
    assert answer["stderr_tail"] == ["dying for the reason"]
    assert answer["next"] == "stays down until a start command" and answer["process"]["exitcode"] == 3
    # A program that runs again: what was said before it ended, not what it says now.
    reeve.wait_state("web", "RUNNING")
    eventually(lambda: reeve.file("web.err") == "begun\n")
    fresh = why(reeve, "web")
    assert not fresh["stderr_before_exit"] and fresh["stderr_tail"] == ["begun"]
    assert "Last lines of its stderr log:\n  | begun\n" in reeve.ctl("why", "web")[1]
    with open(reeve.folder / "web.err", "a", encoding="utf-8") as f:
        f.write("Traceback: it was the disk\n")
    os.kill(reeve.pid("web"), signal.SIGKILL)
    reeve.wait_state("web", "RUNNING")
    answer = eventually(lambda: (w := why(reeve, "web"))["stderr_before_exit"] and w)
    assert "Traceback: it was the disk" in answer["stderr_tail"]
    assert "Last lines of its stderr before it last ended:" in reeve.ctl("why", "web")[1]


def test_why_of_a_start_that_fails(reeve):
    reeve.start("[program:lost]\ncommand = /nonexistent/x\nstartretries = 50\n[program:slow]\ncommand = sleep 1000\nstartsecs = 600\n"
                "[program:deaf]\ncommand = sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nstopwaitsecs = 100\n")
    reeve.wait_state("deaf", "RUNNING")
    eventually(lambda: reeve.process("lost")["backoff"] > 1)
    answer = eventually(lambda: (w := why(reeve, "lost"))["process"]["statename"] == "BACKOFF" and w["next_in"] > 0 and w)
    assert re.match(r"try \d+ of 51 in \d+\.\d s, at \d\d:\d\d:\d\d, then FATAL", answer["next"])
    failed = [t["cause"] for t in answer["transitions"] if t["cause"]["kind"] == "exec"][-1]
    assert failed["stage"] == "exec" and failed["errno"] == "ENOENT"
    assert any("can't find command '/nonexistent/x'" in s for s in answer["sentences"])
    assert 500 < float(re.match(r"counts as RUNNING in (\d+\.\d) s", why(reeve, "slow")["next"])[1]) <= 600
    subprocess.run([str(REEVECTL), "-c", str(reeve.config), "run", "--name", "stopper", str(REEVECTL), "-c", str(reeve.config), "stop", "deaf"],
                   check=True, capture_output=True, env=reeve.environment())
    answer = eventually(lambda: (w := why(reeve, "deaf"))["process"]["statename"] == "STOPPING" and w)
    left = re.match(r"SIGKILL in (\d+\.\d) s, at \d\d:\d\d:\d\d \(stopwaitsecs=100\)", answer["next"])
    assert 50 < float(left[1]) <= 100
    reeve.ctl("kill", "deaf")


def test_why_after_a_takeover(reeve):
    reeve.start(DYING)
    reeve.wait_state("web", "RUNNING")
    reeve.kill_supervisor()
    text = reeve.ctl("why", "web")[1]
    assert "A new supervisor took it over at" in text and "without touching it" in text


def test_restart_says_that_the_file_differs(reeve):
    reeve.start(DYING)
    reeve.wait_state("web", "RUNNING")

    def restart(*names):
        r = subprocess.run([str(REEVECTL), "-c", str(reeve.config), "restart", *names], capture_output=True, text=True, timeout=60,
                           env=reeve.environment())
        assert r.returncode == 0 and r.stdout == "web: stopped\nweb: started\n"
        return r.stderr

    assert restart("web") == ""
    reeve.write(DYING.replace("1000", "1001"))
    assert restart("web") == "note: web: the configuration on disk differs (restart: command); restart does not apply it, update does\n"
    assert "sleep\x001000" in pathlib.Path(f"/proc/{reeve.pid('web')}/cmdline").read_text()
    reeve.write(DYING + "[program:bad]\ncommand = x\nautostart = perhaps\n")
    assert "note: the configuration on disk has errors: not a valid boolean value: 'perhaps'" in restart("web")


def test_plan_and_dry_run(reeve):
    reeve.start(DYING)
    reeve.wait_state("web", "RUNNING")
    assert reeve.ctl("plan") == (0, "dying                          unchanged\nweb                            unchanged\n")
    reeve.write(DYING.replace("1000", "1001").replace("autorestart = true", "autorestart = false") + "[program:new]\ncommand = sleep 1\n")
    pid = reeve.pid("web")
    for words in (("plan",), ("update", "--dry-run")):
        code, out = reeve.ctl(*words, "--json")
        plan = json.loads(out)
        assert code == 2 and plan["pending"]
        assert {c["namespec"]: (c["action"], sorted(c["keys"])) for c in plan["changes"]} == {
            "dying": ("unchanged", []), "web": ("restart", ["autorestart", "command"]), "new": ("add", [])}
    assert reeve.ctl("plan", "dying")[0] == 0 and reeve.ctl("plan", "new")[0] == 2
    assert reeve.ctl("plan", "nosuch") == (1, "ERROR: no such group: nosuch\n")
    assert reeve.pid("web") == pid and "new" not in reeve.processes()
    code, out = reeve.ctl("update", "--json")
    assert code == 0 and [c["action"] for c in json.loads(out)["changes"] if c["group"] == "web"] == ["stopped", "updated"]
    assert reeve.ctl("plan")[0] == 0
    reeve.write("[program:web]\ncommand = sleep 1\nautostart = perhaps\n")
    code, out = reeve.ctl("plan")
    assert code == 1 and "perhaps" in out


def test_status_with_more(reeve):
    reeve.start(DYING)
    reeve.wait_state("web", "RUNNING")
    os.kill(reeve.pid("web"), signal.SIGKILL)
    eventually(lambda: reeve.process("web")["restarts"] == 1 and reeve.process("web")["statename"] == "RUNNING")
    code, out = reeve.ctl("status", "-v", "web")
    assert code == 0
    assert re.search(r"\n    run 2, restarts 1, last exit -9 at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, cpu \d+\.\d s, memory \d+\.\d MB in 1 process\n", out)


def test_events_as_they_come(reeve):
    reeve.start(DYING)
    reeve.wait_state("web", "RUNNING")
    reader = subprocess.Popen([str(REEVECTL), "-c", str(reeve.config), "events", "-f", "--json"], stdout=subprocess.PIPE, text=True,
                              env=reeve.environment())

    def until(type_, text=""):
        seen = []
        for line in reader.stdout:
            seen.append(json.loads(line))
            if seen[-1]["type"] == type_ and text in seen[-1].get("payload", ""):
                return seen
        raise AssertionError(seen)

    try:
        seen = until("PROCESS_STATE_RUNNING", "processname:web")
        numbers = [e["sequence"] for e in seen]
        assert numbers == sorted(set(numbers)) and all("time" in e for e in seen)
        reeve.kill_supervisor()  # the stream goes on with the successor
        reeve.ctl("stop", "web")
        later = until("PROCESS_STATE_STOPPED", "processname:web")
        assert [e["sequence"] for e in later if "sequence" in e][0] > numbers[-1]
        reader.send_signal(signal.SIGINT)
        assert reader.wait(20) == 0
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()


def test_events_that_are_gone(reeve):
    """The buffer holds some; what is older is counted."""
    reeve.start("[program:web]\ncommand = sleep 1000\n")
    for i in range(700):
        reeve.call("SendRemoteCommEvent", type="t", data=str(i))
    first, *rest = [json.loads(line) for line in reeve.ctl("events", "--json")[1].splitlines()]
    assert first["type"] == "GAP" and first["missed"] == rest[0]["sequence"] - 1 and rest[-1]["payload"] == "type:t\n699"
    assert reeve.ctl("events")[1].startswith(f"({first['missed']} events were missed here)\n")


def test_a_slow_reader_is_told_what_it_missed(reeve):
    reeve.start("[program:web]\ncommand = sleep 1000\n")
    data, events = b"", []
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(reeve.rundir / "control.sock"))
        s.sendall(b'{"method":"io.reeve.Supervisor.Events","more":true,"parameters":{"follow":true}}\0')
        eventually(lambda: reeve.call("SendRemoteCommEvent", type="t", data="first") and select.select([s], [], [], 0)[0])
        for _ in range(600):
            reeve.call("SendRemoteCommEvent", type="t", data="x" * 4000)
        while not any(e.get("payload") == "type:t\nlast" for e in events):
            data += s.recv(1 << 16)
            *messages, data = data.split(b"\0")
            events += [json.loads(m)["parameters"]["event"] for m in messages if "event" in json.loads(m)["parameters"]]
            if not select.select([s], [], [], 0.2)[0]:
                reeve.call("SendRemoteCommEvent", type="t", data="last")
    at, = [i for i, e in enumerate(events) if e["type"] == "GAP"]
    assert events[at]["missed"] > 0 and events[at + 1]["sequence"] == events[at - 1]["sequence"] + events[at]["missed"] + 1


def run(reeve, *words, **options):
    r = subprocess.run([str(REEVECTL), "-c", str(reeve.config), "run", *words], capture_output=True, text=True, timeout=60,
                       env=reeve.environment(), **options)
    return r.returncode, r.stdout, r.stderr


def test_run(reeve):
    reeve.start("[program:web]\ncommand = sleep 1000\n")
    assert run(reeve, "--wait", "sh", "-c", "exit 7") == (7, "", "")
    assert run(reeve, "--wait", "--", "sh", "-c", "kill -KILL $$")[0] == 128 + signal.SIGKILL
    assert run(reeve, "--wait", "/nonexistent/x") == (127, "", "reevectl: can't find command '/nonexistent/x'\n")
    assert run(reeve, "--name", "job", "--env", "A=x y", "--env=B=$A", "--directory", "/", "sh", "-c", 'echo "$A|$B|$PWD|$1"; sleep 1000', "-",
               "--wait") == (0, "job: started\n", "")
    eventually(lambda: reeve.ctl("tail", "job") == (0, "x y|$A|/|--wait\n\n"))
    assert run(reeve, "--name", "job", "true")[:2] == (
        125, "error: ALREADY_ADDED: job; use another name, or `remove job` once it has ended\n")
    assert run(reeve, "--user", "nobody-of-that-name", "--name", "lost", "true")[:2] == (
        125, "error: SPAWN_ERROR: can't find user nobody-of-that-name\n") and "lost" not in reeve.processes()
    assert run(reeve, "--name", "web", "true")[0] == 125
    assert run(reeve)[0] == 2 and run(reeve, "--env", "x", "true")[0] == 2 and run(reeve, "--bogus", "true")[0] == 2
    assert run(reeve, "--user", "no:body", "true")[0] == 125
    reeve.wait_state("job", "RUNNING")
    assert reeve.ctl("plan")[0] == 0    # no file knows it, and update leaves it alone
    assert reeve.ctl("update") == (0, "") and reeve.pid("job")
    assert reeve.ctl("stop", "job") == (0, "job: stopped\n")
    assert reeve.ctl("remove", "job") == (0, "job: removed process group\n")
    if os.getuid() == 0:
        assert run(reeve, "--user", "nobody", "--wait", "sh", "-c", 'test "$(id -un)" = nobody') == (0, "", "")
    answer = json.loads(reeve.ctl("run", "--json", "--name", "j", "true")[1])
    assert answer == {"namespec": "j", "exitcode": None}


def test_run_waits_through_a_takeover(reeve):
    reeve.start("[program:web]\ncommand = sleep 1000\n")
    job = subprocess.Popen([str(REEVECTL), "-c", str(reeve.config), "run", "--name", "job", "--wait", "sh", "-c",
                            f"while ! test -e {reeve.folder}/go; do sleep 0.05; done; exit 9"], stdout=subprocess.PIPE, text=True,
                           env=reeve.environment())
    try:
        reeve.wait_state("job", "RUNNING")
        reeve.kill_supervisor()
        (reeve.folder / "go").touch()
        assert job.wait(30) == 9
    finally:
        job.kill()
        job.wait()
        job.stdout.close()


def test_run_is_left_by_an_interrupt(reeve):
    reeve.start("[program:web]\ncommand = sleep 1000\n")
    job = subprocess.Popen([str(REEVECTL), "-c", str(reeve.config), "run", "--name", "job", "--wait", "sleep", "1000"], stdout=subprocess.PIPE,
                           text=True, env=reeve.environment())
    try:
        reeve.wait_state("job", "RUNNING")
        job.send_signal(signal.SIGINT)
        assert job.wait(20) == 130 and "job runs on; `reevectl stop job` ends it" in job.stdout.read()
        assert reeve.pid("job")
    finally:
        job.kill()
        job.wait()
        job.stdout.close()


def test_check_is_that_of_the_daemon(reeve):
    text = "[program:a]\ncommand = sleep 1\nstopsignal = TERMM\nautostrat = no\n"
    reeve.write(text)
    results = [subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60, env=reeve.environment())
               for command in ([REEVED, "--check", "-c", reeve.config], [REEVECTL, "check", reeve.config],
                               [REEVECTL, "-c", reeve.config, "check"])]
    assert {(r.returncode, r.stdout, r.stderr) for r in results} == {(78, "", results[0].stderr)}
    assert "did you mean autostart" in results[0].stderr and "'TERMM' is not a valid signal name" in results[0].stderr
    reeve.write("[program:a]\ncommand = sleep 1\n")
    shell = subprocess.run([str(REEVECTL)], input=f"check {reeve.config}\nhelp check\n", capture_output=True, text=True, timeout=60,
                           env=reeve.environment())
    assert shell.returncode == 0 and "check [FILE]" in shell.stdout
