"""/metrics, /healthz and /readyz, as Prometheus and a container's probes see them."""

import os
import re
import signal
import subprocess

from reeve import alive, eventually
from test_web import health, request, serve

SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')

PROGRAMS = """
[program:web]
command = sh -c 'echo hello; exec sleep 1000'
[program:worker]
command = sleep 1000
numprocs = 2
process_name = %(program_name)s_%(process_num)d
[program:fails]
command = sh -c 'exit 3'
startsecs = 0
autorestart = false
autostart = false
[program:parent]
command = sh -c '/usr/bin/python3 -c "sum(range(9000000))"; sleep 1000 & wait'
"""


def scrape(reeve):
    """{(name, ((label, value), ...)): number}"""
    status, text = request(reeve, "GET", "/metrics")
    assert status == 200
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            key = (name, tuple(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")))
            assert key not in samples, key
            samples[key] = float(value)
    return samples


def of(samples, name, **labels):
    """The one sample of NAME that carries LABELS, or None."""
    found = [value for (other, pairs), value in samples.items() if other == name and labels.items() <= dict(pairs).items()]
    assert len(found) < 2, found
    return found[0] if found else None


def test_promtool_accepts_them(reeve):
    serve(reeve, PROGRAMS)
    text = request(reeve, "GET", "/metrics")[1]
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_they_say_what_happened(reeve):
    serve(reeve, PROGRAMS)
    reeve.wait_state("web", "RUNNING")
    eventually(lambda: (of(scrape(reeve), "reeve_process_cpu_seconds_total", process="parent") or 0) > 0.05, 30, "cpu time of a child that is gone")
    reeve.call("Start", names=["fails"])
    reeve.wait_state("fails", "EXITED")
    reeve.call("Start", names=["fails"])
    os.kill(reeve.pid("web"), signal.SIGKILL)
    now = eventually(lambda: of(s := scrape(reeve), "reeve_process_exits_total", process="web") == 1
                     and of(s, "reeve_process_exits_total", process="fails") == 2 and of(s, "reeve_processes", state="RUNNING") == 4 and s, 30, "exits")
    assert of(now, "reeve_up") == 1 and of(now, "reeve_build_info") == 1 and of(now, "reeve_process_up", process="web") == 1
    assert of(now, "reeve_process_exits_total", group="fails", process="fails", status="3") == 2
    assert of(now, "reeve_process_exits_total", process="web", status="SIGKILL") == 1
    assert of(now, "reeve_process_restarts_total", process="web") == 1 and of(now, "reeve_process_starts_total", process="web") == 2
    assert of(now, "reeve_process_state", process="fails", state="EXITED") == 1 and of(now, "reeve_process_state", process="fails", state="RUNNING") == 0
    assert of(now, "reeve_processes", state="RUNNING") == 4 and of(now, "reeve_processes", state="EXITED") == 1
    assert of(now, "reeve_process_resident_memory_bytes", group="worker", process="worker_1") > 100000
    assert of(now, "reeve_process_resident_memory_bytes", process="fails") == 0
    assert of(now, "reeve_process_tree_processes", process="parent") >= 2
    assert of(now, "reeve_process_uptime_seconds", process="fails") == 0 < of(now, "reeve_process_uptime_seconds", process="worker_0") < 600
    assert 0 < of(now, "reeve_supervisor_loop_latency_seconds") < 10
    assert of(now, "reeve_supervisor_successions_total") == 0 and of(now, "reeve_config_generation") >= 1
    eventually(lambda: of(scrape(reeve), "reeve_log_read_bytes_total", process="web", stream="stdout") == 12, what="log bytes")
    assert of(now, "reeve_log_dropped_bytes_total", process="web", stream="stdout") == 0 == of(now, "reeve_log_failing", process="web", stream="stderr")
    before = {key: value for key, value in now.items() if key[0].endswith("_total")}
    after = scrape(reeve)
    assert all(after[key] >= value for key, value in before.items()), "a counter went back"


def test_a_tree_holds_what_left_its_family(reeve):
    serve(reeve, "[program:d]\ncommand = sh -c 'setsid -f /usr/bin/python3 -c \"sum(range(9000000)); import time; time.sleep(1000)\"; exec sleep 1000'\n"
                 "[program:e]\ncommand = sleep 1000\n", daemon="cgroups = on")
    reeve.wait_state("e", "RUNNING")
    now = eventually(lambda: of(s := scrape(reeve), "reeve_process_tree_processes", process="d") == 2
                     and of(s, "reeve_process_cpu_seconds_total", process="d") > 0.05 and s, 30, "the daemon that it made")
    assert of(now, "reeve_process_tree_processes", process="e") == 1
    assert of(now, "reeve_process_cpu_seconds_total", process="e") < 0.05
    usage = {p["name"]: p["usage"] for p in reeve.call("List", names=[], usage=True)["parameters"]["processes"]}
    assert usage["d"]["processes"] == 2 and usage["e"]["processes"] == 1


def test_labels_are_escaped(reeve):
    serve(reeve, '[program:a"b\\c]\ncommand = sleep 1000\n')
    text = eventually(lambda: 'process="a\\"b\\\\c"' in (text := request(reeve, "GET", "/metrics")[1]) and text, what="the name")
    subprocess.run(["promtool", "check", "metrics"], input=text, text=True, timeout=60, check=True)


def test_probes(reeve):
    serve(reeve, "[program:good]\ncommand = sleep 1000\n[program:bad]\ncommand = sh -c 'exit 1'\nstartretries = 0\n[program:off]\n"
                 "command = sleep 1000\nautostart = false\n")
    reeve.wait_state("bad", "FATAL")
    reeve.wait_state("good", "RUNNING")
    eventually(lambda: request(reeve, "GET", "/readyz") == (503, "1 of 3 processes are not up\n"), what="one that is not up")
    assert request(reeve, "GET", "/readyz?process=good") == (200, "ok\n")
    assert request(reeve, "GET", "/readyz?process=off")[0] == request(reeve, "GET", "/readyz?process=none")[0] == 503
    reeve.call("Stop", names=["bad"])
    reeve.write(f"[inet_http_server]\nport = 127.0.0.1:{reeve.port}\n[program:good]\ncommand = sleep 1000\n")
    assert reeve.ctl("update")[0] == 0
    eventually(lambda: request(reeve, "GET", "/readyz") == (200, "ok\n"), what="readiness")
    assert request(reeve, "GET", "/healthz") == (200, "ok\n")


def test_a_hanging_supervisor_is_not_healthy(reeve):
    serve(reeve, daemon="heartbeat = 120")
    supervisor = reeve.part("supervisor")
    os.kill(supervisor, signal.SIGSTOP)
    try:
        eventually(lambda: request(reeve, "GET", "/healthz") == (503, "the supervisor does not answer\n"), 60, "bad health")
        assert of(scrape(reeve), "reeve_up") == 0
    finally:
        os.kill(supervisor, signal.SIGCONT)
    eventually(lambda: health(reeve), 60, "good health")
    assert alive(supervisor)
