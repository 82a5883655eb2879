#!/usr/bin/python3
"""Completion for bash and zsh from the programs' own tables: generate.py REEVED REEVECTL OUTPUT_DIRECTORY

Options come from the tables; what stands behind them (commands, names of processes, groups and pools) is asked of `reevectl --words`
when a key is pressed.
"""
import pathlib
import subprocess
import sys

FILES = {"FILE", "DIRECTORY"}


def rows(*command):
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def spellings(letter, name):
    return ([f"-{letter}"] if letter != "-" else []) + [f"--{name}"]


# ---- bash

BASH = r'''# Completion of @PROGRAM@ for bash: generated from its tables by packaging/completion/generate.py.
_@NAME@() {
    local line=${COMP_LINE:0:COMP_POINT} i=1 current last
    local -a words given=()
    COMPREPLY=()
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    last=$((${#words[@]} - 1))
    ((last > 0)) || return
    current=${words[last]}
    while ((i < last)); do
        case ${words[i]} in
        @WITH_ARGUMENT@)
            given+=("${words[i]}" "${words[i + 1]}")
            ((i += 2))
            ;;
        -*) ((i += 1)) ;;
        *) break ;;
        esac
    done
    if ((i > last)); then # behind an option
        case ${words[last - 1]} in
        @WITH_FILE@) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        esac
    elif [[ $i -eq $last && $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "@OPTIONS@" -- "$current")
@REST@    fi
    # the line editor takes a colon for the end of a word
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
    fi
}
complete -F _@NAME@ @PROGRAM@
'''
BASH_REST = '''    else
        mapfile -t COMPREPLY < <("${words[0]}" "${given[@]}" --words="${words[*]:i}" 2>/dev/null)
'''


def bash(program, options, rest):
    with_argument = [s for letter, name, argument, _ in options if argument for s in spellings(letter, name)]
    with_file = [s for letter, name, argument, _ in options if argument in FILES for s in spellings(letter, name)]
    every = [s for letter, name, _, _ in options for s in spellings(letter, name)]
    values = {"PROGRAM": program, "NAME": program, "WITH_ARGUMENT": " | ".join(with_argument), "WITH_FILE": " | ".join(with_file),
              "OPTIONS": " ".join(every), "REST": rest}
    text = BASH
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


# ---- zsh

ZSH = r'''#compdef @PROGRAM@
# Completion of @PROGRAM@ for zsh: generated from its tables by packaging/completion/generate.py.
@FUNCTIONS@_@NAME@() {
    local curcontext=$curcontext state line
    local -A opt_args
    _arguments -C -s -S \
@ARGUMENTS@
}
_@NAME@ "$@"
'''
ZSH_REST = "        '*::word:_reevectl_words'"
ZSH_FUNCTIONS = r'''_reevectl_words() {
    local -a given found
    local option
    if ((CURRENT == 1)); then
        found=(
@COMMANDS@
        )
        _describe command found
        return
    fi
    for option in -c --configuration -s --serverurl; do
        ((${+opt_args[$option]})) && given+=($option "${(Q)opt_args[$option]}")
    done
    found=("${(@f)$(reevectl $given --words="${(j: :)${(@Q)words[1,CURRENT]}}" 2>/dev/null)}")
    compadd -Q -a found
}

'''


def quoted(text):
    """For an argument in single quotes of _arguments or _describe."""
    return text.replace("'", "'\\''").replace(":", "\\:").replace("[", "\\[").replace("]", "\\]")


def zsh_option(letter, name, argument, help_):
    value = ""
    if argument:
        value = f":{argument}:_files" if argument in FILES else f":{argument}: "
    explained = f"'[{quoted(help_)}]{value}'"
    long = f"--{name}{'=' if argument else ''}"
    if letter == "-":
        return f"        {long}{explained}"
    return f"        '(-{letter} --{name})'{{-{letter}{'+' if argument else ''},{long}}}{explained}"


def zsh(program, options, rest, commands):
    arguments = [zsh_option(*option) for option in options] + rest
    functions = ZSH_FUNCTIONS.replace("@COMMANDS@", "\n".join(f"            '{name}:{quoted(help_)}'" for name, _, help_ in commands)) if rest else ""
    values = {"PROGRAM": program, "NAME": program, "ARGUMENTS": " \\\n".join(arguments), "FUNCTIONS": functions}
    text = ZSH
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def main():
    reeved, reevectl, output = sys.argv[1:]
    ctl, daemon, commands = rows(reevectl, "--print=options"), rows(reeved, "--print=options"), rows(reevectl, "--print=commands")
    files = {
        "reevectl.bash": bash("reevectl", ctl, BASH_REST), "reeved.bash": bash("reeved", daemon, ""),
        "_reevectl": zsh("reevectl", ctl, [ZSH_REST], commands), "_reeved": zsh("reeved", daemon, [], []),
    }
    for name, text in files.items():
        (pathlib.Path(output) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
