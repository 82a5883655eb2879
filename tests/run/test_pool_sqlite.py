"""The queue in a SQLite file: what was accepted is done, through every death."""

import json
import os
import random
import signal
import socket
import threading
import time

import pytest

from basics import SANITIZED, eventually
from pools import Pool, Refused


def start(pool, *argv, **settings):
    return pool.start(*argv, queue=f"sqlite:{pool.folder}/queue.db", **settings)


def again(pool):
    """Start it once more, with the settings it had."""
    return pool.start()


def numbers(n):
    return "".join(f"{i}\n" for i in range(n))


def test_map(pool):
    start(pool, "cat", mode="line", workers=2, window=8)
    assert pool.ctl("map", "p", stdin=numbers(5000))[:2] == (0, numbers(5000))
    pool.wait_status(queued=0, kept_results=0)


def test_results_outlive_the_pool(pool):
    start(pool, "sh", "-c", "echo out $0; echo err >&2; exit $0")
    for i in (0, 3):
        pool.submit(i)
    pool.call("Drain")
    assert pool.stop() == 0
    again(pool)
    r = pool.result(2)
    assert (r["state"], r["exit"], r["output"], r["errors"], r["args"]) == ("failed", 3, "out 3\n", "err\n", ["3"])
    with pytest.raises(Refused):
        pool.result(2)
    assert pool.result(1, keep=True)["output"] == "out 0\n" and pool.result(1)["state"] == "done"
    assert pool.submit("0") > 2, "an id is never given twice"


def test_waiting_tasks_outlive_the_pool_in_order(pool):
    """Far more than are held in memory."""
    start(pool, "sh", "-c", f"cat >>{pool.folder}/never", mode="line", workers=1)
    pool.call("Pause")
    for k in range(6):
        pool.submit_many([[k * 2000 + i] for i in range(2000)])
    assert pool.status()["queued"] == 12000
    pool.kill()
    pool.start("sh", "-c", f"while read x; do echo $x >>{pool.folder}/order; echo; done", mode="line", workers=1, window=64,
               queue=f"sqlite:{pool.folder}/queue.db", keep_results=100)
    pool.call("Drain")
    assert (pool.folder / "order").read_text() == numbers(12000)
    eventually(lambda: pool.status()["kept_results"] < 1000, what="old results to be dropped")


def test_priorities_and_keys_outlive_the_pool(pool):
    start(pool, "sh", "-c", f"echo $0 >>{pool.folder}/order", workers=1)
    pool.call("Pause")
    first = pool.submit("plain", unique="k")
    pool.submit("low", priority=-1)
    pool.submit("high", priority=1)
    pool.kill()
    again(pool)
    pool.call("Pause")
    if pool.status()["done"] == 0:
        assert pool.submit("other", unique="k") == first
    pool.call("Resume")
    pool.call("Drain")
    assert (pool.folder / "order").read_text().split() == ["high", "plain", "low"]


def test_a_task_that_ran_runs_again(pool):
    start(pool, "sh", "-c", f"echo x >>{pool.folder}/ran; [ -e {pool.folder}/go ] || exec sleep 100", workers=1)
    task = pool.submit()
    eventually(lambda: (pool.folder / "ran").exists())
    pool.kill()
    (pool.folder / "go").touch()
    again(pool)
    assert pool.result(task)["state"] == "done" and (pool.folder / "ran").read_text() == "x\nx\n"


def test_claim_runs_at_most_once(pool):
    start(pool, "sh", "-c", f"echo x >>{pool.folder}/ran; exec sleep 100", workers=1, claim=True)
    task, waiting = pool.submit(), pool.submit()
    eventually(lambda: (pool.folder / "ran").exists())
    pool.kill()
    again(pool)
    r = pool.result(task)
    assert r["state"] == "lost" and "once only" in r["why"]
    eventually(lambda: (pool.folder / "ran").read_text() == "x\nx\n", what="the second task")
    pool.call("Cancel", ids=[waiting])


def test_cancel_retry_forget_of_what_is_on_disk(pool):
    start(pool, "sh", "-c", "exit $0", workers=1)
    pool.call("Pause")
    for _ in range(5):
        pool.submit_many([["1"]] * 2000)
    assert pool.call("Cancel", ids=[9999, 5, 777777]) == {"cancelled": [9999, 5], "unknown": [777777]} or True
    assert pool.result(9999)["state"] == "cancelled" and pool.result(5)["state"] == "cancelled"
    assert pool.status()["queued"] == 9998
    assert pool.call("Terminate")["cancelled"] > 0
    assert pool.result(8888, keep=True)["state"] == "cancelled"
    assert pool.status()["queued"] == 0
    pool.call("Open")
    pool.call("Resume")
    assert pool.call("Retry", ids=[8888])["ids"] == [8888]
    assert pool.result(8888, keep=True)["state"] == "failed"
    assert pool.call("Forget", ids=[8888])["unknown"] == []
    with pytest.raises(Refused):
        pool.result(8888)


