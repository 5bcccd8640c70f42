"""What goes out to logs and metrics: always one line, whatever a client has sent."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmw import Gateway, Plugin
from plugmw.contrib.galileo import log_format
from plugmw.contrib.prometheus.exposition import clean
from plugmw.telemetry import log_entry, statsd_lines
from plugmw.telemetry.sinks.syslog import host_name, quoted
from plugmw.wsgi.redaction import Redaction
from tests.fuzz.asking import ask, seen
from tests.fuzz.budget import REFUSED, tried
from tests.fuzz.strategies import headers, texts, trees
from tests.support.wsgi import environ_of, serve

_ENDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]").search
STRANGE = ("\n", "\r\n", "\0", "\x1b[2J", "\u2028", "\ud800", '"}', "\\", "|c", ":1|g", "#a:b", "\x85")
NAMES = texts("shop", "alice@example", "a.b.c", "é", words=STRANGE)


def is_one_line(line):
    assert line.isascii()
    assert not _ENDS(line), line
    return json.loads(line)


@pytest.fixture(scope="module")
def entries():
    """A gateway that logs, and what it has logged."""
    found = []

    class Log(Plugin):
        name, priority, needs_timings = "log", -1000, True

        def log(self, x):
            found.append(log_entry.entry(x))
            found.append(log_format.entry_of(x, Redaction.of(["x-a"], ["token"]).within(x), None, None))

    document = {
        "plugins": [{"name": "key-auth", "config": {"anonymous": "nobody"}}],
        "consumers": [{"username": "nobody"}],
        "trusted": ["127.0.0.1"],
    }
    gateway = Gateway(seen, document, plugins=[Log()])
    yield gateway, found
    gateway.stop()


HOSTILE = headers("value", "http://a.example/", "é", "Basic YTpi", words=STRANGE)


@given(
    st.fixed_dictionaries(
        {
            "PATH_INFO": headers("/a/b", "/é", words=STRANGE),
            "QUERY_STRING": headers("apikey=s&a=%ff", "a&a&b=1"),
        },
        optional={
            "HTTP_X_A": HOSTILE,
            "HTTP_HOST": headers("shop.example:80", "[::1]", "a:99999", words=("²", "٣", ":")),
            "HTTP_X_FORWARDED_FOR": HOSTILE,
            "HTTP_X_FORWARDED_HOST": HOSTILE,
            "HTTP_USER_AGENT": HOSTILE,
            "RAW_URI": headers("/a%00?b=c&apikey=secret", "*", "http://a/b?apikey=s", words=STRANGE),
            "REQUEST_METHOD": headers("GET", "PROPFIND", words=STRANGE),
            "CONTENT_TYPE": HOSTILE,
            "SERVER_PROTOCOL": st.sampled_from(["HTTP/1.1", "HTTP/1.0"]),
        },
    )
)
def test_any_request_is_one_line_of_json(entries, request):
    gateway, found = entries
    found.clear()
    ask(gateway, **request)
    assert len(found) >= 2
    for entry in found:
        whole = is_one_line(tried(log_entry.encode, entry))
        assert whole.keys() == entry.keys()
        for limit in (2000, 500, 10):
            is_one_line(tried(log_entry.encode, entry, limit))


@given(
    trees(
        {"request": {"a": 1}, "response": {"headers": {}}, "b": ["c"]},
        values=(float("nan"), b"x", object(), {1: 2}),
    )
)
def test_anything_is_one_line_of_json(made):
    if isinstance(made, dict):
        is_one_line(tried(log_entry.one_line, made))
        is_one_line(tried(log_entry.encode, made, 50))


@given(
    trees({"request": {"a": 1}, "b": {"c": {"d": 2}}}),
    texts("request.a", "b.c\\.d.e", "x", words=(".", "\\.", "\\")),
    trees(1, {"a": [1]}),
    st.sampled_from(["set", "add", "replace"]),
)
def test_a_change_of_an_entry_is_made_or_refused(made, key, value, mode):
    if isinstance(made, dict):
        changed = tried(log_entry.change, made, key, value, mode, refuses=ValueError)
        assert changed is None or changed is REFUSED


# -- metrics -----------------------------------------------------------------------------------------------


@given(
    NAMES,
    NAMES,
    st.integers() | st.floats(0, 1e9),
    st.sampled_from([None, "dogstatsd", "influxdb", "librato", "signalfx"]),
)
def test_any_metric_is_one_line(name, tag, value, style):
    part, text = tried(statsd_lines.name_part, name), tried(statsd_lines.tag_value, tag)
    line = statsd_lines.line(f"a.{part}", statsd_lines.number(value), "c", 0.5, {"t": text}, style)
    sent = line.encode("ascii", "replace").decode()
    assert not _ENDS(sent)
    assert sent.count("|") == (3 if style == "dogstatsd" else 2)
    assert re.fullmatch(r"a\.[A-Za-z0-9_-]*", re.split(r"[,#\[:]", sent)[0])
    assert float(re.search(r":(-?[0-9.]+)\|c", sent)[1]) == pytest.approx(value, abs=1e-9)


@given(st.lists(NAMES.map(lambda text: text.encode("ascii", "replace")), max_size=20), st.integers(0, 100))
def test_packets_lose_nothing(lines, size):
    lines = [line.replace(b"\n", b"") or b"x" for line in lines]
    made = tried(lambda: list(statsd_lines.packets(lines, size)))
    assert b"\n".join(made).split(b"\n") == (lines or [b""])


@given(NAMES)
def test_a_name_stays_in_its_place(name):
    tried(clean, name)
    assert len(tried(host_name, lambda: name)) in range(1, 256)
    assert not re.search(r'(?<!\\)(?:\\\\)*["\]]', tried(quoted, name))


_LABEL = r'[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"# (HELP|TYPE) .*|[a-z_]+(\{{{_LABEL}(,{_LABEL})*\}})? [-+0-9.eE]+")


@pytest.fixture(scope="module")
def measured():
    document = {"plugins": [{"name": "prometheus", "config": {"per_consumer": True}}]}
    gateway = Gateway(seen, document)
    yield gateway
    gateway.stop()


@given(headers("/metrics", "/a/b", words=STRANGE), headers("GET", "FOO", words=STRANGE), HOSTILE)
def test_an_exposition_has_nothing_but_samples(measured, path, method, host):
    ask(measured, PATH_INFO=path, REQUEST_METHOD=method, HTTP_HOST=host)
    text = serve(measured, environ_of("/metrics")).body.decode()
    for line in text.split("\n")[:-1]:
        assert SAMPLE.fullmatch(line), line
