"""The web page, used as people use it: in Chromium, on a phone and on a desk."""

import http.client
import json
import os
import signal
import socket

import pytest
from selenium.webdriver.common.keys import Keys

from basics import eventually, free_port
from browser import DESKTOP, PHONE, Browser

# One Chromium at a time: it is the largest thing that the tests run.
pytestmark = pytest.mark.xdist_group("browser")

SIZES = pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])


@pytest.fixture(scope="module")
def browser():
    made = Browser()
    yield made
    made.close()


@pytest.fixture
def page(reeve, browser):
    """page(PROGRAMS, size) starts a reeved with an HTTP server and opens its page; at the end nothing may have been complained of."""
    def start(programs, size=DESKTOP, server="", **options):
        port = free_port()
        reeve.url = f"http://127.0.0.1:{port}/"
        reeve.port = port
        reeve.start(f"[inet_http_server]\nport = 127.0.0.1:{port}\n{server}\n{programs}", **options)
        eventually(lambda: health(reeve), 30, "the gateway")
        browser.look(size)
        browser.open(reeve.url)
        return browser
    browser.forgiven = ()
    yield start
    complaints = [text for text in browser.complaints() if not any(part in text for part in browser.forgiven)]
    browser.driver.get("about:blank")
    assert not complaints


def request(reeve, method, path, body=None, headers=None, host=None):
    """(status, body) as a plain HTTP client sees them."""
    connection = http.client.HTTPConnection("127.0.0.1", reeve.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{reeve.port}")
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        data = json.dumps(body).encode() if body is not None else b""
        if method == "POST":
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data or None)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def health(reeve):
    try:
        return request(reeve, "GET", "/healthz")[0] == 200
    except OSError:
        return False


def shoot(browser, reeve, name, size):
    """Light and dark, into the test's folder."""
    for dark in (False, True):
        browser.look(size, dark)
        browser.shoot(reeve.folder / f"{name}-{size[0]}-{'dark' if dark else 'light'}.png")
    browser.look(size)
    assert browser.run("return document.documentElement.scrollWidth") <= size[0], "the page is wider than the screen"


THREE = """
[program:web]
command = sleep 1000
[program:worker]
command = sleep 1000
numprocs = 2
process_name = %(program_name)s_%(process_num)d
[program:batch]
command = sleep 1000
autostart = false
"""


@SIZES
def test_start_stop_and_restart(reeve, page, size):
    b = page(THREE, size)
    for name in ("web", "worker:worker_0", "worker:worker_1"):
        b.until_state(name, "running")
    b.until_state("batch", "stopped")
    assert b.row("batch")[1] == "not started"
    shoot(b, reeve, "list", size)
    b.act("batch", "start")
    b.until_state("batch", "running")
    b.act("web", "stop")
    b.until_state("web", "stopped")
    assert reeve.process("web")["statename"] == "STOPPED"
    b.act("web", "start")
    b.until_state("web", "running")
    pid = reeve.pid("web")
    if size == PHONE:                       # there the row has no room: the details have the button
        b.run("location.hash = '#/web'")
        b.click(".detail-acts .button:nth-child(2)")
        b.until(lambda: reeve.pid("web") not in (0, pid), "another pid")
        shoot(b, reeve, "detail", size)
        b.click(".detail .close")
    else:
        b.act("web", "restart")
    b.until(lambda: (now := reeve.pid("web")) not in (0, pid) and f"pid {now}," in b.row("web")[1], "another pid on the page")


def test_old_link_to_an_action(reeve, page):
    """It does nothing, and the page that says so works."""
    b = page(THREE)
    b.forgiven = ("403",)
    b.open(reeve.url + "index.html?action=stop&processname=web")
    b.until_state("web", "running")
    assert "reevectl stop web" in b.run("return document.querySelector('.refusal').textContent")
    shoot(b, reeve, "refusal", DESKTOP)
    b.act("web", "stop")
    b.until_state("web", "stopped")


