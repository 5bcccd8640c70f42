"""prometheus: configuration, what is counted, the scrape, and workers of real gunicorn."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.support.servers import require_program
from tests.support.waiting import until
from tests.unit.contrib.prometheus.test_plugin import alone as alone

# -- under gunicorn -----------------------------------------------------------------------------------

SERVED = """
    from plugmw import Gateway
    from plugmw.testing import hello_app

    config = {
        "routes": [{"name": "http-route", "paths": ["/"]}],
        "plugins": [{"name": "prometheus", "config": {
            "status_code_metrics": True, "latency_metrics": True, "bandwidth_metrics": True,
            "path": "/metrics",
        }}],
    }
    app = Gateway(hello_app, config)
"""
FOUR = {"workers": 4, "args": ["-c", "python:plugmw.mounts.gunicorn"]}


def counted(server):
    text = requests.get(f"{server.url}/metrics", timeout=30).text
    found = re.findall(r'http_requests_total{service="",route="http-route",code="200".*} (\d+)', text)
    return int(found[0]) if found else 0


def settles_at(server, wanted):
    """Say whether every worker tells ``wanted``, as soon as the log phase of the last answer is over."""
    end = time.monotonic() + 10
    while counted(server) < wanted and time.monotonic() < end:
        pass
    return {counted(server) for _ in range(12)} == {wanted}


def send(server, count):
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: requests.get(server.url, timeout=10).status_code, range(count))
        assert set(answers) == {200}


def test_four_workers_count_together_also_those_that_were_killed_and_over_a_hup(gunicorn):
    server = gunicorn(SERVED, **FOUR)
    send(server, 200)
    assert settles_at(server, 200)
    for pid in server.worker_pids()[:2]:
        os.kill(pid, signal.SIGKILL)
    server.wait_for("Booting worker", 6)
    send(server, 50)
    assert settles_at(server, 250)
    server.signal(signal.SIGHUP)
    server.wait_for("Booting worker", 10)
    send(server, 20)
    assert settles_at(server, 270)


def test_workers_that_are_replaced_all_the_time_lose_nothing(gunicorn, tmp_path):
    args = [*FOUR["args"], "--max-requests", "7"]
    server = gunicorn(SERVED, workers=4, args=args, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    send(server, 150)
    assert settles_at(server, 150)
    assert len(list((tmp_path / "plugmw").glob("*.db"))) <= 12


def test_a_real_prometheus_scrapes_and_answers_queries(gunicorn, tmp_path):
    program, check = require_program("prometheus"), require_program("promtool")
    server = gunicorn(SERVED, **FOUR)
    send(server, 40)
    assert settles_at(server, 40)
    text = requests.get(f"{server.url}/metrics", timeout=30).content
    # Its advice on names is about Kong's; what it cannot read is an error of another status.
    assert subprocess.run([check, "check", "metrics"], input=text, capture_output=True).returncode in (0, 3)
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: a, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}]\n"
    )
    command = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [*command, f"--web.listen-address={address}"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    try:

        def ask(query):
            url = f"http://{address}/api/v1/query"
            try:
                answer = requests.get(url, params={"query": query}, timeout=30).json()
            except (requests.ConnectionError, ValueError):
                return []  # it is still starting
            return [float(one["value"][1]) for one in answer.get("data", {}).get("result", [])]

        end = time.monotonic() + 20
        while not ask("kong_http_requests_total") and time.monotonic() < end:
            time.sleep(0.05)  # Prometheus starts, and scrapes five times a second
        assert ask("sum(kong_http_requests_total{code='200'})") == [40]
        [median] = ask("histogram_quantile(0.5, sum by (le) (kong_request_latency_ms_bucket))")
        assert 0 < median <= 25
        assert ask("kong_nginx_metric_errors_total") == [0]
    finally:
        process.terminate()
        process.wait(10)


def test_a_server_bound_twice_gives_them_on_the_second_port_only(gunicorn):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        second = probe.getsockname()[1]
    source = f"""
        from plugmw import Gateway
        from plugmw.contrib.prometheus.plugin import Prometheus
        from plugmw.testing import hello_app

        app = Gateway(hello_app, plugins=[Prometheus(path="/metrics", port={second})])
    """
    server = gunicorn(source, args=["--bind", f"127.0.0.1:{second}"])
    assert requests.get(f"{server.url}/metrics", timeout=10).text == "hello"
    found = requests.get(f"http://127.0.0.1:{second}/metrics", timeout=10)
    assert "kong_node_info" in found.text
    # A client's own word does not count.
    forged = {"Host": f"127.0.0.1:{second}", "X-Forwarded-Port": str(second)}
    assert requests.get(f"{server.url}/metrics", headers=forged, timeout=10).text == "hello"


EVENTS = """
    from plugmw import Gateway
    from plugmw.testing import hello_app

    app = Gateway(hello_app, {path!r})
    print("READY", flush=True)
"""
FILE = """
reload: true
store: memory://
plugins: [{name: prometheus, config: {path: /metrics}}]
services: [{name: down, url: "http://127.0.0.1:9", retries: 0}]
routes: [{name: down, paths: [/down], service: down}]
"""


def test_what_happens_in_all_workers_is_counted_together(gunicorn, tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(FILE)
    server = gunicorn(textwrap.dedent(EVENTS).format(path=str(path)), **FOUR)
    # A worker that reads the file later would not start with the one that is refused.
    server.wait_for("READY", 4)
    for _ in range(20):
        assert requests.get(f"{server.url}/down", timeout=30).status_code == 502

    def told():
        text = requests.get(f"{server.url}/metrics", timeout=30).text
        return sorted(re.findall(r"^(plugmw_(?:reload|upstream)\S+ [1-9]\d*)$", text, re.MULTILINE))

    failures = 'plugmw_upstream_failures_total{reason="connect"} 20'
    assert told() == [failures]
    path.write_text(FILE + "unrouted: nonsense\n")
    refused = 'plugmw_reload_total{result="refused"} 4'
    until(lambda: refused in told())
    path.write_text(FILE + "shutdown_timeout: 1\n")
    applied = 'plugmw_reload_total{result="applied"} 4'
    until(lambda: applied in told())
    assert told() == [applied, refused, failures]
    assert server.log().count("reload refused, the configuration in force stays") == 4
    assert server.log().count("store: memory:// is in each worker apart") == 1
