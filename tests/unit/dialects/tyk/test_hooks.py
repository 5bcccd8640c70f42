"""Native hooks on requests, through Gateway.from_tyk with a real upstream."""

from __future__ import annotations

import pytest

from tests.unit.dialects.tyk.conftest import headers_seen

ORDER = """
from plugmw.dialects.tyk import ctx

def _mark(name):
    def hook(rw, r):
        r.Header.Add("X-Order", name)
    return hook

pre1, pre2, post1, post2, after1, after2 = map(_mark, ["pre1", "pre2", "post1", "post2", "key1", "key2"])

def auth(rw, r):
    r.Header.Add("X-Order", "auth")
    ctx.set_session(r, ctx.SessionState(alias="alice", org_id="org1"))

def response(rw, res, req):
    res.Header.Set("X-Order", req.Header.Get("X-Order") + ",response")
"""
LISTS = {
    "pre": ["pre1", "pre2"],
    "auth_check": "auth",
    "post_key_auth": ["after1", "after2"],
    "post": ["post1", "post2"],
    "response": ["response"],
}


def test_hooks_run_in_tyks_order_and_those_of_a_kind_in_list_order(serve):
    answer = serve(ORDER, use_keyless=False, custom_plugin_auth_enabled=True, **LISTS).get("/api/x")
    assert headers_seen(answer)["X-Order"] == "pre1,pre2,auth,key1,key2,post1,post2"
    assert answer.headers["X-Order"] == "pre1,pre2,auth,key1,key2,post1,post2,response"


@pytest.mark.parametrize("switch", ["custom_plugin_auth_enabled", "use_go_plugin_auth"])
def test_a_keyless_api_has_no_auth_check_and_no_post_key_auth(serve, switch):
    answer = serve(ORDER, **{switch: True}, **LISTS).get("/api/x")
    assert answer.headers["X-Order"] == "pre1,pre2,post1,post2,response"


SESSIONS = """
from plugmw.dialects.tyk import ctx

def pre(rw, r):
    r.Header.Set("X-Pre", repr(ctx.GetSession(r)))

def auth(rw, r):
    session = ctx.SessionState(alias="alice", org_id="org1", metadata={"tier": "gold"}, tags=["t1"])
    ctx.SetSession(r, session, True)

def after(rw, r):
    session = ctx.get_session(r)
    r.Header.Set("X-After", session.alias + session.metadata["tier"] + ctx.get_auth_token(r))
    session.alias = "changed"

def post(rw, r):
    r.Header.Set("X-Post", ctx.get_session(r).alias)
"""
GUARDED = {"use_keyless": False, "custom_plugin_auth_enabled": True}


def test_a_pre_hook_sees_no_session_and_post_key_auth_the_one_that_auth_check_set(serve):
    client = serve(
        SESSIONS, pre=["pre"], auth_check="auth", post_key_auth=["after"], post=["post"], **GUARDED
    )
    seen = headers_seen(client.get("/api/x"))
    assert (seen["X-Pre"], seen["X-After"], seen["X-Post"]) == ("None", "alicegold", "changed")


def test_a_session_makes_the_exchange_authenticated_for_other_plugins_and_the_upstream(serve):
    plugins = [{"name": "rate-limiting", "config": {"minute": 5}, "consumer": "alice"}]
    client = serve(
        SESSIONS,
        auth_check="auth",
        plugmw={"plugins": plugins, "store": "memory://"},
        options={"consumers": [{"username": "alice"}]},
        **GUARDED,
    )
    answer = client.get("/api/x", headers={"X-Consumer-Username": "mallory"})
    assert headers_seen(answer)["X-Consumer-Username"] == "alice"
    assert answer.headers["X-RateLimit-Remaining-Minute"] == "4"