def test_all_at_once_and_filtered(reeve, page):
    b = page(THREE)
    for name in ("web", "worker:worker_0", "worker:worker_1"):
        b.until_state(name, "running")
    b.click("#all-stop")
    b.click("#ask-yes")
    for name in ("web", "worker:worker_0", "worker:worker_1"):
        b.until_state(name, "stopped")
    b.type("#filter", "worker")
    b.until(lambda: b.text("#all-start") == "Start (2)", "a filtered list")
    b.click("#all-start")
    b.until_state("worker:worker_1", "running")
    b.until_state("worker:worker_0", "running")
    assert reeve.process("web")["statename"] == reeve.process("batch")["statename"] == "STOPPED"
    b.click("tr.group button[title='Stop all of worker']")
    b.until_state("worker:worker_0", "stopped")


@SIZES
def test_a_crash_appears_by_itself(reeve, page, size):
    b = page("[program:steady]\ncommand = sleep 1000\n"
             "[program:frail]\ncommand = sh -c 'echo \"no database\" >&2; test -e @/broken && exit 3; exec sleep 1000'\nstartretries = 0\n", size)
    b.until_state("frail", "running")
    b.run("window.not_reloaded = true")
    (reeve.folder / "broken").touch()
    os.kill(reeve.pid("frail"), signal.SIGKILL)
    b.until_state("frail", "fatal")
    b.until(lambda: "frail is fatal" in b.run("return document.getElementById('live').textContent"), "the announcement")
    b.until(lambda: b.run("return document.title").startswith("1 down"), "the title")
    b.run("location.hash = '#/frail'")
    b.until(lambda: "frail is FATAL" in (b.text(".lead") or "") and "it died too early" in b.text(".lead"), "why")
    b.until(lambda: "no database" in (b.text("pre.tail") or ""), "the end of its output")
    b.until(lambda: "exit status 3" in (b.text("table.exits") or "") and "SIGKILL" in b.text("table.exits"), "the exits")
    assert b.run("return window.not_reloaded")
    shoot(b, reeve, "crash", size)


@SIZES
def test_follows_a_log(reeve, page, size):
    b = page("[program:talker]\ncommand = sh -c 'echo begin; while read -r line; do echo \"out $line\"; echo \"err $line\" >&2; done'\n", size)
    b.until_state("talker", "running")
    b.act("talker", "log")
    b.until(lambda: "begin" in (b.text(".lines") or ""), "the first line")
    for i in range(3):
        reeve.call("SendStdin", name="talker", data=f"number {i}\n")
    b.until(lambda: "out number 2" in b.text(".lines") and "err number 2" in b.text(".lines"), "what came later")
    assert b.all(".line.stderr") and b.all(".line.stdout")
    b.click(".segments button[data-stream=stderr]")
    b.until(lambda: "err number 0" in b.text(".lines") and "out number" not in b.text(".lines"), "only stderr")
    b.type(".log-tools input", "number 1")
    b.until(lambda: b.text(".found") == "1 of 1" and b.text(".lines mark") == "number 1", "the match")
    shoot(b, reeve, "log", size)
    reeve.call("SendStdin", name="talker", data="a new number 1\n")
    b.until(lambda: b.text(".found") == "1 of 2", "a match that came")
    b.press(Keys.ENTER)
    b.click(".log-tools .button")
    b.until(lambda: "number 0" not in b.text(".lines"), "matches only")
    b.run("location.hash = '#//log'")
    b.until(lambda: "entered RUNNING state" in (b.text(".lines") or ""), "the daemon's log")


def test_a_log_goes_on_when_the_logger_dies(reeve, page):
    b = page("[program:t]\ncommand = sh -c 'while read -r line; do echo \"got $line\"; done'\n")
    b.forgiven = ("ERR_INCOMPLETE_CHUNKED", "status of 503")
    b.until_state("t", "running")
    b.run("location.hash = '#/t/log'")
    reeve.call("SendStdin", name="t", data="one\n")
    b.until(lambda: "got one" in (b.text(".lines") or ""), "the first line")
    os.kill(reeve.part("logger"), signal.SIGKILL)
    reeve.call("SendStdin", name="t", data="two\n")
    b.until(lambda: "got one" in b.text(".lines") and "got two" in b.text(".lines"), "the second line", 60)
    assert b.text(".lines").count("got one") == 1


