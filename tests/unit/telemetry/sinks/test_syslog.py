"""Severities, facilities and headers of syslog."""

from __future__ import annotations

import socket
import typing
from types import SimpleNamespace

import pytest

from plugmw.schema import config, read
from plugmw.telemetry.sinks.syslog import (
    FACILITIES,
    SEVERITIES,
    Facility,
    Severity,
    header_3164,
    header_5424,
    host_name,
    quoted,
    severity,
    severity_of,
)


@pytest.mark.parametrize(("names", "table"), [(Severity, SEVERITIES), (Facility, FACILITIES)])
def test_every_name_has_a_number_of_its_own(names, table):
    assert set(typing.get_args(names)) == set(table)
    assert len(set(table.values())) == len(table)


def test_numbers_are_those_of_the_standard():
    from logging.handlers import SysLogHandler

    known = SysLogHandler.facility_names
    assert all(known[name] == number for name, number in FACILITIES.items())
    assert [SEVERITIES[name] for name in ("emerg", "err", "debug")] == [0, 3, 7]


DECISIONS = [
    (200, "info", {"successful": "warning"}, 4),
    (200, "debug", {"successful": "info"}, 6),
    (200, "crit", {"successful": "crit"}, 2),
    (399, "info", {}, 6),
    (400, "info", {"client_errors": "notice"}, 5),
    (404, "crit", {"client_errors": "warning"}, None),
    (499, "err", {"client_errors": "err"}, 3),
    (500, "info", {"server_errors": "emerg"}, 0),
    (200, "err", {"successful": "warning"}, None),
    (200, "warning", {"successful": "warning"}, 4),
]


@pytest.mark.parametrize(("status", "level", "severities", "number"), DECISIONS)
def test_the_severity_is_that_of_the_status_if_it_is_to_be_sent(status, level, severities, number):
    config = {f"{name}_severity": "info" for name in ("successful", "client_errors", "server_errors")}
    config.update({f"{name}_severity": value for name, value in severities.items()})
    assert severity_of(SimpleNamespace(log_level=level, **config), status) == number


def test_headers():
    assert header_3164(1, 4) == "<12>kong: "
    assert header_5424(1, 6, "h", now=1_795_194_313.9) == "<14>1 2026-11-20T17:05:13Z h kong - - - "
    assert header_5424(23, 2, "h", "[a]").startswith("<186>1 2")


@pytest.mark.parametrize(
    ("name", "written"), [("a.b-c", "a.b-c"), ("a b\u00e9", "a-b-"), ("", "-"), ("x" * 300, "x" * 255)]
)
def test_host_names_are_printable(name, written):
    assert host_name(lambda: name) == written


def test_this_machine_has_a_name():
    assert host_name() == socket.gethostname()


def test_delimiters_in_values_are_escaped():
    assert quoted('x"] \\ é') == 'x\\"\\] \\\\ é'


def test_a_severity_is_a_field_with_a_default():
    @config
    class Config:
        log_level: Severity = severity("The level.")

    assert read(Config, {})[0].log_level == "info"
    assert read(Config, {"log_level": "warn"})[1][0][1] == "got 'warn'"
