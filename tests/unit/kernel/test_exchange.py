"""The exchange: the request and its response as plugins see them."""

from __future__ import annotations

import io
from http import HTTPStatus

import pytest

from plugmw.errors import PhaseError
from plugmw.kernel.exchange import Exchange, own_headers
from plugmw.kernel.identity import IDENTITY_KEYS, Consumer, Credential
from plugmw.kernel.runtime import Runtime
from plugmw.testing import get
from plugmw.wsgi.proxies import Trusted
from tests.support.plugins import made
from tests.support.wsgi import environ_of


def exchange(path="/", runtime=None, **environ):
    bound = type("Bound", (Exchange,), {"runtime": runtime or Runtime()})
    return bound(environ_of(path, **environ), lambda *args: None)


def exit_of(call):
    from plugmw.wsgi.answer import Exit

    with pytest.raises(Exit) as caught:
        call()
    return caught.value


def test_request_headers_are_read_set_and_removed_in_the_environ():
    x = exchange(HTTP_X_KEY="1")
    assert x.get_header("x-key") == "1"
    x.set_request_header("X-Key", "2")
    assert (x.environ["HTTP_X_KEY"], x.request.headers["X-Key"]) == ("2", "2")
    x.remove_request_header("X-KEY")
    assert x.get_header("X-Key") is None
    x.remove_request_header("X-Key")


@pytest.mark.parametrize(
    ("name", "value"), [("X Y", "1"), ("X", "a\r\nB: c"), ("X", "a\nb"), ("", "x"), ("X", "\u20ac")]
)
def test_headers_that_would_split_a_message_are_refused(name, value):
    x = exchange()
    for call in (x.set_request_header, x.set_header):
        with pytest.raises(ValueError, match="header"):
            call(name, value)


def test_the_method_is_the_one_sent_whatever_override_headers_say():
    assert exchange(method="DELETE", HTTP_X_HTTP_METHOD_OVERRIDE="GET").method == "DELETE"


def test_the_path_is_joined_and_normalised_and_follows_changes():
    x = exchange("//a/./b/../c", SCRIPT_NAME="/base")
    assert x.path == "/base/a/c"
    x.environ["PATH_INFO"] = "/new"
    assert x.path == "/base/new"
    assert x.path == "/base/new"


def test_address_scheme_and_host_come_from_what_is_trusted():
    forwarded = {
        "HTTP_X_FORWARDED_FOR": "1.2.3.4",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "a.example",
    }
    x = exchange(**forwarded, HTTP_HOST="b.example")
    assert (str(x.client_ip), x.scheme, x.host) == ("127.0.0.1", "http", "b.example")
    x = exchange(runtime=Runtime(trusted=Trusted(["127.0.0.1"])), **forwarded)
    assert (str(x.client_ip), x.scheme, x.host) == ("1.2.3.4", "https", "a.example")
    assert x.client_ip is x.client_ip


def test_the_request_body_is_read_and_the_app_still_gets_it():
    x = exchange(**{"wsgi.input": io.BytesIO(b"data and more"), "CONTENT_LENGTH": "4"})
    assert x.read_body() == b"data"
    assert x.read_body() == b"data"
    assert x.environ["wsgi.input"].read() == b"data"


def test_the_request_body_may_be_replaced():
    x = exchange(**{"wsgi.input": io.BytesIO(b"data"), "CONTENT_LENGTH": "4"})
    before = x.request
    x.replace_body(b"longer data")
    assert x.request is not before
    assert x.request.body == b"longer data"
    assert x.environ["CONTENT_LENGTH"] == "11"


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"wsgi.input": io.BytesIO(b"12345"), "CONTENT_LENGTH": "5"}, 413),
        ({"wsgi.input": io.BytesIO(b"1"), "CONTENT_LENGTH": "+1"}, 400),
        ({"wsgi.input": io.BytesIO(b"1"), "CONTENT_LENGTH": "3"}, 400),
    ],
    ids=["too long", "no number", "cut short"],
)
def test_a_request_body_that_is_wrong_is_answered(environ, status):
    assert exit_of(lambda: exchange(**environ).read_body(4)).status == status


