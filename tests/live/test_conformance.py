"""Conformance: every sample case through a real gateway, and that the runner sees what is wrong."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys

import pytest

from tests.conformance import arrived, sinks
from tests.conformance.__main__ import main, run_case
from tests.conformance.match import any_order, matched
from tests.support.servers import ROOT

FILES = sorted((ROOT / "tests/conformance/cases").glob("*.json"))
CASES = {case["id"]: case for file in FILES for case in json.loads(file.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(case):
    assert run_case(case) == []


def test_no_two_cases_have_one_id():
    assert len(CASES) == sum(len(json.loads(file.read_text(encoding="utf-8"))) for file in FILES)


# -- the runner ---------------------------------------------------------------------------------------


def changed(name, *path, to):
    """Return a copy of a case with another value at a path."""
    case = copy.deepcopy(CASES[name])
    place = case
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return case


LINE, LIST, QUEUE, SERVED = (
    "tcp-log/line",
    next(name for name, case in CASES.items() if isinstance(case["expect"], list)),
    "http-log/queue-drops-oldest",
    "http-log/flush-at-shutdown-unresolvable-host",
)
UNKNOWN = {
    "case": (LINE, "odd"),
    "context": (LINE, "context", "odd"),
    "upstream": (LINE, "upstream", "odd"),
    "request": (LINE, "requests", 0, "odd"),
    "action": (LINE, "requests", 0, "action"),
    "scope": (LINE, "scope"),
    "sink": (LINE, "sink", "odd"),
    "sink type": (LINE, "sink", "type"),
    "expect": (LINE, "expect", "odd"),
    "expect.client": (LINE, "expect", "client", "odd"),
    "expect.sink": (LINE, "expect", "sink", "odd"),
    "expect.sink of http": ("http-log/put-method", "expect", "sink", "requests", 0, "odd"),
    "expect.timing": ("http-log/answer-not-delayed-by-full-queue", "expect", "timing", "odd"),
    "matcher": (LINE, "expect", "sink", "json", 0, "request", "tls", "$odd"),
    "beside config_error": ("galileo/token-required", "expect", "client"),
    "unit": (QUEUE, "unit"),
    "step": (QUEUE, "steps", 0, "odd"),
    "expect of a unit": (QUEUE, "expect", "odd"),
    "action after": (SERVED, "actions_after", 0, "odd"),
    "list case": (LIST, "odd"),
    "list case request": (LIST, "requests", 0, "odd"),
    "list case expect": (LIST, "expect", 0, "odd"),
}


@pytest.mark.parametrize("path", UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_key_fails_a_case(path):
    problems = run_case(changed(*path, to="odd"))
    assert re.search("unknown|not understood|not checked beside", "; ".join(problems)), problems


def test_an_unknown_placeholder_fails_a_case():
    problems = run_case(changed(LINE, "config", "host", to="${ODD}"))
    assert "unknown placeholder ${ODD}" in problems[0]


WRONG = {
    "status": (LINE, ("expect", "client", "status"), 201),
    "messages": (LINE, ("expect", "sink", "messages"), 2),
    "ends_with": (LINE, ("expect", "sink", "ends_with"), "x"),
    "json": (LINE, ("expect", "sink", "json", 0, "client_ip"), "192.0.2.1"),
    "check": ("tcp-log/latencies-add-up", ("expect", "sink", "check"), "latencies.request == 7"),
    "check that is code": ("tcp-log/latencies-add-up", ("expect", "sink", "check"), "exit()"),
    "log": ("http-log/sink-500-twice", ("expect", "log"), [{"$contains": "never said"}]),
    "no log": ("file-log/path-is-directory", ("expect", "log_never_contains"), ["failed to open"]),
    "requests": ("http-log/put-method", ("expect", "sink", "requests", 0, "method"), "POST"),
    "lines": ("statsd/prefix", ("expect", "sink", "every_line_starts_with"), "kong."),
    "samples": (
        "prometheus/route-without-name-uses-id",
        ("expect", "sink", "samples", 0, "labels", "code"),
        "404",
    ),
    "signature": ("aws-lambda/get-query", ("expect", "sink", "signature_valid_for"), "another"),
    "not called": ("galileo/query-string", ("upstream", "not_called"), True),
    "upstream": ("zipkin/clear", ("expect", "upstream_headers", "traceparent"), "00"),
    "timing": (
        "http-log/answer-not-delayed-by-full-queue",
        ("expect", "timing", "client_p99_within_s"),
        0.0,
    ),
    "entity": ("file-log/entities-are-copies", ("expect", "service_object_unchanged", "name"), "changed"),
    "refusal": (LINE, ("expect",), {"config_error": "no"}),
    "acceptance": ("galileo/token-required", ("expect",), {"client": {"status": 200}}),
    "batches": (QUEUE, ("expect", "batches"), [["One"]]),
    "list case": (LIST, ("expect", 0, "status"), 299),
}


@pytest.mark.parametrize(("name", "path", "value"), WRONG.values(), ids=WRONG)
def test_a_wrong_expectation_fails_a_case(name, path, value):
    problems = run_case(changed(name, *path, to=value))
    assert problems
    assert not any("could not be run" in problem for problem in problems), problems


MATCHERS = {
    "re is of the whole": ({"$re": "a+"}, "aab", False),
    "re": ({"$re": "a+b"}, "aab", True),
    "absent": ({"a": {"$absent": True}}, {"b": 1}, True),
    "absent but there": ({"a": {"$absent": True}}, {"a": None}, False),
    "not absent": ({"a": {"$absent": False}}, {}, False),
    "type": ({"$type": "string"}, "", True),
    "type number is no boolean": ({"$type": "number"}, True, False),
    "type boolean": ({"$type": "boolean"}, True, True),
    "type that nobody knows": ({"$type": "odd"}, "", False),
    "gte and lte": ({"$gte": 1, "$lte": 2}, 2, True),
    "gte and lte above": ({"$gte": 1, "$lte": 2}, 3, False),
    "lt": ({"$lt": 2}, 2, False),
    "gte of text": ({"$gte": 1}, "2", False),
    "contains text": ({"$contains": "b"}, "abc", True),
    "contains element": ({"$contains": {"a": 1}}, [{"a": 1, "b": 2}], True),
    "contains no element": ({"$contains": 3}, [1, 2], False),
    "contains_value": ({"$contains_value": 1}, {"a": 1}, True),
    "not": ({"$not": {"$re": "a"}}, "a", False),
    "not of another": ({"$not": 1}, 2, True),
    "subset": ({"a": 1}, {"a": 1, "b": 2}, True),
    "exact": ({"$exact": True, "a": 1}, {"a": 1, "b": 2}, False),
    "exact nothing": ({"$exact": True}, {}, True),
    "true is not one": (True, 1, False),
    "lists have one length": ([1], [1, 2], False),
    "unknown": ({"$odd": 1}, 1, False),
    "empty object": ({}, "text", False),
}


@pytest.mark.parametrize(("wanted", "found", "good"), MATCHERS.values(), ids=MATCHERS)
def test_matcher(wanted, found, good):
    assert (matched("here", wanted, found) == []) is good


def test_things_in_any_order_need_one_each():
    assert any_order("line", [{"$re": "a."}, "ab"], ["ab", "ac"]) == []
    assert any_order("line", ["a", "a"], ["a", "b"])


def test_nothing_that_came_is_no_pass():
    wanted = {"starts_with": "", "matches": ".*", "every_line_starts_with": "", "entry_contains": {}}
    for key, value in {**wanted, "check": "1 == 1", "json": [{}], "tags": {"a": "b"}}.items():
        assert arrived.problems_of({key: value}, sinks.Sink()), key


# -- the command --------------------------------------------------------------------------------------


def written(folder, *cases):
    file = folder / "cases.json"
    file.write_text(json.dumps(cases), encoding="utf-8")
    return file


def test_the_command_ends_with_the_counts(tmp_path, capsys):
    bad = {**changed(LINE, "expect", "client", "status", to=404), "id": "bad"}
    file = str(written(tmp_path, CASES[LINE], bad))
    assert main([file]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch("bad: .*404.*200.*", lines[0])
    assert lines[1:] == ["1 passed, 1 failed"]
    assert main([file, "--list-failures"]) == 1
    assert capsys.readouterr().out == "bad\n1 passed, 1 failed\n"


def test_the_command_takes_the_cases_of_one_plugin(tmp_path, capsys):
    file = written(tmp_path, CASES[LINE], CASES["galileo/token-required"], CASES["file-log/bad-path-1"])
    assert main([str(file), "--plugin", "galileo"]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


@pytest.mark.parametrize("text", [None, "{", "{}"], ids=["no file", "no JSON", "no list"])
def test_a_file_that_is_none_ends_with_2(tmp_path, capsys, text):
    file = tmp_path / "cases.json"
    if text is not None:
        file.write_text(text)
    assert main([str(file)]) == 2
    assert str(file) in capsys.readouterr().err


def test_the_command_says_by_its_status_whether_all_passed(tmp_path):
    file = written(tmp_path, {**CASES["galileo/token-required"], "odd": 1})
    command = [sys.executable, "-m", "tests.conformance", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "0 passed, 1 failed")
