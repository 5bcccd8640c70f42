"""What plugins that send the log entry have in common."""

from __future__ import annotations

import json
import math

import pytest

from plugmw import ConfigError
from plugmw.schema import config, read
from plugmw.schema.fields import HeaderName
from plugmw.telemetry.custom_fields import Fields, custom_fields
from plugmw.telemetry.queue import Lost
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.reporting import Delivering, HeaderNames, Reporting, redact_headers, redact_query
from plugmw.testing import gateway, get


@config
class Config:
    custom_fields_by_lua: Fields | None = custom_fields()
    redact_headers: HeaderNames = redact_headers()
    redact_query: list[str] = redact_query()


class Noted(Reporting):
    name, Config = "noted", Config

    def configure(self):
        super().configure()
        self.lines = []

    def log(self, x):
        self.lines.append(self.line(x, 1000))


class Kept(Delivering):
    name, Config = "kept", Config
    closed = 0
    fails = False

    def configure(self):
        super().configure()
        self.batches = []

    def log(self, x):
        self.put(self.line(x))

    def sink(self):
        return self

    def send(self, batch):
        self.batches.append(list(batch))
        if self.fails:
            batch.pop()
            raise Lost("no", 1)

    def close(self):
        self.closed += 1


def test_fields_have_defaults_and_checks():
    assert read(Config, {})[0] == Config(custom_fields_by_lua=None, redact_headers=[], redact_query=[])
    assert HeaderName
    _, problems = read(Config, {"redact_headers": ["a b"], "redact_query": [1]})
    assert [path for path, *_ in problems] == [("redact_headers", 0), ("redact_query", 0)]


def test_a_bad_custom_field_is_an_error_of_the_configuration():
    with pytest.raises(ConfigError, match=r"custom_fields_by_lua\.a: got 'nowhere_at_all:x'"):
        gateway(Noted(custom_fields_by_lua={"a": "nowhere_at_all:x"}))


def test_a_line_has_the_custom_fields_and_not_the_secrets():
    noted = Noted(custom_fields_by_lua={"a": 1}, redact_headers=["X-Key"], redact_query=["key"])
    wrapped = gateway(noted)
    get(wrapped, path="/?key=secret", headers={"X-Key": "secret"})
    [line] = noted.lines
    assert b"secret" not in line
    assert json.loads(line)["a"] == 1
    get(wrapped, headers={"X-Big": "x" * 2000})
    assert json.loads(noted.lines[1])["truncated"] is True


def test_entries_go_in_batches_to_a_sink_that_is_closed_at_the_end():
    kept = Kept()
    wrapped = gateway(kept)
    for _ in range(3):
        get(wrapped)
    wrapped.stop()
    assert sum(map(len, kept.batches)) == 3
    assert kept.closed >= 1
    assert Queues.of(wrapped.runtime).all() == []


def test_the_queue_is_patient_and_has_the_name_of_the_instance():
    from plugmw import Entry

    kept = Kept()
    wrapped = gateway(Entry(kept, instance="second"))
    get(wrapped)
    [queue] = Queues.of(wrapped.runtime).all()
    assert (queue.name, queue.settings.max_retry_time) == ("second", math.inf)
    assert (queue.settings.max_entries, queue.settings.max_coalescing_delay) == (10_000, 0)
    wrapped.stop()


def test_two_entries_have_two_queues():
    from plugmw import Entry

    wrapped = gateway(Kept(), Entry(Kept(), instance="b"))
    get(wrapped)
    assert len(Queues.of(wrapped.runtime).all()) == 2
    wrapped.stop()


def test_what_the_sink_loses_is_counted(caplog):
    kept = Kept()
    kept.fails = True
    wrapped = gateway(kept)
    get(wrapped)
    [queue] = Queues.of(wrapped.runtime).all()
    wrapped.stop()
    assert (queue.sent, queue.lost) == (0, 1)
    assert "kept: no. 1 queue entries were lost" in caplog.text


def test_every_part_is_for_a_plugin_to_give():
    class Without(Delivering):
        name, Config = "without", Config

    with pytest.raises(NotImplementedError):
        Without().sink()
