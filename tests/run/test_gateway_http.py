bringing up nodes...
bringing up nodes...


==================================== ERRORS ====================================
________________________ ERROR collecting test session _________________________
/usr/lib/python3.11/importlib/__init__.py:126: in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
<frozen importlib._bootstrap>:1206: in _gcd_import
    ???
<frozen importlib._bootstrap>:1178: in _find_and_load
    ???
<frozen importlib._bootstrap>:1149: in _find_and_load_unlocked
    ???
<frozen importlib._bootstrap>:690: in _load_unlocked
    ???
/usr/lib/python3/dist-packages/_pytest/assertion/rewrite.py:168: in exec_module
    exec(co, module.__dict__)
tests/run/conftest.py:9: in <module>
    from pools import Pool  # noqa: E402
tests/run/pools.py:14: in <module>
    SANITIZED = b"__asan_init" in POOL.read_bytes()
/usr/lib/python3.11/pathlib.py:1051: in read_bytes
    with self.open(mode='rb') as f:
/usr/lib/python3.11/pathlib.py:1045: in open
    return io.open(self, mode, buffering, encoding, errors, newline)
E   FileNotFoundError: [Errno 2] No such file or directory: '/tmp/--durations=12-fault/daemon/pool/reeve-pool'
________________________ ERROR collecting test session _________________________
/usr/lib/python3.11/importlib/__init__.py:126: in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
<frozen importlib._bootstrap>:1206: in _gcd_import
    ???
<frozen importlib._bootstrap>:1178: in _find_and_load
    ???
<frozen importlib._bootstrap>:1149: in _find_and_load_unlocked
    ???
<frozen importlib._bootstrap>:690: in _load_unlocked
    ???
/usr/lib/python3/dist-packages/_pytest/assertion/rewrite.py:168: in exec_module
    exec(co, module.__dict__)
tests/run/conftest.py:9: in <module>
    from pools import Pool  # noqa: E402
tests/run/pools.py:14: in <module>
    SANITIZED = b"__asan_init" in POOL.read_bytes()
/usr/lib/python3.11/pathlib.py:1051: in read_bytes
    with self.open(mode='rb') as f:
/usr/lib/python3.11/pathlib.py:1045: in open
    return io.open(self, mode, buffering, encoding, errors, newline)
E   FileNotFoundError: [Errno 2] No such file or directory: '/tmp/--durations=12-fault/daemon/pool/reeve-pool'
________________________ ERROR collecting test session _________________________
/usr/lib/python3.11/importlib/__init__.py:126: in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
<frozen importlib._bootstrap>:1206: in _gcd_import
    ???
<frozen importlib._bootstrap>:1178: in _find_and_load
    ???
<frozen importlib._bootstrap>:1149: in _find_and_load_unlocked
    ???
<frozen importlib._bootstrap>:690: in _load_unlocked
    ???
/usr/lib/python3/dist-packages/_pytest/assertion/rewrite.py:168: in exec_module
    exec(co, module.__dict__)
tests/run/conftest.py:9: in <module>
    from pools import Pool  # noqa: E402
tests/run/pools.py:14: in <module>
    SANITIZED = b"__asan_init" in POOL.read_bytes()
/usr/lib/python3.11/pathlib.py:1051: in read_bytes
    with self.open(mode='rb') as f:
/usr/lib/python3.11/pathlib.py:1045: in open
    return io.open(self, mode, buffering, encoding, errors, newline)
E   FileNotFoundError: [Errno 2] No such file or directory: '/tmp/--durations=12-fault/daemon/pool/reeve-pool'
=========================== short test summary info ============================
ERROR  - FileNotFoundError: [Errno 2] No such file or directory: '/tmp/--dura...
ERROR  - FileNotFoundError: [Errno 2] No such file or directory: '/tmp/--dura...
ERROR  - FileNotFoundError: [Errno 2] No such file or directory: '/tmp/--dura...
3 errors in 9.77s
exit 1
