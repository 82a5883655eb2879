#!/usr/bin/python3
"""
Supervisor or logger is killed (SIGKILL) every 50 to 500 ms while programs restart, log numbered lines and exit with known codes. At
the end every line is in its log once and in order, every exit was told with its true code, and there is no process too many.

    REEVE_BUILD=BUILD tests/fault/random_kill.py [--seconds 300] [--programs 50] [--seed N]
"""

import argparse
import os
import pathlib
import sys
import tempfile
import threading
import time

for _folder in (pathlib.Path(__file__).resolve().parent, pathlib.Path(__file__).resolve().parents[1] / "run"):
    sys.path.insert(0, str(_folder))

from fault import chance, kill, parts, programs  # noqa: E402
from reeve import HELPERS, Reeve, eventually, varlink  # noqa: E402


class Accountant(threading.Thread):
    """Asks for the history of every program all the time and remembers each exit it is told."""

    def __init__(self, reeve, names):
        super().__init__(daemon=True)
        self.reeve, self.names = reeve, names
        self.told = {name: {} for name in names}        # run -> exit codes told
        self.over = threading.Event()
        self.questions = self.unanswered = 0
        self.longest = 0.0                              # seconds without an answer

    def look(self, name):
        reply = varlink(self.reeve.rundir / "control.sock", "io.reeve.Supervisor.Why", {"name": name}, timeout=5)
        for t in reply["parameters"]["transitions"]:
            if t["cause"]["kind"] == "exit":
                self.told[name].setdefault(t["run"], set()).add(t["cause"]["exitcode"])

    def run(self):
        answered = time.monotonic()
        while not self.over.is_set():
            for name in self.names:
                self.questions += 1
                try:
                    self.look(name)
                    self.longest = max(self.longest, time.monotonic() - answered)
                    answered = time.monotonic()
                except (OSError, EOFError):
                    self.unanswered += 1
                    time.sleep(0.002)
            self.over.wait(0.1)


def configuration(n, folder, min_ms, max_ms, lines):
    return "".join(
        f"[program:w{i}]\ncommand = {HELPERS}/counter {folder} {i} {min_ms} {max_ms} {lines}\nautorestart = true\nstartsecs = 0\n"
        f"stdout_logfile = {folder}/w{i}.log\nstdout_logfile_maxbytes = 20KB\nstdout_logfile_backups = 1000\nstderr_logfile = NONE\n"
        for i in range(n))


def read_lines(folder, i):
    backups = sorted(folder.glob(f"w{i}.log.*"), key=lambda p: -int(p.name.rsplit(".", 1)[1]))
    return b"".join(p.read_bytes() for p in [*backups, folder / f"w{i}.log"]).splitlines()


def check_lines(folder, i):
    """What is wrong with the log of program I; None: nothing."""
    written = int.from_bytes((folder / f"{i}.next").read_bytes(), "little")
    lines = read_lines(folder, i)
    if lines == [b"%d %d" % (i, n) for n in range(written)]:
        return None
    for n in range(max(written, len(lines))):
        there = lines[n] if n < len(lines) else b"(nothing)"
        if there != b"%d %d" % (i, n):
            return f"w{i}: line {n} of {written} is {there!r}; {len(lines)} lines in all"
    return None


def check_exits(folder, i, told):
    """(exits, problems): each run's code as the program noted it, and as the daemon told it."""
    problems = []
    runs = dict(map(int, line.split()) for line in (folder / f"{i}.runs").read_text(encoding="ascii").splitlines())
    noted = len((folder / f"{i}.runs").read_text(encoding="ascii").splitlines())
    if noted != len(runs):
        problems.append(f"w{i}: {noted} runs with {len(runs)} numbers")
    for run, code in runs.items():
        if told.get(run) != {code}:
            problems.append(f"w{i}: run {run} exited with {code}, told: {told.get(run)}")
    # The TERM of the end may come before the program has begun: then it could not note anything.
    problems += [f"w{i}: told of an exit of run {run}, which there was not" for run, codes in told.items()
                 if run not in runs and not (run == max(told) and codes == {-15})]
    return len(runs), problems


def run(folder, seconds, n_programs, seed=None, say=lambda text: None, min_ms=1200, max_ms=3000, lines=40):
    """The whole test; returns figures, raises AssertionError with what is wrong."""
    folder = pathlib.Path(folder)
    rng = chance(seed)
    reeve = Reeve(folder)
    names = [f"w{i}" for i in range(n_programs)]
    kills = {"supervisor": 0, "logger": 0}
    try:
        reeve.start(configuration(n_programs, folder, min_ms, max_ms, lines))
        accountant = Accountant(reeve, names)
        accountant.start()
        began, told = time.monotonic(), time.monotonic()
        most = 0
        while time.monotonic() - began < seconds:
            time.sleep(rng.uniform(0.05, 0.5))
            which = rng.choice(("supervisor", "logger"))
            there = parts(reeve.daemon.pid)
            if which in there and kill(there[which]):
                kills[which] += 1
            most = max(most, len(programs(reeve.daemon.pid)))
            if time.monotonic() - told > 30:
                told = time.monotonic()
                say(f"{told - began:.0f} s: killed {kills['supervisor']} supervisors, {kills['logger']} loggers")
        eventually(lambda: len(parts(reeve.daemon.pid)) == 2 and reeve.try_status(), 30, "both again")
        # The last runs end by themselves, and are not followed by others.
        eventually(lambda: stop_all(reeve), 60, "all stopped")
        accountant.over.set()
        accountant.join()
        for name in names:
            accountant.look(name)
        problems = [f"twice at the same time: {line}" for line in reeve.file("doubles").splitlines()]
        left = programs(reeve.daemon.pid)
        if left:
            problems.append(f"{len(left)} processes too many")
        exits = 0
        for i in range(n_programs):
            count, wrong = check_exits(folder, i, accountant.told[names[i]])
            exits += count
            problems += wrong
        assert reeve.stop() == 0
        total = 0
        for i in range(n_programs):
            total += int.from_bytes((folder / f"{i}.next").read_bytes(), "little")
            wrong = check_lines(folder, i)
            problems += [wrong] if wrong else []
        figures = {"seconds": seconds, "programs": n_programs, **{f"{k}s killed": v for k, v in kills.items()}, "exits": exits,
                   "lines": total, "most processes": most, "questions": accountant.questions,
                   "unanswered": accountant.unanswered, "longest silence": round(accountant.longest, 3)}
        say(figures)
        assert not problems, "\n".join([str(figures), f"{len(problems)} problems", *problems[:40]])
        return figures
    finally:
        reeve.close()


def stop_all(reeve):
    try:
        reply = varlink(reeve.rundir / "control.sock", "io.reeve.Supervisor.Stop", {"names": ["all"]}, timeout=30)
        states = {p["statename"] for p in reeve.processes().values()}
        return "results" in reply["parameters"] and states <= {"STOPPED", "EXITED"}
    except (OSError, EOFError):
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--programs", type=int, default=50)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--folder", help="kept afterwards; default: a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reeve-kill-") as temporary:
        folder = args.folder or temporary
        os.makedirs(folder, exist_ok=True)
        run(folder, args.seconds, args.programs, args.seed, say=lambda text: print(text, flush=True))
    print("nothing lost, nothing doubled")


if __name__ == "__main__":
    main()
