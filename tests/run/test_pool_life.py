"""Single tasks and the pool as a whole: submit, result, cancel, retry, close, join, terminate, pause, priorities."""

import os
import subprocess
import time

import pytest

from basics import SANITIZED, eventually, soon
from pools import Refused
from reeve import alive


def test_submit_and_result(pool):
    pool.start("sh", "-c", 'echo "out $0"; echo "err $0" >&2; exit $1', workers=1)
    status, name, _ = pool.ctl("submit", "p", "a", "0")
    assert (status, name) == (0, "p:1\n")
    assert pool.ctl("result", "p:1") == (0, "out a\n", "err a\n")
    status, _, err = pool.ctl("result", "p:1")
    assert status == 125 and "there is no task 1, or its result has been fetched" in err
    assert pool.ctl("submit", "--wait", "p", "b", "7") == (7, "out b\n", "err b\n")
    assert pool.ctl("submit", "p", "c", "3")[1] == "p:3\n"
    assert pool.ctl("result", "--keep", "p:3")[0] == 3
    assert pool.ctl("result", "--keep", "p:3")[0] == 3
    out = pool.ctl("tasks", "p")[1]
    assert "p:3" in out and "failed" in out
    assert pool.ctl("forget", "p:3")[0] == 0 and pool.ctl("tasks", "p")[1] == ""


def test_words_are_carried_exactly(pool):
    pool.start("printf", "[%s]")
    words = ["", "two words", "tab\there", "new\nline", "ünï", "-x", "{}", "%s"]
    assert pool.ctl("submit", "--wait", "p", "--", *words)[1] == "".join(f"[{w}]" for w in words)
    r = subprocess.run([*map(os.fsencode, pool.command("submit", "--wait", "p", "--")), b"\xff\xfe"], capture_output=True, check=True,
                       timeout=20)
    assert r.stdout == b"[\xff\xfe]"


def test_result_in_time(pool):
    pool.start("sh", "-c", f"while [ ! -e {pool.folder}/go ]; do sleep 0.02; done; echo late")
    pool.submit("x")
    assert pool.ctl("result", "--timeout", "0.1", "p:1")[0] == 124
    (pool.folder / "go").touch()
    assert pool.ctl("result", "--keep", "p:1")[:2] == (0, "late\n")
    assert pool.ctl("result", "p:1")[:2] == (0, "late\n")


def test_signals_as_a_shell_shows_them(pool):
    pool.start("sh", "-c", "kill -9 $$")
    status, _, err = pool.ctl("submit", "--wait", "p")
    assert status == 137 and "lost" in err
    pool.submit()
    assert pool.result(2)["exit"] == -9


def test_twenty_thousand_puts_do_not_wait(pool):
    pool.start("sleep", "100", workers=1, stopwaitsecs=0)
    began = time.monotonic()
    for _ in range(10):
        pool.submit_many([[]] * 2000)
    assert time.monotonic() - began < 15 and pool.status()["queued"] >= 19999


def test_unique(pool):
    pool.start("sleep")
    first = pool.submit("100", unique="k")
    assert pool.submit("1", unique="k") == first
    assert pool.submit("0", unique="other") != first
    pool.call("Cancel", ids=[first])
    pool.result(first)
    assert pool.submit("0", unique="k") != first


def test_priority_and_order(pool):
    pool.start("sh", "-c", f"echo $0 >>{pool.folder}/order", workers=1)
    pool.call("Pause")
    for name, priority in [("a", 0), ("low", -5), ("b", 0), ("high", 7), ("c", 0)]:
        pool.submit(name, priority=priority)
    assert pool.status()["state"] == "paused" and pool.status()["queued"] == 5
    assert pool.ctl("resume", "p")[0] == 0
    assert pool.ctl("drain", "p")[0] == 0
    assert (pool.folder / "order").read_text().split() == ["high", "a", "b", "c", "low"]


def test_two_clients_are_served_in_order_of_arrival(pool):
    pool.start("sh", "-c", f"echo $0 >>{pool.folder}/order", workers=1)
    pool.call("Pause")
    wanted = [pool.submit(f"{who}{i}") and f"{who}{i}" for who in "ab" for i in range(10)]
    pool.call("Resume")
    pool.call("Drain")
    assert (pool.folder / "order").read_text().split() == wanted


def test_drain_timeout(pool):
    pool.start("sleep", "100", stopwaitsecs=0)
    pool.submit()
    assert pool.ctl("drain", "--timeout", "0.1", "p")[0] == 124


