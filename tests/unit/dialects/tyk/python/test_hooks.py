"""Which arguments a hook gets, what it changes, and what becomes of hooks that fail."""

from __future__ import annotations

import io
import json
import threading

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.documents.translated import Options
from plugmw.errors import LoadError
from tests.unit.dialects.tyk.python.conftest import api, echo, raw

# Each is written as Tyk's own pages show that kind of hook.
PRE = """
@Hook
def PreHook(request, session, spec):
    tyk.log("pre: " + request.object.method, "info")
    request.add_header("X-Pre", "1")
    return request, session
"""
AUTH = """
@Hook
def AuthHook(request, session, metadata, spec):
    auth_header = request.get_header('Authorization')
    if auth_header == '47a0c79c427728b3df4af62b9228c8ae':
        session.rate = 1000.0
        session.per = 1.0
        session.quota_max = 1
        session.quota_renewal_rate = 60
        session.alias = "ann"
        metadata["token"] = "47a0c79c427728b3df4af62b9228c8ae"
    return request, session, metadata
"""
POST_KEY_AUTH = """
@Hook
def PostKeyAuthHook(request, session, metadata, spec):
    request.add_header("X-Rate", str(session.rate))
    request.add_header("X-Token", metadata["token"])
    return request, session, metadata
"""
POST = """
@Hook
def PostHook(request, session, spec):
    request.add_header("X-Api", spec['APIID'] + "/" + spec['OrgID'] + "/" + spec['bundle_hash'])
    return request, session
"""
RESPONSE = """
@Hook
def ResponseHook(request, response, session, metadata, spec):
    tyk.log("ResponseHook is called", "info")
    response.headers["foo"] = "bar"
    response.status_code = 200
    response.raw_body = b'newbody'
    return response
"""
ALL = {
    "pre": "PreHook",
    "auth_check": "AuthHook",
    "post_key_auth": "PostKeyAuthHook",
    "post": "PostHook",
    "response": "ResponseHook",
}
KEY = {"Authorization": "47a0c79c427728b3df4af62b9228c8ae"}


def test_a_hook_of_each_kind_written_as_in_tyks_pages(serve, log):
    client = serve(PRE + AUTH + POST_KEY_AUTH + POST + RESPONSE, **ALL)
    answer = client.get("/x", headers=KEY)
    assert (answer.status_code, answer.data, answer.headers["Foo"]) == (200, b"newbody", "bar")
    assert "pre: GET" in log.text
    assert client.get("/x").json == {"error": "Forbidden"}


def test_the_app_sees_what_the_request_hooks_did(serve):
    hooks = {kind: name for kind, name in ALL.items() if kind != "response"}
    seen = serve(PRE + AUTH + POST_KEY_AUTH + POST, **hooks).get("/x", headers=KEY).json["headers"]
    assert (seen["X_PRE"], seen["X_RATE"], seen["X_API"]) == ("1", "1000.0", "7/1/abc")
    assert (seen["X_TOKEN"], seen["X_CONSUMER_USERNAME"]) == (KEY["Authorization"], "ann")


@pytest.mark.parametrize("decorator", ["Hook", "Pre", "Post", "PostKeyAuth", "CustomKeyCheck"])
@pytest.mark.parametrize("kind", ["pre", "post"])
def test_every_decorator_works_on_every_kind_of_hook(serve, decorator, kind):
    text = f"@{decorator}\ndef H(request, session, spec):\n    request.add_header('X-A', '1')\n"
    text += "    return request, session\n"
    assert serve(text, **{kind: "H"}).get("/").json["headers"]["X_A"] == "1"


def test_custom_key_check_authenticates(serve):
    client = serve(AUTH.replace("@Hook", "@CustomKeyCheck"), auth_check="AuthHook")
    assert client.get("/", headers=KEY).status_code == 201
    assert client.get("/").status_code == 403


