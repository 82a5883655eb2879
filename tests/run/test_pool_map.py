"""map, starmap and `pool run`: order, failures, retries, memory, signals."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from basics import SANITIZED, eventually
from reeve import REEVECTL, alive

SQUARES = "import sys\nfor line in sys.stdin: print(int(line) ** 2, flush=True)"


def lines(n):
    return "".join(f"{i}\n" for i in range(n))


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def run(folder, *words, stdin="", timeout=60):
    r = subprocess.run([str(REEVECTL), "pool", "run", *map(str, words)], input=stdin, capture_output=True, text=True, timeout=timeout,
                       cwd=folder, env={**os.environ, "REEVE_TEST": str(folder)})
    return r.returncode, r.stdout, r.stderr


# ---- order


def test_order_of_input_and_of_completion(pool):
    pool.start("sh", "-c", "sleep 0.$((9 - $0)); echo $0", workers=10)
    text = lines(10)
    status, out, _ = pool.ctl("map", "p", stdin=text)
    assert (status, out) == (0, text)
    status, out, _ = pool.ctl("map", "--unordered", "--tag", "p", stdin=text)
    assert status == 0
    numbers = [int(line.split("\t")[1]) for line in out.splitlines()]
    assert sorted(numbers) == list(range(10)) and numbers != list(range(10))
    assert all(int(line.split("\t")[0]) == int(line.split("\t")[1]) + 1 for line in out.splitlines())


def test_thousand_tasks_in_order(pool):
    pool.start("/usr/bin/python3", "-c",
               "import sys, time\nfor l in sys.stdin:\n time.sleep((1000 - int(l)) / 2e5); print(l, end='', flush=True)",
               mode="line", workers=8)
    assert pool.ctl("map", "p", stdin=lines(1000))[:2] == (0, lines(1000))
    status, out, _ = pool.ctl("map", "--unordered", "p", stdin=lines(1000))
    assert status == 0 and sorted(map(int, out.split())) == list(range(1000))


@pytest.mark.parametrize("window", [1, 16])
def test_line_workers(pool, window):
    pool.start("/usr/bin/python3", "-c", SQUARES, mode="line", workers=2, window=window)
    assert pool.ctl("map", "p", stdin=lines(500))[:2] == (0, "".join(f"{i * i}\n" for i in range(500)))


FRAMES = """
import struct, sys
i, o = sys.stdin.buffer, sys.stdout.buffer
while head := i.read(16):
    length, status, task = struct.unpack("<IIQ", head)
    data = i.read(length - 12)
    o.write(struct.pack("<IIQ", length, 1 if data == b"3" else 0, task) + data[::-1])
    o.flush()