def test_headers_that_are_set_without_writing_are_in_the_final_reply(serve):
    text = """
def one(rw, r):
    rw.Header().Set("X-Hook", "1")
    rw.header()["X-One"] = "mine"
    rw.Header().Add("Set-Cookie", "c=3")

def two(rw, r):
    assert rw.Header().Get("X-Hook") == "1"
    rw.Header().Del("X-Hook")
    rw.Header().Set("X-Two", "2")
"""
    answer = serve(text, pre=["one"], post=["two"]).get("/api/x")
    assert answer.status_code == 201
    assert "X-Hook" not in answer.headers
    assert (answer.headers.getlist("X-One"), answer.headers["X-Two"]) == (["mine"], "2")
    assert answer.headers.getlist("Set-Cookie") == ["a=1", "b=2", "c=3"]


@pytest.mark.parametrize("kind", ["pre", "post"])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("rw.WriteHeader(403); rw.Write(b'hello')", (403, b"hello")),
        ("rw.write_header(403)", (403, b"")),
        ("rw.write('hello'); rw.Header().Set('Content-Length', '99')", (200, b"hello")),
        ("rw.WriteHeader(204)", (204, b"")),
        ("rw.Header().Set('Transfer-Encoding', 'chunked'); rw.WriteHeader(500)", (500, b"")),
    ],
    ids=["403 with body", "403 alone", "body alone", "204", "framing is the kernel's"],
)
def test_what_a_hook_writes_is_the_whole_answer_and_the_upstream_is_not_asked(
    serve, upstream, lines, expected, kind
):
    text = f"def stop(rw, r):\n    {lines}\ndef never(rw, r):\n    raise RuntimeError\n"
    hooks = {kind: ["stop", "never"]}
    answer = serve(text, **hooks).get("/api/x")
    assert (answer.status_code, answer.data) == expected
    assert answer.headers.get("Content-Length") == (None if expected[0] == 204 else str(len(expected[1])))
    assert "Transfer-Encoding" not in answer.headers
    assert not upstream.asked


def test_headers_of_hooks_before_are_on_an_answer_that_is_written_unless_taken_away(serve):
    text = """
def one(rw, r):
    rw.Header().Set("X-A", "1")
    rw.Header().Set("X-B", "1")

def two(rw, r):
    rw.Header().Set("X-A", "2")
    rw.Header().Del("X-B")
    rw.Write("stop")
"""
    answer = serve(text, pre=["one", "two"]).get("/api/x")
    assert answer.headers.getlist("X-A") == ["2"]
    assert "X-B" not in answer.headers


@pytest.mark.parametrize("hook", ["pre", "auth_check", "post_key_auth", "post", "response"])
@pytest.mark.parametrize(
    "line",
    [
        "1 / 0",
        "import sys; sys.exit(3)",
        "rw.Header().Set('X-A', 'a\\nb')",
        "rw.header()['X-A'] = 'a\\r\\nb'",
        "rw.Write(5)",
    ],
)
def test_a_hook_that_raises_is_answered_500_and_logged_once_with_its_name(serve, log, upstream, hook, line):
    good = (
        "from plugmw.dialects.tyk import ctx\ndef good(rw, r):\n    ctx.set_session(r, ctx.SessionState())\n"
    )
    arguments = "rw, res, req" if hook == "response" else "rw, r"
    hooks = {"auth_check": "good", **({hook: "Bad"} if hook == "auth_check" else {hook: ["Bad"]})}
    client = serve(f"{good}def Bad({arguments}):\n    {line}\n", **hooks, **GUARDED)
    answer = client.get("/api/x")
    assert (answer.status_code, answer.data) == (500, b'{\n    "error": "Internal Server Error"\n}')
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert len(upstream.asked) == (hook == "response")
    assert [
        r.getMessage().partition(" (")[0].partition(": ")[0] for r in log.records if r.levelname == "ERROR"
    ] == [f"{hook}:Bad failed"]