def test_the_limit_of_a_request_body_is_the_gateways_unless_given():
    environ = {"wsgi.input": io.BytesIO(b"12345"), "CONTENT_LENGTH": "5"}
    assert exit_of(exchange(runtime=Runtime(max_request_body=4), **environ).read_body).status == 413


# -- who is asking ----------------------------------------------------------------------------------------

JO = Consumer(id="id-jo", username="jö", custom_id="c")


def test_nobody_is_asking_until_somebody_is_authenticated():
    x = exchange()
    assert (x.consumer, x.credential) == (None, None)
    credential = Credential(id="k1", consumer_id="id-jo")
    x.authenticate(JO, credential)
    assert (x.consumer, x.credential) == (JO, credential)
    assert x.environ["HTTP_X_CONSUMER_ID"] == "id-jo"
    assert x.environ["HTTP_X_CONSUMER_USERNAME"] == "jö".encode().decode("latin-1")
    assert x.environ["HTTP_X_CONSUMER_CUSTOM_ID"] == "c"
    assert x.environ["HTTP_X_CREDENTIAL_IDENTIFIER"] == "k1"


def test_ids_outside_of_latin_1_are_carried_as_wsgi_carries_bytes():
    x = exchange()
    x.authenticate(Consumer(id="\u20ac", username="u"), Credential(id="\u20ac", consumer_id="\u20ac"))
    for key in ("HTTP_X_CONSUMER_ID", "HTTP_X_CREDENTIAL_IDENTIFIER"):
        assert x.environ[key].encode("latin-1").decode() == "\u20ac"


def test_authenticating_leaves_nothing_of_what_was_there():
    x = exchange(**dict.fromkeys(IDENTITY_KEYS, "spoofed"))
    x.authenticate(Consumer(id="1", custom_id="c"), None)
    left = {key: x.environ[key] for key in IDENTITY_KEYS if key in x.environ}
    assert left == {"HTTP_X_CONSUMER_ID": "1", "HTTP_X_CONSUMER_CUSTOM_ID": "c"}


def test_the_stand_in_for_nobody_is_marked():
    x = exchange()
    x.authenticate(JO, Credential(id="k", consumer_id="id-jo"), anonymous=True)
    assert x.environ["HTTP_X_ANONYMOUS_CONSUMER"] == "true"
    assert "HTTP_X_CREDENTIAL_IDENTIFIER" not in x.environ


# -- the response -----------------------------------------------------------------------------------------


def test_there_is_no_status_before_there_is_a_response():
    x = exchange()
    assert x.status == 0
    x.status_line = "404 Whatever"
    assert x.status == 404


@pytest.mark.parametrize("phase", ["rewrite", "access", "body_filter", "log"])
def test_the_status_is_set_only_where_there_is_one_to_set(phase):
    x = exchange()
    x.phase = phase
    with pytest.raises(
        PhaseError, match=rf"status cannot be called in {phase} phase \(only in: response, header_filter\)"
    ):
        x.status = 404


@pytest.mark.parametrize("status", [99, 600])
def test_a_status_is_between_100_and_599(status):
    x = exchange()
    x.phase = "header_filter"
    with pytest.raises(ValueError, match=f"status: got {status}, expected a number between 100 and 599"):
        x.status = status


def test_a_status_gets_its_phrase():
    x = exchange()
    x.phase = "header_filter"
    x.status = HTTPStatus.NOT_FOUND
    assert x.status_line == "404 Not Found"
    x.status = 599
    assert x.status_line == "599 Unknown"


def test_response_headers_have_any_case_and_may_repeat():
    x = exchange()
    x.add_header("Set-Cookie", "a=1")
    x.add_header("set-cookie", "b=2")
    assert x.response_header("SET-COOKIE") == "a=1"
    assert x.headers.getall("Set-Cookie") == ["a=1", "b=2"]
    x.set_header("SET-cookie", "c=3")
    assert x.header_list == [("SET-cookie", "c=3")]
    x.remove_header("set-Cookie")
    assert x.header_list == []
    assert x.response_header("x") is None


