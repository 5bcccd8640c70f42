"""nginx's variables, as plugin servers ask for them."""

from __future__ import annotations

import os

import pytest

from plugmw.dialects.kong.servers.pdk_calls import Calls
from tests.support.kong import both, during

REQUEST = {
    "path": "/caf%C3%A9?a=1&B=x%20y&a=2&empty=",
    "headers": {
        "Host": "Shop.Example:8080",
        "Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Cookie": "first=1; session=a=b; first=2",
        "X-Tenant": "acme",
    },
}
VALUES = {
    "host": "shop.example",
    "http_host": "Shop.Example:8080",
    "http_x_tenant": "acme",
    "arg_a": "1",
    "arg_A": "1",
    "arg_b": "x%20y",
    "arg_empty": "",
    "arg_missing": None,
    "args": "a=1&B=x%20y&a=2&empty=",
    "is_args": "?",
    "cookie_session": "a=b",
    "cookie_first": "1",
    "cookie_none": None,
    "remote_user": "Aladdin",
    "request": "GET /caf%C3%A9?a=1&B=x%20y&a=2&empty= HTTP/1.1",
    "request_uri": "/caf%C3%A9?a=1&B=x%20y&a=2&empty=",
    "uri": "/café",
    "document_uri": "/café",
    "request_method": "GET",
    "pid": str(os.getpid()),
    "status": None,
    "no_such_variable": None,
}


def ask(name, *values):
    return Calls().ask(name, list(values))


@pytest.mark.parametrize("name", VALUES)
def test_a_variable_is_what_nginx_says(name):
    assert during("access", ask, "kong.nginx.get_var", name, **REQUEST) == VALUES[name]


def test_the_length_of_a_request_counts_line_headers_and_body():
    asked = {"method": "POST", "path": "/", "headers": {"Host": "h"}, "data": b"12345"}
    length = int(during("access", ask, "kong.nginx.get_var", "request_length", **asked))
    more = {**asked, "data": b"1234567"}
    assert int(during("access", ask, "kong.nginx.get_var", "request_length", **more)) == length + 2


def test_without_a_host_header_the_server_gives_its_name():
    assert during("access", ask, "kong.nginx.get_var", "host") == "localhost"


def test_what_a_plugin_server_puts_into_its_own_context_stays_there():
    def put():
        ask("kong.ctx.plugin.set", "seen", 7)
        return ask("kong.ctx.plugin.get", "seen")

    assert during("access", put) == 7


@pytest.mark.parametrize(
    "values",
    [[{"id": "c1", "username": "ann"}], [{"id": "c1", "username": "ann"}, None]],
    ids=["left out", "nil"],
)
def test_a_consumer_is_enough_to_authenticate(values):
    seen = both(
        lambda: ask("kong.client.authenticate", *values),
        "header_filter",
        lambda: (ask("kong.client.get_consumer")["username"], ask("kong.client.get_credential")),
    )
    assert seen == ("ann", None)
