"""Debian's supervisorctl, unmodified, drives both daemons in the same run; what it prints is compared, pids and times apart."""

import signal
import subprocess

from basics import eventually
from test_against_supervisord import (LOGS, PROGRAMS, READY, Call, Edit, Ours, Theirs, Wait, act, equalise, make_plain, take, written)


class Through(Ours):
    """Ours, seen through the gateway: Debian's client on the socket of [unix_http_server]."""

    def __init__(self, folder, client):
        super().__init__(folder)
        self.client = client

    def run(self, argv, stdin=""):
        return self.client.run_in(self.folder, argv, stdin)

    def up(self):
        return (self.folder / "s.sock").exists()


class Their(Theirs):
    def run_in(self, folder, argv, stdin=""):
        mine, self.folder = self.folder, folder
        try:
            return self.run(argv, stdin)
        finally:
            self.folder = mine


def play(tmp_path, text, steps, extra=None):
    theirs = Their(tmp_path)
    ours = Through(tmp_path, theirs)
    try:
        for side in (theirs, ours):
            side.write(text)
            side.start()
        for side in (theirs, ours):
            eventually(side.up, 30, side.name)
        differences = [d for d in (take(step, theirs, ours) for step in steps) if d]
        if extra:
            extra(theirs, ours)
    finally:
        ours.close()
        theirs.close()
    assert not differences, "\n" + "\n".join(differences)


def test_processes(tmp_path):
    play(tmp_path, PROGRAMS, [Call(make_plain)] + READY + [
        act("status"), act("status", "nosuch"), act("avail"), act("version"), act("pid"), act("pid", "cat"), act("pid", "all"),
        act("start", "cat"), act("start", "manual"), act("stop", "manual"), act("stop", "manual"), act("restart", "manual"),
        act("start", "nosuch", "manual"), act("start", "nosuch:*"), act("start", "nofile"), act("start", "noexec"), act("start", "odd"),
        act("stop", "grp:*", sort=True), act("restart", "z"),
        act("signal", "CONT", "cat"), act("signal", "BOGUS", "cat"), act("signal", "BOGUS", "both:*"), act("signal", "CONT", "nosuch"),
        act("clear", "cat"), act("clear", "nosuch"), act("clear", "all", sort=True), act("fg", "nosuch"), act("fg", "odd"),
        act("stop", "all", sort=True), act("status", "both:*", "cat", "grp:*", "z", "odd", "once", "manual"),
    ])


def follow(side, *words):
    """A supervisorctl that follows a log, and the file with what it prints."""
    out = side.folder / ("followed " + " ".join(words))
    with open(out, "wb") as f:
        p = subprocess.Popen(["/usr/bin/supervisorctl", "-c", "s.conf", *words], cwd=side.folder, stdout=f, stderr=f,
                             stdin=subprocess.DEVNULL, env={**side.environment(), "PYTHONUNBUFFERED": "1"})
    return p, out


