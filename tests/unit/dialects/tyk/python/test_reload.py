"""Hooks of a definition's file across reloads: new code serves, old modules go."""

from __future__ import annotations

import gc
import json
import sys
import threading

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from tests.unit.dialects.tyk.python.conftest import HEAD, echo

HOOK = """
import helper
@Hook
def H(request, session, spec):
    request.add_header("X-Version", VERSION + helper.VALUE)
    return request, session
"""


def modules():
    """Return the modules of bundles that are left when everything that ends has ended."""
    for thread in threading.enumerate():
        if thread.name == "plugmw-draining":
            thread.join(10)
    gc.collect()
    return {name for name in sys.modules if name.startswith("plugmw_tyk_")}


@pytest.fixture
def folder(tmp_path):
    definition = {
        "name": "Test",
        "api_id": "7",
        "active": True,
        "use_keyless": True,
        "proxy": {"listen_path": "/api/"},
        "version_data": {"not_versioned": True, "versions": {}},
        "custom_middleware": {"driver": "python", "pre": [{"name": "H"}]},
        "plugmw": {"store": "memory://"},
    }
    (tmp_path / "api.json").write_text(json.dumps(definition))
    (tmp_path / "middleware.py").write_text(HEAD + "VERSION = '1'" + HOOK)
    (tmp_path / "helper.py").write_text("VALUE = 'a'\n")
    return tmp_path


@pytest.mark.slow
def test_a_reload_runs_the_new_code_of_every_file(folder):
    gateway = Gateway(echo, str(folder / "api.json"))
    client = Client(gateway)

    def version():
        return client.get("/api/x").json["headers"]["X_VERSION"]

    assert {str(folder / "middleware.py"), str(folder / "helper.py")} <= set(gateway.plan.files)
    assert version() == "1a"
    (folder / "middleware.py").write_text(HEAD + "VERSION = '2'" + HOOK)
    assert gateway.reload()
    assert version() == "2a"
    (folder / "helper.py").write_text("VALUE = 'b'\n")
    assert gateway.reload()
    assert version() == "2b"
    gateway.stop()


@pytest.mark.slow
def test_nothing_is_left_of_generations_that_ended(folder):
    before = modules()
    gateway = Gateway(echo, str(folder / "api.json"))
    client = Client(gateway)
    client.get("/api/x")
    for _ in range(5):
        assert gateway.reload()
    gateway.stop()
    assert len(modules() - before) == 2
    del gateway, client
    assert modules() == before


@pytest.mark.slow
def test_a_reload_that_is_refused_leaves_nothing(folder):
    gateway = Gateway(echo, str(folder / "api.json"))
    client = Client(gateway)
    client.get("/api/x")
    before = modules()
    (folder / "api.json").write_text(
        (folder / "api.json").read_text().replace('"store": "memory://"', '"stroe": "x"')
    )
    assert not gateway.reload()
    assert modules() == before
    assert client.get("/api/x").json["headers"]["X_VERSION"] == "1a"
    gateway.stop()