def test_a_long_log_keeps_its_place_and_clears(reeve, page):
    b = page("[program:flood]\ncommand = sh -c 'seq 1 8000; while read -r x; do seq $x; done'\n")
    b.until_state("flood", "running")
    b.run("location.hash = '#/flood/log'")
    b.until(lambda: b.run("return document.querySelector('.lines')?.lastChild?.textContent") == "8000", "the end")
    b.click(".more")
    b.until(lambda: b.run("return document.querySelectorAll('.line').length") >= 8000, "earlier lines")
    b.until(lambda: b.run("return document.querySelector('.lines').lastChild.textContent") == "8000", "the end again")
    b.run("document.querySelector('.scroller').scrollTop = 100")
    b.until(lambda: b.visible(".down"), "the way down")
    place = b.run("return document.querySelector('.scroller').scrollTop")
    reeve.call("SendStdin", name="flood", data="50\n")
    b.until(lambda: b.text(".down") == "50 new lines below", "news of what came")
    assert b.run("return document.querySelector('.scroller').scrollTop") == place
    b.click(".down")
    b.until(lambda: b.visible(".down") is None, "the end")
    b.click(".detail-acts .button:nth-child(3)")
    b.click("#ask-yes")
    eventually(lambda: next(reeve.folder.glob("flood-stdout*")).stat().st_size == 0, what="an empty log")
    b.until(lambda: "cleared or truncated" in b.text(".lines"), "the note")


@SIZES
def test_applies_a_plan(reeve, page, size):
    b = page("[program:a]\ncommand = sleep 1000\n[program:b]\ncommand = sleep 1000\n", size)
    b.until_state("a", "running")
    old = reeve.pid("a")
    text = reeve.config.read_text()
    reeve.config.write_text(text.replace("[program:a]\ncommand = sleep 1000", "[program:a]\ncommand = sleep 2000")
                            + "[program:c]\ncommand = sleep 1000\n[program:d]\ncommand = sleep 1\nautorestrat = no\n")
    b.until(lambda: b.visible("#plan") and "2 added, 1 restarted" in b.text("#plan"), "the plan", 40)
    b.click("#plan-show")
    b.until(lambda: "command" in (b.text(".changes") or "") and "autorestrat" in (b.text(".diagnostics") or ""), "its lines")
    shoot(b, reeve, "plan", size)
    b.click("#plan-apply")
    b.until(lambda: "This stops a." in (b.text("#ask-text") or ""), "the question")
    b.click("#ask-yes")
    b.until_state("c", "running")
    b.until(lambda: not b.visible("#plan"), "the end of the plan")
    assert reeve.pid("a") not in (0, old)
    reeve.config.write_text(reeve.config.read_text().replace("[program:b]\ncommand = sleep 1000\n", ""))
    b.until(lambda: b.visible("#plan") and "1 removed" in b.text("#plan"), "the removal", 40)
    b.click("#plan-apply")
    b.click("#ask-yes")
    b.until(lambda: b.row("b") is None, "b's end")


def test_by_keyboard_alone(reeve, page):
    b = page(THREE)
    b.until_state("worker:worker_1", "running")
    b.press("j")
    b.until(lambda: b.run("return document.activeElement.className") .startswith("row"), "a focused row")
    for _ in range(4):
        if b.run("return document.activeElement.row.name") != "web":
            b.press("j")
    outline = b.run("return getComputedStyle(document.activeElement).outlineWidth")
    assert b.run("return document.activeElement.row.name") == "web" and outline == "2px"
    b.press("x")
    b.until_state("web", "stopped")
    b.press("s")
    b.until_state("web", "running")
    b.press(Keys.ENTER)
    b.until(lambda: b.visible(".lead"), "the details")
    b.press(Keys.ESCAPE)
    b.until(lambda: not b.visible(".detail"), "the list")
    assert b.run("return document.activeElement.row?.name") == "web"
    b.press("l")
    b.until(lambda: b.visible(".log-view"), "the log")
    b.press("/")
    assert b.run("return document.activeElement.type") == "search"
    b.press(Keys.ESCAPE)
    b.press(Keys.ESCAPE)
    b.press("/")
    b.press("batch", Keys.ENTER)
    b.until(lambda: b.run("return document.activeElement.row?.name") == "batch", "the filtered row")
    b.press(Keys.TAB)
    assert b.run("return document.activeElement.closest('tr')?.row.name") == "batch"
    b.press("t")
    assert b.run("return document.documentElement.dataset.theme") == "light"
    b.press("t")
    assert b.run("return document.documentElement.dataset.theme") == "dark"
    b.press("t")
    b.press("?")
    b.until(lambda: b.visible("#keys"), "the list of keys")
    assert "Restart" in b.text("#keys-list")
    b.press(Keys.ESCAPE)
    b.until(lambda: not b.visible("#keys"), "its end")
    # Everything that can be operated has a name.
    assert b.run("""return [...document.querySelectorAll("button, a, input, select")].filter((node) =>
        !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length || node.title)).map((node) => node.outerHTML)""") == []


