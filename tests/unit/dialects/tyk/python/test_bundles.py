"""Hooks from bundles on disk, one or several for an API."""

from __future__ import annotations

import hashlib
import json

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from tests.unit.dialects.tyk.python.conftest import HEAD, echo

HOOK = """
import helper
@Hook
def {name}(request, session, spec):
    request.add_header("X-{name}", helper.VALUE + " " + spec["bundle_hash"])
    request.add_header("X-Trace", request.object.headers["X-Trace"] + "{name}")
    return request, session
"""


@pytest.fixture
def install(tmp_path):
    """Put a bundle with one pre hook where Tyk has it."""

    def put(bundle, name):
        files = {"middleware.py": HEAD + HOOK.format(name=name), "helper.py": f"VALUE = 'of {name}'\n"}
        folder = tmp_path / "middleware/bundles" / hashlib.md5(bundle.encode()).hexdigest()
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_text(text)
        manifest = {
            "file_list": list(files),
            "custom_middleware": {"driver": "python", "pre": [{"name": name}]},
            "checksum": hashlib.md5("".join(files.values()).encode()).hexdigest(),
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return put


@pytest.fixture
def serve(tmp_path):
    """Return a client for an API with a bundle."""

    def make(bundle):
        definition = {
            "name": "Test",
            "api_id": "7",
            "active": True,
            "use_keyless": True,
            "proxy": {"listen_path": "/api/"},
            "version_data": {"not_versioned": True, "versions": {}},
            "custom_middleware_bundle": bundle,
            "plugmw": {"store": "memory://", "tyk_conf": {"middleware_path": str(tmp_path / "middleware")}},
        }
        return Client(Gateway.from_tyk(echo, definition))

    return make


def test_a_bundles_hooks_run_and_know_its_hash(install, serve):
    install("one.zip", "A")
    value, _, found = serve("one.zip").get("/api/").json["headers"]["X_A"].rpartition(" ")
    assert value == "of A"
    assert found


def test_of_several_bundles_each_has_its_own_files_and_hash(install, serve):
    install("one.zip", "A")
    install("two.zip", "B")
    headers = serve("two.zip, one.zip").get("/api/").json["headers"]
    assert headers["X_TRACE"] == "BA"
    assert [headers[name].rpartition(" ")[0] for name in ("X_A", "X_B")] == ["of A", "of B"]
    assert headers["X_A"].split()[-1] != headers["X_B"].split()[-1]
