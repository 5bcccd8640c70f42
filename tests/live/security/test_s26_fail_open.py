"""S26: who cannot decide refuses; only an entry that says so goes on without its plugin."""

from __future__ import annotations

import json
from base64 import b64encode
from email.utils import formatdate
from types import SimpleNamespace

import pytest
from werkzeug.test import Client

from plugmw import Entry, Gateway
from plugmw.contrib._functions import function_factory
from plugmw.contrib.basic_auth import BasicAuth
from plugmw.contrib.hmac_auth import HMACAuth
from plugmw.contrib.hmac_auth.signing import signature
from plugmw.contrib.jwt import JWT
from plugmw.contrib.ldap_auth import LDAPAuth
from plugmw.contrib.oauth2 import OAuth2
from plugmw.errors import StoreError
from plugmw.kernel.identity import Consumer, Credential, MemoryDirectory
from plugmw.sources import bundled
from tests.support.tokens import LATER, token

#: A configuration for every bundled plugin that decides who may pass.
CONFIGS = {
    "acl": {"allow": ["staff"]},
    "aws-lambda": {"aws_region": "x", "function_name": "f", "aws_key": "k", "aws_secret": "s"},
    "azure-functions": {"appname": "a", "functionname": "f"},
    "basic-auth": {},
    "bot-detection": {},
    "hmac-auth": {},
    "ip-restriction": {"allow": ["127.0.0.0/8"]},
    "jwt": {},
    "key-auth": {},
    "ldap-auth": {"ldap_host": "h.example", "base_dn": "dc=example", "attribute": "uid"},
    "oauth2": {"enable_client_credentials": True},
    "post-function": {"access": [print]},
    "pre-function": {"access": [print]},
    "request-size-limiting": {},
    "request-termination": {},
}


def basic(user="alice", password="password", scheme="Basic"):
    return {"Authorization": f"{scheme} {b64encode(f'{user}:{password}'.encode()).decode()}"}


def signed(secret=b"secret"):
    date = formatdate(usegmt=True)
    made = b64encode(signature(secret, "hmac-sha256", f"date: {date}".encode())).decode()
    value = f'hmac username="alice", algorithm="hmac-sha256", headers="date", signature="{made}"'
    return {"Date": date, "Authorization": value}


#: Credentials that somebody with the right to pass would send.
CREDENTIALS = {
    "basic-auth": basic,
    "hmac-auth": signed,
    "jwt": lambda: {"Authorization": f"Bearer {token({'iss': 'alice', 'exp': LATER})}"},
    "key-auth": lambda: {"apikey": "key"},
    "ldap-auth": lambda: basic(scheme="ldap"),
    "oauth2": lambda: {"Authorization": "Bearer token"},
}
FAILURES = [
    StoreError("memory://", "down"),
    RuntimeError("x"),
    TimeoutError(),
    KeyError("x"),
    OSError(24, "too many"),
]


class App:
    """Counts how often it was reached."""

    def __init__(self):
        self.reached = 0

    def __call__(self, environ, start_response):
        self.reached += 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"secret page"]


def asked(config, headers=None, app=None, method="GET", **more):
    """Send a request through a gateway; return the status, and how often the app was reached."""
    app = app or App()
    client = Client(Gateway(app, config, **more), use_cookies=False)
    answer = client.open(
        "/", method=method, headers=headers or {}, environ_overrides={"REMOTE_ADDR": "127.0.0.1"}
    )
    assert b"secret page" not in answer.data or answer.status_code == 200
    return answer.status_code, app.reached


def test_s26_every_plugin_that_decides_is_in_this_test():
    found = {
        name for name in bundled.names() if bundled.find(name).fail_closed or bundled.find(name).authenticates
    }
    assert found == set(CONFIGS)
    # Who authenticates decides.
    assert all(bundled.find(name).fail_closed for name in found)


def failing(name, failure, phase="access"):
    """Return a plugin that raises in a phase."""

    def fail(*given):
        raise failure

    if name.endswith("-function"):
        return bundled.find(name)(access=[function_factory(fail) if phase == "init_worker" else fail])
    return type("Failing", (bundled.find(name),), {phase: fail})(**CONFIGS[name])