def test_close_and_join(pool):
    pool.start("sh", "-c", "sleep 0.05; exit $0", workers=2)
    status, _, err = pool.ctl("join", "p")
    assert status == 125 and "pool p is still running" in err
    for _ in range(10):
        pool.submit("0")
    assert pool.ctl("close", "p")[0] == 0
    status, _, err = pool.ctl("submit", "p", "0")
    assert status == 125 and "pool p is closed" in err
    assert pool.ctl("map", "p", stdin="0\n")[0] == 125
    assert pool.ctl("join", "p")[0] == 0 and pool.status()["done"] == 10
    assert pool.ctl("join", "p")[0] == 0
    assert pool.status()["state"] == "ended"
    assert pool.ctl("close", "p")[0] == 0
    assert pool.ctl("reopen", "p")[0] == 0
    pool.submit("4")
    assert pool.ctl("close", "p")[0] == 0
    assert pool.ctl("join", "p")[0] == 1
    pool.ctl("reopen", "p")
    pool.submit("0")
    pool.ctl("close", "p")
    assert pool.ctl("join", "p")[0] == 0


@pytest.mark.parametrize("mode", ["exec", "line"])
def test_join_ends_workers(pool, mode):
    pool.start(*(["true"] if mode == "exec" else ["cat"]), mode=mode, workers=3)
    pool.submit("x")
    pids = pool.workers()
    pool.call("Close")
    pool.call("Join")
    assert pool.status()["alive"] == 0 and not any(map(alive, pids))
    pool.call("Open")
    assert pool.submit("y") and pool.result(2)["state"] == "done"


def test_join_timeout(pool):
    pool.start("sleep", "100", stopwaitsecs=0)
    pool.submit()
    pool.call("Close")
    assert pool.ctl("join", "--timeout", "0.1", "p")[0] == 124


STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"


@pytest.mark.parametrize("mode", ["exec", "line"])
def test_terminate_with_stubborn_tasks(pool, mode):
    """Two tasks that ignore TERM, five that wait: all cancelled, within stopwaitsecs and a second."""
    pool.start("sh", "-c", STUBBORN, workers=2, mode=mode, stopwaitsecs=1)

    def terminated():
        pool.call("Open")
        ids = pool.submit_many([["x"]] * 7)
        pool.wait_status(running=2)
        began = time.monotonic()
        status, out, _ = pool.ctl("terminate", "p")
        took = time.monotonic() - began
        assert (status, out) == (0, "p: 7 tasks cancelled\n")
        assert [pool.result(i, timeout=20)["state"] for i in ids] == ["cancelled"] * 7
        assert pool.status()["alive"] == 0
        return took

    soon(terminated, 7.5 if SANITIZED else 2.5, 4)
    with pytest.raises(Refused):
        pool.submit("x")
    pool.call("Open")
    assert pool.submit("x")
    pool.call("Terminate")


def test_cancel(pool):
    pool.start("sleep", workers=1, stopwaitsecs=2)
    running, waiting, last = pool.submit("100"), pool.submit("100"), pool.submit("0")
    pool.wait_status(running=1)
    assert pool.ctl("cancel", f"p:{waiting}")[0] == 0
    assert pool.result(waiting)["state"] == "cancelled"
    assert pool.ctl("cancel", f"p:{running}")[0] == 0
    assert pool.result(running)["state"] == "cancelled"
    assert pool.result(last, keep=True)["state"] == "done"
    status, _, err = pool.ctl("cancel", f"p:{last}")
    assert status == 1 and "has ended" in err
    assert pool.ctl("cancel", "p:999")[0] == 1


def test_retry_by_hand(pool):
    pool.start("test", "-e", pool.folder / "good")
    task = pool.submit()
    assert pool.result(task, keep=True)["state"] == "failed"
    (pool.folder / "good").touch()
    assert pool.ctl("retry", f"p:{task}")[:2] == (0, f"p:{task}\n")
    assert pool.result(task, keep=True)["state"] == "done"
    assert pool.ctl("retry", f"p:{task}")[0] == 1


def test_retries_with_growing_pauses(pool):
    pool.start("sh", "-c", f"date +%s.%N >>{pool.folder}/times; exit 1", retries=3, retry_delay=0.1)
    task = pool.result(pool.submit())
    assert task["attempts"] == 4 and task["state"] == "failed"
    times = [float(t) for t in (pool.folder / "times").read_text().split()]
    pauses = [b - a for a, b in zip(times, times[1:])]
    assert pauses[0] >= 0.1 and pauses[1] >= 0.2 and pauses[2] >= 0.4


def test_results_are_kept_for_a_while(pool):
    pool.start("true", workers=1, keep_results=5)
    for _ in range(9):
        pool.submit()
    pool.wait_status(done=9)
    assert pool.status()["kept_results"] == 5
    with pytest.raises(Refused):
        pool.result(1)
    assert pool.result(9)["state"] == "done"


