"""Sessions that serve without a call of the hook."""

from __future__ import annotations

import pytest
from werkzeug.test import Client, EnvironBuilder

from plugmw import Gateway
from plugmw.dialects.tyk.python import id_extractor
from plugmw.dialects.tyk.python.request import Changes
from plugmw.dialects.tyk.session import SessionState
from plugmw.documents.translated import Options
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.runtime import Runtime
from tests.unit.dialects.tyk.python.conftest import echo

AUTH = """
calls = []
@Hook
def A(request, session, metadata, spec):
    calls.append(1)
    session.alias = str(len(calls))
    session.id_extractor_deadline = 2000
    metadata["token"] = "t"
    return request, session, metadata
@Hook
def P(request, session, spec):
    session.alias = "changed"
    return request, session
"""


def config(source="header", way="value", **more):
    more.setdefault("header_name", "X-Key")
    return {"extract_from": source, "extract_with": way, "extractor_config": more}


@pytest.fixture
def clocked(entries):
    """A client for a gateway whose clock is a list."""

    def make(extractor, now):
        made = entries(AUTH, auth_check="A", post="P", id_extractor=extractor)
        gateway = Gateway(echo, {"store": "memory://"}, plugins=made)
        gateway.runtime.clock = lambda: now[0]
        return Client(gateway)

    return make


def test_a_session_serves_until_its_deadline_without_a_call_of_the_hook(clocked):
    now = [1000.0]
    client = clocked(config(), now)

    def ask(key):
        return client.get("/", headers={"X-Key": key}).json["headers"]["X_CONSUMER_USERNAME"]

    assert [ask("a"), ask("a"), ask("b"), ask("a")] == ["1", "1", "2", "1"]
    now[0] = 2000.0
    assert [ask("a"), ask("a")] == ["3", "4"]


CHANGES = """
@Hook
def A(request, session, metadata, spec):
    session.id_extractor_deadline = 2000
    metadata["token"] = "t"
    request.object.set_headers["X-User"] = "ann"
    request.object.delete_headers.append("X-Admin")
    request.object.add_params["user"] = "ann"
    request.object.delete_params.append("admin")
    return request, session, metadata
"""


@pytest.mark.parametrize("compat", [False, True])
def test_what_the_hook_did_to_headers_and_parameters_is_done_again_with_its_session(entries, compat):
    made = entries(CHANGES, Options(compat=compat), auth_check="A", id_extractor=config())
    client = Client(Gateway(echo, {"store": "memory://"}, plugins=made, clock=lambda: 1000.0))
    forged = {"X-Key": "a", "X-User": "root", "X-Admin": "1"}
    seen = []
    for _ in range(2):
        got = client.get("/?admin=1&q=2&user=root", headers=forged).json
        headers = got["headers"]
        seen.append((headers.get("X_USER"), headers.get("X_ADMIN"), got["query"]))
    first = ("ann", None, "q=2&user=ann")
    # Tyk does it the first time only.
    assert seen == [first, ("root", "1", "admin=1&q=2&user=root") if compat else first]


@pytest.mark.parametrize("extractor", [None, {}, {**config(), "disabled": True}, {"extract_from": "header"}])
def test_without_an_extractor_the_hook_is_always_called(clocked, extractor):
    client = clocked(extractor, [1000.0])
    assert [client.get("/").json["headers"]["X_CONSUMER_USERNAME"] for _ in "ab"] == ["1", "2"]


def test_a_request_without_the_source_is_400(clocked):
    answer = clocked(config(), [1000.0]).get("/")
    assert (answer.status_code, answer.json) == (400, {"error": "Authorization field missing"})


@pytest.mark.parametrize(
    ("extractor", "names"),
    [
        (config(), {"X-Key"}),
        (config("form", param_name="k"), {"X-Key", "k"}),
        (None, set()),
        ({"extract_with": "value", "extract_from": "header", "extractor_config": None}, set()),
    ],
)
def test_logs_leave_out_what_an_id_is_found_in(entries, extractor, names):
    made = entries(AUTH, auth_check="A", id_extractor=extractor)
    assert Gateway(echo, {}, plugins=made).runtime.credential_names == names