def test_logs(tmp_path):
    def follows(theirs, ours):
        texts = []
        for side in (theirs, ours):
            main, main_out = follow(side, "maintail", "-f")
            p, out = follow(side, "tail", "-f", "talk")
            eventually(lambda o=out: "two" in o.read_text(), 30, "the end of the log")
            side.run(("-c", "s.conf", "signal", "USR1", "more"))
            more, more_out = follow(side, "tail", "-f", "more")
            eventually(lambda o=more_out: "signal\n" in o.read_text(), 30, more_out.read_text)
            side.run(("-c", "s.conf", "signal", "USR1", "more"))
            eventually(lambda o=more_out: o.read_text().count("signal\n") >= 2, 30, more_out.read_text)
            eventually(lambda o=main_out: "INFO" in o.read_text(), 30, "the main log")
            side.run(("-c", "s.conf", "stop", "one"))
            eventually(lambda o=main_out: "stopped: one" in o.read_text(), 30, "the end of the main log")
            for q in (p, more, main):
                q.send_signal(signal.SIGINT)
                q.wait(20)
            texts.append((more_out.read_text(), main.returncode, more.returncode))
        assert equalise(texts[0][0]) == equalise(texts[1][0])
        assert texts[0][1:] == texts[1][1:]

    more = "[program:more]\ncommand = bash -c 'trap \"echo signal\" USR1; echo ready; while :; do read -t 0.1 < <(sleep 1); done'\n"
    play(tmp_path, LOGS + more, [
        Wait("talk", "RUNNING"), Wait("one", "RUNNING"), Wait("mute", "RUNNING"), Wait("more", "RUNNING"), written("talk.log", "one\ntwo\n"),
        written("talk.err", "problem\n"),
        act("tail", "talk"), act("tail", "talk", "stderr"), act("tail", "-3", "talk"), act("tail", "-100000", "talk"), act("tail", "nosuch"),
        act("tail", "mute"), act("tail", "one", "stderr"), act("tail", "talk", "bogus"),
        act("tail", "-f", "nosuch"), act("tail", "-f", "mute"), act("maintail", "-x"),
    ], follows)


def test_fg(tmp_path):
    """Text goes to the program, its output comes back."""
    def foreground(theirs, ours):
        texts = []
        for side in (theirs, ours):
            out = side.folder / "fg"
            with open(out, "wb") as f:
                p = subprocess.Popen(["/usr/bin/supervisorctl", "-c", "s.conf", "fg", "cat"], cwd=side.folder, stdout=f, stderr=f,
                                     stdin=subprocess.PIPE, env={**side.environment(), "PYTHONUNBUFFERED": "1"})
            eventually(lambda o=out: "Ctrl-C" in o.read_text(), 30, "fg")
            p.stdin.write(b"hello\n")
            p.stdin.flush()
            eventually(lambda o=out: "hello" in o.read_text(), 30, "the echo")
            p.send_signal(signal.SIGINT)
            eventually(lambda o=out: "Exiting" in o.read_text(), 30, "the end")
            p.kill()                    # its thread would wait for half a minute
            p.wait(20)
            p.stdin.close()
            texts.append(out.read_text())
        assert "hello\n" in texts[1]
        assert sorted(texts[0].splitlines()) == sorted(texts[1].splitlines())

    play(tmp_path, "[program:cat]\ncommand = cat\n", [Wait("cat", "RUNNING")], foreground)


def test_groups(tmp_path):
    sleep = "[program:%s]\ncommand = sleep 1000\nstartsecs = 0\n"
    base = sleep % "a" + sleep % "b"
    play(tmp_path, base, [
        Wait("a", "RUNNING"), Wait("b", "RUNNING"),
        act("add", "a"), act("add", "nosuch"), act("remove", "nosuch"), act("remove", "a"), act("reread"), act("update"),
        act("stop", "a"), act("remove", "a"), act("status"), act("avail"), act("add", "a"), Wait("a", "RUNNING"),
        Edit(base + sleep % "c"), act("reread"), act("avail"), act("update", "c"), Wait("c", "RUNNING"), act("update"),
        Edit(base + sleep % "d" + "environment = A=1\n"), act("reread"), act("update"), Wait("d", "RUNNING"), act("status"),
        Edit(base + sleep % "d" + "environment = A=2\n"), act("reread"), act("update"), Wait("d", "RUNNING"), act("status"),
        Edit(base), act("update"), act("status"),
        act("reload"), Wait("a", "RUNNING"), Wait("b", "RUNNING"), act("status"),
    ])


def test_shutdown(tmp_path):
    def ends(theirs, ours):
        for side in (theirs, ours):
            assert side.daemon.wait(30) == 0
            assert not (side.folder / "s.sock").exists()

    play(tmp_path, "[program:a]\ncommand = sleep 1000\n", [Wait("a", "RUNNING"), act("shutdown")], ends)