ARGUMENTS = """
import json
def note(*what):
    return json.dumps([type(one).__name__ for one in what])
@Hook
def Three(request, session, spec):
    request.add_header("X-Got", note(request, session, spec))
    return request, session
@Hook
def Four(request, session, metadata, spec):
    request.add_header("X-Got", note(request, session, metadata, spec))
    return request, session, metadata
@Hook
def Five(request, response, session, metadata, spec):
    request.add_header("X-Got", note(request, response, session, metadata, spec))
@Hook
def Two(request, session):
    raise AssertionError
@Hook
def Six(a, b, c, d, e, f):
    raise AssertionError
"""
FIRST = "TykCoProcessRequest"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("Three", [FIRST, "SessionState", "TextMap"]),
        ("Four", [FIRST, "SessionState", "TextMap", "TextMap"]),
        ("Five", [FIRST, "ResponseObject", "SessionState", "TextMap", "TextMap"]),
    ],
)
@pytest.mark.parametrize("kind", ["pre", "post_key_auth", "post"])
def test_the_number_of_parameters_decides_what_a_hook_is_given(serve, name, got, kind):
    assert json.loads(serve(ARGUMENTS, **{kind: name}).get("/").json["headers"]["X_GOT"]) == got


@pytest.mark.parametrize(("name", "count"), [("Two", 2), ("Six", 6)])
def test_a_hook_with_another_number_is_refused_and_in_compat_not_called(serve, log, name, count):
    with pytest.raises(LoadError, match=f"custom_middleware.pre: {name} takes {count} parameters"):
        serve(ARGUMENTS, pre=name)
    client = serve(ARGUMENTS, pre=name, compat=True)
    assert f"custom_middleware.pre: {name} takes {count} parameters, expected 3, 4 or 5" in log.text
    assert client.get("/").status_code == 201


def test_a_response_hook_with_three_parameters_leaves_the_response_alone(serve):
    answer = serve(ARGUMENTS, response="Three").get("/")
    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (201, ["a=1", "b=2"])


def test_an_auth_hook_that_is_not_called_lets_nobody_in(serve):
    assert serve(ARGUMENTS, auth_check="Two", strict=False).get("/").status_code == 403


@pytest.mark.parametrize(
    "text",
    [
        "raise RuntimeError('secret of the house')",
        "import sys; sys.exit(3)",
        "return request",
        "return None",
        "return request, session, 1, 2",
        "request.object.nothing = 1; return request, session",
        "request.add_header('X', 5); return request, session",
        "request.add_header('X', 'a\\nb'); return request, session",
        "request.object.raw_body = 'text'; return request, session",
        "request.object.body = b'bytes'; return request, session",
        "request.object.method = 'G T'; return request, session",
        "request.object.return_overrides.response_code = 'a'; return request, session",
        "request.object.return_overrides.response_code = 99; return request, session",
        "request.object.return_overrides.response_code = 600; return request, session",
    ],
)
def test_a_hook_that_fails_is_answered_500_and_the_log_says_why(serve, log, text):
    client = serve(f"@Hook\ndef H(request, session, spec):\n    {text}\n", pre="H")
    answer = client.get("/")
    assert (answer.status_code, answer.data) == (500, b'{\n    "error": "Middleware error"\n}')
    assert "hook H failed" in log.text


@pytest.mark.parametrize("hook", ["pre", "post_key_auth", "post", "response"])
@pytest.mark.parametrize("text", ["raise 1", "", "import nowhere_at_all", "1 +", "import sys\nsys.exit(1)"])
def test_an_unknown_hook_and_a_bundle_that_cannot_be_imported_are_answered_500(serve, log, text, hook):
    answer = serve(text + "\n", **{hook: "Unknown"}).get("/")
    assert (answer.status_code, answer.json) == (500, {"error": "Middleware error"})
    assert answer.headers["X-Generator"] == "tyk.io"


