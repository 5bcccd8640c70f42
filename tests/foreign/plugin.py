"""Wraps the apps of a suite, and writes down how each test ended, of pytest's and of unittest's."""

from __future__ import annotations

import json
import os
import unittest
import warnings
from pathlib import Path
from typing import Any

from _pytest import monkeypatch

from tests.foreign.suites import SUITES

#: Outcome by the test's id: ``passed`` unless a part of the test has another.
_outcomes: dict[str, str] = {}


def begin() -> None:
    """Wrap the apps, and listen to how the tests of unittest end."""
    if not hasattr(monkeypatch, "notset"):
        # Flask's tests use this name of older versions of pytest.
        monkeypatch.notset = monkeypatch.NOTSET  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        # WebOb imports cgi, Pyramid pkg_resources; neither deprecation is a test's.
        warnings.simplefilter("ignore")
        chain = os.environ["FOREIGN_CHAIN"]
        import webob  # noqa: F401

        if chain:
            SUITES[os.environ["FOREIGN_SUITE"]].patch(chain)
    unittest.TextTestRunner.resultclass = _Result


def end() -> None:
    """Write down the outcomes."""
    Path(os.environ["FOREIGN_RESULT"]).write_text(json.dumps(_outcomes), encoding="utf-8")


def _note(test: str, outcome: str) -> None:
    if outcome != "passed" or test not in _outcomes:
        _outcomes[test] = outcome


def pytest_runtest_logreport(report: Any) -> None:
    _note(report.nodeid, report.outcome)


class _Result(unittest.TextTestResult):
    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        _note(test.id(), "passed")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        _note(test.id(), "skipped")

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        _note(test.id(), "failed")

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        _note(test.id(), "failed")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            _note(test.id(), "failed")