def test_curves_with_restart_marks(reeve, page):
    b = page("[program:busy]\ncommand = sh -c 'while :; do :; done'\n[program:dies]\ncommand = sh -c 'sleep 2; exit 1'\n")
    b.until_state("busy", "running")
    b.until(lambda: b.run("""
        const row = document.querySelector('a.name[href="#/busy"]').closest("tr");
        return row.querySelector(".cpu .line").getAttribute("d") && parseInt(row.querySelector(".c-cpu .value").textContent) > 5"""), "a curve", 60)
    b.run("location.hash = '#/dies'")
    b.until(lambda: b.all(".chart .event.start") and b.all(".chart .event.crash"), "marks")
    assert "of the last hour: now" in b.all(".chart-svg.memory")[0].get_attribute("aria-label")
    shoot(b, reeve, "curves", DESKTOP)


def test_a_pool_shows_its_gauges(reeve, page):
    b = page("[pool:p]\ncommand = sh -c 'exit $0'\nworkers = 3\n")
    b.until_state("p", "running")
    b.until(lambda: b.row("p")[1] == "0 of 3 busy, 0 queued, 0 done", "the gauges in the list")
    assert reeve.ctl("submit", "--wait", "p", "0")[0] == 0
    reeve.ctl("submit", "--wait", "p", "1")
    b.until(lambda: b.row("p")[1] == "0 of 3 busy, 0 queued, 1 done, 1 failed", "what was done")
    b.run("location.hash = '#/p'")
    b.until(lambda: "0 of 3 workers busy" in (b.text(".pool") or "") and "Failed\n1" in b.text(".pool"), "the gauges in the details")
    assert 'reeve_pool_tasks_total{pool="p",end="failed"} 1\n' in request(reeve, "GET", "/metrics")[1]
    shoot(b, reeve, "pool", DESKTOP)
    b.click(".detail-acts .button")
    b.until_state("p", "stopped")
    b.until(lambda: not b.visible(".pool"), "no gauges of what does not run")


def test_supervisor_and_gateway_may_die(reeve, page):
    b = page(THREE)
    b.forgiven = ("ERR_CONNECTION", "ERR_INCOMPLETE_CHUNKED", "status of 503", "ERR_EMPTY_RESPONSE", "status of 403")
    b.until_state("web", "running")
    b.run("window.not_reloaded = true")
    os.kill(reeve.part("supervisor"), signal.SIGKILL)
    eventually(lambda: (s := reeve.try_status()) and s["successions"] == 1, 30, "a successor")
    b.until(lambda: "replaced 1" in b.text("#foot") and b.text("#link") == "live", "the successor on the page", 40)
    b.act("web", "stop")
    b.until_state("web", "stopped")
    os.kill(reeve.part("gateway"), signal.SIGKILL)
    b.until(lambda: b.text("#link") != "live", "the loss")
    b.until(lambda: b.text("#link") == "live", "another gateway", 60)
    b.act("web", "start")
    b.until_state("web", "running")
    assert b.run("return window.not_reloaded")


