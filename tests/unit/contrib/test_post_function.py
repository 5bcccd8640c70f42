"""post-function: after all others. What functions are and do is in tests/unit/contrib/test_functions.py."""

from __future__ import annotations

import pytest

from plugmw import ConfigError
from plugmw.contrib.key_auth import KeyAuth
from plugmw.contrib.post_function import PostFunction
from plugmw.contrib.request_termination import RequestTermination
from plugmw.contrib.request_transformer import RequestTransformer
from plugmw.testing import gateway, get
from tests.support.plugins import made, noting

BOB = [{"username": "bob", "keyauth_credentials": [{"key": "secret"}]}]


def test_an_empty_configuration_is_refused():
    with pytest.raises(ConfigError, match="at least one of these fields must be non-empty"):
        PostFunction()


def test_a_text_that_is_no_import_path_is_refused():
    with pytest.raises(ConfigError, match=r"log\[0\]: error parsing post-function: got 'x y'"):
        gateway(PostFunction(log=["x y"]))


def test_is_last_in_every_phase():
    journal = []
    phases = ("rewrite", "access", "header_filter", "log")
    note = {phase: [lambda x, phase=phase: journal.append(f"post.{phase}")] for phase in phases}
    get([PostFunction(**note), noting("aaa", journal, *phases, priority=-999)])
    assert journal == [text for phase in phases for text in (f"aaa.{phase}", f"post.{phase}")]


def test_comes_too_late_to_supply_credentials():
    function = PostFunction(access=[lambda x: x.set_request_header("apikey", "secret")])
    assert get([KeyAuth(), function], {"consumers": BOB}).status_code == 401


def test_sees_the_consumer_and_the_transformed_request():
    function = PostFunction(
        access=[lambda x: x.exit(200, f"{x.consumer.username} {x.get_header('x-added')}")]
    )
    transformer = RequestTransformer(add={"headers": ["x-added:yes"]})
    answer = get([KeyAuth(), transformer, function], {"consumers": BOB}, headers={"apikey": "secret"})
    assert answer.text == "bob yes"


def test_access_is_skipped_and_response_phases_run_when_another_plugin_answers():
    calls = []
    function = PostFunction(
        access=[calls.append], header_filter=[lambda x: x.set_header("x-seen", str(x.status))]
    )
    answer = get([RequestTermination(), function])
    assert (answer.status_code, answer.headers["x-seen"], calls) == (503, "503", [])


def test_sees_the_500_of_a_plugin_that_failed():
    def fail(x):
        raise KeyError

    function = PostFunction(header_filter=[lambda x: x.set_header("x-seen", str(x.status))])
    assert get([made("fails", 5, access=fail), function]).headers["x-seen"] == "500"


def test_an_exit_replaces_the_app():
    calls = []
    answer = get(PostFunction(access=[lambda x: x.exit(503)]), app=lambda *a: calls.append(a))
    assert (answer.status_code, answer.data, calls) == (503, b"", [])


def test_an_error_in_header_filter_closes_the_app():
    closed = []

    class Body(list):
        def close(self):
            closed.append(1)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body([b"secret"])

    def fail(x):
        raise KeyError

    answer = get(PostFunction(header_filter=[fail]), app=app)
    assert (answer.status_code, b"secret" in answer.data, closed) == (500, False, [1])
