"""What hooks see of a response, and what of their changes goes out."""

from __future__ import annotations

import copy

import pytest

from plugmw.dialects.tyk.python.messages import Headers, ResponseObject
from plugmw.dialects.tyk.python.response import merged


def hook(*lines):
    return "@Hook\ndef R(request, response, session, metadata, spec):\n" + "".join(
        f"    {line}\n" for line in (*lines, "return response")
    )


def app(environ, start_response):
    start_response(
        "200 OK",
        [
            ("content-type", "text/plain"),
            ("Content-Length", "3"),
            ("ETag", '"1"'),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("X-One", "1"),
        ],
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"abc"]


@pytest.fixture
def ask(serve):
    """Send a request through one response hook."""

    def send(*lines, method="GET", app=app, **options):
        return serve(hook(*lines), app=app, response="R", **options).open("/", method=method)

    return send


def test_a_hook_that_does_nothing_changes_nothing(ask):
    answer = ask()
    assert (answer.status_code, answer.data) == (200, b"abc")
    assert sorted((name.lower(), value) for name, value in answer.headers) == [
        ("content-length", "3"),
        ("content-type", "text/plain"),
        ("etag", '"1"'),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-one", "1"),
    ]


def test_a_hook_sees_the_response(ask):
    answer = ask(
        "assert response.status_code == 200",
        "assert (response.body, response.raw_body) == ('abc', b'abc')",
        "assert response.headers['Set-Cookie'] == 'a=1'",
        "assert [h.values for h in response.multivalue_headers if h.key == 'Set-Cookie'] == [['a=1', 'b=2']]",
        "assert request.object.method == 'GET' and request.object.raw_body == b''",
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("lines", "status", "body"),
    [
        (["response.raw_body = b'longer body'"], 200, b"longer body"),
        (["response.raw_body = b''"], 200, b""),
        (["response.status_code = 418"], 418, b"abc"),
        (["response.status_code = 204"], 204, b""),
        (["response.headers['Content-Length'] = '99'"], 200, b"abc"),
        (["del response.headers['X-One']", "response.raw_body = b'x'"], 200, b"x"),
    ],
)
def test_status_and_body_are_changed_and_content_length_is_right(ask, lines, status, body):
    answer = ask(*lines)
    assert (answer.status_code, answer.data) == (status, body)
    assert answer.headers.get("Content-Length") == (None if status == 204 else str(len(body)))


def test_a_new_body_takes_the_headers_that_describe_the_old_one_with_it(ask):
    assert "ETag" not in ask("response.raw_body = b'x'").headers
    assert ask("response.raw_body = b'x'; response.headers['Etag'] = 'mine'").headers["ETag"] == "mine"


@pytest.mark.parametrize(("compat", "body"), [(False, b"new"), (True, b"abc")])
def test_body_counts_without_compat(ask, compat, body):
    assert ask("response.body = 'new'", compat=compat).data == body


@pytest.mark.parametrize("compat", [False, True])
def test_an_unrelated_header_change_keeps_both_cookies(ask, compat):
    answer = ask("response.headers['X-New'] = 'é'", "response.headers['X-One'] = '2'", compat=compat)
    assert answer.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert (answer.headers["X-New"].encode("latin-1").decode(), answer.headers["X-One"]) == ("é", "2")


@pytest.mark.parametrize("compat", [False, True])
def test_a_changed_key_replaces_the_first_value_and_a_removed_one_all(ask, compat):
    assert ask("response.headers['Set-Cookie'] = 'c=3'", compat=compat).headers.getlist("Set-Cookie") == [
        "c=3",
        "b=2",
    ]
    assert "Set-Cookie" not in ask("del response.headers['Set-Cookie']", compat=compat).headers


def test_the_list_counts_as_it_is_if_the_map_was_left_alone(ask):
    answer = ask(
        "for h in response.multivalue_headers:",
        "    if h.key == 'Set-Cookie': h.values.append('c=3')",
        "h = response.multivalue_headers.add()",
        "h.key = 'X-New'",
        "h.values.extend(['1', '2'])",
    )
    assert answer.headers.getlist("Set-Cookie") == ["a=1", "b=2", "c=3"]
    assert answer.headers.getlist("X-New") == ["1", "2"]


