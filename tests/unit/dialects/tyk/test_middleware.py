"""Bundles of an API, its bands among other plugins, and what a reload does."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.errors import ConfigErrors
from tests.support.stub import Told, stub
from tests.unit.dialects.tyk.conftest import headers_seen, write

NATIVE = b"def AddFooBarHeader(rw, r):\n    r.Header.Add('Foo', 'Bar')\n"


def packed(files, **middleware):
    """Return a bundle: a zip of the files and a manifest with their checksum."""
    manifest = {
        "file_list": list(files),
        "custom_middleware": middleware,
        "checksum": hashlib.md5(b"".join(files.values())).hexdigest(),
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("manifest.json", json.dumps(manifest))
    return data.getvalue()


@pytest.fixture
def bundled(tmp_path, api):
    """Write ``api.json`` with a bundle that a server has; return its path."""
    with stub(lambda asked: served.get(asked.target, Told(404))) as server:
        served = {}

        def make(bundle, **fields):
            served["/abc/FooBarBundle.zip"] = Told(200, [("Connection", "close")], bundle)
            conf = {
                "enable_bundle_downloader": True,
                "allow_unsigned_bundles": True,
                "bundle_base_url": f"http://127.0.0.1:{server.port}/abc",
            }
            write(tmp_path / "tyk.conf", conf)
            fields = {"custom_middleware_bundle": "FooBarBundle.zip", **fields}
            return write(tmp_path / "api.json", api("def Own(rw, r): 1 / 0", pre=["Own"], **fields))

        yield make


HOOK = {"name": "AddFooBarHeader", "path": "FooBarPlugin.so"}


def test_the_hooks_of_a_bundle_replace_those_of_the_definition(bundled):
    path = bundled(packed({"FooBarPlugin.py": NATIVE}, post=[HOOK], driver="goplugin"))
    gateway = Gateway.from_tyk(None, str(path))
    assert [entry.name for entry in gateway.entries] == ["post:AddFooBarHeader"]
    answer = Client(gateway).get("/api/x")
    assert headers_seen(answer)["Foo"] == "Bar"


def test_keys_of_a_manifest_are_read_in_any_case_and_those_that_nothing_reads_are_told(bundled):
    hook = {"Name": "AddFooBarHeader", "PATH": "FooBarPlugin.so"}
    path = bundled(packed({"FooBarPlugin.py": NATIVE}, Post=[hook], Driver="goplugin", prre=[hook]))
    gateway = Gateway.from_tyk(None, str(path))
    assert [entry.name for entry in gateway.entries] == ["post:AddFooBarHeader"]
    (warning,) = map(str, gateway.plan.warnings)
    assert warning.endswith(
        "api.json: custom_middleware_bundle: custom_middleware.prre of its manifest: "
        'is left out: nothing here reads it; did you mean "pre"?'
    )


def test_a_bundle_may_hold_python_hooks(bundled):
    text = (
        b"from tyk.decorators import *\n@Hook\ndef H(request, session, spec):\n"
        b"    request.add_header('x-hash', spec['bundle_hash'])\n    return request, session\n"
    )
    path = bundled(packed({"middleware.py": text}, pre=[{"name": "H"}], driver="python"))
    answer = Client(Gateway.from_tyk(None, str(path))).get("/api/x")
    assert headers_seen(answer)["X-Hash"]


def test_several_bundles_have_their_hooks_in_order_and_modules_of_their_own(tmp_path, upstream, api):
    text = (
        "from tyk.decorators import *\nimport helper\n@Hook\ndef H(request, session, spec):\n"
        "    seen = request.get_header('X-Seen') or ''\n"
        "    request.add_header('X-Seen', seen + helper.name)\n    return request, session\n"
    )
    bundles = {
        f"/{name}.zip": packed(
            {"middleware.py": text.encode(), "helper.py": f"name = '{name}'".encode()},
            pre=[{"name": "H"}],
            driver="python",
        )
        for name in "ab"
    }
    with stub(lambda asked: Told(200, [("Connection", "close")], bundles[asked.target])) as server:
        conf = {"enable_bundle_downloader": True, "bundle_base_url": f"http://127.0.0.1:{server.port}"}
        conf["allow_unsigned_bundles"] = True
        own = {"tyk_conf": {**conf, "middleware_path": str(tmp_path / "mw")}}
        gateway = Gateway.from_tyk(None, api("", custom_middleware_bundle="a.zip,b.zip", plugmw=own))
    assert [entry.name for entry in gateway.entries] == ["pre:H", "pre:H #2"]
    assert headers_seen(Client(gateway).get("/api/x"))["X-Seen"] == "ab"


def test_a_bundle_that_is_switched_off_leaves_the_definitions_hooks(bundled):
    path = bundled(b"", custom_middleware_bundle_disabled=True)
    assert [entry.name for entry in Gateway.from_tyk(None, str(path)).entries] == ["pre:Own"]


BAD = packed({"p.py": NATIVE}, pre=[HOOK]).replace(b"AddFoo", b"AddFuu")


def test_an_api_whose_bundle_is_bad_is_not_served_and_others_are(bundled, api, log, upstream):
    other = api("", name="other", proxy={"listen_path": "/other/"})
    gateway = Gateway.from_tyk(None, [str(bundled(BAD)), other])
    errors = [record.getMessage() for record in log.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "API 'my api' is not loaded: " in errors[0]
    assert Client(gateway).get("/api/x").status_code == 404
    assert not upstream.asked
    assert Client(gateway).get("/other/x").status_code == 201


def test_strict_refuses_an_api_whose_bundle_is_bad(bundled):
    with pytest.raises(ConfigErrors, match=r"api\.json: custom_middleware_bundle: "):
        Gateway.from_tyk(None, str(bundled(BAD)), strict=True)


def test_a_manifest_that_is_wrong_is_told_with_the_place_in_it(bundled):
    path = bundled(packed({"p.py": NATIVE}, pre=[{"path": "p.so"}], driver="otto", post=[HOOK]))
    with pytest.raises(ConfigErrors) as raised:
        Gateway.from_tyk(None, str(path))
    where = f"{path}: custom_middleware_bundle: custom_middleware"
    assert [str(error) for error in raised.value.errors] == [
        f"{where}.pre[0].name of its manifest: got None, expected the name of a function",
        f"{where}.driver of its manifest: got 'otto', expected goplugin or python",
    ]


def test_a_public_key_refuses_a_bundle_that_is_not_signed(bundled, tmp_path, log):
    path = bundled(packed({"FooBarPlugin.py": NATIVE}, post=[HOOK], driver="goplugin"))
    conf = json.loads((tmp_path / "tyk.conf").read_text(encoding="utf-8"))
    write(tmp_path / "tyk.conf", {**conf, "public_key_path": "none.pem"})
    assert Client(Gateway.from_tyk(None, str(path))).get("/api/x").status_code == 404
    assert "none.pem" in log.text


SLOW = """
import threading
begun, end = threading.Event(), threading.Event()
def Slow(rw, r):
    r.Header.Set("X-Generation", "GENERATION")
    if r.FormValue("wait"):
        begun.set()
        end.wait(20)
