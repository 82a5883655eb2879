#!/usr/bin/python3
"""Turn interface files into C strings: embed.py OUTPUT FILE..."""
import os
import sys

with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write('#include "varlink/interfaces.h"\n')
    for path in sys.argv[2:]:
        name = os.path.basename(path).removesuffix(".varlink").replace(".", "_").lower()
        out.write(f"\nconst char varlink_{name}[] =\n")
        for line in open(path, encoding="utf-8"):
            text = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"')
            out.write(f'\t"{text}\\n"\n')
        out.write("\t;\n")
