#!/usr/bin/python3
"""Turn the files of the page into C arrays: embed.py OUTPUT FILE..."""
import hashlib
import os
import sys

TYPES = {".html": "text/html;charset=utf-8", ".css": "text/css;charset=utf-8", ".js": "text/javascript;charset=utf-8",
         ".svg": "image/svg+xml"}

with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write('#include "page.h"\n')
    rows = []
    for number, path in enumerate(sys.argv[2:]):
        with open(path, "rb") as file:
            data = file.read()
        name = os.path.basename(path)
        tag = hashlib.sha256(data).hexdigest()[:20]
        out.write(f"\nstatic const char file_{number}[] = {{\n")
        for at in range(0, len(data), 24):
            out.write("\t" + "".join(f"{byte}," for byte in data[at:at + 24]) + "\n")
        out.write("};\n")
        rows.append(f'\t{{ "{name}", "{TYPES[os.path.splitext(name)[1]]}", "\\"{tag}\\"", file_{number}, sizeof file_{number} }},\n')
    out.write("\nconst struct page_file page_files[] = {\n" + "".join(rows) + "\t{ 0 },\n};\n")
