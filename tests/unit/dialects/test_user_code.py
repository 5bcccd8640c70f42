"""Code of plugin authors that ends the process ends its request, in every dialect. (Tyk: test_hooks.)"""

from __future__ import annotations

import os
import sys

import pytest
from werkzeug.test import Client

from plugmw import Functions
from plugmw.gateway import Gateway
from plugmw.kernel.user_code import UserCodeError
from plugmw.testing import hello_app
from tests.support.kong import plugin, through
from tests.support.wsgi import serve
from tests.unit.dialects.krakend.running import CLIENTS, backend, endpoint, json_app, loader_of, modified, run


@pytest.fixture
def write(tmp_path):
    """Write a file below ``tmp_path``; return its folder's path."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(path.parent)

    return write


def leave(*arguments):
    sys.exit(3)


@pytest.mark.parametrize("phase", ["rewrite", "access", "response", "header_filter", "body_filter"])
def test_a_kong_handler_is_answered_500(phase, caplog):
    answer = through(plugin(**{phase: leave}))
    assert (answer.status_code, "SystemExit" in answer.text) == (500, False)
    assert f"tester failed in {phase}" in caplog.text


def test_a_kong_handler_whose_init_worker_leaves_refuses_requests():
    made = plugin(init_worker=leave, access=lambda config: None)
    assert through(made).status_code == 500


@pytest.mark.parametrize("two", [False, True], ids=["one backend", "two"])
@pytest.mark.parametrize("side", ["requests", "responses"])
def test_a_krakend_modifier_of_a_backend_is_a_failed_backend(side, two):
    loader = loader_of(**{side: {"leaves": leave}})
    backends = [backend("/a", extra_config=modified("leaves")), *([backend("/b")] if two else [])]
    answer = run(endpoint("/x", *backends), app=json_app({"a": 1}), loader=loader).get("/x")
    assert answer.status_code == (200 if two else 500)
    assert answer.headers.get("X-Krakend-Completed", "false") == "false"


@pytest.mark.parametrize("side", ["requests", "responses"])
def test_a_krakend_modifier_of_an_endpoint_is_answered_500(side):
    loader = loader_of(**{side: {"leaves": leave}})
    made = endpoint("/x", extra_config=modified("leaves"))
    assert run(made, app=json_app({"a": 1}), loader=loader).get("/x").status_code == 500


def test_a_krakend_client_is_a_failed_backend():
    made = endpoint("/x", backend(extra_config={CLIENTS: {"name": "leaves"}}))
    assert run(made, loader=loader_of(clients={"leaves": leave})).get("/x").status_code == 500


def test_a_krakend_handler_raises_what_a_server_answers(write):
    plugins = write(
        "plugins/leaving.py",
        "import sys\n"
        "class HandlerRegisterer:\n"
        "    def register_handlers(self, f): f('leaving', lambda context, extra, h: self.app)\n"
        "    def app(self, environ, start_response): sys.exit(3)\n",
    )
    config = {"folder": plugins, "name": "leaving"}
    gateway = Gateway(
        hello_app, {"store": "memory://", "plugins": [{"name": "http-server", "config": config}]}
    )
    assert type(serve(gateway).raised) is UserCodeError


MIDDLEWARE = "import sys\ndef LeaveMiddlewareLoad(rw, rq, next): sys.exit(3)\n"
LEAVES = "import sys\nHTTPVars: dict = {}\nURLQuery: dict = {}\ndef GETLeaveHandler(): sys.exit(3)\n"


def test_a_prest_function_is_answered_500(write, caplog):
    lib = write("lib/leaves.py", LEAVES)
    answer = Client(Functions(hello_app, lib)).get("/_PLUGIN/leaves/Leave")
    assert (answer.status_code, list(answer.json)) == (500, ["error"])
    assert "GETLeaveHandler of leaves failed: raised SystemExit: 3" in caplog.text


def test_a_prest_file_that_leaves_when_it_is_loaded_is_not_served(write):
    lib = write("lib/gone.py", "import sys\nsys.exit(3)\n")
    assert Client(Functions(hello_app, lib)).get("/_PLUGIN/gone/Any").status_code == 404


def test_a_prest_middleware_raises_what_a_server_answers(write):
    lib = os.path.dirname(write("middlewares/leaves.py", MIDDLEWARE))
    app = Functions(hello_app, lib, middlewares=[{"file": "leaves", "func": "Leave"}])
    assert type(serve(app).raised) is UserCodeError