@pytest.mark.parametrize("phase", ["access", "init_worker"])
@pytest.mark.parametrize("name", CONFIGS)
def test_s26_a_plugin_that_fails_in_a_phase_or_at_its_start_refuses(name, phase):
    for failure in FAILURES:
        entry = Entry(failing(name, failure, phase))
        assert asked(None, CREDENTIALS.get(name, dict)(), plugins=[entry]) == (500, 0), failure
        # Nothing is different for a preflight.
        assert asked(None, plugins=[entry], method="OPTIONS") == (500, 0), failure


@pytest.mark.parametrize("name", CONFIGS)
def test_s26_only_an_entry_that_says_so_goes_on_without_it(name):
    entry = Entry(failing(name, RuntimeError("x")), on_error="open")
    assert asked(None, plugins=[entry]) == (200, 1)


class Down:
    """A directory or a store that fails, always."""

    def __init__(self, failure):
        self.failure = failure

    def _fail(self, *args, **kwargs):
        raise self.failure

    consumer = credential = get = set = add = delete = increment = incr = _fail

    def close(self):
        pass


@pytest.mark.parametrize("anonymous", [None, "guest"])
@pytest.mark.parametrize("name", CREDENTIALS)
def test_s26_a_directory_that_fails_is_no_anonymous_consumer(name, anonymous):
    for failure in FAILURES:
        down = Down(failure)
        cls = bundled.find(name)
        if name == "ldap-auth":
            cls = type("Bound", (LDAPAuth,), {"binder": staticmethod(lambda *given, down=down: down.get())})
        plugin = cls(**CONFIGS[name], anonymous=anonymous)
        found = asked(None, CREDENTIALS[name](), plugins=[plugin], consumers=down, store=down)
        assert found == (500, 0), failure


def test_s26_a_store_that_fails_under_strict_hmac_or_oauth2_refuses():
    down = Down(StoreError("redis://", "down"))
    consumers = [{"username": "alice", "hmacauth_credentials": [{"username": "alice", "secret": "secret"}]}]
    date = signed()["Date"]
    text = f"date: {date}\n@request-target: get /".encode()
    made = b64encode(signature(b"secret", "hmac-sha256", text)).decode()
    value = (
        f'hmac username="alice", algorithm="hmac-sha256", headers="date @request-target", signature="{made}"'
    )
    headers = {"Date": date, "Authorization": value}
    assert asked({"consumers": consumers}, headers, plugins=[HMACAuth(strict=True)]) == (200, 1)
    assert asked({"consumers": consumers}, headers, plugins=[HMACAuth(strict=True)], store=down) == (500, 0)


def directory(kind, data, key="alice"):
    """Return a directory of somebody's own, whose credential lacks what it is checked by."""
    made = MemoryDirectory([Consumer(id="1", username="alice")])
    made.add(kind, key, Credential(id="2", consumer_id="1", data=data))
    return SimpleNamespace(consumer=made.consumer, credential=made.credential)


EMPTY_KEYS = {
    "hmac-auth": (HMACAuth, "secret", lambda: signed(b"")),
    "jwt": (
        JWT,
        "secret",
        lambda: {"Authorization": f"Bearer {token({'iss': 'alice', 'exp': LATER}, key='')}"},
    ),
    "basic-auth": (BasicAuth, "password", lambda: basic(password="")),
}


@pytest.mark.parametrize("missing", ["", None])
@pytest.mark.parametrize(("plugin", "field", "headers"), EMPTY_KEYS.values(), ids=EMPTY_KEYS)
def test_s26_a_secret_that_is_missing_is_never_an_empty_one(plugin, field, headers, missing):
    data = {field: missing, "algorithm": "HS256", "rsa_public_key": None}
    status, reached = asked(None, headers(), plugins=[plugin()], consumers=directory(plugin.name, data))
    assert (status in (401, 500), reached) == (True, 0)


