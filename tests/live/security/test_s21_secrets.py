"""S21: of all secrets that a gateway is told none is in a log, an error, an entry that is sent, or a repr."""

from __future__ import annotations

import pytest

from tests.security.secrets_planted import document, requests
from tests.security.test_s21_secrets import planted as planted
from tests.security.test_s21_secrets import signed, written
from tests.security.test_s21_secrets import sinks as sinks
from tests.support import raw

# -- on servers ------------------------------------------------------------------------------------

SERVED = """
import logging
logging.basicConfig(level=logging.DEBUG)
from plugmw import Gateway

def app(environ, start_response):
    start_response("200 OK", [("Set-Cookie", {cookie!r})])
    return [b"hello"]

app = Gateway(app, {path!r}, reload=False)
"""


@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_s21_a_server_that_logs_everything_logs_no_secret(tmp_path, planted, sinks, gunicorn, worker_class):
    _, ports = sinks
    path = written(tmp_path, document(planted, ports, tmp_path))
    server = gunicorn(
        SERVED.format(cookie=f"session={planted['set-cookie']}", path=str(path)),
        worker_class=worker_class,
        args=["--log-level", "debug", "--threads", "2" if worker_class == "gthread" else "1"],
        env={name: planted[kind] for name, kind in (
            ("PLANTED_FROM_ENV", "from-env"), ("PLANTED_FROM_ENV_REFERENCE", "from-env-reference"))},
    )  # fmt: skip
    statuses = []
    for method, target, headers, body in requests(planted, signed):
        lines = [f"{name}: {value}" for name, value in headers.items()]
        answer = raw.get(server.port, target, *lines, method=method, body=body[: 64 * 1024])
        statuses.append(answer.status)
        if method == "GET" and "lambda" not in target:
            shown = answer.raw.decode("latin-1").replace(planted["set-cookie"], "")
            assert planted.found_in(shown) == set(), target
    server.stop()
    log = server.log()
    assert {200, 401, 403, 500} <= set(statuses)
    assert "DEBUG" in log
    assert "Traceback" in log
    assert planted.found_in(log) == set()