def test_limits_of_tasks_and_results(pool):
    pool.start("sh", "-c", "head -c $0 /dev/zero | tr '\\0' x", max_task_bytes=20, max_result_bytes=1000)
    with pytest.raises(Refused) as e:
        pool.submit("y" * 21)
    assert e.value.args[0] == "TooLarge"
    r = pool.result(pool.submit("1000"))
    assert len(r["output"]) == 1000 and not r["truncated"]
    r = pool.result(pool.submit("300000"))
    assert len(r["output"]) == 1000 and r["truncated"] and r["state"] == "done"
    status, out, _ = pool.ctl("map", "--results", "json", "p", stdin="y" * 21 + "\n5\n")
    assert status == 1 and "max_task_bytes" in out.splitlines()[0] and '"output":"xxxxx"' in out.splitlines()[1]


def test_resize(pool):
    pool.start("sleep", workers=1, stopwaitsecs=0)
    for _ in range(6):
        pool.submit("100")
    pool.wait_status(running=1)
    assert pool.ctl("resize", "p", "4")[0] == 0
    pool.wait_status(running=4, queued=2)
    assert pool.ctl("resize", "p", "2")[0] == 0
    pool.wait_status(workers=2, running=4, queued=2)
    pool.call("Cancel", ids=[1, 2, 3, 4])       # were they ended before, it would be otherwise than by this
    pool.wait_status(running=2, queued=0, cancelled=4, failed=0, lost=0, retried=0)
    assert pool.ctl("resize", "p", "-1")[0] == 2


def test_resize_of_line_workers(pool):
    pool.start("cat", mode="line", workers=4)
    pool.wait_status(alive=4)
    pool.call("Resize", workers=1)
    pool.wait_status(alive=1)
    pool.call("Resize", workers=3)
    pool.wait_status(alive=3)
    assert pool.ctl("map", "p", stdin="1\n2\n3\n")[1] == "1\n2\n3\n"


def test_wait_for_several(pool):
    pool.start("sleep", workers=3)
    ids = [pool.submit(s) for s in ("0", "0.1", "100")]
    reply = pool.call("Wait", ids=ids[:2])
    assert not reply["timed_out"] and len(reply["tasks"]) == 2
    reply = pool.call("Wait", ids=ids, timeout=0.1)
    assert reply["timed_out"] and len(reply["tasks"]) == 2
    pool.call("Cancel", ids=ids[2:])


def test_wrong_calls(pool):
    pool.start("true")
    for method, parameters in [("Submit", {}), ("Submit", {"tasks": [1]}), ("Submit", {"tasks": [{"args": [1]}]}),
                               ("Submit", {"tasks": [{"data": "###"}]}), ("Submit", {"tasks": [{"args": [], "priority": "x"}]}),
                               ("Result", {}), ("Result", {"id": "x"}), ("Wait", {"ids": [None]}), ("Resize", {}),
                               ("Resize", {"workers": -1}), ("Cancel", {"ids": 3}), ("Map", {}), ("Nothing", {})]:
        with pytest.raises(Refused):
            pool.call(method, **parameters)
    assert pool.result(pool.submit())["state"] == "done"


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_nothing_is_left_behind(pool):
    """After a lot of life: as many descriptors and processes as before."""
    pool.start("sh", "-c", "sleep 0.0$(($0 % 3)); exit $(($0 % 2))", workers=4, retries=1, retry_delay=0)
    pool.ctl("map", "p", stdin="1\n2\n")
    eventually(lambda: pool.status()["maps"] == 0)
    before = fds(pool.process.pid)
    for _ in range(3):
        pool.ctl("map", "p", stdin="".join(f"{i}\n" for i in range(60)))
        pool.ctl("submit", "p", "1")
    pool.call("Drain")
    eventually(lambda: fds(pool.process.pid) <= before, what="as many descriptors as before")
    assert pool.status()["alive"] == 0
    with open(f"/proc/{pool.process.pid}/task/{pool.process.pid}/children", encoding="ascii") as f:
        assert f.read() == ""


def test_stopping_waits_for_running_tasks(pool):
    pool.start("sh", "-c", f"until [ -e {pool.folder}/go ]; do sleep 0.02; done; touch {pool.folder}/$0", workers=1, stopwaitsecs=60)
    pool.submit("first")
    pool.submit("second")
    pool.wait_status(running=1)
    pool.process.terminate()
    eventually(lambda: "1 tasks run, 1 wait" in pool.log(), what="its line")
    (pool.folder / "go").touch()
    assert pool.process.wait(30) == 0
    assert (pool.folder / "first").exists() and not (pool.folder / "second").exists()