def test_an_import_failure_is_told_at_load_and_with_each_request(serve, log):
    client = serve("import nowhere_at_all\n", pre="H")
    assert "Middleware initialization error:" in log.text
    assert "No module named 'nowhere_at_all'" in log.text
    client.get("/")
    assert "hook H failed: No hooks defined" in log.text


def test_a_hook_that_is_not_there_is_told_at_load(serve, log):
    serve(PRE, pre="Nope")
    expected = "API 'Test': custom_middleware.pre: no hook 'Nope' in the bundle, expected one of PreHook"
    assert expected in log.text


def test_an_event_handler_is_no_hook(serve):
    assert serve("@Event\ndef E(event, spec):\n    pass\n", pre="E").get("/").status_code == 500


@pytest.mark.parametrize(
    ("text", "hooks", "problem"),
    [
        ("1 +\n", {"pre": "H"}, "SyntaxError"),
        (PRE, {"pre": "Nope"}, "no hook 'Nope'"),
        (AUTH, {"auth_check": "AuthHook", "id_extractor": {"extract_with": "luck"}}, "extract_from"),
    ],
)
def test_strict_refuses_what_otherwise_is_only_logged(entries, text, hooks, problem):
    with pytest.raises(LoadError, match=problem):
        entries(text, Options(strict=True), **hooks)


def test_an_auth_hook_without_token_is_403(serve):
    answer = serve(AUTH, auth_check="AuthHook").get("/", headers={"Authorization": "wrong"})
    assert (answer.status_code, answer.json) == (403, {"error": "Forbidden"})


@pytest.mark.parametrize("text", ["raise RuntimeError('x')", "return 1", "request.object.url = 'tyk://x'"])
def test_an_auth_hook_that_fails_is_403(serve, text):
    text = f"@Hook\ndef A(request, session, metadata, spec):\n    {text}\n"
    answer = serve(text, auth_check="A").get("/")
    assert (answer.status_code, answer.json) == (403, {"error": "Key not authorised"})


def test_identity_headers_of_the_client_do_not_survive_an_auth_hook(serve):
    headers = {**KEY, "X-Consumer-Username": "root", "X-Consumer-Groups": "admin"}
    seen = serve(AUTH, auth_check="AuthHook").get("/", headers=headers).json["headers"]
    assert seen["X_CONSUMER_USERNAME"] == "ann"
    assert "X_CONSUMER_GROUPS" not in seen


def test_a_session_is_the_consumer_of_other_plugins(entries):
    text = AUTH.replace(
        'session.alias = "ann"', 'session.alias = "ann"; session.apply_policies.append("gold")'
    )
    made = entries(text, auth_check="AuthHook")
    config = {
        "store": "memory://",
        "plugins": [
            {"name": "acl", "config": {"allow": ["gold"]}},
            {"name": "request-termination", "consumer": "ann", "config": {"status_code": 418}},
        ],
        "consumers": [{"username": "ann"}],
    }
    client = Client(Gateway(echo, config, plugins=made))
    assert client.get("/", headers=KEY).status_code == 418


def test_a_session_whose_policy_does_not_exist_opens_nothing(serve):
    text = AUTH.replace('session.alias = "ann"', 'session.apply_policies.append("gone")')
    answer = serve(text, auth_check="AuthHook").get("/", headers=KEY)
    assert (answer.status_code, answer.json) == (403, {"error": "Forbidden"})


@pytest.mark.parametrize(
    ("config_data", "keys"),
    [
        ({}, ["APIID", "OrgID", "bundle_hash"]),
        (None, ["APIID", "OrgID", "bundle_hash"]),
        ({"a": {"b": "ü"}}, ["APIID", "OrgID", "bundle_hash", "config_data"]),
    ],
)
def test_spec_has_config_data_only_if_the_api_has(serve, config_data, keys):
    text = """
import json
@Hook
def H(request, session, spec):
    request.object.raw_body = json.dumps([sorted(spec), spec.get("config_data")]).encode()
    spec["APIID"] = "changed"
    return request, session
"""
    client = serve(text, about=api(config_data=config_data), post="H")
    for _ in range(2):
        found, data = json.loads(client.get("/").json["body"])
        assert found == keys
        assert json.loads(data or "{}") == (config_data or {})


