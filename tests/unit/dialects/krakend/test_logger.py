"""The logger of KrakenD's plugins."""

from __future__ import annotations

import io
import logging
import re

import pytest

from plugmw.dialects.krakend.logger import Fatal, Logger, formatter
from plugmw.kernel.runtime import NoLogger


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
@pytest.mark.parametrize("spelling", [str.lower, str.capitalize], ids=["python", "go"])
def test_joins_its_values_by_one_space(log, level, spelling):
    getattr(Logger(log), spelling(level))("request:", 5, None)
    assert log.lines == [f"{level.upper()}: request: 5 None"]


@pytest.mark.parametrize("spelling", ["fatal", "Fatal"])
def test_fatal_is_logged_as_critical_and_raises_instead_of_ending_the_process(log, spelling):
    with pytest.raises(Fatal, match="no database"):
        getattr(Logger(log), spelling)("no", "database")
    assert log.lines == ["CRITICAL: no database"]


def test_one_call_is_one_line(log):
    Logger(log).info("path:", "/a\r\nKRAKEND INFO: forged\x1b\u2028")
    assert log.lines == ["INFO: path: /a\\x0d\\x0aKRAKEND INFO: forged\\x1b\\x2028"]


def test_values_are_not_made_text_when_nobody_writes_the_line(log):
    class Costly:
        def __str__(self):
            raise AssertionError

    log.setLevel(logging.ERROR)
    Logger(log).debug(Costly())


def test_takes_whatever_has_the_methods_of_a_logger():
    Logger(NoLogger()).error("nothing happens")


def test_writes_the_default_line_of_krakend():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter())
    target = logging.Logger("x")
    target.addHandler(handler)
    Logger(target).warning("[SERVICE: Gin]", "late")
    assert re.fullmatch(
        r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d KRAKEND WARNING: \[SERVICE: Gin\] late\n", stream.getvalue()
    )


def test_the_prefix_can_be_changed():
    record = logging.LogRecord("x", logging.INFO, "f", 1, "text", (), None)
    assert formatter("GATE").format(record).endswith(" GATE INFO: text")
