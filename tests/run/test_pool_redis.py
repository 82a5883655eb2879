"""The queue in Redis: several pools share it, die, and Redis itself goes away and comes back."""

import os
import signal
import socket
import subprocess
import threading

import pytest

from basics import eventually
from pools import Pool, Refused


class Redis:
    """A real redis-server on a socket of its own, with its file."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder),
                                         "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--logfile", "redis.log"])
        eventually(self.ping, what="redis-server")
        return self

    def ping(self):
        try:
            return self.command("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def command(self, *words):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.socket))
            s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(os.fsencode, words)))
            return s.recv(1 << 20)

    def number(self, *words):
        return int(self.command(*words)[1:])

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)


@pytest.fixture
def redis(tmp_path):
    made = Redis(tmp_path)
    yield made.start()
    made.stop(signal.SIGKILL)


@pytest.fixture
def pools(tmp_path, redis):     # pylint: disable=unused-argument
    """pools(NAME) is one more pool; all end with the test, before redis does."""
    made = []

    def make(name):
        made.append(Pool(tmp_path, name))
        return made[-1]
    yield make
    for one in made:
        if one.process and one.process.poll() is None:
            one.stop(seconds=40)
    if made:
        made[0].close()


def start(pool, redis, *argv, takeover=1, **settings):
    return pool.start(*argv, queue=f"unix:{redis.socket}?stream=work&takeover={takeover}", **settings)


def numbers(n):
    return "".join(f"{i}\n" for i in range(n))


def test_map_and_submit(pools, redis):
    p = start(pools("p"), redis, "sh", "-c", "while read x; do echo $x; done", mode="line", workers=2, window=4)
    assert p.ctl("map", "p", stdin=numbers(500))[:2] == (0, numbers(500))
    status, name, _ = p.ctl("submit", "p", "hello")
    assert status == 0
    assert p.ctl("result", "--keep", name.strip())[1] == "hello" and p.ctl("result", name.strip())[1] == "hello"
    with pytest.raises(Refused):
        p.result(int(name.split(":")[1]))
    assert redis.number("XLEN", "work") == 0


def test_submitted_here_done_there(pools, redis):
    """A pool without free workers submits; another does it; the first gets the result."""
    a = start(pools("a"), redis, "sh", "-c", "echo a", workers=1)
    a.call("Pause")
    task = a.submit()
    b = start(pools("b"), redis, "sh", "-c", "echo b", workers=1)
    assert a.result(task)["output"] == "b\n"
    task = a.submit()
    assert b.result(task)["output"] == "b\n"


def test_ten_share_the_work(pools, redis):
    """Nothing is done twice."""
    mine = [start(pools(f"p{i}"), redis, "sh", "-c", f"while read x; do echo $x >>{redis.folder}/ran.{i}; echo $x; done", mode="line",
                  workers=1) for i in range(4)]
    assert mine[0].ctl("map", "p0", stdin=numbers(1000))[:2] == (0, numbers(1000))
    ran = [redis.folder / f"ran.{i}" for i in range(4)]
    shares = [path.read_text().split() if path.exists() else [] for path in ran]
    assert sorted(int(x) for share in shares for x in share) == list(range(1000))
    assert sum(1 for share in shares if share) >= 2


def test_one_of_three_killed(pools, redis):
    """Every task ends exactly once in the results, though one of three pools dies with its tasks."""
    worker = "while read x; do echo $x >>{0}/ran.{1}; sleep 0.002; echo $x; done"
    names = ["a", "b", "c"]
    mine = {n: start(pools(n), redis, "sh", "-c", worker.format(redis.folder, n), mode="line", workers=2, window=2) for n in names}
    client = mine["a"].popen("map", "a", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    source, client.stdin = client.stdin, None
    reader = threading.Thread(target=lambda: (source.write(numbers(3000)), source.close()))
    reader.start()
    eventually(lambda: (redis.folder / "ran.b").exists() and len((redis.folder / "ran.b").read_text().split()) > 100,
               what="b to have its share")
    mine["b"].kill()
    out = client.communicate(timeout=60)[0]
    reader.join()
    assert client.returncode == 0 and out == numbers(3000)
    ran = [int(x) for n in names for x in (redis.folder / f"ran.{n}").read_text().split()]
    assert set(ran) == set(range(3000)) and len(ran) < 3000 + 20
    print(f"{len(ran)} executions of 3000 tasks")
    assert redis.number("XLEN", "work") == 0


def test_submitter_killed_results_stay(pools, redis):
    a, b = (start(pools(n), redis, "sh", "-c", "echo done") for n in "ab")
    a.call("Pause")
    ids = [a.submit() for _ in range(20)]
    a.kill()
    assert [b.result(i)["output"] for i in ids] == ["done\n"] * 20


def test_redis_restarts(pools, redis):
    """What was accepted is in its file; the pool waits, and goes on."""
    p = start(pools("p"), redis, "sh", "-c", f"sleep 0.05; echo $0 >>{redis.folder}/ran", workers=2)
    ids = [p.submit(i) for i in range(40)]
    redis.stop(signal.SIGKILL)
    eventually(lambda: p.status()["trouble"], what="the pool to notice")
    with pytest.raises(Refused):
        p.submit("x")
    assert "cannot be reached" in p.ctl("submit", "p")[2]
    redis.start()
    eventually(lambda: not p.status()["trouble"], what="the pool to be well again")
    assert [p.result(i)["state"] for i in ids] == ["done"] * 40
    assert sorted(map(int, set((redis.folder / "ran").read_text().split()))) == list(range(40))


def test_redis_restarts_under_a_map(pools, redis):
    p = start(pools("p"), redis, "sh", "-c", "while read x; do sleep 0.003; echo $x; done", mode="line", workers=2, window=4)
    client = p.popen("map", "p", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client.stdin.write(numbers(500))
    client.stdin.close()
    client.stdin = None
    eventually(lambda: p.status()["done"] > 50, what="the map to be under way")
    redis.stop(signal.SIGKILL)
    eventually(lambda: p.status()["trouble"], what="the pool to notice")
    redis.start()
    assert client.communicate(timeout=60)[0] == numbers(500)
    assert client.returncode == 0


def test_without_redis_at_the_start(pools, tmp_path):
    (tmp_path / "late").mkdir()
    server = Redis(tmp_path / "late")
    p = start(pools("p"), server, "true")
    eventually(lambda: ": cannot connect: " in p.status()["trouble"], what="the pool to notice")
    try:
        # Said once, however often it is tried.
        assert all(line.startswith("reeve-pool: p: queue ") for line in p.log().splitlines()), p.log()
        server.start()
        eventually(lambda: not p.status()["trouble"], what="the connection")
        assert p.result(p.submit())["state"] == "done"
    finally:
        server.stop(signal.SIGKILL)


def test_a_pool_ends_without_redis(pools, redis):
    """What could not be recorded is left to others, after stopwaitsecs."""
    p = start(pools("p"), redis, "sh", "-c", f"until [ -e {redis.folder}/go ]; do sleep 0.02; done", stopwaitsecs=0.5)
    p.submit()
    p.wait_status(running=1)
    redis.stop(signal.SIGKILL)
    (redis.folder / "go").touch()
    p.wait_status(running=0)
    assert p.stop() == 0


def test_poisoned_task(pools, redis):
    """A task that takes its pool with it is given up after so many deliveries."""
    p = pools("p")
    script = "[ $0 != poison ] || kill -9 $PPID; echo fine"
    queue = f"unix:{redis.socket}?stream=work&takeover=0.2&poison=3"
    p.start("sh", "-c", script, queue=queue, workers=1)
    p.call("Pause")
    task, other = p.submit_many([["poison"], ["harmless"]])
    p.call("Resume")
    for _ in range(3):
        p.process.wait(30)
        p.start(wait=False)
    eventually(p.answers)
    r = p.result(task)
    assert r["state"] == "lost" and "given up" in r["why"]
    assert p.result(other)["output"] == "fine\n"
    assert redis.number("XLEN", "work:poison") == 1


def test_claim_runs_at_most_once(pools, redis):
    a = start(pools("a"), redis, "sh", "-c", f"echo x >>{redis.folder}/ran; exec sleep 100", workers=1, claim=True)
    task = a.submit()
    eventually(lambda: (redis.folder / "ran").exists())
    b = start(pools("b"), redis, "true", claim=True)
    a.kill()
    r = b.result(task)
    assert r["state"] == "lost" and "once only" in r["why"]
    assert (redis.folder / "ran").read_text() == "x\n"


def test_a_paused_pool_keeps_nothing(pools, redis):
    """Not even after many times: being handed on is no failed delivery."""
    a = start(pools("a"), redis, "sleep", "100", workers=1, stopwaitsecs=0)
    task = a.submit_many([["0"], ["0"]])[1]
    for _ in range(7):
        a.call("Resume")
        eventually(lambda: a.status()["running"] == 1)
        a.call("Pause")
    b = start(pools("b"), redis, "echo", "b", workers=1)
    r = b.result(task)
    assert r["output"] == "b 0\n" and r["attempts"] == 1
    assert a.status()["running"] == 1


def test_stopping_a_pool_hands_its_tasks_over(pools, redis):
    """Without waiting for a takeover."""
    a = start(pools("a"), redis, "sleep", "100", workers=2, takeover=1000, stopwaitsecs=0)
    ids = [a.submit() for _ in range(4)]
    a.wait_status(running=2)
    b = start(pools("b"), redis, "echo", "b", workers=1, takeover=1000)
    a.stop()
    assert [b.result(i)["output"] for i in ids] == ["b\n"] * 4


def test_cancel_unique_retry(pools, redis):
    p = start(pools("p"), redis, "test", "-e", f"{redis.folder}/good", workers=1)
    p.call("Pause")
    first = p.submit(unique="k")
    assert p.submit(unique="k") == first
    assert p.call("Cancel", ids=[first])["cancelled"] == [first]
    assert p.result(first)["state"] == "cancelled"
    p.call("Resume")
    task = p.submit(unique="k")
    assert task != first and p.result(task, keep=True)["state"] == "failed"
    (redis.folder / "good").touch()
    again = p.call("Retry", ids=[task])["ids"][0]
    assert p.result(again)["state"] == "done"


def test_results_expire(pools, redis):
    p = start(pools("p"), redis, "true", keep_time=0.2)
    task = p.submit()
    p.call("Drain")
    eventually(lambda: redis.number("EXISTS", f"work:result:{task}") == 0)


def test_entries_by_others(pools, redis):
    """Anybody may add to the stream; nonsense in it does no harm."""
    p = start(pools("p"), redis, "sh", "-c", f"echo $0 >>{redis.folder}/ran", workers=1)
    redis.command("XADD", "work", "*", "words", "from outside")
    redis.command("XADD", "work", "*", "nonsense", "x")
    redis.command("XADD", "work", "*", "words", "second", "priority", "abc", "retries", "-5", "timeout", "nan")
    eventually(lambda: (redis.folder / "ran").exists() and len((redis.folder / "ran").read_text().splitlines()) == 2)
    assert p.result(p.submit("mine"))["state"] == "done"


# What the pool's three connections (commands, reader, listener) hear at each attempt to connect; None: nothing, for ever.
LIES = [(None, None, b"*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nx\r\n"), (None, b":1\r\n", None), (b"*2147483647\r\n", None, None),
        (None, None, b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n$1\r\nx\r\n"), (None, None, None)]


class Liar:
    """Stands before a Redis, and answers its first clients with LIES."""

    def __init__(self, path, real):
        self.real, self.lies, self.held = real, [lie for three in LIES for lie in three], []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            if not self.lies:
                self.forward(client)
            elif lie := self.lies.pop(0):
                client.sendall(lie)
            self.held.append(client)

    def forward(self, client):
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self.real))

        def copy(source, target):
            try:
                while data := source.recv(1 << 16):
                    target.sendall(data)
            except OSError:
                pass
            for s in (source, target):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for pair in ((client, server), (server, client)):
            threading.Thread(target=copy, args=pair, daemon=True).start()
        self.held.append(server)

    def close(self):
        for s in (self.listener, *self.held):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


def test_a_server_that_lies(pool, redis):
    """Answers that nobody asked for, of impossible shapes, and none at all: the pool goes on trying, and works when Redis is Redis again."""
    liar = Liar(pool.folder / "liar.sock", redis.socket)
    try:
        pool.start("cat", mode="line", workers=1, queue=f"unix:{pool.folder}/liar.sock?stream=lies&takeover=0.3")

        def accepted():
            assert pool.process.poll() is None, pool.log()
            try:
                return pool.submit("truth")
            except Refused:
                return None
        number = eventually(accepted, 60, "the truth")
        assert not liar.lies
        assert pool.result(number)["output"] == "truth"
    finally:
        pool.close()
        liar.close()