def test_names_and_logs_are_text(reeve, page):
    name = "<img-src=x-onerror=alert(1)>&amp;%41+"
    b = page("[program:" + name.replace("%", "%%") + "]\ncommand = sh -c 'echo \"<script>alert(2)</script>\"; exec sleep 1000'\n")
    name = next(iter(reeve.processes()))
    assert name.startswith("<img")
    b.until(lambda: b.text(".row .name") == name and b.text(".row .word") == "running", "the row")
    b.run("location.hash = `#/${encodeURIComponent(arguments[0])}/log`", name)
    b.until(lambda: "<script>alert(2)</script>" in (b.text(".lines") or ""), "the line")
    assert not b.all(".detail img, .list img")
    b.click(".tab:first-child")
    b.until(lambda: f"{name} is RUNNING" in (b.text(".lead") or ""), "why")
    b.click(".detail-acts .button")
    b.until(lambda: b.text(".row .word") == "stopped", "its end")


# ---- without a browser ----

def serve(reeve, programs="[program:a]\ncommand = sleep 1000\n", server="", daemon=""):
    reeve.port = free_port()
    reeve.start(f"[inet_http_server]\nport = 127.0.0.1:{reeve.port}\n{server}\n{programs}", daemon=daemon)
    eventually(lambda: health(reeve), 30, "the gateway")


def test_only_our_own_page_may_act(reeve):
    serve(reeve)
    reeve.wait_state("a", "RUNNING")
    token = json.loads(request(reeve, "GET", "/api/state")[1])["token"]
    good = {"Content-Type": "application/json", "X-Reeve-Token": token}
    origin = f"http://127.0.0.1:{reeve.port}"
    body = {"names": ["a"]}
    refused = [
        {"Content-Type": "application/json"}, {**good, "X-Reeve-Token": "0" * 32}, {**good, "X-Reeve-Token": ""},
        {**good, "Content-Type": "text/plain"}, {"X-Reeve-Token": token}, {**good, "Origin": "http://evil.example"}, {**good, "Origin": "null"},
        {**good, "Sec-Fetch-Site": "cross-site"}, {**good, "Sec-Fetch-Site": "same-site", "Origin": origin},
    ]
    for headers in refused:
        assert request(reeve, "POST", "/api/stop", body, headers)[0] == 403, headers
    assert request(reeve, "POST", "/api/stop", body, good, host="rebound.example")[0] == 403
    assert request(reeve, "GET", "/api/state", host="rebound.example")[0] == 403
    assert request(reeve, "GET", "/api/log/a", host=f"rebound.example:{reeve.port}")[0] == 403
    assert request(reeve, "GET", "/api/stop")[0] in (404, 405)
    assert reeve.process("a")["statename"] == "RUNNING"
    for wrong in ({}, [], {"names": []}, {"names": "a"}, {"names": [1]}, None):
        assert request(reeve, "POST", "/api/stop", wrong, good)[0] == 400, wrong
    assert request(reeve, "POST", "/api/signal", body, good)[0] == 400
    assert request(reeve, "POST", "/api/shutdown", body, good)[0] == 404
    status, answer = request(reeve, "POST", "/api/stop", {"names": ["nobody"]}, {**good, "Origin": origin})
    assert status == 200 and json.loads(answer)["results"][0]["status"] == 10
    assert request(reeve, "POST", "/api/stop", body, {**good, "Origin": origin, "Sec-Fetch-Site": "same-origin"})[0] == 200
    reeve.wait_state("a", "STOPPED")


def test_logs_and_metrics_are_not_for_pages_under_other_names(reeve):
    """A page of a name that has been pointed at us is as foreign as any other; programs may know us by any name."""
    serve(reeve)
    reeve.wait_state("a", "RUNNING")
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    for path in ("/logtail/a", "/mainlogtail", "/metrics"):
        assert request(reeve, "GET", path, headers=browser, host="rebound.example")[0] == 403
        assert request(reeve, "HEAD", path, headers=browser)[0] == 200
        assert request(reeve, "HEAD", path, host="prometheus.example")[0] == 200


