"""Event listeners as people have them: Python scripts in text mode, written for supervisord."""

import json
import os
import random
import signal
import textwrap
import time

import pytest
from reeve import eventually

# What most listeners look like. ANSWER: statements that see `headers`, `data` and `n` (events so far) and say the result.
SKELETON = """
import os, sys, time
def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()
def ok():
    write('RESULT 2\\nOK')
def fail():
    write('RESULT 4\\nFAIL')
n = 0
{before}
while True:
    write('READY\\n')
    line = sys.stdin.readline()
    if not line:
        break
    headers = dict(x.split(':', 1) for x in line.split())
    data = sys.stdin.read(int(headers['len']))
    n += 1
    with open({seen!r}, 'a') as f:
        f.write(repr((headers['eventname'], int(headers['serial']), int(headers['poolserial']), headers['pool'], os.getpid(), data)) + '\\n')
{answer}
"""


class Listener:
    """The section and the script of a listener; what it has been told, as (eventname, serial, poolserial, pool, pid, data)."""

    def __init__(self, reeve, name, events, answer="ok()", before="", **keys):
        self.file = reeve.folder / f"{name}.seen"
        script = reeve.folder / f"{name}.py"
        script.write_text(SKELETON.format(seen=str(self.file), before=textwrap.dedent(before),
                                          answer=textwrap.indent(textwrap.dedent(answer), "    ")))
        keys = {"startsecs": 0, "stopwaitsecs": 5, **keys}
        self.section = f"[eventlistener:{name}]\ncommand = /usr/bin/python3 {script}\nevents = {events}\n" + "".join(
            f"{k} = {v}\n" for k, v in keys.items())

    def seen(self):
        return [eval(line) for line in self.file.read_text().splitlines(True) if line.endswith("\n")] if self.file.exists() else []

    def wait(self, condition, seconds=30):
        return eventually(lambda: (events := self.seen()) and condition(events) and events, seconds, lambda: f"events: {self.seen()}")

    def wait_for(self, *parts):
        """Until an event has a name or payload with each of PARTS."""
        return self.wait(lambda events: all(any(p in e[0] or p in e[5] for e in events) for p in parts))


def state(reeve, name):
    return reeve.process(name)["listener"]


def remote(reeve, text):
    reply = reeve.call("SendRemoteCommEvent", type="test", data=text)
    assert "error" not in reply, reply


def test_states_and_groups(reeve):
    """The payloads of process states and groups, numbered from 0 in every pool."""
    a = Listener(reeve, "a", "PROCESS_STATE,PROCESS_GROUP", buffer_size=100)
    b = Listener(reeve, "b", "process_state_exited", buffer_size=100)
    reeve.start(a.section + b.section + "[program:p]\ncommand = sh -c 'exit 3'\nstartsecs = 0\nautorestart = false\n")
    events = a.wait_for("PROCESS_STATE_EXITED")
    assert [e[2] for e in events] == sorted(e[2] for e in events) and events[0][2] == 0
    by_name = {e[0]: e[5] for e in events if "processname:p " in e[5]}
    pid = by_name["PROCESS_STATE_RUNNING"].rsplit(":", 1)[1]
    assert by_name["PROCESS_STATE_STARTING"] == "processname:p groupname:p from_state:STOPPED tries:0"
    assert by_name["PROCESS_STATE_RUNNING"] == f"processname:p groupname:p from_state:STARTING pid:{pid}"
    assert by_name["PROCESS_STATE_EXITED"] == f"processname:p groupname:p from_state:RUNNING expected:0 pid:{pid}"
    assert any(e[0] == "PROCESS_GROUP_ADDED" and e[5] == "groupname:p\n" for e in events)
    exited = b.wait_for("PROCESS_STATE_EXITED")[0]
    assert exited[1] == next(e[1] for e in events if e[0] == "PROCESS_STATE_EXITED") and exited[2] == 0


def test_remote_event_with_text_beyond_ascii(reeve):
    """len counts characters: a reader in text mode gets the whole payload and no more."""
    a = Listener(reeve, "a", "REMOTE_COMMUNICATION")
    reeve.start(a.section)
    remote(reeve, "daté ☃")
    remote(reeve, "second")
    events = a.wait(lambda e: len(e) == 2)
    assert [e[5] for e in events] == ["type:test\ndaté ☃", "type:test\nsecond"]


def test_tick(reeve):
    a = Listener(reeve, "a", "TICK_5")
    reeve.start(a.section)
    name, _, _, _, _, data = a.wait(lambda e: len(e) >= 1)[0]
    assert name == "TICK_5" and data.startswith("when:") and int(data[5:]) % 5 == 0


