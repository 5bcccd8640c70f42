"""``kong.log``: lines, inspection, and the log entry."""

from __future__ import annotations

import logging
import sys

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.dialects.kong import kong
from plugmw.dialects.kong.pdk.log import LEVELS, Log, one_line
from plugmw.testing import hello_app
from tests.support.kong import during, plugin, through

HERE = "test_log.py"


@pytest.fixture(autouse=True)
def every_level(caplog):
    caplog.set_level(logging.DEBUG, "plugmw")
    caplog.set_level(logging.DEBUG, "plugmw.kong")


def lines(caplog):
    return [(record.levelno, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize("level", LEVELS)
def test_a_line_has_level_place_and_plugin(level, caplog):
    def access(config):
        here.append(sys._getframe().f_lineno + 1)
        getattr(kong.log, level)("a", 1, None)

    here = []
    through(plugin(access=access))
    assert lines(caplog) == [(LEVELS[level], f"[kong] {HERE}:{here[0]} [tester] a1None")]


def test_called_it_logs_notices_and_deprecations_are_warnings(caplog):
    during("access", lambda: (kong.log("x"), kong.log.deprecation("old")))
    assert [level for level, _ in lines(caplog)] == [25, logging.WARNING]
    assert lines(caplog)[1][1].endswith("deprecation: old")


def test_outside_of_plugins_there_is_no_name(caplog):
    kong.log.err("x")
    assert lines(caplog)[0][1].startswith(f"[kong] {HERE}:")
    assert "[tester]" not in caplog.text


def test_a_level_that_is_off_costs_nothing(caplog):
    caplog.set_level(logging.ERROR, "plugmw")

    class Costly:
        def __str__(self):
            raise AssertionError("written")

    during("access", kong.log.debug, Costly())


def test_a_message_is_one_line_whatever_a_client_sent(caplog):
    during("access", kong.log.err, "a\r\nfake\x1b[0m\u2028")
    assert lines(caplog)[0][1].endswith("a\\r\\nfake\\x1b[0m\\u2028")
    assert one_line("tab\tstays é") == "tab\tstays é"


def test_a_plugin_sets_the_form_of_its_own_lines(caplog):
    log = Log()

    def write():
        log.set_format("%func_name [%namespace] %message %message %%x")
        log.info("%namespace")
        log.set_format()
        log.info("again")

    during("access", write)
    log.info("core")
    told = [text for _, text in lines(caplog)]
    assert told[0] == "[kong] write [tester] %namespace %namespace %%x"
    assert told[1].endswith("[tester] again")
    assert told[2].endswith(" core")


def test_a_form_is_text():
    with pytest.raises(TypeError, match="format must be a string if specified"):
        kong.log.set_format(5)


def test_inspect_shows_values_in_full_unless_it_is_off(caplog):
    log = Log()

    def show():
        log.inspect({"a": "b\n"}, 5)
        log.inspect.off()
        log.inspect("hidden")
        log.inspect.on()
        log.inspect("shown")

    during("access", show)
    told = [text for _, text in lines(caplog)]
    assert len(told) == 2
    assert told[0].startswith(f"[kong] {HERE}:show:")
    assert told[0].endswith(r"[tester] {'a': 'b\n'} 5")


def test_a_certificate_phase_logs_through_the_plugin(caplog):
    plugin(certificate=lambda config: kong.log.err("in certificate")).certificate(None)
    assert caplog.records[0].name == "plugmw"
    assert caplog.messages[0].endswith("[tester] in certificate")


class FiveMethods:
    """An injected logger with what KrakenD's contract asks of one."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        if name not in ("debug", "info", "warning", "error", "critical"):
            raise AttributeError(name)
        return lambda text, *values: self.calls.append((name, text % values))


def test_an_injected_logger_without_levels_gets_the_nearest_of_its_methods():
    logger = FiveMethods()

    def access(config):
        for level in LEVELS:
            getattr(kong.log, level)("100%")
        kong.log.inspect({})

    gateway = Gateway(hello_app, plugins=[plugin(access=access)])
    gateway.register_logger(logger)
    assert Client(gateway).get("/").status_code == 200
    names = ["debug", "info", "info", "warning", "error", "critical", "critical", "critical", "info"]
    assert [name for name, _ in logger.calls] == names
    assert all(text.endswith("100%") for _, text in logger.calls[:-1])


# -- the log entry ---------------------------------------------------------------------------------------


def entry_after(change, **request):
    entries = []

    def log(config):
        entries.append(kong.log.serialize())

    through(plugin(access=lambda config: change(), log=log), **request)
    return entries[0]


def test_values_are_put_into_the_entry():
    def change():
        kong.log.set_serialize_value("mine.a\\.b", {"x": [1]})
        kong.log.set_serialize_value("mine.c", 1)
        kong.log.set_serialize_value("mine.c", 2, {"mode": "add"})
        kong.log.set_serialize_value("request.method", "X", {"mode": "replace"})
        kong.log.set_serialize_value("none.at.all", "X", {"mode": "replace"})
        kong.log.set_serialize_value("client_ip", None)

    found = entry_after(change)
    assert found["mine"] == {"a.b": {"x": [1]}, "c": 1}
    assert found["request"]["method"] == "X"
    assert "none" not in found
    assert "client_ip" not in found


def test_credentials_are_redacted():
    headers = {"Authorization": "Basic secret", "Proxy-Authorization": "secret", "X-A": "1"}
    found = entry_after(lambda: None, headers=headers)["request"]["headers"]
    assert (found["authorization"], found["proxy-authorization"], found["x-a"]) == (
        "REDACTED",
        "REDACTED",
        "1",
    )


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((1, 1), TypeError, "key must be a string"),
        (("a", 1, {"mode": "x"}), ValueError, "mode must be 'set', 'add' or 'replace'"),
        (("a", object()), ValueError, "value must be nil, a number, string, boolean or a non-self"),
    ],
)
def test_wrong_values_raise_with_kongs_text(arguments, error, text):
    with pytest.raises(error, match=f"^{text}"):
        during("access", kong.log.set_serialize_value, *arguments)
