"""The container recipe of the documentation in namespaces: PID 1, any uid, a read-only root, one writable directory."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from basics import build_dir
from reeve import ControlGroup, eventually, unified

RECIPE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples" / "container" / "reeve.ini"
UID = 54321

# What a container engine does: a root of its own, read-only, entered with pivot_root; then the user.
SETUP = r"""
set -e
root=$1 build=$2 config=$3 app=$4 run=$5 uid=$6
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir usr etc proc dev run run/reeve app old sys sys/fs sys/fs/cgroup opt opt/reeve
for name in bin sbin lib lib64; do [ ! -L /$name ] || ln -s usr/$name $name; done
mount --bind /usr usr
mount -o remount,ro,bind usr
cp /etc/ld.so.cache etc/
cp "$config" etc/reeve.ini
for binary in daemon/reeved daemon/logger/reeve-logger; do
    touch opt/reeve/${binary##*/}
    mount --bind "$build/$binary" opt/reeve/${binary##*/}
done
for device in null zero urandom; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mount --bind "$app" app
mount -o remount,ro,bind app
mount --bind "$run" run/reeve
mount -t proc proc proc
[ -z "$7" ] || mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -o remount,ro "$root"
pivot_root . old
cd /
umount -l /old
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs --inh-caps=-all $8 /opt/reeve/reeved -c /etc/reeve.ini
"""


class Container:
    def __init__(self, reeve):
        self.reeve = reeve
        self.app = reeve.folder / "app"
        self.root = reeve.folder / "root"
        for folder in (self.app, self.root, reeve.rundir):
            folder.mkdir()
        os.chown(reeve.rundir, UID, UID)
        self.program("helper", "exec sleep 1000")

    def program(self, name, script):
        path = self.app / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def start(self, serve, change=lambda text: text, uid=UID, cgroups=False, stdout=None):
        self.program("serve", serve)
        config = self.reeve.folder / "container.ini"
        config.write_text(change(RECIPE.read_text()))
        reeve = self.reeve
        reeve.group.make()
        env = reeve.environment() | {"PATH": "/usr/sbin:/usr/bin", "ASAN_OPTIONS": "log_path=/run/reeve/sanitizer", "HOME": "/"}
        for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
            env.pop(name, None)
        with open(reeve.out, "ab") as out:
            reeve.daemon = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--ipc", "--uts", "--net", *(["--cgroup"] if cgroups else []), "--fork", "--kill-child",
                 "sh", "-c", SETUP, "sh", self.root, build_dir(), config, self.app, reeve.rundir, str(uid), "1" if cgroups else "", "env"],
                stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=stdout or out, env=env, preexec_fn=reeve.group.enter)
        return self

    def first(self):
        """The host's pid of the container's PID 1 (unshare's child)."""
        return int(pathlib.Path(f"/proc/{self.reeve.daemon.pid}/task/{self.reeve.daemon.pid}/children").read_text().split()[0])

    def ended(self, seconds=40):
        status = self.reeve.daemon.wait(seconds)
        reports = [p.read_text(errors="replace") for p in self.reeve.rundir.glob("sanitizer*")]
        assert not reports, reports
        return status


@pytest.fixture
def container(reeve):
    return Container(reeve)


def test_what_a_program_finds(container):
    container.start("id -u; cat /proc/1/comm; grep CapEff /proc/self/status; touch /x 2>&1; touch /run/reeve/y && echo writable; sleep 1.5; exit 3")
    assert container.ended() == 3
    lines = container.reeve.log().splitlines()
    for line in (str(UID), "reeve-keeper", "CapEff:\t0000000000000000", "touch: cannot touch '/x': Read-only file system", "writable"):
        assert f"app | {line}" in lines
    assert "WARN app is EXITED and exit_with names it: shutting down, with exit status 3" in container.reeve.log()
    assert "spawned: 'helper'" in container.reeve.log() and "stopped: helper" in container.reeve.log()
    assert "CRIT" not in container.reeve.log() and "ERRO" not in container.reeve.log()


def test_status_of_a_signal(container):
    container.start("kill -SEGV $$")
    assert container.ended() in (139, 128 + signal.SIGSEGV)


def test_helper_that_fails_for_good(container):
    container.program("helper", "exit 4")
    container.start("exec sleep 1000", lambda text: text + "startretries = 1\n")
    assert container.ended() == 4
    assert "helper is FATAL and on_fatal says shutdown" in container.reeve.log()


def test_stop_of_the_engine(container):
    container.start("trap '' TERM; echo up; while :; do sleep 0.1; done",
                    lambda text: text.replace("stop_deadline = 8", "stop_deadline = 2") + "\n[program:orphans]\ncommand = sh -c 'setsid sleep 1000 &'\n"
                    "autorestart = false\nstartsecs = 0\nstdout_logfile = NONE\nstderr_logfile = NONE\n")
    container.reeve.wait_log("app | up")
    assert container.reeve.call("List", names=[])["parameters"]["processes"]
    began = time.monotonic()
    os.kill(container.first(), signal.SIGTERM)
    assert container.ended() == 0
    assert 1.5 < time.monotonic() - began < 15


def test_programs_survive_in_a_container_too(container):
    container.start("echo up; exec sleep 1000")
    reeve = container.reeve
    reeve.wait_log("app | up")
    before = reeve.wait_state("app", "RUNNING")["pid"]
    supervisor = int(pathlib.Path(f"/proc/{container.first()}/task/{container.first()}/children").read_text().split()[0])
    os.kill(supervisor, signal.SIGKILL)
    reeve.wait_log("supervisor 2 of this daemon has taken over 2 processes")
    assert reeve.process("app")["pid"] == before
    os.kill(container.first(), signal.SIGTERM)
    assert container.ended() == 0


def test_stdout_that_nobody_reads(container):
    read, write = os.pipe()
    try:
        container.start("head -c 8000000 /dev/zero | tr '\\0' x | fold; exit 6", lambda text: text.replace("prefix", "json"), stdout=write)
        assert container.ended(60) == 6
    finally:
        os.close(read)
        os.close(write)


def test_groups_in_a_container(container):
    """Where the engine lets the container have its control groups (root inside, cgroup2 writable), they are used."""
    assert unified()
    container.start("(setsid sleep 1000 &); echo up; exec sleep 1000", uid=0, cgroups=True)
    container.reeve.wait_log("app | up")
    assert isinstance(container.reeve.group, ControlGroup)
    members = eventually(lambda: container.reeve.group.members())
    assert len(next(pids for name, pids in members.items() if name.startswith("app."))) == 2
    os.kill(container.first(), signal.SIGTERM)
    assert container.ended() == 0
