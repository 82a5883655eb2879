#!/usr/bin/python3
"""Manual pages from their heads and the programs' own tables: generate.py REEVED REEVECTL OUTPUT_DIRECTORY"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def rows(*command):
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def escape(text):
    for c in "\\*_[]#":
        text = text.replace(c, "\\" + c)
    return text


def conf(reeved):
    section = None
    for kind, key, type_, initial, change, help_ in rows(reeved, "--print=keys"):
        if kind != section:
            section = kind
            yield f"\n# SECTION [{kind}]\n"
        yield f"*{escape(key)}* ({type_}{', default ' + escape(initial) if initial else ''}; {change})\n\t{escape(help_)}\n"


def options(program):
    yield "\n# OPTIONS\n"
    for letter, name, argument, help_ in rows(program, "--print=options"):
        short = "" if letter == "-" else f"*-{letter}*, "
        yield f"{short}*--{escape(name)}*{' ' + argument if argument else ''}\n\t{escape(help_)}\n"


def commands(reevectl):
    yield "\n# COMMANDS\n"
    for name, args, help_ in rows(reevectl, "--print=commands"):
        yield f"*{name}* {escape(args)}\n\t{escape(help_)}\n"


def pages(reeved, reevectl):
    return {"reeve.conf.5": conf(reeved), "reeved.8": options(reeved), "reevectl.1": [*options(reevectl), *commands(reevectl)]}


def main():
    reeved, reevectl, output = sys.argv[1:]
    for page, generated in pages(reeved, reevectl).items():
        text = (HERE / f"{page}.head").read_text(encoding="utf-8") + "\n".join(generated)
        (pathlib.Path(output) / f"{page}.scd").write_text(text, encoding="utf-8")


main()
