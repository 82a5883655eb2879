#!/usr/bin/python3
"""Print as JSON what a program finds when it starts: signals, descriptors, session, limits, user, environment."""
import json
import os
import resource

status = dict(line.split(":\t", 1) for line in open("/proc/self/status", encoding="ascii").read().splitlines() if ":\t" in line)
fds = sorted(int(n) for n in os.listdir("/proc/self/fd"))
print(json.dumps({
    "SigBlk": status["SigBlk"], "SigIgn": status["SigIgn"], "fds": [fd for fd in fds if os.path.exists(f"/proc/self/fd/{fd}")],
    "sid": os.getsid(0), "pgid": os.getpgid(0), "pid": os.getpid(), "umask": os.umask(0), "cwd": os.getcwd(),
    "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "env": dict(os.environ),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "caps": status["CapEff"],
}), flush=True)
while True:
    os.read(0, 1)
