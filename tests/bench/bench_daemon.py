#!/usr/bin/python3
"""Start, idle and memory of a whole daemon with 1000 `sleep` programs, beside a bare vfork+exec loop: REEVE_BUILD=build bench_daemon.py"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "run"))

from basics import build_dir  # noqa: E402
from reeve import Reeve, eventually  # noqa: E402

N = 1000


def roles(reeve):
    status = reeve.answers()
    return {"keeper": status["pid"], "supervisor": status["supervisor_pid"], "logger": status["logger_pid"]}


def pss(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) / 1024


def switches(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="latin-1")
    return sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", text))


def main():
    bare = min(float(subprocess.run([str(build_dir() / "tests/bench/bare_loop"), str(N)], capture_output=True, check=True, text=True).stdout)
               for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        reeve = Reeve(folder)
        reeve.write(f"[program:s]\ncommand = /bin/sleep 1000\nnumprocs = {N}\nprocess_name = s%(process_num)d\n"
                    f"stdout_logfile = {folder}/%(process_num)d.log\n")
        began = time.time()
        reeve.start(f"[program:s]\ncommand = /bin/sleep 1000\nnumprocs = {N}\nprocess_name = s%(process_num)d\n", wait=False)
        eventually(lambda: reeve.log().count(" spawned: ") == N, 60)
        stamps = [float(m[1]) * 60 + float(m[2].replace(",", ".")) for m in re.finditer(r":(\d\d):(\d\d,\d+) INFO spawned", reeve.log())]
        started = stamps[-1] - began % 3600
        eventually(lambda: all(p["statename"] == "RUNNING" for p in reeve.processes().values()), 60)
        time.sleep(3)   # a bench, not a test: let start-up settle
        pids = roles(reeve)
        before = {role: switches(pid) for role, pid in pids.items()}
        time.sleep(30)
        idle = {role: switches(pid) - before[role] for role, pid in pids.items()}
        memory = {role: pss(pid) for role, pid in pids.items()}
        print(f"bare vfork+exec loop, {N} programs: {bare:.3f} s")
        print(f"reeved, first to last spawn:        {stamps[-1] - stamps[0]:.3f} s ({(stamps[-1] - stamps[0]) / bare:.2f} times)")
        print(f"reeved, from exec to last spawn:    {started:.3f} s ({started / bare:.2f} times)")
        print("context switches in 30 s of idling: " + ", ".join(f"{role} {n}" for role, n in idle.items()))
        print("PSS in MB: " + ", ".join(f"{role} {n:.1f}" for role, n in memory.items()) + f", together {sum(memory.values()):.1f}")
        reeve.close()


main()
