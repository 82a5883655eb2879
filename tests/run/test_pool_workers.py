"""Workers that die, hang, print too much, too little or nonsense, and those that are replaced."""

import os
import resource
import signal
import time

import pytest

from basics import eventually
from reeve import alive


def python(text):
    return "/usr/bin/python3", "-c", "import os, sys, time, signal\n" + text


def test_idle_workers_killed(pool):
    pool.start("cat", mode="line", workers=3)
    pool.wait_status(alive=3)
    pids = pool.workers()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    # One that has not died yet could still take a task with it.
    eventually(lambda: not any(map(alive, pids)), what="their end")
    assert pool.ctl("map", "p", stdin="a\nb\n")[:2] == (0, "a\nb\n")


def test_replaced_after_so_many_tasks(pool):
    pool.start(*python("for l in sys.stdin: print(os.getpid(), flush=True)"), mode="line", workers=1, max_tasks_per_worker=3)
    pids = pool.ctl("map", "p", stdin="x\n" * 9)[1].split()
    assert len(set(pids)) == 3 and all(len(set(pids[i:i + 3])) == 1 for i in (0, 3, 6))
    eventually(lambda: pool.status()["recycled"] == 3 and pool.status()["alive"] == 1)
    assert pool.status()["worker_deaths"] == 0


def test_the_replacement_is_started_ahead(pool):
    """Starting takes long; only the first task waits for a start."""
    pool.start(*python("time.sleep(0.7)\nprint('ready', flush=True)\nfor l in sys.stdin: time.sleep(0.3); print(l, end='', flush=True)"),
               mode="line", workers=1, max_tasks_per_worker=4, ready=True)
    pool.wait_status(alive=1)
    assert pool.ctl("map", "p", stdin="0\n")[0] == 0
    began = time.monotonic()
    assert pool.ctl("map", "p", stdin="1\n2\n3\n4\n5\n")[0] == 0
    assert 1.5 <= time.monotonic() - began < 3 * 0.7 + 1.5 + 5


def test_worker_with_a_window_dies(pool):
    """Only the task it was doing is lost; those behind it in the window run elsewhere, in order."""
    pool.start(*python("for l in sys.stdin:\n if l == '2\\n': os._exit(7)\n print(l, end='', flush=True)"), mode="line", workers=1, window=8)
    status, out, err = pool.ctl("map", "p", stdin="".join(f"{i}\n" for i in range(10)))
    assert status == 1 and out == "0\n1\nlost 7\n" + "".join(f"{i}\n" for i in range(3, 10))
    assert "line 3: lost: worker died: exit status 7" in err


def test_closes_its_stdout(pool):
    pool.start(*python("for l in sys.stdin:\n if l == '1\\n': os.close(1); time.sleep(100)\n print(l, end='', flush=True)"), mode="line",
               workers=1, stopwaitsecs=1)
    status, out, _ = pool.ctl("map", "p", stdin="0\n1\n2\n")
    assert status == 1 and out.startswith("0\nlost ") and out.endswith("\n2\n")


@pytest.mark.parametrize("order", ["print(l, end='', flush=True); os.close(0)", "os.close(0); print(l, end='', flush=True)"],
                         ids=["after", "before"])
def test_closes_its_stdin(pool, order):
    """Before its answer: then the next task may find nobody there."""
    pool.start(*python(f"l = sys.stdin.readline(); {order}; time.sleep(100)"), mode="line", workers=1, stopwaitsecs=1)
    status, out, _ = pool.ctl("map", "p", stdin="0\n1\n2\n")
    assert status == 0 and out == "0\n1\n2\n", pool.log()


def test_prints_unasked(pool):
    pool.start(*python("for l in sys.stdin: print(l + 'more', flush=True)"), mode="line", workers=1)
    status, out, _ = pool.ctl("map", "p", stdin="0\n1\n2\n")
    assert out.split() == ["0", "1", "2"] and status == 0
    assert "nobody had asked for" in pool.log()


def test_garbage_without_end(pool):
    """A worker that floods is cut off, and takes no memory with it."""
    pool.start(*python("l = sys.stdin.readline()\nwhile True: os.write(1, b'x' * 65536)"), mode="line", workers=1, max_result_bytes=1000,
               timeout=1, stopwaitsecs=0)
    r = pool.result(pool.submit("x"))
    assert r["state"] == "timeout"
    assert pool.status()["memory"] < 200 << 20


def test_half_a_line_at_the_end(pool):
    pool.start(*python("l = sys.stdin.readline(); os.write(1, b'half'); os._exit(0)"), mode="line", workers=1)
    r = pool.result(pool.submit("x"))
    assert r["state"] == "lost" and r["exit"] == 0


