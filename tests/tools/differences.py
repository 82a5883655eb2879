"""Where two descriptions of a configuration differ."""

import json


def differences(got, want, path=""):
    """Lines about what GOT has otherwise than WANT; what only GOT has does not matter."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in want:
            yield from differences(got.get(key, "<missing>"), want[key], f"{path}.{key}")
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for i, (g, w) in enumerate(zip(got, want)):
            yield from differences(g, w, f"{path}[{i}]")
    elif got != want:
        yield f"{path}: reeved has {json.dumps(got)[:200]}, wanted {json.dumps(want, default=str)[:200]}"