def test_no_listener_no_tick(reeve):
    """A daemon without listeners does not wake up for ticks."""
    reeve.start("[program:p]\ncommand = sleep 100\n")
    reeve.wait_state("p", "RUNNING")
    assert not [e for e in reeve.call("Events")["parameters"]["events"] if e["type"].startswith("TICK")]


def test_output_events(reeve):
    """PROCESS_LOG and PROCESS_COMMUNICATION carry what the process wrote; what is no text is shown as Python shows it."""
    a = Listener(reeve, "a", "PROCESS_LOG,PROCESS_COMMUNICATION", buffer_size=50)
    reeve.start(a.section + """
[program:talker]
command = sh -c 'sleep 1; printf "hello\\n"; printf "bad \\377\\n" >&2; printf "x<!--XSUPERVISOR:BEGIN-->captured<!--XSUPERVISOR:END-->y\\n"; sleep 100'
stdout_events_enabled = true
stderr_events_enabled = true
stdout_capture_maxbytes = 1MB
""".replace("\\\\", "\\"))
    events = a.wait_for("hello", "PROCESS_LOG_STDERR", "PROCESS_COMMUNICATION_STDOUT")
    pid = reeve.pid("talker")
    head = f"processname:talker groupname:talker pid:{pid}"
    assert any(e[0] == "PROCESS_LOG_STDOUT" and e[5].startswith(head + " channel:stdout\nhello") for e in events)
    assert ("PROCESS_LOG_STDERR", head + " channel:stderr\nUndecodable: b'bad \\xff\\n'") in [(e[0], e[5]) for e in events]
    assert ("PROCESS_COMMUNICATION_STDOUT", head + "\ncaptured") in [(e[0], e[5]) for e in events]


def test_failing_listener_gets_it_again(reeve):
    """FAIL puts the event back at the head: the same numbers, the same payload."""
    a = Listener(reeve, "a", "REMOTE_COMMUNICATION", answer="fail() if n <= 2 else ok()")
    reeve.start(a.section)
    remote(reeve, "one")
    remote(reeve, "two")
    events = a.wait(lambda e: len(e) == 4)
    assert [e[5][-3:] for e in events] == ["one", "one", "one", "two"]
    assert [e[2] for e in events] == [0, 0, 0, 1]
    reeve.wait_log("a: event was rejected")
    eventually(lambda: state(reeve, "a") == {"state": "READY", "queued": 0, "dropped": 0, "delivered": 2, "rejected": 2},
               what=lambda: f"both delivered: {state(reeve, 'a')}")


def test_dies_with_an_event(reeve):
    """What a dying listener held is sent to its next run."""
    a = Listener(reeve, "a", "REMOTE_COMMUNICATION", answer="os._exit(1) if not os.path.exists('died') and not open('died', 'w').close() else ok()",
                 directory=reeve.folder, autorestart="true")
    reeve.start(a.section)
    remote(reeve, "precious")
    first, second = a.wait(lambda e: len(e) == 2)
    assert first[4] != second[4] and first[:4] == second[:4] and second[5].endswith("precious")
    eventually(lambda: state(reeve, "a")["delivered"] == 1, what="delivery")


def test_result_of_the_last_breath(reeve):
    """A listener that answers OK and ends at once has processed its event: it is not sent again."""
    a = Listener(reeve, "a", "REMOTE_COMMUNICATION", answer="write('RESULT 2\\nOK'); os._exit(0)", autorestart="true")
    reeve.start(a.section)
    for i in range(5):
        remote(reeve, str(i))
    events = a.wait(lambda e: len(e) >= 5)
    eventually(lambda: state(reeve, "a")["queued"] == 0, what="an empty queue")
    assert [e[5][-1] for e in a.seen()] == list("01234") and len(events) == 5


def test_never_answers(reeve):
    """The others of the pool get the rest; what does not fit is dropped, oldest first, counted and logged."""
    silent = Listener(reeve, "silent", "REMOTE_COMMUNICATION", answer="time.sleep(1000)", buffer_size=3)
    reeve.start(silent.section)
    reeve.wait_state("silent", "RUNNING")
    eventually(lambda: state(reeve, "silent")["state"] == "READY", what="READY")
    for i in range(6):
        remote(reeve, str(i))
    eventually(lambda: state(reeve, "silent")["dropped"] == 2, what="drops")
    assert state(reeve, "silent")["queued"] == 3 and state(reeve, "silent")["state"] == "BUSY"
    reeve.wait_log("pool silent event buffer overflowed, discarding event 1")
    reeve.wait_log("pool silent event buffer overflowed, discarding event 2")
    assert [e[5][-1] for e in silent.wait(len)] == ["0"]