@pytest.mark.parametrize("missing", ["", None])
@pytest.mark.parametrize("given", ["", None, "None"])
def test_s26_a_client_without_secret_gets_no_token(missing, given):
    data = {"client_secret": missing, "client_type": "confidential", "redirect_uris": ["https://a.example/"]}
    plugin = OAuth2(enable_client_credentials=True, global_credentials=True)
    gateway = Gateway(App(), {"store": "memory://"}, plugins=[plugin], consumers=directory("oauth2", data))
    form = {"grant_type": "client_credentials", "client_id": "alice"}
    if given is not None:
        form["client_secret"] = given
    answer = Client(gateway).post("/oauth2/token", data=form, base_url="https://a.example")
    assert (answer.status_code, "access_token" in answer.json) == (400, False)


def test_s26_no_provision_key_is_no_key():
    plugin = OAuth2(enable_authorization_code=True)
    consumer = {
        "username": "alice",
        "oauth2_credentials": [
            {"name": "a", "client_id": "a", "client_secret": "s", "redirect_uris": ["https://a.example/"]}
        ],
    }
    client = Client(Gateway(App(), {"consumers": [consumer], "store": "memory://"}, plugins=[plugin]))
    for key in (None, "", "None", "null"):
        form = {"response_type": "code", "client_id": "a", "authenticated_userid": "u"}
        form |= {} if key is None else {"provision_key": key}
        answer = client.post("/oauth2/authorize", data=form, base_url="https://a.example")
        assert answer.json["error"] == "invalid_provision_key"


ADDRESSES = ["", "unix:", "localhost", "127.0.0.1, 10.0.0.1", "999.1.1.1", None]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("config", [{"allow": ["127.0.0.1"]}, {"deny": ["10.0.0.1"]}])
def test_s26_an_address_that_cannot_be_told_is_refused(config, address):
    app = App()
    plugin = bundled.find("ip-restriction")(**config)
    client = Client(Gateway(app, plugins=[plugin]))
    answer = client.get("/", environ_overrides={"REMOTE_ADDR": address} if address is not None else {})
    assert (answer.status_code, app.reached) == (403, 0)


# -- after a reload ----------------------------------------------------------------------------------------

ENTRIES = {
    "key-auth": {"name": "key-auth"},
    "acl": {"name": "acl", "config": {"allow": ["staff"]}},
    "ip-restriction": {"name": "ip-restriction", "config": {"allow": ["127.0.0.1"]}},
}
ALICE = {"username": "alice", "keyauth_credentials": [{"key": "key"}], "acls": [{"group": "staff"}]}


def written(**changes):
    entries = {name: {**entry} for name, entry in ENTRIES.items()}
    for name, config in changes.pop("configs", {}).items():
        entries[name]["config"] = config
    return json.dumps({"consumers": [ALICE], "plugins": list(entries.values()), **changes})


#: What the file holds then -> the statuses of the request with a good key, and of one without.
AFTER = {
    "no consumers": (written(consumers=[]), True, 401, 401),
    "consumers are null": (written(consumers=None), False, 200, 401),
    "consumer in no group": (written(consumers=[{**ALICE, "acls": []}]), True, 403, 401),
    "consumer without keys": (written(consumers=[{**ALICE, "keyauth_credentials": []}]), True, 401, 401),
    "nobody allowed": (written(configs={"ip-restriction": {"allow": []}}), False, 200, 401),
    "nobody denied": (written(configs={"ip-restriction": {"deny": []}}), False, 200, 401),
    "allowed is null": (written(configs={"ip-restriction": {"allow": None}}), False, 200, 401),
    "no group": (written(configs={"acl": {"allow": []}}), False, 200, 401),
    "no key name": (written(configs={"key-auth": {"key_names": []}}), None, 401, 401),
    "empty file": ("", False, 200, 401),
    "half a file": (written()[:-20], False, 200, 401),
    "not an object": ("[]", False, 200, 401),
    "unknown plugin": (written(plugins=[{"name": "key-atuh"}]), False, 200, 401),
    "wrong type": (written(plugins={"name": "key-auth"}), False, 200, 401),
}


