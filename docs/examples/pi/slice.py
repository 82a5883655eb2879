"""The same as a worker of mode=line: "FIRST<tab>END" in, the slice's sum out, for as long as there are lines."""
import sys

for line in sys.stdin:
    first, end = map(int, line.split())
    total = 0.0
    for k in range(end - 1, first - 1, -1):
        total += 1 / ((2 * k + 1) * (2 * k + 1))
    print(repr(total), flush=True)