def test_hooks_and_the_upstream_all_read_the_body(serve):
    text = """
def one(rw, r):
    r.Header.Set("X-One", r.Body.read().decode() + str(r.ContentLength))

def two(rw, r):
    r.Header.Set("X-Two", r.body.decode() + r.FormValue("a"))

def three(rw, r):
    r.Body = r.Body.read() + b"&c=3"
"""
    client = serve(text, pre=["one", "two"], post=["three"])
    kind = "application/x-www-form-urlencoded"
    answer = client.post("/api/x", data=b"a=1&b=2", content_type=kind)
    seen = answer.json
    assert (seen["headers"]["X-One"], seen["headers"]["X-Two"]) == ("a=1&b=27", "a=1&b=21")
    assert (seen["body"], seen["headers"]["Content-Length"]) == ("a=1&b=2&c=3", "11")


def test_a_form_that_webob_reads_is_there_for_the_upstream(serve):
    text = (
        "def one(rw, r):\n    r.Header.Set('X-A', r.POST['a'] + r.POST['a'])\n    assert r.body == b'a=1'\n"
    )
    answer = serve(text, pre=["one"], post=["one"]).post("/api/x", data={"a": "1"})
    assert (answer.json["headers"]["X-A"], answer.json["body"]) == ("11", "a=1")


def test_a_body_above_the_limit_is_answered_413(serve, upstream):
    client = serve("def one(rw, r):\n    r.Body.read()\n", pre=["one"], plugmw={"max_request_body": 3})
    assert client.post("/api/x", data=b"1234").status_code == 413
    assert not upstream.asked


def test_the_definition_is_a_copy(serve):
    text = """
from plugmw.dialects.tyk import ctx

def one(rw, r):
    definition = ctx.GetDefinition(r)
    value = definition.ConfigData["n"]
    definition["config_data"]["n"] = 99
    definition.Name = "x"
    r.Header.Set("X-N", f"{value} {definition.APIID} {definition.org_id} {definition.name} {definition.gone}")
    assert ctx.GetOASDefinition(r) is None
"""
    client = serve(text, pre=["one"], config_data={"n": 1})
    for _ in range(2):
        assert headers_seen(client.get("/api/x"))["X-N"] == "1 id1 org1 x None"


def test_auth_check_that_neither_writes_nor_sets_a_session_is_refused(serve, upstream):
    client = serve("def auth(rw, r):\n    pass\n", auth_check="auth", **GUARDED)
    answer = client.get("/api/x")
    assert answer.status_code == 400
    assert answer.json["error"].startswith("Session state is missing or unset!")
    assert not upstream.asked


def test_auth_check_may_write_its_own_refusal(serve, upstream):
    client = serve(
        "def auth(rw, r):\n    rw.WriteHeader(401)\n    rw.Write('no')\n", auth_check="auth", **GUARDED
    )
    answer = client.get("/api/x")
    assert (answer.status_code, answer.data, upstream.asked) == (401, b"no", [])


def test_a_session_with_a_key_of_its_own_makes_it_the_token(serve):
    text = """
from plugmw.dialects.tyk import SessionState, ctx

def auth(rw, r):
    ctx.set_session(r, SessionState(key_id="k1"))

def after(rw, r):
    r.Header.Set("X-Token", ctx.GetAuthToken(r))
"""
    client = serve(text, auth_check="auth", post_key_auth=["after"], **GUARDED)
    assert headers_seen(client.get("/api/x"))["X-Token"] == "k1"


@pytest.mark.parametrize(
    "call",
    ["ctx.set_session(r, None)", "ctx.set_session({}, ctx.SessionState())"],
    ids=["no session", "another request"],
)
def test_a_wrong_call_of_set_session_is_a_failure_of_the_hook(serve, log, call):
    text = f"from plugmw.dialects.tyk import ctx\ndef auth(rw, r):\n    {call}\n"
    assert serve(text, auth_check="auth", **GUARDED).get("/api/x").status_code == 500
    assert "auth_check:auth failed" in log.text