@pytest.mark.parametrize(("text", "taken", "good", "bad"), AFTER.values(), ids=AFTER)
def test_s26_an_empty_list_after_a_reload_lets_nobody_pass(tmp_path, text, taken, good, bad):
    path, app = tmp_path / "gateway.json", App()
    path.write_text(written(), encoding="utf-8")
    gateway = Gateway(app, str(path), reload=False)
    client = Client(gateway)

    def statuses():
        here = {"REMOTE_ADDR": "127.0.0.1"}
        headers = ({"apikey": "key"}, {})
        return [client.get("/", headers=one, environ_overrides=here).status_code for one in headers]

    assert statuses() == [200, 401]
    path.write_text(text, encoding="utf-8")
    reloaded = gateway.reload()
    if taken is not None:
        assert reloaded is taken
    reached = app.reached
    assert statuses() == ([good, bad] if reloaded else [200, 401])
    assert app.reached == reached + (statuses()[0] == 200)
    path.unlink()
    assert gateway.reload() is False
    assert statuses() == ([good, bad] if reloaded else [200, 401])
    gateway.stop()


def test_s26_a_plugin_that_cannot_start_after_a_reload_leaves_the_old_one_in_force(tmp_path):
    (tmp_path / "guards.py").write_text(
        "from plugmw import Plugin\n"
        "class Guard(Plugin):\n"
        "    name, priority, fail_closed = 'guard', 5, True\n"
        "    def init_worker(self): raise OSError('no connection')\n"
        "    def access(self, x): x.fail(403)\n",
        encoding="utf-8",
    )
    path, app = tmp_path / "gateway.json", App()
    path.write_text(json.dumps({"plugins": [{"name": "request-termination"}]}), encoding="utf-8")
    gateway = Gateway(app, str(path), reload=False)
    assert Client(gateway).get("/").status_code == 503
    guard = {"name": f"{tmp_path / 'guards.py'}:Guard"}
    path.write_text(json.dumps({"plugins": [guard]}), encoding="utf-8")
    assert gateway.reload() is False
    assert Client(gateway).get("/").status_code == 503
    assert app.reached == 0
    gateway.stop()


# -- entries of other gateways -----------------------------------------------------------------------------

TYK = """
def Raises(rw, r): raise RuntimeError("x")
def Silent(rw, r): pass
"""


def tyk(tmp_path, text=TYK, file="plugin.py", **fields):
    (tmp_path / file).write_text(text, encoding="utf-8")

    def hook(name):
        return {"name": name, "path": str(tmp_path / "plugin.so")}

    section = {"driver": "goplugin", **{kind: [hook(name)] for kind, name in fields.pop("hooks", {}).items()}}
    if "auth_check" in fields:
        section["auth_check"] = hook(fields.pop("auth_check"))
    definition = {
        "name": "a",
        "api_id": "1",
        "org_id": "1",
        "active": True,
        "use_keyless": True,
        "proxy": {"listen_path": "/", "target_url": ""},
        "custom_middleware": section,
        **fields,
    }
    return [definition]


def authenticated(name):
    return {"auth_check": name, "use_keyless": False, "custom_plugin_auth_enabled": True}


TYK_CASES = {
    "pre raises": ({"hooks": {"pre": "Raises"}}, 500),
    "pre is not there": ({"hooks": {"pre": "Nobody"}}, 500),
    "post raises": ({"hooks": {"post": "Raises"}}, 500),
    "auth_check raises": (authenticated("Raises"), 500),
    "auth_check sets no session": (authenticated("Silent"), 400),
    "auth_check is not there": (authenticated("Nobody"), 500),
    "no authentication named": ({"use_keyless": False}, 401),
    "nobody is known": ({"use_keyless": False, "auth": {"auth_header_name": "Authorization"}}, 401),
    "bundle that cannot be had": (
        {"custom_middleware_bundle": "b.zip", "use_keyless": True},
        404,
    ),
}