def test_empty_and_long_lines(pool):
    pool.start("cat", mode="line", workers=1, max_result_bytes=100000)
    long = "y" * 70000
    assert pool.ctl("map", "p", stdin=f"\n{long}\nz\n")[1] == f"\n{long}\nz\n"
    r = pool.result(pool.submit("w" * 300000))
    assert r["output"] == "w" * 100000 and r["truncated"]
    assert pool.result(pool.submit("after"))["output"] == "after"


@pytest.mark.parametrize("frame", ["b'\\xff' * 16", "b'\\0' * 16", "b'\\x0c\\0\\0\\0' + b'\\0' * 4 + b'\\x63' + b'\\0' * 7"])
def test_garbage_in_frames(pool, frame):
    """Impossible lengths, too short ones, and an id that was never given."""
    pool.start(*python(f"sys.stdin.buffer.read(17); os.write(1, {frame}); time.sleep(100)"), mode="frame", workers=1, stopwaitsecs=1)
    r = pool.result(pool.submit("x"))
    assert r["state"] == "lost" and "broke the protocol" in r["why"]


def test_a_newline_cannot_be_carried(pool):
    pool.start("cat", mode="line")
    status, _, err = pool.ctl("submit", "p", "a\nb")
    assert status == 125 and "newline" in err


def test_error_prefix(pool):
    pool.start(*python("for l in sys.stdin: print('!no' if l == '1\\n' else 'yes', flush=True)"), mode="line", error_prefix="!")
    status, out, _ = pool.ctl("map", "p", stdin="0\n1\n2\n")
    assert (status, out) == (1, "yes\n!no\nyes\n")


@pytest.mark.parametrize("mode", ["exec", "line"])
def test_timeout_kills_what_ignores_term(pool, mode):
    pool.start("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done", mode=mode, workers=1, timeout=0.3, stopwaitsecs=0.5)
    began = time.monotonic()
    r = pool.result(pool.submit("x"))
    assert r["state"] == "timeout" and r["exit"] == -9 and time.monotonic() - began < 20


def test_timeout_takes_the_whole_tree(pool):
    """Also what has left the worker's session and lost its parent."""
    noted = pool.folder / "pid"
    pool.start("sh", "-c", f"setsid sh -c 'sleep 1000 & echo $! >{noted}; wait' & setsid sleep 1001 & wait", stopwaitsecs=0)
    for timeout in (0.5, 3, 15):        # so that it has come as far as that, also on a slow machine
        assert pool.result(pool.submit(timeout=timeout))["state"] == "timeout"
        if noted.exists() and noted.read_text():
            break
    pid = int(noted.read_text())
    eventually(lambda: not alive(pid), what="the end of the tree")


def test_timeout_of_one_task_only(pool):
    pool.start("sleep", workers=2)
    slow = pool.submit("100", timeout=0.2)
    assert pool.result(slow)["state"] == "timeout"
    assert pool.ctl("submit", "--wait", "--timeout", "0.2", "p", "100")[0] == 143


def test_exit_and_signal_of_exec_tasks(pool):
    pool.start("sh", "-c")
    assert pool.result(pool.submit("exit 300"))["exit"] == 44
    r = pool.result(pool.submit("kill -TERM $$"))
    assert (r["state"], r["exit"]) == ("lost", -15)
    r = pool.result(pool.submit("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"))
    assert r["user_time"] > 0 and r["max_rss"] > 0 and r["ended"] > r["started"] > 0


def test_output_of_exec_tasks(pool):
    pool.start("sh", "-c", max_result_bytes=100000)
    r = pool.result(pool.submit("head -c 500000 /dev/zero; echo err >&2"))
    assert r["truncated"] and r["binary"] and r["errors"] == "ZXJyCg=="
    r = pool.result(pool.submit("exec >&-; sleep 0.1; echo late >&2"))
    assert (r["output"], r["errors"]) == ("", "late\n")
    # A leftover that keeps the pipe open holds up nobody.
    began = time.monotonic()
    assert pool.result(pool.submit("sleep 60 & echo quick"))["output"] == "quick\n"
    assert time.monotonic() - began < 20


def test_start_that_fails(pool):
    """Backed off, then fatal; everybody who waits is told, and tasks stay."""
    pool.start("sh", "-c", "exit 3", mode="line", workers=2, startretries=2)
    pool.submit("stays")
    client = pool.popen("submit", "--wait", "p", "x", stderr=-1)
    pool.wait_status(state="fatal")
    assert "exit status 3" in pool.status()["trouble"] and pool.status()["start_failures"] == 6
    assert client.wait(20) == 125 and "no worker can be started" in client.stderr.read()
    client.stderr.close()
    status, _, err = pool.ctl("map", "p", stdin="x\n")
    assert status == 125 and "no worker can be started" in err
    assert pool.status()["queued"] >= 1


