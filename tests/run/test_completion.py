"""Completion in bash and zsh, with the names of a live daemon."""

import os
import shutil
import subprocess

from basics import build_dir
from reeve import REEVECTL

FOLDER = build_dir() / "packaging" / "completion"
PROGRAMS = ("[program:web]\ncommand = sleep 1000\nstartsecs = 0\nnumprocs = 2\nprocess_name = w%(process_num)d\n"
            "[program:worker]\ncommand = sleep 1000\nstartsecs = 0\n")

# What is typed ("@": the configuration), and the words that are offered for its last one.
CASES = [
    ("reevectl st", {"start", "status", "stop", "starmap"}),
    ("reevectl --js", {"--json"}),
    ("reevectl -c @ --serv", {"--serverurl"}),
    ("reevectl -c @ stop w", {"web:w0", "web:w1", "web:*", "worker"}),
    ("reevectl --configuration @ stop web:w", {"web:w0", "web:w1"}),
    ("reevectl -c @ stop worker web:w1", {"web:w1"}),
    ("reevectl -c @ update w", {"web", "worker"}),
    ("reevectl -c @ signal USR", {"USR1", "USR2"}),
    ("reevectl -c @ signal HUP wor", {"worker"}),
    ("reevectl -c @ help maint", {"maintail"}),
    ("reevectl -c @ version ", set()),
]

BASH = r"""
source "$1/reevectl.bash"
source "$1/reeved.bash"
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$3
_${COMP_LINE%% *}
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
"""


def run(reeve, *command, **variables):
    env = {**reeve.environment(), **variables, "TERM": "xterm", "PATH": f"{REEVECTL.parent}:{os.environ['PATH']}", "HOME": str(reeve.folder)}
    r = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, cwd=reeve.folder, check=False)
    assert r.returncode == 0 and not r.stderr, r.stderr
    return r.stdout


def in_bash(reeve, line, breaks=" \t\n"):
    return set(run(reeve, "bash", "-c", BASH, "bash", str(FOLDER), line, breaks).split())


def test_bash(reeve):
    reeve.start(PROGRAMS)
    for line, words in CASES:
        assert in_bash(reeve, line.replace("@", str(reeve.config))) == words, line
    # bash takes a colon for the end of a word: what stands before it is not inserted again
    assert in_bash(reeve, f"reevectl -c {reeve.config} stop web:w", " \t\n:=") == {"w0", "w1"}
    assert in_bash(reeve, "reevectl -c ree") == {"reeve.ini", "reeved.log", "reeved.pid"}
    assert in_bash(reeve, "reeved --no") == {"--nodaemon", "--nocleanup"}
    assert in_bash(reeve, "reeved -l ree") == {"reeve.ini", "reeved.log", "reeved.pid"}


# An interactive shell in a pseudo-terminal: what is offered while a key is pressed goes to a file.
ZSHRC = r"""
PS1="> "
fpath=("$COMPLETIONS" $fpath)
autoload -Uz compinit
compinit -u -d "$ZDOTDIR/dump"
compadd() {
    local -a hits
    if [[ " $* " != *" -"[OAD]" "* ]]; then
        builtin compadd -A hits "$@"
        print -rl -- $hits >>"$ZDOTDIR/found"
    fi
    builtin compadd "$@"
}
finished() { : >"$ZDOTDIR/end" }
comppostfuncs=(finished)
"""
ZSH = r"""
zmodload zsh/zpty
zpty shell "zsh -i"
zpty -w -n shell "$1"$'\t'
repeat 900; do
    [[ -e $ZDOTDIR/end ]] && break
    zpty -r -t shell part || sleep 0.05
done
zpty -d shell
[[ -e $ZDOTDIR/end ]] || { print -u2 "nothing was completed"; exit 1 }
[[ ! -e $ZDOTDIR/found ]] || cat $ZDOTDIR/found
"""


def test_zsh(reeve):
    assert shutil.which("zsh"), "zsh is in packaging/dependencies.sh"
    home = reeve.folder / "zsh"
    home.mkdir()
    (home / ".zshrc").write_text(ZSHRC)
    reeve.start(PROGRAMS)
    for line, words in CASES:
        for name in ("found", "end"):
            (home / name).unlink(missing_ok=True)
        out = run(reeve, "zsh", "-f", "-c", ZSH, "zsh", line.replace("@", str(reeve.config)), ZDOTDIR=str(home), COMPLETIONS=str(FOLDER))
        last = line.split(" ")[-1]
        assert {word for word in out.split("\n") if word and word.startswith(last)} == words, (line, out)
