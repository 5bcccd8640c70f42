"""key-auth: configuration, where keys are found and hidden, and through an app."""

from __future__ import annotations

import io

import pytest

from plugmw import ConfigError
from plugmw.contrib.key_auth import MAX_KEY, KeyAuth
from plugmw.errors import StoreError
from plugmw.gateway import Gateway
from plugmw.kernel.identity import Credential, MemoryDirectory
from plugmw.testing import get, hello_app

BOB = {
    "id": "00000001-0000-4000-8000-000000000001",
    "username": "bob",
    "keyauth_credentials": [
        {"id": "cafe", "key": "kong"},
        {"id": "comma", "key": "a,b"},
        {"id": "accent", "key": "clé"},
    ],
}
NOBODY = {"id": "00000009-0000-4000-8000-000000000009", "username": "no-body", "custom_id": "none"}
CONSUMERS = {"consumers": [BOB, NOBODY]}

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=plugmwBoundary7"

NO_KEY = "No API key found in request"
DUPLICATE = "Duplicate API key found"
UNKNOWN = "Unauthorized"


def parts(**fields: str) -> str:
    """Write a multipart body of plain fields."""
    made = "".join(
        f'--plugmwBoundary7\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return made + "--plugmwBoundary7--\r\n"


def ask(config=None, *, environ=None, **request):
    """Send a request; return the answer, and the environ the app saw (None if it was not called)."""
    saw = []
    variables = {"plugmw.testing.saw": saw, **(environ or {})}
    answer = get(KeyAuth(**(config or {})), CONSUMERS, environ=variables, **request)
    return answer, saw[0] if saw else None


def post(config, content_type, body, **request):
    config = {"key_in_body": True, **config}
    return ask(config, method="POST", content_type=content_type, data=body, **request)


# -- configuration -----------------------------------------------------------------------------------------


BAD = {
    "name with a blank": ({"key_names": ["api key"]}, r"key_names: got .*names of letters, digits, _ and -"),
    "name with a dot": ({"key_names": ["apikey", "a.b"]}, r"key_names: got"),
    "names that are no list": ({"key_names": "apikey"}, r"key_names: got 'apikey', expected a list"),
    "flag that is no boolean": ({"key_in_body": "yes"}, r"key_in_body: got 'yes', expected a boolean"),
    "realm with a quote": ({"realm": 'a"b'}, r"realm: got"),
    "anonymous that is no text": ({"anonymous": 9}, r"anonymous: got 9, expected a string"),
    "unknown field": ({"hide_credential": True}, r'did you mean "hide_credentials"'),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError, match=message):
        KeyAuth(**config)


# -- access: finding the key -------------------------------------------------------------------------------

FOUND = {
    # config, query, headers -> status, message
    "no key": ({}, "", {}, 401, NO_KEY),
    "query": ({}, "apikey=kong", {}, 200, None),
    "header": ({}, "", {"ApiKey": "kong"}, 200, None),
    "unknown in the query": ({}, "apikey=123", {}, 401, UNKNOWN),
    "unknown in the header": ({}, "", {"apikey": "123"}, 401, UNKNOWN),
    "case counts": ({}, "apikey=KONG", {}, 401, UNKNOWN),
    "blanks count": ({}, "apikey=kong+", {}, 401, UNKNOWN),
    "query names are exact": ({}, "ApiKey=kong", {}, 401, NO_KEY),
    "query name escaped": ({}, "api%6B%65%79=k%6fng", {}, 200, None),
    "empty in the query": ({}, "apikey=", {}, 401, NO_KEY),
    "query name without =": ({}, "apikey", {}, 401, NO_KEY),
    "repeated in the query": ({}, "apikey=kong&apikey=kong", {}, 401, DUPLICATE),
    "repeated in the query, once without =": ({}, "apikey&apikey=kong", {}, 401, DUPLICATE),
    "list spelling is another name": ({}, "apikey[]=kong&apikey[1]=kong", {}, 401, NO_KEY),
    "header wrong, query right": ({}, "apikey=kong", {"apikey": "123"}, 401, UNKNOWN),
    "header right, query wrong": ({}, "apikey=123", {"apikey": "kong"}, 401, DUPLICATE),
    "header and query agree": ({}, "apikey=kong&apikey=kong", {"apikey": "kong"}, 200, None),
    "header right, query empty": ({}, "apikey=&apikey", {"apikey": "kong"}, 200, None),
    "empty header ends the search": ({}, "apikey=kong", {"apikey": ""}, 401, NO_KEY),
    "header repeated": ({}, "", {"apikey": "kong,kong"}, 401, DUPLICATE),
    "header with a key that has a comma": ({}, "", {"apikey": "a,b"}, 200, None),
    "header with a comma and one part": ({}, "", {"apikey": "kong, "}, 401, UNKNOWN),
    "comma in the query is no repetition": ({}, "apikey=kong,kong", {}, 401, UNKNOWN),
    "not looked for in the header": ({"key_in_header": False}, "", {"apikey": "kong"}, 401, NO_KEY),
    "header off, query right": ({"key_in_header": False}, "apikey=kong", {"apikey": "123"}, 200, None),
    "not looked for in the query": ({"key_in_query": False}, "apikey=kong", {}, 401, NO_KEY),
    "query off, header right": ({"key_in_query": False}, "apikey=123", {"apikey": "kong"}, 200, None),
    "second name": ({"key_names": ["a", "b"]}, "b=kong", {}, 200, None),
    "first name decides": ({"key_names": ["a", "b"]}, "b=kong&a=123", {}, 401, UNKNOWN),
    "name without = does not decide": ({"key_names": ["a", "b"]}, "b=kong&a", {}, 200, None),
    "- for _ in a header": ({"key_names": ["api_key"]}, "", {"api-key": "kong"}, 200, None),
    "- for _ not in the query": ({"key_names": ["api_key"]}, "api-key=kong", {}, 401, NO_KEY),
    "no names": ({"key_names": []}, "apikey=kong", {"apikey": "kong"}, 401, NO_KEY),
    "key outside ASCII in the query": ({}, "apikey=cl%C3%A9", {}, 200, None),
    "key outside ASCII in the header": ({}, "", {"apikey": "cl\xc3\xa9"}, 200, None),
    "key that is no UTF-8": ({}, "apikey=%FF", {}, 401, UNKNOWN),
}


@pytest.mark.parametrize(("config", "query", "headers", "status", "message"), FOUND.values(), ids=FOUND)
def test_finds_the_key_in_header_and_query(config, query, headers, status, message):
    answer, _ = ask(config, query_string=query, headers=headers)
    assert answer.status_code == status
    if message:
        assert answer.json["message"] == message
        assert answer.headers["WWW-Authenticate"] == "Key"


IN_BODY = {
    # content type, body, query -> status, message
    "form": (FORM, "apikey=kong", "", 200, None),
    "form with parameters in the type": (FORM.upper() + "; charset=utf-8", "apikey=kong", "", 200, None),
    "form, unknown": (FORM, "apikey=123", "", 401, UNKNOWN),
    "form, repeated": (FORM, "apikey=kong&apikey=kong", "", 401, DUPLICATE),
    "form, list spelling": (FORM, "apikey[]=kong&apikey[1]=kong", "", 401, NO_KEY),
    "JSON": (JSON, '{"apikey": "kong"}', "", 200, None),
    "JSON, list": (JSON, '{"apikey": ["kong"]}', "", 401, DUPLICATE),
    "JSON, repeated": (JSON, '{"apikey": "kong", "apikey": "kong"}', "", 401, DUPLICATE),
    "JSON, number": (JSON, '{"apikey": 1}', "", 401, NO_KEY),
    "JSON, no object": (JSON, '["apikey"]', "", 401, NO_KEY),
    "JSON, unreadable": (JSON, '{"apikey": "kong"', "", 401, NO_KEY),
    "JSON, lone surrogate": (JSON, '{"apikey": "\\ud800"}', "", 401, UNKNOWN),
    "multipart": (MULTIPART, parts(apikey="kong"), "", 200, None),
    "multipart, unknown": (MULTIPART, parts(apikey="123"), "", 401, UNKNOWN),
    "multipart, repeated": (
        MULTIPART,
        parts(apikey="kong", a="1").replace('"a"', '"apikey"'),
        "",
        401,
        DUPLICATE,
    ),
    "other type": ("text/plain", "apikey=kong", "", 401, NO_KEY),
    "query wrong, body right": (FORM, "apikey=kong", "apikey=123", 401, UNKNOWN),
    "query right, body wrong": (FORM, "apikey=123", "apikey=kong", 200, None),
    "query without = hides the body": (FORM, "apikey=kong", "apikey", 401, NO_KEY),
}


@pytest.mark.parametrize(("kind", "body", "query", "status", "message"), IN_BODY.values(), ids=IN_BODY)
def test_finds_the_key_in_the_body(kind, body, query, status, message):
    answer, saw = post({}, kind, body, query_string=query)
    assert (answer.status_code, answer.json["message"] if message else None) == (status, message)
    if saw:
        assert saw["wsgi.input"].read() == body.encode()


def test_does_not_read_the_body_by_default():
    answer, _ = ask(method="POST", content_type=FORM, data="apikey=kong")
    assert (answer.status_code, answer.json["message"]) == (401, NO_KEY)


def test_does_not_read_a_body_without_names():
    class Unread(io.BytesIO):
        def read(self, *args):
            raise AssertionError("read")

    answer, saw = ask(
        {"key_in_body": True, "hide_credentials": True},
        headers={"apikey": "kong"},
        environ={"wsgi.input": Unread(), "CONTENT_TYPE": "video/mp4", "CONTENT_LENGTH": "9"},
    )
    assert (answer.status_code, type(saw["wsgi.input"])) == (200, Unread)


def test_a_body_over_the_limit_is_refused():
    answer = get(
        KeyAuth(key_in_body=True),
        {**CONSUMERS, "max_request_body": 10},
        method="POST",
        content_type=FORM,
        data="apikey=kong",
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(("length", "asked"), [(MAX_KEY, 1), (MAX_KEY + 1, 0)], ids=["at the bound", "above"])
def test_a_very_long_key_is_unknown_without_a_look_up(length, asked):
    class Counting(MemoryDirectory):
        looked_up = 0

        def credential(self, kind, key):
            self.looked_up += 1
            return super().credential(kind, key)

    directory = Counting()
    answer = get(
        Gateway(hello_app, plugins=[KeyAuth()], consumers=directory), headers={"apikey": "k" * length}
    )
    assert (answer.status_code, directory.looked_up) == (401, asked)


# -- access: hiding the key --------------------------------------------------------------------------------

HIDDEN = {
    "order is kept": ("c=value1&b=value2&apikey=kong&a=value3", "c=value1&b=value2&a=value3"),
    "escaped name": ("c=valu%651&b=value2&api%6B%65%79=kong&a=valu%653", "c=value1&b=value2&a=value3"),
    "nothing left": ("apikey=kong", ""),
}


@pytest.mark.parametrize(("query", "left"), HIDDEN.values(), ids=HIDDEN)
def test_hides_the_key_in_the_query_and_the_raw_target(query, left):
    target = f"/request?{query}"
    _, saw = ask(
        {"hide_credentials": True}, query_string=query, environ={"RAW_URI": target, "REQUEST_URI": target}
    )
    assert saw["QUERY_STRING"] == left
    assert saw["RAW_URI"] == saw["REQUEST_URI"] == "/request" + (f"?{left}" if left else "")


def test_leaves_the_raw_target_alone_when_the_key_is_elsewhere():
    config = {"hide_credentials": True}
    _, saw = ask(config, headers={"apikey": "kong"}, query_string="%61=1", environ={"RAW_URI": "/?%61=1#x"})
    assert (saw["QUERY_STRING"], saw["RAW_URI"]) == ("%61=1", "/?%61=1#x")


def test_leaves_everything_as_it_is_unless_told_to_hide():
    _, saw = post({}, FORM, "apikey=kong&a=1", query_string="apikey=kong", headers={"apikey": "kong"})
    assert (saw["QUERY_STRING"], saw["HTTP_APIKEY"]) == ("apikey=kong", "kong")
    assert saw["wsgi.input"].read() == b"apikey=kong&a=1"


HIDDEN_BODIES = {
    "form": (FORM, "a=1&apikey=kong&b=2", b"a=1&b=2"),
    "JSON": (JSON, '{"apikey": "kong", "b": [1]}', b'{"b":[1]}'),
    "multipart": (MULTIPART, parts(a="1", apikey="kong", b="2"), parts(a="1", b="2").encode()),
    "without the key it is not touched": (JSON, '{ "b": 1 }', b'{ "b": 1 }'),
    "other type": ("text/plain", "apikey=kong", b"apikey=kong"),
}


@pytest.mark.parametrize(("kind", "body", "left"), HIDDEN_BODIES.values(), ids=HIDDEN_BODIES)
def test_hides_the_key_wherever_it_is(kind, body, left):
    config = {"hide_credentials": True}
    _, saw = post(config, kind, body, query_string="apikey=kong&x=1", headers={"apikey": "kong"})
    assert "HTTP_APIKEY" not in saw
    assert (saw["QUERY_STRING"], saw["CONTENT_TYPE"]) == ("x=1", kind)
    assert saw["wsgi.input"].read() == left
    assert saw["CONTENT_LENGTH"] == str(len(left))


def test_leaves_the_body_alone_unless_keys_may_be_in_it():
    config = {"hide_credentials": True, "key_in_body": False}
    _, saw = post(config, FORM, "apikey=kong", headers={"apikey": "kong"})
    assert saw["wsgi.input"].read() == b"apikey=kong"


@pytest.mark.parametrize("query", ["apikey=wrong", "apikey=a&apikey=b"], ids=["unknown", "repeated"])
def test_hides_a_bad_key_from_the_app_of_the_anonymous_consumer(query):
    config = {"hide_credentials": True, "anonymous": "no-body"}
    _, saw = ask(config, query_string=query)
    assert (saw["QUERY_STRING"], saw["HTTP_X_ANONYMOUS_CONSUMER"]) == ("", "true")


# -- through an app ----------------------------------------------------------------------------------------


def test_the_app_is_told_the_consumer_and_the_credential_but_never_the_key():
    forged = {
        "X-Consumer-Custom-ID": "root",
        "X-Credential-Identifier": "root",
        "X-Anonymous-Consumer": "true",
    }
    _, saw = ask(query_string="apikey=kong", headers=forged)
    assert saw["HTTP_X_CONSUMER_ID"] == BOB["id"]
    assert saw["HTTP_X_CONSUMER_USERNAME"] == "bob"
    assert saw["HTTP_X_CREDENTIAL_IDENTIFIER"] == "cafe"
    assert not {"HTTP_X_CONSUMER_CUSTOM_ID", "HTTP_X_ANONYMOUS_CONSUMER"} & saw.keys()


@pytest.mark.parametrize("query", ["", "apikey=wrong"], ids=["no key", "unknown key"])
@pytest.mark.parametrize("anonymous", [NOBODY["id"], "no-body"], ids=["by id", "by username"])
def test_the_anonymous_consumer_stands_in(anonymous, query):
    answer, saw = ask({"anonymous": anonymous}, query_string=query)
    assert (answer.status_code, saw["HTTP_X_ANONYMOUS_CONSUMER"]) == (200, "true")
    assert (saw["HTTP_X_CONSUMER_USERNAME"], saw["HTTP_X_CONSUMER_CUSTOM_ID"]) == ("no-body", "none")
    assert "HTTP_X_CREDENTIAL_IDENTIFIER" not in saw


def test_a_valid_key_goes_before_the_anonymous_consumer():
    _, saw = ask({"anonymous": NOBODY["id"]}, query_string="apikey=kong")
    assert (saw["HTTP_X_CONSUMER_USERNAME"], saw["HTTP_X_CREDENTIAL_IDENTIFIER"]) == ("bob", "cafe")
    assert "HTTP_X_ANONYMOUS_CONSUMER" not in saw


def test_a_missing_anonymous_consumer_is_an_error():
    answer, saw = ask({"anonymous": "nowhere"})
    assert (answer.status_code, saw) == (500, None)
    assert answer.json["message"] == "anonymous consumer nowhere is configured but doesn't exist"
    assert "WWW-Authenticate" not in answer.headers


def test_the_challenge_names_the_realm():
    assert ask({"realm": "shop"})[0].headers["WWW-Authenticate"] == 'Key realm="shop"'


def test_the_refusal_has_the_format_the_client_accepts():
    answer, _ = ask(headers={"Accept": "text/html"})
    assert answer.mimetype == "text/html"
    assert NO_KEY in answer.text


def test_a_preflight_passes_without_a_key_if_told_so():
    assert ask({"run_on_preflight": False}, method="OPTIONS")[0].status_code == 200
    assert ask(method="OPTIONS")[0].status_code == 401


@pytest.mark.parametrize(("age", "status"), [(9, 200), (10, 401)], ids=["before its end", "at its end"])
def test_a_key_is_unknown_after_its_time_to_live(age, status):
    consumer = {"username": "eve", "keyauth_credentials": [{"key": "k", "ttl": 10, "created": 1000}]}
    app = Gateway(hello_app, {"consumers": [consumer]}, plugins=[KeyAuth()], clock=lambda: 1000 + age)
    assert get(app, headers={"apikey": "k"}).status_code == status


def test_a_key_whose_consumer_is_gone_is_unknown():
    class Emptied(MemoryDirectory):
        def consumer(self, name):
            return None

    directory = Emptied()
    app = Gateway(hello_app, plugins=[KeyAuth()], consumers=directory)
    directory.add("key-auth", "k", Credential(id="1", consumer_id="2"))
    answer = get(app, headers={"apikey": "k"})
    assert (answer.status_code, answer.json["message"]) == (401, UNKNOWN)


@pytest.mark.parametrize("config", [{}, {"anonymous": "no-body"}], ids=["alone", "with anonymous"])
def test_a_store_that_fails_lets_nobody_pass(config):
    class Down(MemoryDirectory):
        def credential(self, kind, key):
            raise StoreError("redis://keys", "timed out after 1 s")

    app = Gateway(hello_app, plugins=[KeyAuth(**config)], consumers=Down())
    answer = get(app, headers={"apikey": "kong"})
    assert (answer.status_code, answer.json["message"]) == (500, "An unexpected error occurred")