@pytest.mark.parametrize(("fields", "status"), TYK_CASES.values(), ids=TYK_CASES)
def test_s26_tyks_hooks_refuse_when_they_cannot_decide(tmp_path, fields, status):
    app = App()
    gateway = Gateway.from_tyk(app, tyk(tmp_path, **fields), store="memory://")
    answer = Client(gateway).get("/x", headers={"Accept": "application/json"})
    assert (answer.status_code, app.reached) == (status, 0)
    assert b"RuntimeError" not in answer.data


def krakend(tmp_path, text):
    (tmp_path / "handler.py").write_text(text, encoding="utf-8")
    return {"name": "http-server", "config": {"module": str(tmp_path / "handler.py"), "strict": True}}


HANDLERS = {
    "the factory fails": (
        "def make(self, context, extra, h): raise RuntimeError('x')",
        "def other(self): pass",
    ),
    "the handler fails": (
        "def make(self, context, extra, h): return self.handle",
        "def handle(self, environ, start_response): raise RuntimeError('x')",
    ),
}


@pytest.mark.parametrize("lines", HANDLERS.values(), ids=HANDLERS)
def test_s26_a_strict_server_plugin_of_krakend_refuses_when_it_cannot_decide(tmp_path, lines):
    text = "class HandlerRegisterer:\n    def register_handlers(self, f): f('guard', self.make)\n"
    text += "".join(f"    {line}\n" for line in lines)
    app = App()
    gateway = Gateway(app, {"plugins": [krakend(tmp_path, text)], "answer_crashes": True})
    assert Client(gateway).get("/").status_code == 500
    assert app.reached == 0


def test_s26_a_strict_server_plugin_of_krakend_that_is_missing_does_not_start(tmp_path):
    with pytest.raises(ValueError, match="guard"):
        Gateway(App(), {"plugins": [{"name": "http-server", "config": {
            "module": str(tmp_path / "none.py"), "name": ["guard"], "strict": True}}]})  # fmt: skip


def test_s26_krakends_endpoints_that_cannot_start_serve_nothing(tmp_path, monkeypatch):
    from plugmw.dialects.krakend import endpoints

    def fail():
        raise OSError(24, "too many open files")

    document = {
        "version": 3,
        "endpoints": [{"endpoint": "/private", "backend": [{"host": ["app:"], "url_pattern": "/x"}]}],
    }
    app = App()
    gateway = Gateway.from_krakend(app, document)
    monkeypatch.setattr(endpoints, "Pool", fail)
    assert Client(gateway).get("/private").status_code == 500
    assert app.reached == 0


MIDDLEWARES = {
    "raises when it is loaded": "raise RuntimeError('x')",
    "has no such function": "def OtherMiddlewareLoad(): pass",
    "its function raises": "def GuardMiddlewareLoad(): raise RuntimeError('x')",
    "raises at a request": (
        "def GuardMiddlewareLoad():\n"
        "    def middleware(environ, start_response, app):\n"
        "        raise RuntimeError('x')\n"
        "    return middleware\n"
    ),
    "returns no middleware": "def GuardMiddlewareLoad(): return 5",
}


@pytest.mark.parametrize("text", MIDDLEWARES.values(), ids=MIDDLEWARES)
def test_s26_a_strict_middleware_of_prestd_refuses_when_it_cannot_decide(tmp_path, text):
    (tmp_path / "middlewares").mkdir()
    (tmp_path / "middlewares" / "guard.py").write_text(text, encoding="utf-8")
    (tmp_path / "hello.py").write_text("def GETHelloHandler(): return 'secret page'\n", encoding="utf-8")
    config = {"path": str(tmp_path), "middlewares": [{"file": "guard", "func": "Guard"}], "strict": True}
    app = App()
    gateway = Gateway(app, {"plugins": [{"name": "functions", "config": config}], "answer_crashes": True})
    for path in ("/", "/_PLUGIN/hello/Hello"):
        answer = Client(gateway).get(path)
        assert (answer.status_code, app.reached) == (500, 0)
        assert b"secret" not in answer.data