def test_pre_sees_no_session_and_what_post_does_to_it_is_not_seen_by_others(serve):
    text = (
        AUTH
        + """
@Hook
def Look(request, session, metadata, spec):
    request.add_header("X-Alias", session.alias + "," + request.object.headers["X-Alias"])
    session.alias = "other"
    metadata["token"] = "other"
    return request, session, metadata
"""
    )
    client = serve(text, pre="Look", auth_check="AuthHook", post_key_auth="Look", post="Look")
    assert client.get("/", headers=KEY).json["headers"]["X_ALIAS"] == "ann,ann,,"


def test_a_returned_session_counts_for_nothing_but_returned_metadata_is_merged(serve):
    text = """
from tyk.session import TykSession
@Hook
def A(request, session, metadata, spec):
    other = TykSession()
    other.alias = "other"
    return request, other, {"token": "t"}
@Hook
def P(request, session, spec):
    request.add_header("X-Alias", session.alias + "/" + session.metadata["token"])
    return request, session
"""
    assert serve(text, auth_check="A", post="P").get("/").json["headers"]["X_ALIAS"] == "/t"


def test_hooks_of_one_kind_run_in_list_order_and_disabled_ones_do_not(serve):
    text = "".join(
        f"@Hook\ndef {name}(request, session, spec):\n"
        f"    request.add_header('X-Trace', request.object.headers['X-Trace'] + '{name}')\n"
        "    return request, session\n"
        for name in "ABC"
    )
    client = serve(text, pre=["B", {"name": "C", "disabled": True}, {"name": ""}, "A"])
    assert client.get("/").json["headers"]["X_TRACE"] == "BA"


def test_a_response_hook_in_a_compiled_file_is_not_pythons(entries):
    made = entries(RESPONSE, response=[{"name": "Native", "path": "x.so"}, "ResponseHook"])
    assert [entry.plugin.function for entry in made] == ["ResponseHook"]


def test_without_hooks_nothing_is_loaded(entries, tmp_path):
    assert entries(tmp_path / "missing", pre=[{"name": "H", "disabled": True}]) == []


@pytest.mark.slow
def test_requests_in_parallel_do_not_mix(serve):
    text = """
import threading
both = threading.Barrier(2, timeout=10)
@Hook
def H(request, session, spec):
    mine = request.get_header("X-Who")
    session.alias = mine
    both.wait()
    request.add_header("X-Saw", mine + session.alias + request.get_header("X-Who"))
    tyk.store_data(mine, mine, 10)
    both.wait()
    request.object.raw_body = tyk.get_data(mine)
    return request, session
"""
    client, seen = serve(text, pre="H"), {}

    def ask(who):
        for _ in range(20):
            answer = client.get("/", headers={"X-Who": who}).json
            seen.setdefault(who, set()).add((answer["headers"]["X_SAW"], answer["body"]))

    threads = [threading.Thread(target=ask, args=(who,)) for who in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"a": {("aaa", "a")}, "b": {("bbb", "b")}}


def test_a_body_nobody_asks_for_is_not_read(serve):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [type(environ["wsgi.input"]).__name__.encode()]

    class Stream(io.BytesIO):
        def read(self, size=-1):
            raise AssertionError

    client = serve(PRE, app=app, pre="PreHook")
    assert client.post("/", input_stream=Stream(), content_length=9).data == b"Stream"


def test_a_body_over_the_limit_is_413(serve):
    text = "@Hook\ndef H(request, session, spec):\n    try:\n        request.object.body\n"
    text += "    except Exception:\n        pass\n    return request, session\n"
    client = serve(text, config={"max_request_body": 3}, pre="H")
    assert client.post("/", **raw(b"1234")).status_code == 413
