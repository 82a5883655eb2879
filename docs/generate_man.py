#!/usr/bin/python3
"""Manual pages from their heads and the programs' own tables: generate_man.py REEVED REEVECTL OUTPUT_DIRECTORY"""
import tables
from tables import rows


def escape(text):
    for c in "\\*_[]#":
        text = text.replace(c, "\\" + c)
    return text


def conf(reeved):
    section = None
    for kind, key, type_, initial, change, help_ in rows(reeved, "--print=keys"):
        if kind != section:
            section = kind
            yield f"\n# SECTION [{kind}]\n\n"
        yield f"*{escape(key)}* ({type_}{', default ' + escape(initial) if initial else ''}; {change})\n\t{escape(help_)}\n\n"


def options(program):
    yield "\n# OPTIONS\n\n"
    for letter, name, argument, help_ in rows(program, "--print=options"):
        short = "" if letter == "-" else f"*-{letter}*, "
        yield f"{short}*--{escape(name)}*{' ' + argument if argument else ''}\n\t{escape(help_)}\n\n"


def commands(reevectl):
    yield "\n# COMMANDS\n\n"
    for name, args, help_ in rows(reevectl, "--print=commands"):
        yield f"*{name}* {escape(args)}\n\t{escape(help_)}\n\n"


def pages(reeved, reevectl):
    return {"reeve.conf.5": conf(reeved), "reeved.8": options(reeved), "reevectl.1": [*options(reevectl), *commands(reevectl)]}


tables.main("man", "scd", pages)