def test_pool_shares_the_work(reeve):
    pool = Listener(reeve, "pool", "REMOTE_COMMUNICATION", answer="time.sleep(0.05); ok()", numprocs=3,
                    process_name="%(program_name)s_%(process_num)d", buffer_size=100)
    reeve.start(pool.section)
    eventually(lambda: all(state(reeve, f"pool:pool_{i}")["state"] == "READY" for i in range(3)), what="three that are READY")
    for i in range(30):
        remote(reeve, str(i))
    events = pool.wait(lambda e: len(e) == 30)
    assert len({e[4] for e in events}) == 3
    assert sorted(e[2] for e in events) == list(range(30))


@pytest.mark.parametrize("answer, says", [("write('RESULT x\\nOK')", "a: bad result line: 'RESULT x'"),
                                          ("write('RESULT 2\\nOKnonsense\\n'); time.sleep(1000)", None)])
def test_broken_protocol(reeve, answer, says):
    """UNKNOWN until it is started again; the process is left alone."""
    a = Listener(reeve, "a", "REMOTE_COMMUNICATION", answer=answer)
    reeve.start(a.section)
    remote(reeve, "x")
    reeve.wait_log("a: has entered the UNKNOWN state and will no longer receive events")
    if says:
        reeve.wait_log(says)
    assert state(reeve, "a")["state"] == "UNKNOWN" and reeve.process("a")["statename"] == "RUNNING"
    assert reeve.ctl("restart", "a")[0] == 0
    eventually(lambda: state(reeve, "a")["state"] in ("READY", "BUSY", "UNKNOWN") and len(a.seen()) >= (2 if says else 1), what="a new talk")


def test_large_event(reeve):
    """An event larger than a pipe arrives whole, while the listener reads slowly."""
    a = Listener(reeve, "a", "REMOTE_COMMUNICATION", before="time.sleep(0.3)")
    reeve.start(a.section)
    text = "0123456789abcdef" * 40000
    remote(reeve, text)
    assert a.wait(lambda e: len(e) == 1)[0][5] == "type:test\n" + text


def test_supervisor_dies(reeve):
    """Queue, numbers and talks survive kill -9 of the supervisor: nothing lost, nothing sent twice."""
    a = Listener(reeve, "a", "REMOTE_COMMUNICATION", answer="time.sleep(0.02); ok()", buffer_size=1000)
    reeve.start(a.section)
    for i in range(60):
        eventually(lambda: try_remote(reeve, str(i)), what="an answer")
        if i % 10 == 5:
            pid = reeve.part("supervisor")
            os.kill(pid, signal.SIGKILL)
    events = a.wait(lambda e: e[-1][5].endswith("\n59"), 60)
    texts = [e[5].split("\n")[1] for e in events]
    assert set(texts) == {str(i) for i in range(60)}
    for e, text in zip(events, texts):
        if texts.count(text) > 1:       # told to us twice by try_remote: two events, not one event twice
            assert sum(x[2] == e[2] for x in events) == 1
    assert [e[2] for e in events] == sorted({e[2] for e in events})
    assert len({e[4] for e in events}) == 1, "the listener was not disturbed"


def test_no_transition_is_forgotten(reeve):
    """Programs that come and go while the supervisor is killed again and again: a listener hears of every end."""
    a = Listener(reeve, "a", "PROCESS_STATE_EXITED", buffer_size=100000)
    reeve.start(a.section + "".join(f"""
[program:p{i}]
command = sh -c 'echo $$ >> @/pids; sleep 0.0{i}'
autorestart = true
startsecs = 0
""" for i in range(3, 6)))
    dice = random.Random(1)
    for _ in range(12):
        time.sleep(dice.uniform(0.0, 0.3))      # a moment that the test chooses
        reeve.kill_supervisor()
    eventually(lambda: len(reeve.file("pids").split()) > 30, what="thirty runs")
    assert reeve.ctl("stop", "p3", "p4", "p5")[0] == 0
    stopped = {p["pid"] for p in reeve.processes().values()}
    pids = reeve.file("pids").split()
    last = set(pids[-6:]) | {str(p) for p in stopped}
    told = lambda: {e[5].rsplit(":", 1)[1] for e in a.seen()}
    eventually(lambda: set(pids) - told() <= last, what=lambda: f"the ends of {set(pids) - told() - last}")