def test_a_name_in_another_spelling_replaces(ask):
    answer = ask("response.headers['content-type'] = 'text/html'")
    assert answer.headers.getlist("Content-Type") == ["text/html"]


def test_reading_a_header_that_is_not_there_does_not_make_it(ask):
    assert "X-None" not in ask("assert response.headers['X-None'] == ''").headers


def test_hop_by_hop_headers_do_not_go_out(ask):
    assert "Connection" not in ask("response.headers['Connection'] = 'close'").headers


@pytest.mark.parametrize(
    "line",
    [
        "raise RuntimeError('secret')",
        "response.status_code = 99",
        "response.status_code = 'x'",
        "response.headers['X'] = 'a\\r\\nb'",
        "response.raw_body = 'text'",
        "response.nothing = 1",
        "request.nothing.nothing",
    ],
)
def test_a_hook_that_fails_is_500_and_the_apps_body_is_not_sent(ask, log, line):
    answer = ask(line)
    assert (answer.status_code, answer.json) == (500, {"error": "Middleware error"})
    assert "Set-Cookie" not in answer.headers
    assert "hook R failed" in log.text


def test_answers_to_head_have_no_body_and_the_length_they_had(ask):
    answer = ask(method="HEAD")
    assert (answer.data, answer.headers["Content-Length"]) == (b"", "3")
    answer = ask("response.raw_body = b'new body'", method="HEAD")
    assert (answer.status_code, answer.data) == (200, b"")


def test_the_request_body_is_there_if_a_request_hook_has_read_it(serve):
    text = hook("response.raw_body = request.object.raw_body")
    text += "@Hook\ndef H(request, session, spec):\n    request.object.body\n    return request, session\n"
    assert serve(text, app=app, pre="H", response="R").post("/", data=b"asked").data == b"asked"
    assert serve(text, app=app, response="R").post("/", data=b"asked").data == b""


def test_response_hooks_run_in_list_order_and_see_each_other(serve):
    text = hook("response.raw_body += b'1'").replace("def R", "def A")
    text += hook("response.raw_body += b'2'").replace("def R", "def B")
    assert serve(text, app=app, response=["B", "A"]).get("/").data == b"abc21"


def test_an_answer_of_a_request_hook_does_not_pass_response_hooks(serve):
    text = hook("response.raw_body = b'changed'")
    text += "@Hook\ndef H(request, session, spec):\n    request.object.return_overrides.response_code = 203\n"
    text += "    request.object.return_overrides.response_body = 'mine'\n    return request, session\n"
    assert serve(text, app=app, pre="H", response="R").get("/").data == b"mine"


def response(headers, **values):
    made = ResponseObject(headers=headers, multivalue_headers=Headers())
    for name, found in values.items():
        made.multivalue_headers.add(name, found)
    return made


@pytest.mark.parametrize(
    ("before", "made", "ours", "compat"),
    [
        (
            {"A": "1"},
            response({"A": "1"}, A=["9"], B=["2"]),
            {"A": ["9"], "B": ["2"]},
            {"A": ["9"], "B": ["2"]},
        ),
        (
            {"A": "1"},
            response({"A": "1", "C": "3"}, A=["9"], B=["2"]),
            {"A": ["9"], "B": ["2"], "C": ["3"]},
            {"A": ["1"], "C": ["3"]},
        ),
        ({"A": "1"}, response({"A": "2"}, A=[]), {"A": ["2"]}, {"A": ["2"]}),
        ({"A": "1"}, response({}, A=["1", "2"]), {}, {}),
        ({"A": "1"}, response({"A": "2"}), {"A": ["2"]}, {"A": ["2"]}),
    ],
)
def test_the_map_and_the_list_of_headers_together(before, made, ours, compat):
    other = copy.deepcopy(made)
    assert {h.key: h.values for h in merged(before, made)} == ours
    assert {h.key: h.values for h in merged(before, other, compat=True)} == compat
