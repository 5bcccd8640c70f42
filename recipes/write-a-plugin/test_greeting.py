"""The plugin's own tests: no server, no files."""

import pytest
from greeting import Greeting

from plugmw import ConfigError
from plugmw.testing import get


def test_greets_in_a_response_header() -> None:
    assert get(Greeting(greeting="hi")).headers["X-Greeting"] == "hi"


def test_greets_on_errors_too() -> None:
    def broken(environ, start_response):
        start_response("500 Oops", [])
        return [b""]

    assert get(Greeting(), app=broken).headers["X-Greeting"] == "hello"


def test_refuses_a_greeting_that_is_no_text() -> None:
    with pytest.raises(ConfigError, match="greeting: got 5, expected a string"):
        Greeting(greeting=5)
