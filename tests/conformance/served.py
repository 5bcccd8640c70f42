"""Cases with ``actions_after``: a real gunicorn, and what is done to it after the requests."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.match import matched
from tests.support.servers import start_gunicorn

KEYS = {"expect": {"client", "log", "timing"}, "timing": {"process_exits_within_s"}}

#: The application of a case; what it answers is in the environment variable.
APP = """
import json, logging, os
from plugmw import Gateway

logging.basicConfig(level=logging.INFO)
given = json.loads(os.environ["CASE"])


def upstream(environ, start_response):
    body = given["body"].encode()
    start_response(f"{given['status']} Status", [("Content-Length", str(len(body)))])
    return [body]


app = Gateway(upstream, given["document"])
"""


def run(case: dict[str, Any]) -> list[str]:
    """Serve the requests, carry out the actions; return what was wrong."""
    odd = [a for a in case["actions_after"] if a != {"send_signal": "SIGTERM", "to": "gunicorn master"}]
    odd += [key for key in case["upstream"] if key not in ("status", "body")]
    odd += [
        key for request in case["requests"] for key in request if key not in ("method", "path", "headers")
    ]
    odd += [key for key in case if key in ("sink", "environment", "more_entries")]
    if odd or not case["actions_after"]:
        return [f"not understood beside actions_after: {odd}"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _run(case, Path(folder))
    except (pytest.fail.Exception, pytest.skip.Exception) as error:
        return [f"gunicorn: {error}"]


def _run(case: dict[str, Any], folder: Path) -> list[str]:
    import requests

    from tests.conformance.logs import scope_of

    entry = {"name": case["plugin"], "config": case["config"]}
    given = {**case["upstream"], "document": {"plugins": [entry], **scope_of(case.get("context"))}}
    server = start_gunicorn(
        folder, APP, args=["-c", "python:plugmw.mounts.gunicorn"], env={"CASE": json.dumps(given)}
    )
    try:
        statuses = []
        for one in case["requests"]:
            answer = requests.request(
                one["method"], server.url + one["path"], headers=one.get("headers"), timeout=5
            )
            statuses.append(answer.status_code)
        limit = case["expect"].get("timing", {}).get("process_exits_within_s", 30)
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        server._process.wait(limit)
        took = time.monotonic() - begun
    finally:
        server.stop()
    problems = matched("timing", {"$lte": limit}, took)
    for key, value in case["expect"].get("client", {}).items():
        problems += (
            matched("client status", value, statuses[-1]) if key == "status" else [f"unknown key {key!r}"]
        )
    for one in case["expect"].get("log", []):
        problems += matched("log", one, server.log())
    return problems