def test_removing_from_no_headers_is_nothing():
    x = exchange()
    x.remove_header("X")
    assert x.header_list is None


def test_the_header_view_is_live_and_follows_a_new_list():
    x = exchange()
    x.headers["X-A"] = "1"
    assert x.header_list == [("X-A", "1")]
    assert x.headers is x.headers
    x.header_list = [("X-B", "2")]
    assert x.headers["X-B"] == "2"


def test_latin_1_is_fine_in_a_header():
    x = exchange()
    x.add_header("X-A", "caf\xe9\tx")
    assert x.header_list == [("X-A", "caf\xe9\tx")]


def test_early_headers_replace_the_apps_but_for_fields_that_lists_are_made_of():
    app = [("Server", "app"), ("Vary", "Accept"), ("Set-Cookie", "a=1")]
    merged = own_headers(app, [("server", "us"), ("vary", "Origin"), ("Set-Cookie", "b=2")])
    ours = [("server", "us"), ("vary", "Origin"), ("Set-Cookie", "b=2")]
    assert merged == [("Vary", "Accept"), ("Set-Cookie", "a=1"), *ours]


def test_a_value_that_would_split_a_message_cannot_be_added_either():
    with pytest.raises(ValueError, match="control character"):
        exchange().add_header("X", "a\r\nB: c")
    with pytest.raises(ValueError, match="header name"):
        exchange().add_header("X: a\r\nB", "c")


# -- leaving ----------------------------------------------------------------------------------------------


def test_exit_and_fail_are_refused_in_the_wrong_phase():
    x = exchange()
    x.phase = "log"
    for call in (x.exit, x.fail):
        with pytest.raises(PhaseError, match="cannot be called in log phase"):
            call(403)


def test_fail_answers_in_the_format_that_is_accepted_with_the_request_id():
    x = exchange(HTTP_ACCEPT="text/plain")
    x.environ["plugmw.request_id"] = "abc"
    left = exit_of(lambda: x.fail(403, "no", {"X-A": "1"}))
    assert (left.status, left.body) == (403, b"no\nrequest_id: abc\n")
    assert left.headers == [("X-A", "1"), ("Content-Type", "text/plain; charset=utf-8")]


# -- around it --------------------------------------------------------------------------------------------


def test_ctx_is_one_dict_per_request():
    x = exchange()
    x.ctx["a"] = 1
    assert x.ctx == {"a": 1}
    assert exchange().ctx == {}


def test_the_request_id_is_random_and_stays():
    x = exchange()
    assert x.request_id == x.request_id == x.environ["plugmw.request_id"]
    assert len(x.request_id) == 32
    assert exchange().request_id != x.request_id


def test_started_is_when_it_was_first_asked_for():
    x = exchange()
    assert x.started == x.started


def test_route_and_service_are_told():
    seen = []
    config = {"routes": [{"name": "r", "paths": ["/r"], "service": "s"}]}
    plugin = made(access=lambda x: seen.append((x.route and x.route.name, x.service)))
    get(plugin, config, path="/r")
    get(plugin, config, path="/")
    assert seen == [("r", "s"), (None, None)]


def test_captures_are_those_of_the_route_and_empty_without_one():
    seen = []
    config = {"routes": [{"name": "r", "paths": [r"~/r/(?P<id>\d+)"]}]}
    plugin = made(access=lambda x: seen.append((x.captures, x.captures)))  # looked up once
    get(plugin, config, path="/r/7")
    get(plugin, config, path="/")
    found, nothing = {"unnamed": ["7"], "named": {"id": "7"}}, {"unnamed": [], "named": {}}
    assert seen == [(found, found), (nothing, nothing)]


def test_a_credential_without_a_consumer_is_told_alone():
    x = exchange()
    x.authenticate(None, Credential(id="k", consumer_id="1"))
    assert {key for key in IDENTITY_KEYS if key in x.environ} == {"HTTP_X_CREDENTIAL_IDENTIFIER"}
