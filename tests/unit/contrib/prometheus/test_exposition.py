"""The text that Prometheus scrapes."""

from __future__ import annotations

from collections import Counter

from plugmw.contrib.prometheus.exposition import Metric, amounts, clean, text

COUNT = Metric("kong_count", "counter", "How many", ("route", "code"))
TIME = Metric("kong_ms", "histogram", "How long", ("route",), (1, 5))


def exposed(*observed):
    numbers = Counter()
    for metric, labels, value in observed:
        numbers.update(dict(amounts(metric, labels, value)))
    return text([COUNT, TIME], numbers)


def test_a_counter_is_called_what_it_is_called():
    assert exposed((COUNT, ("b", "200"), 2), (COUNT, ("b", "200"), 0.5), (COUNT, ("a", "404"), 1)) == (
        "# HELP kong_count How many\n"
        "# TYPE kong_count counter\n"
        'kong_count{route="a",code="404"} 1\n'
        'kong_count{route="b",code="200"} 2.5\n'
    )


def test_a_histogram_has_buckets_count_and_sum():
    assert exposed((TIME, ("a",), 0), (TIME, ("a",), 1), (TIME, ("a",), 2), (TIME, ("a",), 6)) == (
        "# HELP kong_ms How long\n"
        "# TYPE kong_ms histogram\n"
        'kong_ms_bucket{route="a",le="1"} 2\n'
        'kong_ms_bucket{route="a",le="5"} 3\n'
        'kong_ms_bucket{route="a",le="+Inf"} 4\n'
        'kong_ms_count{route="a"} 4\n'
        'kong_ms_sum{route="a"} 9\n'
    )


def test_what_was_not_counted_is_not_shown():
    assert exposed() == ""


def test_a_metric_without_labels_has_no_braces():
    assert text([Metric("a", "gauge", "b")], dict(amounts(Metric("a", "gauge", "b"), (), 1))).endswith(
        "\na 1\n"
    )


def test_label_values_are_escaped():
    assert r'{route="a\\b\"c\nd",code=""}' in exposed((COUNT, ('a\\b"c\nd', ""), 1))


def test_what_is_no_unicode_is_cut():
    assert clean("caf\xe9\udcffx") == "caf\xe9"
    exposed((COUNT, (clean("\ud800"), ""), 1)).encode()
