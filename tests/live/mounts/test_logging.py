"""What an operator sees in gunicorn's log without configuring any."""

from __future__ import annotations

import re
import textwrap

import pytest
import requests

from tests.support.sinks import closed_port

HOOKS = ["--config", "python:plugmw.mounts.gunicorn"]
SOURCE = """
    import logging
    from plugmw import Gateway, Plugin
    {first}

    class Talks(Plugin):
        name = "talks"

        def access(self, x):
            self.logger.debug("as debug")
            self.logger.info("as info")
            self.logger.warning("as warning")

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    app = Gateway(app, {config!r}, plugins=[Talks()])
"""
#: The form of gunicorn's own lines.
LINE = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[%s\] \[%s\] %s"


def source(first="", config=None):
    return textwrap.dedent(SOURCE).format(first=first, config=config)


def has(server, level, text, pid=r"\d+"):
    return re.search(LINE % (pid, level, re.escape(text)), server.log()) is not None


@pytest.mark.parametrize("hooks", [[], HOOKS], ids=["bare", "hooks"])
@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_plugins_log_where_and_as_gunicorn_does_from_info_on(gunicorn, worker_class, hooks):
    server = gunicorn(source(), worker_class=worker_class, args=hooks)
    assert requests.get(server.url, timeout=30).text == "ok"
    [pid] = server.worker_pids()
    assert has(server, "INFO", "as info", pid)
    assert has(server, "WARNING", "as warning", pid)
    assert "as debug" not in server.log()
    assert server.log().count("as warning") == 1


def test_gunicorns_log_level_holds_for_plugmw(gunicorn):
    server = gunicorn(source(), args=["--log-level", "debug"])
    assert requests.get(server.url, timeout=30).text == "ok"
    assert has(server, "DEBUG", "as debug")


def test_an_application_that_configures_logging_is_left_alone(gunicorn):
    first = 'logging.basicConfig(format="mine: %(message)s")'
    server = gunicorn(source(first))
    assert requests.get(server.url, timeout=30).text == "ok"
    assert "mine: as warning" in server.log()
    assert server.log().count("as warning") == 1
    assert "as info" not in server.log()


def test_a_reload_is_one_line(gunicorn, tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text("reload: true\n")
    server = gunicorn(source(config=str(file)), args=HOOKS)
    assert requests.get(server.url, timeout=30).text == "ok"
    file.write_text("reload: true\nshutdown_timeout: 1\n")
    server.wait_for(f"reloaded: {file}")
    assert has(server, "INFO", f"reloaded: {file}")


def test_a_refused_reload_says_why(gunicorn, tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text("reload: true\n")
    server = gunicorn(source(config=str(file)), args=HOOKS)
    assert requests.get(server.url, timeout=30).text == "ok"
    file.write_text("reload: true\nplugins: [{name: nobody}]\n")
    server.wait_for("nobody")
    refused = "reload refused, the configuration in force stays: "
    assert has(server, "ERROR", f'{refused}{file}: plugins[0].name: no plugin "nobody"')


def test_a_refusal_has_a_level_of_its_own_and_says_who_whom_and_why(gunicorn, tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text("plugins: [{name: key-auth}]\n")
    server = gunicorn(source(config=str(file)))
    answer = requests.get(f"{server.url}/orders?apikey=secret", timeout=30)
    assert answer.status_code == 401
    said = f"401 by key-auth ({file}: plugins[0]): Unauthorized; consumer -, GET /orders, request "
    assert has(server, "REFUSED", said)
    assert "secret" not in server.log()


def test_a_service_that_is_down_is_told_with_the_cause(gunicorn, tmp_path):
    file = tmp_path / "gateway.yaml"
    port = closed_port()
    file.write_text(
        "routes: [{name: r, paths: [/], service: s}]\n"
        f"services: [{{name: s, url: 'http://127.0.0.1:{port}', retries: 0}}]\n"
    )
    server = gunicorn(source(config=str(file)))
    answer = requests.get(server.url, headers={"Accept": "application/json"}, timeout=30)
    assert answer.status_code == 502
    cause = f"service at 127.0.0.1:{port}: 502, no connection: [Errno 111] Connection refused"
    assert has(server, "ERROR", f"{cause} (request {answer.json()['request_id']})")