XML = b"<a><b id='9'>x<c>y</c></b></a>"
FORM = {"content_type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("extractor", "request_", "found"),
    [
        (config(), {"headers": {"X-Key": "é".encode().decode("latin-1")}}, "é"),
        (config("form", param_name="k"), {"path": "/?k=1&j=2&k=%203"}, "1 3"),
        (config("form", param_name="k"), {"data": b"k=5", "path": "/?k=1", **FORM}, "51"),
        (config("form", param_name="k"), {"data": b"k=5", "path": "/?k=1"}, "1"),
        (config("form", param_name="k"), {"path": "/?j=1"}, None),
        (config("form"), {"path": "/?j=1"}, None),
        (config("body"), {"data": b"whole"}, "whole"),
        (config(way="regex", regex_expression="[^-]+$"), {"headers": {"X-Key": "a-b"}}, "b"),
        (
            config(way="regex", regex_expression="[^-]+", regex_match_index=1),
            {"headers": {"X-Key": "a-b"}},
            "b",
        ),
        (
            config(way="regex", regex_expression="[^-]+", regex_match_index=2),
            {"headers": {"X-Key": "a-b"}},
            None,
        ),
        (config(way="regex", regex_expression="x"), {}, None),
        (config("body", "xpath", xpath_expression="/a/b/c"), {"data": XML}, "y"),
        (config("body", "xpath", xpath_expression="//b"), {"data": XML}, "xy"),
        (config("body", "xpath", xpath_expression="//b/@id"), {"data": XML}, "9"),
        (config("body", "xpath", xpath_expression="//b/@no"), {"data": XML}, None),
        (config("body", "xpath", xpath_expression="a/b"), {"data": XML}, "xy"),
        (config("body", "xpath", xpath_expression="/b"), {"data": XML}, None),
        (config("body", "xpath", xpath_expression="/a"), {"data": b"<a>"}, None),
        (
            config("body", "xpath", xpath_expression="/a/b"),
            {"data": b'<n:a xmlns:n="u"><n:b>x</n:b></n:a>'},
            "x",
        ),
        (config("body", "xpath", xpath_expression="/a"), {"data": b"<!DOCTYPE a><a>x</a>"}, "x"),
        (config("body", "xpath", xpath_expression="/a"), {"data": b"<a>x</a><a/>"}, None),
        (config("body", "xpath", xpath_expression="//a"), {"data": b"<a>" * 201 + b"</a>" * 201}, None),
        (
            config("body", "xpath", xpath_expression="/a"),
            {"data": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'},
            None,
        ),
    ],
)
def test_where_and_how_an_id_is_found(extractor, request_, found):
    x = type("X", (Exchange,), {"runtime": Runtime()})(EnvironBuilder(**request_).get_environ(), None)
    extract = id_extractor.extractor(extractor)
    if found is None:
        with pytest.raises(id_extractor.Missing):
            extract(x)
    else:
        assert extract(x) == found


@pytest.mark.parametrize(
    ("extractor", "problem"),
    [
        (config("cookie"), "extract_from: got 'cookie', expected header, form or body"),
        (config(way="luck"), "extract_with: got 'luck', expected value, regex or xpath"),
        (config(way="regex"), "regex_expression: got '', expected an expression"),
        (config(way="regex", regex_expression="("), "not a valid regex"),
        (config(way="regex", regex_expression="(a+)+b"), "not a safe regex"),
        (config(way="xpath"), "xpath_expression: got '', expected a path of elements"),
        (config(way="xpath", xpath_expression="/x:a"), "expected a path of elements"),
        ({"extract_from": "header", "extract_with": "regex", "extractor_config": 5}, "regex_expression"),
    ],
)
def test_an_extractor_that_cannot_work_refuses_every_request(clocked, log, extractor, problem):
    client = clocked(extractor, [1000.0])
    assert problem in log.text
    assert client.get("/", headers={"X-Key": "a"}).status_code == 400


def test_the_sessions_of_a_process_are_bounded_and_the_longest_unused_goes_first(monkeypatch):
    monkeypatch.setattr(id_extractor, "MOST", 2)
    kept = id_extractor.Sessions()
    sessions = {key: SessionState(id_extractor_deadline=10) for key in "abc"}
    changes = Changes()
    for key in "ab":
        kept.keep(key, sessions[key], changes, 0)
    assert kept.get("a", 0) == (sessions["a"], changes)
    kept.keep("c", sessions["c"], changes, 0)
    assert [kept.get(key, 0) is None for key in "abc"] == [False, True, False]


def test_a_session_without_a_deadline_to_come_is_not_kept():
    kept = id_extractor.Sessions()
    kept.keep("a", SessionState(id_extractor_deadline=10), Changes(), 10)
    kept.keep("b", SessionState(), Changes(), 10)
    assert (kept.get("a", 5), kept.get("b", 5)) == (None, None)