def test_command_that_does_not_exist(pool):
    pool.start("/no/such/thing", workers=1, startretries=1)
    pool.submit("x")
    s = pool.wait_status(state="fatal")
    assert "/no/such/thing" in s["trouble"] and s["queued"] == 1
    target = pool.folder / "appears"
    assert pool.ctl("reopen", "p")[0] == 0
    assert not target.exists()
    pool.wait_status(state="fatal")


def test_failed_start_recovers(pool):
    pool.start("sh", "-c", f"[ -e {pool.folder}/good ] || exit 1; exec cat", mode="line", workers=1, startretries=20)
    pool.wait_status(start_failures=2)
    (pool.folder / "good").touch()
    assert pool.result(pool.submit("x"))["output"] == "x"


def test_initializer(pool):
    pool.start("sh", "-c", f"cat {pool.folder}/made", workers=2, initializer=f"sh -c 'sleep 0.2; echo $REEVE_WORKER >>{pool.folder}/made'")
    assert pool.result(pool.submit())["state"] == "done"
    eventually(lambda: sorted((pool.folder / "made").read_text().split()) == ["0", "1"])


def test_initializer_per_line_worker(pool):
    pool.start("cat", mode="line", workers=1, max_tasks_per_worker=2, initializer=f"sh -c 'echo x >>{pool.folder}/made'")
    assert pool.ctl("map", "p", stdin="1\n2\n3\n4\n")[1] == "1\n2\n3\n4\n"
    eventually(lambda: (pool.folder / "made").read_text().count("x") >= 3)


def test_initializer_that_fails(pool):
    pool.start("cat", mode="line", workers=1, startretries=1, initializer="sh -c 'exit 9'")
    assert "initializer: exit status 9" in pool.wait_status(state="fatal")["trouble"]


def test_ready(pool):
    pool.start(*python("time.sleep(0.3)\nprint('ready', flush=True)\nfor l in sys.stdin: print(l, end='', flush=True)"), mode="line",
               workers=1, ready=True)
    assert pool.result(pool.submit("ready"))["output"] == "ready"
    assert pool.result(pool.submit("x"))["output"] == "x"


def test_workers_know_who_they_are(pool):
    pool.start("sh", "-c", "echo $REEVE_POOL $REEVE_WORKER $REEVE_TASK $REEVE_ATTEMPT; exit 1", workers=1, retries=1, retry_delay=0)
    assert pool.result(pool.submit())["output"] == "p 0 1 2\n"


@pytest.mark.parametrize("mode", ["exec", "line"])
@pytest.mark.parametrize("batch", [True, False])
def test_scheduling_policy(pool, mode, batch):
    own = os.sched_getscheduler(0)          # another than the normal one is left as it is
    policy = python("for l in sys.stdin if len(sys.argv) < 2 else '1': print(os.sched_getscheduler(0), os.nice(0), flush=True)")
    pool.start(*policy, mode=mode, workers=1, batch_scheduling=batch)
    expected = os.SCHED_BATCH if batch and own == os.SCHED_OTHER else own
    assert pool.ctl("map", "p", stdin="x\n")[:2] == (0, f"{expected} {os.nice(0)}\n")


def test_workers_die_with_a_killed_pool(pool):
    pool.start("sleep", "1000", mode="line", workers=2)
    pool.wait_status(alive=2)
    pids = pool.workers()
    pool.kill()
    eventually(lambda: not any(map(alive, pids)), what="the end of the workers")


def test_a_stopped_worker_can_be_killed(pool):
    pool.start("cat", mode="line", workers=1, timeout=0.5, stopwaitsecs=0.5)
    pool.wait_status(alive=1)
    os.kill(pool.workers()[0], signal.SIGSTOP)
    assert pool.result(pool.submit("x"))["state"] == "timeout"
    assert pool.result(pool.submit("y"))["output"] == "y"


def test_many_workers_with_few_descriptors(pool):
    """The pool needs more than its workers may have; they get the limit that it was given."""
    given = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, given[1]))
    try:
        pool.start("sh", "-c", "while read x; do ulimit -n; done", mode="line", workers=250)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, given)
    pool.wait_status(60, alive=250)
    assert pool.ctl("map", "p", stdin="x\n" * 500)[:2] == (0, "200\n" * 500)
