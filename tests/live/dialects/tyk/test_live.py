"""Two APIs under real gunicorn, with a real upstream; a change is taken while they run."""

from __future__ import annotations

import time

import pytest
import requests

from tests.unit.dialects.tyk.conftest import write

APP = """
    from plugmw import Gateway
    from plugmw.mounts.gunicorn import *

    app = Gateway.from_tyk(None, {folder!r})
"""
PLUGIN = """
from plugmw.dialects.tyk import ctx

def AddFooBarHeader(rw, r):
    r.Header.Add("Foo", "Bar")

def Auth(rw, r):
    key = r.Header.Get("Authorization")
    if key != "k1":
        rw.WriteHeader(403)
        rw.Write("hello")
        return
    ctx.SetSession(r, ctx.SessionState(alias="alice", org_id="org1", key_id=key))

def MyPluginResponse(rw, res, req):
    res.Header.Add("X-Response-Added", "resp-added")
    res.Body = b'{"message":"Hi! I\\'m a response plugin"}'
"""


@pytest.fixture
def server(gunicorn, tmp_path, api):
    apps = tmp_path / "apps"
    open_api = api(PLUGIN, post=["AddFooBarHeader"], proxy={"listen_path": "/open/"})
    closed = {"use_keyless": False, "use_go_plugin_auth": True, "name": "closed", "api_id": "id2"}
    hooks = {"auth_check": "Auth", "response": ["MyPluginResponse"]}
    write(apps / "open.json", open_api)
    write(apps / "closed.json", api(PLUGIN, proxy={"listen_path": "/closed/"}, **closed, **hooks))
    app = APP.format(folder=str(apps))
    return gunicorn(app, workers=2, worker_class="gthread", args=["--threads", "4"])


def test_each_api_has_its_own_hooks(server, upstream):
    seen = requests.get(f"{server.url}/open/get", timeout=10).json()
    assert (seen["headers"]["Foo"], seen["target"]) == ("Bar", "/base/get")
    refused = requests.get(f"{server.url}/closed/get", timeout=10)
    assert (refused.status_code, refused.text, refused.headers["Content-Length"]) == (403, "hello", "5")
    for _ in range(8):
        answer = requests.get(f"{server.url}/closed/get", headers={"Authorization": "k1"}, timeout=10)
        assert answer.json() == {"message": "Hi! I'm a response plugin"}
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert answer.headers["X-Response-Added"] == "resp-added"
    assert upstream.asked[-1].get("X-Consumer-Username") == "alice"
    assert requests.get(f"{server.url}/other", timeout=10).status_code == 404


def test_a_changed_plugin_is_taken_without_a_restart(server, tmp_path, upstream):
    (tmp_path / "plugin.py").write_text(PLUGIN.replace('"Bar"', '"Baz"'), encoding="utf-8")
    end = time.monotonic() + 20
    seen = ""
    while seen != "Baz" and time.monotonic() < end:
        seen = requests.get(f"{server.url}/open/get", timeout=10).json()["headers"]["Foo"]
    assert seen == "Baz"
