"""Logs of programs through a whole daemon: floods, long lines, full disks, rotation, the daemon's own stdout."""

import os
import signal
import time

from reeve import eventually


def test_stdout_of_the_daemon(reeve):
    reeve.start("[program:p]\ncommand = sh -c 'echo from the program; exec sleep 1000'\nstdout_logfile = /dev/stdout\n"
                "stdout_logfile_maxbytes = 0\n")
    reeve.wait_log("\nfrom the program\n")


def test_redirected_stderr_and_none(reeve):
    reeve.start("[program:both]\ncommand = sh -c 'echo out; echo err >&2; exec sleep 1000'\nredirect_stderr = true\nstdout_logfile = @/both.log\n"
                "[program:none]\ncommand = sh -c 'echo quiet; exec sleep 1000'\nstdout_logfile = NONE\nstderr_logfile = NONE\n")
    eventually(lambda: reeve.file("both.log") == "out\nerr\n")
    reeve.wait_state("none", "RUNNING")
    assert reeve.ctl("tail", "none") == (1, "none: ERROR (no log file)\n")


def test_rotation_keeps_every_line_whole(reeve):
    reeve.start("[program:p]\ncommand = sh -c 'i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo end; exec sleep 1000'\n"
                "stdout_logfile = @/p.log\nstdout_logfile_maxbytes = 1KB\nstdout_logfile_backups = 100\n")

    def lines():
        names = [f"p.log.{i}" for i in range(100, 0, -1)] + ["p.log"]
        return "".join(reeve.file(name) for name in names).splitlines()

    eventually(lambda: lines()[-1:] == ["end"])
    assert lines() == [f"line {i}" for i in range(3000)] + ["end"]
    assert (reeve.folder / "p.log.5").stat().st_size <= 1100


def test_reopen_after_external_rotation(reeve):
    reeve.start("[program:p]\ncommand = sh -c 'while read x; do echo $x; done'\nstdout_logfile = @/p.log\n")
    reeve.wait_state("p", "RUNNING")
    reeve.call("SendStdin", name="p", data="one\n")
    eventually(lambda: reeve.file("p.log") == "one\n")
    os.rename(reeve.folder / "p.log", reeve.folder / "old")
    reeve.daemon.send_signal(signal.SIGUSR2)
    eventually(lambda: (reeve.folder / "p.log").exists())
    reeve.call("SendStdin", name="p", data="two\n")
    eventually(lambda: reeve.file("p.log") == "two\n")
    assert reeve.file("old") == "one\n"


def test_flood_does_not_delay_others(reeve):
    reeve.start("[program:flood]\ncommand = yes\nstdout_logfile = @/flood.log\nstdout_logfile_maxbytes = 1MB\nstdout_logfile_backups = 1\n"
                "[program:web]\ncommand = sh -c 'echo started; exec sleep 1000'\nstdout_logfile = @/web.log\n")
    reeve.wait_state("flood", "RUNNING")
    for n in range(1, 4):
        began = time.monotonic()
        assert reeve.ctl("restart", "web")[1].endswith("web: started\n")
        eventually(lambda n=n: reeve.file("web.log").count("started") >= n + 1)
        assert time.monotonic() - began < 20


def test_hundred_megabytes_without_newline_and_binary(reeve):
    reeve.start("[program:long]\ncommand = sh -c 'head -c 100000000 /dev/zero | tr \"\\\\000\" x; exec sleep 1000'\nstdout_logfile = @/long.log\n"
                "stdout_logfile_maxbytes = 0\n[program:binary]\ncommand = sh -c 'head -c 100000 /dev/urandom; exec sleep 1000'\n"
                "stdout_logfile = @/binary.log\n")
    for name, size in (("long", 100000000), ("binary", 100000)):
        log = reeve.folder / f"{name}.log"
        eventually(lambda log=log, size=size: log.exists() and log.stat().st_size == size, 60, log.name)
    assert reeve.ctl("status", "long")[0] == 0


def test_full_disk(reeve):
    disk = reeve.folder / "disk"
    disk.mkdir()
    reeve.start("[program:p]\ncommand = sh -c 'while read x; do head -c 60000 /dev/zero | tr \"\\\\000\" x; echo; echo $x; done'\n"
                "stdout_logfile = @/disk/p.log\nstdout_logfile_maxbytes = 0\n[program:web]\ncommand = sleep 1000\n",
                wrap=("unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=100k none {disk} && exec \"$@\"", "sh"))
    reeve.wait_state("p", "RUNNING")
    for i in range(4):
        reeve.call("SendStdin", name="p", data=f"{i}\n")
    reeve.wait_log("cannot write the log")
    assert reeve.ctl("restart", "web")[1] == "web: stopped\nweb: started\n"
    inside = f"/proc/{reeve.part('logger')}/root{disk}/p.log"
    with open(inside, "w", encoding="ascii"):
        pass        # room again
    reeve.call("SendStdin", name="p", data="after\n")
    reeve.wait_log("can be written again", 40)
    reeve.call("SendStdin", name="p", data="after\n")
    eventually(lambda: "after\n" in open(inside, encoding="ascii").read())


def test_auto_log_before_the_first_start(reeve):
    """A program that was never started has its AUTO logs: empty, private, readable."""
    reeve.start("[program:p]\ncommand = cat\nautostart = false\n")
    path = eventually(lambda: reeve.process("p")["stdout_logfile"], what="a log file")
    assert os.stat(path).st_size == 0 and os.stat(path).st_mode & 0o777 == 0o600
    assert reeve.ctl("tail", "p") == (0, "\n")
