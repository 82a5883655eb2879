"""supervisord itself, but for two things that make tests slow and uncertain: it looks around twenty times a second instead of once, and a
signal that comes to a program before its exec is not lost."""

import os
import signal
import sys

from supervisor import options, poller, supervisord

poll = poller.Poller.poll
ALL = signal.valid_signals()


def fork(self):
    """The child has the parent's handlers until it executes its program."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ALL)
    pid = os.fork()
    if pid == 0:
        for number in ALL - {signal.SIGKILL, signal.SIGSTOP}:
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ALL)
    return pid


poller.Poller.poll = lambda self, timeout: poll(self, min(timeout, 0.05))
options.ServerOptions.fork = fork
sys.argv[0] = "/usr/bin/supervisord"
supervisord.main()
