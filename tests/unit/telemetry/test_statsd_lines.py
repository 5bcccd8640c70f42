"""StatsD lines: names and values made safe, tag styles, packets, and plugins that send them."""

from __future__ import annotations

import logging

import pytest

from plugmw.kernel.identity import Consumer
from plugmw.schema import config, field
from plugmw.telemetry import statsd_lines
from plugmw.telemetry.queue import Lost
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.statsd_lines import (
    FLUSH_TIMEOUT,
    NO_RETRY_COUNT,
    QUEUE_SIZE,
    Measuring,
    drawn,
    identified,
    line,
    name_part,
    number,
    old_field,
    packets,
    tag_value,
    value_of,
)
from plugmw.testing import gateway, get

HOSTILE = "a:1|c\nb.c@d#e,f g=[h]\x00"


def test_a_part_of_a_name_has_letters_digits_underscores_and_dashes():
    assert name_part(HOSTILE) == "a_1_c_b_c_d_e_f_g__h__"
    assert name_part("ä-Z_9") == "_-Z_9"


def test_a_tag_value_has_no_separators():
    assert tag_value(HOSTILE) == "a_1_c_b.c@d_e_f_g__h__"


def test_a_tag_value_keeps_the_letters_of_any_language():
    assert tag_value("Jürgen-日本\u2028\x85x") == "Jürgen-日本__x"


@pytest.mark.parametrize("clean", [name_part, tag_value])
def test_names_and_values_are_cut(clean):
    assert clean("a" * 300) == "a" * 200


@pytest.mark.parametrize(
    ("value", "text"), [(3, "3"), (0.5, "0.5"), (1e-05, "0.00001"), (1.0, "1"), (1e-9, "0.000000001")]
)
def test_numbers_are_plain_decimals(value, text):
    assert number(value) == text


TAGS = {"service": "a", "status": "200"}
LINES = {
    None: "n:1|c",
    "dogstatsd": "n:1|c|#service:a,status:200",
    "influxdb": "n,service=a,status=200:1|c",
    "librato": "n#service=a,status=200:1|c",
    "signalfx": "n[service=a,status=200]:1|c",
}


@pytest.mark.parametrize(("style", "text"), LINES.items(), ids=str)
def test_tags_have_the_form_of_their_style(style, text):
    assert line("n", "1", "c", 1, TAGS, style) == text


def test_a_line_without_tags_is_plain_and_names_its_rate():
    assert line("n", "1", "c", 0.5, {}, "librato") == "n:1|c|@0.5"
    assert line("n", "1", "c", 0.5, TAGS, "dogstatsd") == "n:1|c|@0.5|#service:a,status:200"


ENTRY = {"latencies": {"request": 5, "proxy": -1, "kong": 0}, "request": {"size": 7}, "response": {"size": 8}}


def test_values_come_from_the_log_entry():
    assert [
        value_of(name, ENTRY) for name in ("request_count", "latency", "request_size", "kong_latency")
    ] == [*(1, 5, 7, 0)]
    assert value_of("upstream_latency", ENTRY) is None


class Metric:
    def __init__(self, rate):
        self.sample_rate = rate


def test_one_draw_decides_for_all_metrics(monkeypatch):
    monkeypatch.setattr(statsd_lines.random, "random", lambda: 0.5)
    metrics = [Metric(rate) for rate in (None, 1, 0.6, 0.5, 0.1, 0)]
    assert list(drawn(metrics)) == metrics[:3]


@pytest.mark.parametrize(
    ("identifier", "found"), [("consumer_id", "i"), ("custom_id", "c"), ("username", "u")]
)
def test_a_consumer_is_named_by_the_chosen_field(identifier, found):
    class X:
        consumer = Consumer(id="i", username="u", custom_id="c")

    class Nobody:
        consumer = None

    assert identified(X, identifier) == found
    assert identified(Nobody, identifier) is None


PACKETS = {
    0: [b"aaaa", b"bb", b"cc", b"d"],
    1: [b"aaaa", b"bb", b"cc", b"d"],
    5: [b"aaaa", b"bb\ncc", b"d"],
    7: [b"aaaa\nbb", b"cc\nd"],
    500: [b"aaaa\nbb\ncc\nd"],
}


@pytest.mark.parametrize(("size", "joined"), PACKETS.items(), ids=str)
def test_lines_are_joined_while_they_fit(size, joined):
    assert list(packets([b"aaaa", b"bb", b"cc", b"d"], size)) == joined


def test_no_lines_make_no_packet():
    assert list(packets([], 500)) == []


# -- plugins ------------------------------------------------------------------------------------------


@config
class Config:
    host: str = field("127.0.0.1", help="-")
    port: int = field(1, help="-")
    queue: QueueConfig = field(QueueConfig(), help="-")
    retry_count: int | None = old_field(NO_RETRY_COUNT)
    queue_size: int | None = old_field(*QUEUE_SIZE)
    flush_timeout: float | None = old_field(*FLUSH_TIMEOUT)


class Memory:
    """A sink that keeps what it gets; entries that begin with ``bad`` are lost."""

    def __init__(self):
        self.got = []

    def send(self, batch):
        while batch:
            one = batch.pop(0)
            if one.startswith(b"bad"):
                raise Lost("could not send data", 1)
            self.got.append(one)

    def close(self):
        self.got.append("closed")


class Three(Measuring):
    name, Config = "three", Config
    said = ("one", "bad", "\xe4")
    memory = None

    def sink(self):
        return self.memory

    def lines(self, x):
        return self.said


class Plain(Measuring):
    name, Config = "plain", Config


def test_lines_are_sent_once_and_what_is_lost_is_forgotten(caplog):
    plugin = Three()
    plugin.memory = Memory()
    wrapped = gateway(plugin)
    get(wrapped)
    plugin.said = ("two", "bad")
    get(wrapped)
    wrapped.stop()
    assert plugin.memory.got == [b"one", b"\xc3\xa4", b"two", "closed"]
    assert caplog.messages.count("three: could not send data") == 1


def test_no_lines_make_no_queue():
    plugin = Three()
    plugin.said = ()
    wrapped = gateway(plugin)
    get(wrapped)
    assert Queues.of(plugin.runtime).all() == []


def test_sink_and_lines_are_the_plugins_own():
    with pytest.raises(NotImplementedError):
        Plain().sink()
    with pytest.raises(NotImplementedError):
        Plain().lines(None)


OLD = {
    "old defaults change nothing": ({"queue_size": 1, "flush_timeout": 2, "retry_count": 10}, (1, 1)),
    "size": ({"queue_size": 5}, (5, 1)),
    "delay": ({"flush_timeout": 3}, (1, 3)),
}


@pytest.mark.parametrize(("given", "settings"), OLD.values(), ids=OLD)
def test_older_fields_are_read(given, settings, caplog):
    plugin = Plain(**given)
    with caplog.at_level(logging.WARNING):
        gateway(plugin)
    assert (plugin._settings.max_batch_size, plugin._settings.max_coalescing_delay) == settings
    assert "of older versions, use queue" in caplog.text


def test_no_older_field_is_no_warning(caplog):
    gateway(Plain())
    assert caplog.text == ""