def test_what_a_hook_does_to_the_request_the_upstream_sees(serve, upstream):
    text = """
def change(rw, r):
    assert (r.Method, r.URL.Path, r.URL.RawQuery, r.Host) == ("GET", "/api/a b", "q=1&q=2", "localhost")
    assert r.URL.Query().Get("q") == "1" and r.URL.Query().Get("none") == ""
    assert str(r.URL) == "/api/a b?q=1&q=2" and r.URL.Scheme == "http" and r.URL.Host == "localhost"
    assert r.RemoteAddr == "127.0.0.1" and r.Proto == "HTTP/1.1" and r.UserAgent() == "me"
    assert r.RequestURI == "/api/a%20b?q=1&q=2"
    assert r.FormValue("q") == "1"
    r.Method = "PUT"
    r.URL.Path = "/api/ü"
    query = r.URL.Query()
    query.Del("q")
    query.Set("z", "1")
    query.Add("z", "2")
    r.URL.RawQuery = query.Encode()
    r.Header.Del("X-Gone")
    r.Header.Set("X-A", "1")
    r.Header.Add("X-A", "2")
    assert r.Header.Values("X-A") == ["1", "2"] and r.Header.Values("X-B") == []
    assert r.headers["x-a"] == "1,2"
    r.Host = "other.example"
    r.Body = "text"
"""
    client = serve(text, post=["change"], proxy={"preserve_host_header": True})
    headers = {"X-Gone": "1", "User-Agent": "me"}
    answer = client.get("/api/a%20b?q=1&q=2", headers=headers, environ_base={"REMOTE_ADDR": "127.0.0.1"})
    seen = answer.json
    assert (seen["method"], seen["target"], seen["body"]) == ("PUT", "/base/%C3%BC?z=1&z=2", "text")
    assert (seen["headers"]["X-A"], seen["headers"]["Host"]) == ("1,2", "other.example")
    assert "X-Gone" not in seen["headers"]


def test_the_host_of_the_url_is_where_the_upstream_is(serve, upstream):
    port = upstream.port
    text = f"def change(rw, r):\n    r.URL.Host = '127.0.0.1:{port}'\n    assert r.URL.Host == '127.0.0.1'\n"
    client = serve(text, post=["change"], proxy={"target_url": "http://127.0.0.1:1/base"})
    assert client.get("/api/x").json["target"] == "/base/x"


@pytest.mark.parametrize(
    "line",
    [
        *("r.Header.Set('X-A', 'a\\nb')", "r.Host = 'a\\r\\nb'", "r.Body = 5", "r.URL.Host = 'a/b'"),
        *("r.URL.Host = 'a:x'", "r.URL.RawQuery = 'a\\r\\nb'", "r.URL.Path = 'x'"),
    ],
)
def test_what_must_not_be_in_a_request_is_a_failure_of_the_hook(serve, line, upstream):
    assert serve(f"def bad(rw, r):\n    {line}\n", pre=["bad"]).get("/api/x").status_code == 500
    assert not upstream.asked


@pytest.mark.parametrize("compat", [None, "tyk"])
@pytest.mark.parametrize(
    ("text", "name", "problem"),
    [
        (None, "Hook", "plugin file not found"),
        ("", "Hook", "symbol 'Hook' not found, expected a function"),
        ("def Other(rw, r): pass", "Hook", "symbol 'Hook' not found, expected one of Other"),
        ("Hook = 5", "Hook", "Hook is int, expected a function"),
        ("1 +", "Hook", "SyntaxError"),
        ("import nowhere_at_all", "Hook", "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_is_told_at_load_and_every_request_is_answered_500(
    serve, log, tmp_path, upstream, compat, text, name, problem
):
    hook = {"name": name, "path": "nowhere/plugin.so"} if text is None else name
    client = serve(text or "", pre=[hook], options={"compat": compat})
    errors = [record.getMessage() for record in log.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "API 'my api': pre:Hook hook cannot be used" in errors[0]
    assert problem in errors[0]
    answer = client.get("/api/x")
    assert (answer.status_code, answer.json) == (500, {"error": "Internal Server Error"})
    assert not upstream.asked
