"""autoupdate=true: the files are watched and applied."""

import os
import signal

from reeve import eventually

PROGRAM = "[program:%s]\ncommand = sleep 1000\n"


def names(reeve):
    return set(reeve.processes())


def start(reeve, text, daemon="autoupdate = true\n"):
    return reeve.start(text + "[include]\nfiles = @/conf.d/*.ini\n", daemon=daemon)


def test_edit_in_place_and_by_rename(reeve):
    start(reeve, PROGRAM % "a")
    reeve.wait_state("a", "RUNNING")
    pid = reeve.pid("a")
    with open(reeve.config, "a") as f:
        f.write(PROGRAM % "b")
    eventually(lambda: names(reeve) == {"a", "b"}, what="b")
    fresh = reeve.folder / "fresh"
    fresh.write_text(reeve.config.read_text() + PROGRAM % "c")
    os.rename(fresh, reeve.config)
    eventually(lambda: names(reeve) == {"a", "b", "c"}, what="c")
    assert reeve.pid("a") == pid, "what did not change was left alone"


def test_included_files_come_and_go(reeve):
    (reeve.folder / "conf.d").mkdir()
    start(reeve, PROGRAM % "a")
    part = reeve.folder / "conf.d" / "b.ini"
    part.write_text(PROGRAM % "b")
    eventually(lambda: names(reeve) == {"a", "b"}, what="b")
    (reeve.folder / "conf.d" / "ignored.txt").write_text(PROGRAM % "x")
    part.unlink()
    eventually(lambda: names(reeve) == {"a"}, what="b gone")


def test_errors_change_nothing(reeve):
    start(reeve, PROGRAM % "a")
    reeve.wait_state("a", "RUNNING")
    pid = reeve.pid("a")
    good = reeve.config.read_text()
    reeve.config.write_text(good.replace("sleep 1000", "sleep 1000\nstartsecs = soon"))
    reeve.wait_log("the configuration on disk has errors, nothing was changed")
    assert reeve.pid("a") == pid
    reeve.config.write_text(good + PROGRAM % "b")
    eventually(lambda: names(reeve) == {"a", "b"}, what="b")


def test_can_be_switched(reeve):
    """It is a live key: update turns it on, an applied edit turns it off."""
    start(reeve, PROGRAM % "a", daemon="")
    text = reeve.config.read_text()
    on = text.replace("[supervisord]\n", "[supervisord]\nautoupdate = true\n")
    reeve.config.write_text(on)
    assert reeve.ctl("update")[0] == 0
    reeve.config.write_text(on + PROGRAM % "b")
    eventually(lambda: names(reeve) == {"a", "b"}, what="b")
    reeve.config.write_text(text + PROGRAM % "b" + PROGRAM % "c")
    eventually(lambda: names(reeve) == {"a", "b", "c"}, what="c")
    eventually(lambda: not watches(reeve.part("supervisor")), what="the end of watching")
    reeve.config.write_text(text)
    assert reeve.ctl("status")[0] == 0 and names(reeve) == {"a", "b", "c"}


def watches(pid):
    """Does it hold an inotify?"""
    def link(fd):
        try:
            return os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            return ""
    return any("inotify" in link(fd) for fd in os.listdir(f"/proc/{pid}/fd"))


def test_edit_while_no_supervisor_looks(reeve):
    """A change between two supervisors is found."""
    start(reeve, PROGRAM % "a")
    old = reeve.part("supervisor")
    os.kill(old, signal.SIGSTOP)
    reeve.config.write_text(reeve.config.read_text() + PROGRAM % "b")
    os.kill(old, signal.SIGKILL)
    eventually(lambda: names(reeve) == {"a", "b"}, what="b")