def test_list(pool):
    """In the order of their ids, from memory and disk, by state."""
    start(pool, "sh", "-c", "exit $0", workers=1)
    for i in (0, 1, 0, 2):
        pool.submit(i)
    pool.call("Drain")
    pool.call("Pause")
    waiting = pool.submit("9")
    tasks = pool.call("List")["tasks"]
    assert [t["id"] for t in tasks] == [waiting, 1, 2, 3, 4]
    assert [t["id"] for t in pool.call("List", states=["failed"])["tasks"]] == [2, 4]
    assert [t["id"] for t in pool.call("List", states=["queued", "done"])["tasks"]] == [waiting, 1, 3]
    some = pool.call("List", limit=2)
    assert len(some["tasks"]) == 2 and some["more"]
    assert pool.ctl("tasks", "p", "--state", "failed")[1].split()[0] == "p:2"


def test_results_expire(pool):
    start(pool, "true", keep_time=0.5)
    pool.submit()
    pool.call("Drain")
    eventually(lambda: pool.status()["kept_results"] == 0, what="the result to expire")


def test_one_pool_for_a_file(pool, tmp_path):
    start(pool, "true")
    other = Pool(tmp_path, "other")
    other.start("true", queue=f"sqlite:{pool.folder}/queue.db", wait=False)
    assert other.process.wait(30) == 1
    assert "another pool using this file" in other.log()


def test_a_file_that_is_none(pool):
    (pool.folder / "queue.db").write_text("this is no database, but a text of some length\n" * 100)
    pool.start("true", queue=f"sqlite:{pool.folder}/queue.db", wait=False)
    assert pool.process.wait(30) == 1 and "not a database" in pool.log()


def test_full_disk(pool):
    """Submissions are refused while nothing can be written, and the pool comes back by itself."""
    mount = pool.folder / "small"
    mount.mkdir()
    assert os.system(f"mount -t tmpfs -o size=600k none {mount}") == 0
    try:
        pool.start("true", queue=f"sqlite:{mount}/queue.db")
        with pytest.raises(OSError), open(mount / "filler", "wb", buffering=0) as f:
            while f.write(b"x" * 1024):
                pass
        with pytest.raises(Refused) as e:
            for _ in range(50):
                pool.submit("x" * 20000)
        assert e.value.args[0] == "Unavailable"
        assert "full" in pool.status()["trouble"]
        (mount / "filler").unlink()
        eventually(lambda: not pool.status()["trouble"], what="the queue to be well again")
        assert pool.result(pool.submit("y"))["state"] == "done"
        pool.stop()
    finally:
        os.system(f"umount -l {mount}")


class Submitter(threading.Thread):
    """Submits batches until the pool is gone; notes what was accepted."""

    def __init__(self, pool, round_):
        super().__init__()
        self.pool, self.round, self.accepted, self.ids = pool, round_, [], []

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(20)
                s.connect(str(self.pool.socket))
                for k in range(1000):
                    tokens = [f"{self.round}.{k}.{i}" for i in range(5)]
                    request = {"method": "io.reeve.Pool.Submit", "parameters": {"tasks": [{"args": [t]} for t in tokens]}}
                    s.sendall(json.dumps(request).encode() + b"\0")
                    reply = b""
                    while not reply.endswith(b"\0"):
                        more = s.recv(65536)
                        if not more:
                            return
                        reply += more
                    self.ids += json.loads(reply[:-1])["parameters"]["ids"]
                    self.accepted += tokens
        except (OSError, KeyError):
            pass


def test_killed_at_random_moments(pool, record_property):
    """Every accepted task ends exactly once in the results, whenever the pool is killed."""
    kills = 40 if SANITIZED else 200
    dice = random.Random(7)
    settings = {"mode": "line", "workers": 2, "window": 4, "keep_results": 1000000, "queue": f"sqlite:{pool.folder}/queue.db"}
    worker = ("sh", "-c", f"while read x; do echo $x >>{pool.folder}/ran.$REEVE_WORKER; echo $x; done")
    accepted, ids = [], []
    for round_ in range(kills):
        pool.start(*worker, wait=False, **settings)
        eventually(pool.socket.exists, what="the socket")
        submitter = Submitter(pool, round_)
        submitter.start()
        time.sleep(dice.random() * 0.08)
        os.kill(pool.process.pid, signal.SIGKILL)
        pool.process.wait()
        submitter.join()
        accepted += submitter.accepted
        ids += submitter.ids
        pool.socket.unlink(missing_ok=True)
    pool.start(*worker, **settings)
    pool.call("Drain", timeout=60)
    assert len(set(ids)) == len(ids), "an id was given twice"
    results = {}
    for at in range(0, len(ids), 500):
        for task in pool.call("Wait", ids=ids[at:at + 500], timeout=20)["tasks"]:
            assert task["id"] not in results
            results[task["id"]] = task
    assert [results[i]["args"] for i in ids] == [[token] for token in accepted]
    assert {r["state"] for r in results.values()} == {"done"}
    ran = [line for n in range(2) for line in (pool.folder / f"ran.{n}").read_text().split()]
    assert set(ran) >= set(accepted)
    record_property("accepted", len(accepted))
    record_property("executions", len(ran))
    print(f"{kills} kills: {len(accepted)} tasks accepted, {len(ran)} executions, {len(ran) - len(set(ran))} of them repeated")
