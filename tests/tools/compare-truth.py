#!/usr/bin/python3
"""Compare `reeved --check --dump=json` with recorded truths: compare-truth.py REEVED CONFIGS TRUTHS

A truth is a JSON file NNN.json beside a configuration NNN-*.conf; "@HERE@" stands for the configuration's folder, "@CWD@" for the
working directory. A truth of mode "fragment" is read through a main file that includes it.
"""
import glob
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from differences import differences


def dump(reeved, path, env, cwd):
    result = subprocess.run([reeved, "--check", "--dump=json", "-c", path], env=env, cwd=cwd, capture_output=True, text=True)
    return result.returncode, (json.loads(result.stdout) if result.returncode == 0 else None), result.stderr


def place(value, here, cwd):
    if isinstance(value, str):
        placed = value.replace("@HERE@", here).replace("@CWD@", cwd)
        parent = os.path.dirname(here)
        return placed.replace(f"{here}/../", f"{parent}/").replace(f"{here}/..", parent)
    if isinstance(value, list):
        return [place(v, here, cwd) for v in value]
    if isinstance(value, dict):
        return {k: place(v, here, cwd) for k, v in value.items()}
    return value


def compare(reeved, config, truth, folder):
    text = pathlib.Path(config).read_bytes()
    here = pathlib.Path(folder)
    name = os.path.basename(config)
    (here / name).write_bytes(text)
    main = here / name
    if truth["mode"] == "fragment":
        main = here / "main.conf"
        main.write_text(f"[supervisord]\n[include]\nfiles = {name}\n")
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **truth["env"]}
    code, got, err = dump(reeved, str(main), env, str(here))
    if truth["result"] != "ok":
        return [] if code == 78 else [f"accepted, but: {truth['error']}"]
    if got is None:
        return [f"refused: {err[-600:]}"]
    want = {k: truth[k] for k in ("supervisord", "servers", "serverurl", "groups", "process_list")}
    return list(differences(place(got, str(here), str(here)), place(want, str(here), str(here))))


def main():
    reeved, configs, truths = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
    bad = total = 0
    for path in sorted(glob.glob(f"{truths}/*.json")):
        number = pathlib.Path(path).stem
        config = glob.glob(f"{configs}/{number}-*")[0]
        with tempfile.TemporaryDirectory() as folder:
            found = compare(reeved, config, json.load(open(path, encoding="utf-8")), os.path.realpath(folder))
        total += 1
        bad += bool(found)
        for line in found[:6]:
            print(f"{os.path.basename(config)}: {line}")
    print(f"{total - bad} agree, {bad} differ")
    return bad != 0


sys.exit(main())
