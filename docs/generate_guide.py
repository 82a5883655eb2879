#!/usr/bin/python3
"""The references of the guide from the programs' own tables: generate_guide.py REEVED REEVECTL OUTPUT_DIRECTORY"""
import tables
from tables import rows

VARLINK = tables.HERE.parent / "lib" / "varlink"


def cell(text):
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def code(text):
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


# ---- configuration

def sections(reeved):
    keys = rows(reeved, "--print=keys")
    table = rows(reeved, "--print=sections")
    shared = {row[1] for row in keys if row[0] == "program"}
    for name, named, alias, help_ in table:
        if alias:
            continue
        own = [row for row in keys if row[0] == name and (name == "program" or row[1] not in shared or not named or name == "group")]
        other = [row[0] for row in table if row[2] == name]
        yield f"\n## [{name}{':x' if named else ''}]\n\n{cell(help_)}"
        if other:
            yield f" `[{other[0]}]` is another name of it."
        yield "\n\n| key | type | default | change | |\n| --- | --- | --- | --- | --- |\n"
        for _, key, type_, initial, change, text in own:
            yield f"| `{key}` | {cell(type_)} | {code(initial)} | {change} | {cell(text)} |\n"


# ---- control

def command_line(reevectl):
    yield "\n### Options\n\n| option | |\n| --- | --- |\n"
    for letter, name, argument, help_ in rows(reevectl, "--print=options"):
        short = "" if letter == "-" else f"`-{letter}`, "
        yield f"| {short}`--{name}{'=' + argument if argument else ''}` | {cell(help_)} |\n"
    yield "\n### Commands\n\n| command | |\n| --- | --- |\n"
    for name, arguments, help_ in rows(reevectl, "--print=commands"):
        yield f"| {code((name + ' ' + arguments).strip())} | {cell(help_)} |\n"


def interfaces():
    yield "\n## Sockets\n\nIn the run directory. Messages are JSON objects, each ended by a NUL byte, as https://varlink.org describes. A call is authorised from\n"
    yield "the credentials of its sender: root and the daemon's own user may do everything, members of `control_group` what `control_access` says.\n\n"
    yield "| socket | interface |\n| --- | --- |\n"
    yield "| `control.sock` | io.reeve.Supervisor |\n| `log.sock` | io.reeve.Log |\n| `pool/NAME.sock` | io.reeve.Pool |\n"
    for name in ("Supervisor", "Log", "Pool"):
        yield f"\n## io.reeve.{name}\n\n```varlink\n{(VARLINK / f'io.reeve.{name}.varlink').read_text(encoding='utf-8').strip()}\n```\n"


def pages(reeved, reevectl):
    return {"config-reference": sections(reeved), "control-reference": [*command_line(reevectl), *interfaces()]}


tables.main("guide", "md", pages)
