"""A plugin object given in code belongs to one gateway."""

from __future__ import annotations

import gc

import pytest

from plugmw import ConfigError, Entry, Gateway, Plugin
from plugmw.contrib.key_auth import KeyAuth
from plugmw.testing import get, hello_app
from tests.support.wsgi import environ_of, serve


class Own(Plugin):
    """Is made of more than its configuration."""

    name, priority = "own", 7

    def __init__(self, text):
        super().__init__()
        self.text = text

    def header_filter(self, x):
        x.headers["X-Own"] = self.text


class Counts(Plugin):
    """Counts what it has seen."""

    name, priority = "counts", 6
    seen = 0

    def access(self, x):
        self.seen += 1


def people(name):
    return [{"username": name, "keyauth_credentials": [{"key": f"key of {name}"}]}]


def status(gateway, name):
    return serve(gateway, environ_of("/", HTTP_APIKEY=f"key of {name}")).status[:3]


@pytest.mark.parametrize("wrapped", [False, True], ids=["object", "entry"])
def test_two_gateways_given_one_authentication_object_know_each_its_own_consumers(wrapped):
    auth = KeyAuth(key_names=["apikey"])
    item = Entry(auth) if wrapped else auth
    first = Gateway(hello_app, plugins=[item], consumers=people("ann"))
    second = Gateway(hello_app, plugins=[item], consumers=people("bob"))
    assert [status(first, "ann"), status(first, "bob")] == ["200", "401"]
    assert [status(second, "ann"), status(second, "bob")] == ["401", "200"]


def test_a_second_gateway_leaves_the_object_of_the_first_as_it_was():
    plugin = Counts()
    first = Gateway(hello_app, plugins=[plugin])
    second = Gateway(hello_app, plugins=[Entry(plugin, instance="other")])
    serve(second, environ_of("/"))
    assert (plugin.seen, plugin.runtime, plugin.scope) == (0, first.runtime, (None, None, None, None))
    serve(first, environ_of("/"))
    assert plugin.seen == 1


def test_what_was_set_on_the_object_is_set_on_its_copy():
    plugin = Counts()
    plugin.fail_closed = True
    gateways = [Gateway(hello_app, plugins=[plugin]) for _ in range(2)]
    assert [gateway.entries[0].plugin.fail_closed for gateway in gateways] == [True, True]


def of_a_factory():
    plugin = Counts()
    plugin.service = object()
    return plugin


@pytest.mark.parametrize("make", [lambda: Own("x"), of_a_factory], ids=["own __init__", "attributes set"])
def test_an_object_that_cannot_be_copied_is_refused_by_a_second_gateway(make):
    plugin = make()
    first = Gateway(hello_app, plugins=[plugin])
    expected = f'"{plugin.name}" that is in another gateway, expected an object of its own for each gateway'
    with pytest.raises(ConfigError, match=expected):
        Gateway(hello_app, plugins=[Entry(plugin)])
    assert plugin.runtime is first.runtime


def test_an_object_may_stand_in_several_entries_of_one_gateway():
    plugin = Counts()
    routes = [{"name": "a", "paths": ["/a"]}, {"name": "b", "paths": ["/b"]}]
    gateway = Gateway(
        hello_app, {"routes": routes}, plugins=[Entry(plugin, route="a"), Entry(plugin, route="b")]
    )
    for path in ("/a", "/b"):
        serve(gateway, environ_of(path))
    assert plugin.seen == 2


def test_a_gateway_that_could_not_be_built_has_nothing():
    plugin = Own("x")
    with pytest.raises(ConfigError) as refused:
        Gateway(hello_app, {"storre": 1}, plugins=[plugin])
    assert refused.value
    assert serve(Gateway(hello_app, plugins=[plugin])).status == "200 OK"


def test_a_gateway_that_has_gone_has_nothing():
    plugin = Own("x")
    gc.disable()
    try:
        assert [get(plugin).headers["X-Own"] for _ in range(3)] == ["x", "x", "x"]
    finally:
        gc.enable()