def test_replay_survives(reeve):
    """The events of a dead supervisor can still be read, and numbers go on."""
    reeve.start("[program:p]\ncommand = sleep 100\nstartsecs = 0\n")
    reeve.wait_state("p", "RUNNING")
    read = lambda: eventually(lambda: reeve.try_status() and reeve.call("Events", since=0)["parameters"]["events"], what="events")
    before = read()
    for round in range(3):
        reeve.kill_supervisor()
        remote(reeve, str(round))
    after = read()
    assert after[:len(before)] == before
    assert [e["sequence"] for e in after] == list(range(1, len(before) + 4))
    assert [e["payload"][-1] for e in after[-3:]] == list("012")


def test_replay_is_bounded(reeve):
    """Many or large events push the oldest out; readers are told."""
    reeve.start()
    for i in range(40):
        remote(reeve, str(i) * 200000)
    events = reeve.call("Events", since=1)["parameters"]["events"]
    assert events[0]["type"] == "GAP" and sum(len(e.get("payload", "")) for e in events) <= 4 << 20
    assert events[0]["missed"] + len(events) == 41
    reeve.kill_supervisor()
    assert reeve.call("Events", since=1)["parameters"]["events"] == events


def try_remote(reeve, text):
    try:
        return "error" not in reeve.call("SendRemoteCommEvent", type="test", data=text)
    except (OSError, EOFError):
        return False


def test_logger_dies(reeve):
    a = Listener(reeve, "a", "REMOTE_COMMUNICATION", answer="time.sleep(0.02); ok()", buffer_size=1000)
    reeve.start(a.section)
    for i in range(30):
        remote(reeve, str(i))
        if i % 10 == 5:
            reeve.kill_part("logger")
    events = a.wait(lambda e: len(e) >= 30, 60)
    assert [e[5].split("\n")[1] for e in events] == [str(i) for i in range(30)]


def test_logger_dies_while_talks_begin(reeve):
    """Listeners that start while one logger after another is killed: none of their words is lost."""
    listeners = [Listener(reeve, f"l{i}", "REMOTE_COMMUNICATION") for i in range(6)]
    reeve.start("".join(x.section for x in listeners))
    for _ in range(8):
        reeve.kill_part("logger")
    remote(reeve, "x")
    for x in listeners:
        x.wait(lambda e: len(e) == 1, 60)


def test_childutils(reeve):
    """The helper module that comes with supervisord."""
    script = reeve.folder / "helper.py"
    script.write_text(textwrap.dedent(f"""
        import sys
        from supervisor import childutils
        while True:
            headers, payload = childutils.listener.wait(sys.stdin, sys.stdout)
            pheaders, pdata = childutils.eventdata(payload + '\\n')
            with open({str(reeve.folder / 'crashes')!r}, 'a') as f:
                f.write(headers['eventname'] + ' ' + pheaders['processname'] + ' ' + pheaders['expected'] + '\\n')
            childutils.listener.ok(sys.stdout)
        """))
    reeve.start(f"""
[eventlistener:mailer]
command = /usr/bin/python3 {script}
events = PROCESS_STATE_EXITED
[program:crasher]
command = sh -c 'sleep 1.2; exit 1'
autorestart = false
""")
    eventually(lambda: reeve.file("crashes") == "PROCESS_STATE_EXITED crasher 0\n", what="the crash mailer")


def test_shutdown_is_told(reeve):
    """Listeners go last: they still hear that the daemon stops."""
    a = Listener(reeve, "a", "SUPERVISOR_STATE_CHANGE", buffer_size=50)
    reeve.start(a.section + "[program:p]\ncommand = sh -c 'trap \"sleep 0.5; exit\" TERM; while :; do sleep 0.1; done'\nstartsecs = 0\n")
    a.wait_for("SUPERVISOR_STATE_CHANGE_RUNNING")
    assert reeve.stop() == 0
    assert [e[0] for e in a.seen()] == ["SUPERVISOR_STATE_CHANGE_RUNNING", "SUPERVISOR_STATE_CHANGE_STOPPING"]


def test_json(reeve):
    """Clients see the talk's state."""
    a = Listener(reeve, "a", "TICK_3600")
    reeve.start(a.section)
    eventually(lambda: state(reeve, "a")["state"] == "READY", what="READY")
    status, out = reeve.ctl("status", "--json")
    assert status == 0 and "READY" in json.dumps(json.loads(out))