"""


def test_frame_workers(pool):
    pool.start("/usr/bin/python3", "-c", FRAMES, mode="frame", workers=2, window=4)
    status, out, _ = pool.ctl("map", "--results", "json", "p", stdin=lines(30))
    results = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [r["output"] for r in results] == [str(i)[::-1] for i in range(30)]
    assert [r["line"] for r in results if r["state"] == "failed"] == [4]


def test_starmap(pool):
    pool.start("sh", "-c", 'printf "%s|" "$@"; echo', "x")
    text = 'a\tb c\n["d", 5, "e\\tf"]\n\n[not json\n'
    assert pool.ctl("starmap", "p", stdin=text)[1] == "a|b c|\nd|5|e\tf|\n|\n[not json|\n"


def test_place_in_the_command(pool):
    pool.start("sh", "-c", 'echo "<$1>" "[$2]"', "x", "{}", "a-{}-b")
    assert pool.ctl("map", "p", stdin="one\ntwo words\n")[1] == "<one> [a-one-b]\n<two words> [a-two words-b]\n"


def test_from_a_file_and_nul_separated(pool):
    pool.start("echo")
    path = pool.folder / "list"
    path.write_bytes(b"a\nb\0c\0")
    assert pool.ctl("map", "--null", "p", path)[:2] == (0, "a\nb\nc\n")


def test_chunks_stay_together(pool):
    pool.start("/usr/bin/python3", "-c", "import os, sys\nfor l in sys.stdin: print(os.getpid(), flush=True)", mode="line", workers=3)
    pids = pool.ctl("map", "--chunk", "5", "p", stdin=lines(60))[1].split()
    assert all(len(set(pids[i:i + 5])) == 1 for i in range(0, 60, 5))


# ---- failures


def test_exit_status_counts_failures(pool):
    pool.start("sh", "-c", "echo $0; exit $(($0 % 2))", workers=2)
    status, out, _ = pool.ctl("map", "p", stdin=lines(10))
    assert status == 5 and out == lines(10)
    assert pool.ctl("map", "p", stdin=lines(250))[0] == 101


def test_fail_fast(pool):
    pool.start("sh", "-c", "echo $0; [ $0 != 3 ] || exit 1; [ $0 -lt 4 ] || sleep 30", workers=1)
    began = time.monotonic()
    status, out, _ = pool.ctl("map", "--fail-fast", "p", stdin=lines(100))
    assert status == 1 and out.startswith(lines(4)) and time.monotonic() - began < 20


def test_killed_worker_is_a_result(pool):
    """100 lines come out, one of them lost, at once."""
    victim = pool.folder / "victim"
    pool.start("/usr/bin/python3", "-c",
               "import os, sys, time\nfor l in sys.stdin:\n"
               f" if l == '50\\n': open('{victim}', 'w').write(str(os.getpid())); time.sleep(60)\n"
               " print(l, end='', flush=True)", mode="line", workers=2, stopwaitsecs=5)
    client = pool.popen("map", "--results", "json", "p", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client.stdin.write(lines(100))
    client.stdin.close()
    pid = int(eventually(lambda: victim.exists() and victim.read_text(), what="the worker's pid"))
    eventually(lambda: pool.status()["done"] == 99, what="the other tasks")
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    out = client.stdout.read()
    assert client.wait(20) == 1 and time.monotonic() - began < 20      # the worker would have slept for a minute
    results = [json.loads(line) for line in out.splitlines()]
    assert [r["line"] for r in results] == list(range(1, 101))
    assert [(r["line"], r["state"], r["exit"]) for r in results if r["state"] != "done"] == [(51, "lost", -9)]
    assert "worker died" in results[50]["why"]


def test_a_retry_makes_it_good(pool):
    """The worker dies of the first attempt at line 50, and does it at the second."""
    pool.start("/usr/bin/python3", "-c",
               "import os, sys\nfor l in sys.stdin:\n"
               f" m = '{pool.folder}/died'\n"
               " if l == '50\\n' and not os.path.exists(m): open(m, 'w'); os.kill(os.getpid(), 9)\n"
               " print(l, end='', flush=True)", mode="line", workers=2, window=4, retries=1)
    assert pool.ctl("map", "p", stdin=lines(100))[:2] == (0, lines(100))
    s = pool.status()
    assert (s["retried"], s["worker_deaths"], s["lost"]) == (1, 1, 0)


def test_a_gone_client_cancels_its_map(pool):
    pool.start("sleep", workers=2)
    client = pool.popen("map", "p", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    client.stdin.write("100\n" * 20)
    client.stdin.flush()
    pool.wait_status(running=2, queued=18)
    client.kill()
    client.wait()
    client.stdin.close()
    pool.wait_status(running=0, queued=0, maps=0, cancelled=20)


def test_a_detached_map_goes_on(pool):
    pool.start("sh", "-c", f"until [ -e {pool.folder}/go ]; do sleep 0.02; done", workers=2)
    client = pool.popen("map", "--detach", "p", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    client.stdin.write(lines(10))
    client.stdin.flush()
    pool.wait_status(running=2, queued=8)
    client.kill()
    client.wait()
    client.stdin.close()
    (pool.folder / "go").touch()
    pool.wait_status(done=10, maps=0)


# ---- memory


def test_endless_input_and_a_reader_that_stops(pool):
    """Neither side grows when nobody takes the results of an input without end."""
    pool.start("cat", mode="line", workers=2, window=16)
    source = subprocess.Popen(["yes", "a line of some length for the pool to carry"], stdout=subprocess.PIPE)
    client = pool.popen("map", "p", stdin=source.stdout, stdout=subprocess.PIPE)
    source.stdout.close()
    try:
        for _ in range(20000):
            assert client.stdout.readline()
        before = rss(client.pid), rss(pool.process.pid)

        def quiet():
            first = pool.status()["done"]
            time.sleep(0.3)
            return pool.status()["done"] == first
        eventually(quiet, what="the pool to stop for its reader")
        for _ in range(300000):
            client.stdout.readline()
        after = rss(client.pid), rss(pool.process.pid)
        more = 400 << 10 if SANITIZED else 8192     # a sanitizer keeps freed memory for a while
        assert after[0] < before[0] + more and after[1] < before[1] + more, (before, after)
    finally:
        client.kill()
        client.wait()
        source.kill()
        source.wait()
        client.stdout.close()


# ---- pool run


def test_run_as_xargs(tmp_path):
    assert run(tmp_path, "--workers", "3", "--", "echo", "n", stdin=lines(20)) == (0, "".join(f"n {i}\n" for i in range(20)), "")
    status, out, err = run(tmp_path, "--workers=2", "--", "sh", "-c", "echo $0 >&2; exit 3", stdin="x\ny\n")
    assert (status, out, sorted(err.split())) == (2, "", ["x", "y"])
    assert run(tmp_path, "--mode", "line", "--window", "16", "--", "cat", stdin=lines(3000))[:2] == (0, lines(3000))
    assert run(tmp_path, "--star", "--", "printf", "%s-%s\\n", stdin="a\tb\n")[:2] == (0, "a-b\n")
    assert run(tmp_path, "--", "cat", stdin="")[:2] == (0, "")


def test_run_tells_what_cannot_work(tmp_path):
    status, _, err = run(tmp_path, "--", "/no/such/command", stdin="x\n")
    assert status == 125 and "/no/such/command" in err and "ENOENT" in err
    assert run(tmp_path, "--workers", "many", "--", "cat")[0] == 2
    assert run(tmp_path, "--nonsense", "--", "cat")[0] == 2
    assert run(tmp_path)[0] == 2
    status, _, err = run(tmp_path, "--mode", "wave", "--", "cat", stdin="x\n")
    assert status == 125 and "no such mode" in err


def test_run_ends_with_its_client(tmp_path):
    """Also when that is killed: no worker is left."""
    client = subprocess.Popen([str(REEVECTL), "pool", "run", "--workers", "2", "--", "sh", "-c", "echo $$; sleep 100"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True)
    client.stdin.write("a\nb\n")
    client.stdin.flush()

    def family():
        out = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in out.splitlines()[1:]]
        pools = [r[0] for r in rows if r[1] == str(client.pid)]
        return [int(r[0]) for r in rows if r[0] in pools or r[1] in pools]
    pids = eventually(lambda: (f := family()) and len(f) == 3 and f, what="pool and workers")
    client.kill()
    client.wait()
    client.stdin.close()
    client.stdout.close()
    eventually(lambda: not any(map(alive, pids)), what="the end of the pool")


def test_progress_bar(tmp_path):
    path = tmp_path / "list"
    path.write_text(lines(50))
    status, _, err = run(tmp_path, "--bar", "--file", path, "--", "true")
    assert status == 0 and "50/50" in err and "0 failed" in err


def test_tagged_lines(tmp_path):
    """Each line is marked, an empty result too, and no two results share a line."""
    assert run(tmp_path, "--tag", "--", "sh", "-c", "printf \"$0\"", stdin="a\\nb\n\nc\n") == (0, "1\ta\n1\tb\n2\t\n3\tc\n", "")
    assert run(tmp_path, "--tag", "--mode", "line", "cat", stdin="a\n\n") == (0, "1\ta\n2\t\n", "")


def test_who_was_killed_says_by_what(tmp_path):
    assert run(tmp_path, "--", "sh", "-c", "kill -9 $$", stdin="a\n") == (1, "", "reevectl: line 1: lost: terminated by SIGKILL\n")


def test_without_reeve_pool(tmp_path):
    alone = tmp_path / "reevectl"
    shutil.copy(REEVECTL, alone)
    r = subprocess.run([str(alone), "pool", "run", "cat"], input="a\n", capture_output=True, text=True, timeout=60, check=False,
                       env={**os.environ, "PATH": "/nonexistent"})
    if not os.path.exists("/usr/local/libexec/reeve/reeve-pool"):     # one that is installed is found
        assert (r.returncode, r.stderr) == (125, "reevectl: reeve-pool is not installed (the build option `pool`)\n")


def test_help_explains_the_options(tmp_path):
    status, out, _ = run(tmp_path, "--help")
    assert status == 0 and "\n  --workers N " in out and "\n  --tag " in out