@pytest.mark.parametrize("path", ["/logtail/a", "/mainlogtail", "/api/events", "/api/log/a?follow=0"])
def test_headers_of_a_stream(reeve, path):
    """HEAD: nothing follows the headers that could be taken for the next answer on the connection."""
    serve(reeve)
    reeve.wait_state("a", "RUNNING")
    with socket.create_connection(("127.0.0.1", reeve.port), 30) as s:
        head = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        s.sendall((head + head + "GET /ok.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").encode())
        data = b""
        while more := s.recv(1 << 16):
            data += more
    answers = data.split(b"\r\n\r\n")
    assert [a.split(b" ")[1] for a in answers[:3]] == [b"200"] * 3 and answers[3] == b"OK" and len(answers) == 4


def test_password_and_headers(reeve):
    serve(reeve, server="username = me\npassword = secret")
    basic = {"Authorization": "Basic bWU6c2VjcmV0"}
    for path in ("/", "/web/app.js", "/api/state", "/api/events", "/metrics"):
        assert request(reeve, "GET", path)[0] == 401, path
    assert request(reeve, "GET", "/readyz")[0] in (200, 503)
    status, text = request(reeve, "GET", "/api/state", headers=basic, host="known.example")     # a password: any name will do
    assert status == 200 and "token" in json.loads(text)
    connection = http.client.HTTPConnection("127.0.0.1", reeve.port, timeout=30)
    connection.request("GET", "/", headers=basic)
    response = connection.getresponse()
    assert b"<!doctype html>" in response.read()
    assert "default-src 'none'" in response.getheader("Content-Security-Policy") and "unsafe" not in response.getheader("Content-Security-Policy")
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    connection.request("GET", "/", headers={**basic, "If-None-Match": response.getheader("ETag")})
    assert connection.getresponse().status == 304
    connection.close()
    assert request(reeve, "GET", "/web/../web.c", headers=basic)[0] == 404 == request(reeve, "GET", "/web/no.js", headers=basic)[0]


def test_page_is_self_contained():
    folder = __import__("pathlib").Path(__file__).parents[2] / "daemon" / "gateway" / "web"
    for path in folder.iterdir():
        if path.suffix in (".html", ".js", ".css"):
            text = path.read_text()
            assert "://" not in text.replace("http://www.w3.org/2000/svg", ""), path
            assert " style=" not in text and " onclick=" not in text and "innerHTML" not in text and "eval(" not in text, path


def test_reading_logs_by_http(reeve):
    serve(reeve, "[program:a]\ncommand = sh -c 'echo hello; exec sleep 1000'\n[program:none]\ncommand = sleep 1000\nstdout_logfile = NONE\n")
    eventually(lambda: json.loads(request(reeve, "GET", "/api/log/a?stream=stdout&offset=0")[1]).get("data") == "aGVsbG8K", what="the log")
    assert request(reeve, "GET", "/api/log/a?stream=stdout&offset=1&length=2")[1] == '{"data":"ZWw=","size":6}'
    assert request(reeve, "GET", "/api/log/none")[0] == 404
    assert request(reeve, "GET", "/api/log/nobody")[0] == 404
    for query in ("offset=x", "offset=", "length=1e3", "stream=stdin", "stream=both", "follow=-1", "offset=99999999999999999999"):
        assert request(reeve, "GET", f"/api/log/a?{query}")[0] == 400, query


def test_pages_come_and_go(reeve):
    """Many event streams, of which some do not read."""
    serve(reeve, "[program:flap]\ncommand = sh -c 'exit 0'\nstartsecs = 0\nautorestart = true\n[program:a]\ncommand = sleep 1000\n")
    streams = []
    for _ in range(40):
        connection = http.client.HTTPConnection("127.0.0.1", reeve.port, timeout=30)
        connection.request("GET", "/api/events")
        response = connection.getresponse()
        assert response.status == 200 and response.readline().startswith(b"id: ")
        streams.append((connection, response))
    for connection, _ in streams[:30]:
        connection.close()
    response = streams[-1][1]
    lines = iter(response.readline, b"")
    assert any(line == b"event: process\n" for line in lines)
    eventually(lambda: health(reeve))
    assert request(reeve, "GET", "/api/history?names=" + "x%0A" * 5000)[0] == 200
    for connection, _ in streams[30:]:
        connection.close()
