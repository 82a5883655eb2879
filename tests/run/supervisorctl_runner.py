"""Runs supervisord's own supervisorctl again and again: reads {"argv", "cwd", "stdin"} lines, answers {"status", "stdout", "stderr"} lines.

The module is imported once and each call is a forked child of it: the same program without the half second that Python takes to start.
"""

import json
import os
import sys
import tempfile

from supervisor import supervisorctl


def child(request, files):
    for number, file in enumerate(files):
        os.dup2(file.fileno(), number)
    os.chdir(request["cwd"])
    sys.stdin = os.fdopen(0, "r", encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8")
    sys.argv = ["/usr/bin/supervisorctl", *request["argv"]]
    status = 1
    try:
        supervisorctl.main()
        status = 0
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run(request):
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin.write(request["stdin"].encode())
        stdin.seek(0)
        pid = os.fork()
        if pid == 0:
            child(request, (stdin, out, err))
        _, status = os.waitpid(pid, 0)
        out.seek(0)
        err.seek(0)
        return {"status": os.waitstatus_to_exitcode(status), "stdout": out.read().decode(errors="replace"),
                "stderr": err.read().decode(errors="replace")}


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