"""


def test_a_request_that_runs_during_a_reload_finishes_on_the_old_chain(tmp_path, api):
    path = write(tmp_path / "api.json", api(SLOW.replace("GENERATION", "1"), pre=["Slow"], post=["Slow"]))
    gateway = Gateway.from_tyk(None, str(path), reload=False)
    module = gateway.entries[0].plugin.function.__globals__
    answers = []

    def ask():
        answers.append(headers_seen(Client(gateway).get("/api/x?wait=1"))["X-Generation"])

    thread = threading.Thread(target=ask)
    thread.start()
    assert module["begun"].wait(20)
    (tmp_path / "plugin.py").write_text(SLOW.replace("GENERATION", "2"), encoding="utf-8")
    assert str(tmp_path / "plugin.py") in gateway.files
    assert gateway.reload()
    assert headers_seen(Client(gateway).get("/api/x"))["X-Generation"] == "2"
    module["end"].set()
    thread.join(20)
    assert answers == ["1"]
    gateway.stop()


def test_a_file_that_was_missing_is_taken_by_a_reload(tmp_path, api, log):
    hook = {"name": "Late", "path": "late.so"}
    path = write(tmp_path / "api.json", api("", pre=[hook]))
    gateway = Gateway.from_tyk(None, str(path), reload=False)
    assert Client(gateway).get("/api/x").status_code == 500
    (tmp_path / "late.py").write_text("def Late(rw, r): pass", encoding="utf-8")
    assert gateway.reload()
    assert Client(gateway).get("/api/x").status_code == 201
    gateway.stop()
