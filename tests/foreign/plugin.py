"""A plugin of pytest that wraps the apps of a suite, and writes down how each of its tests ended."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

from _pytest import monkeypatch

from tests.foreign.suites import SUITES

#: Outcome by the test's id: ``passed`` unless a part of the test has another.
_outcomes: dict[str, str] = {}


def pytest_configure(config: Any) -> None:
    if not hasattr(monkeypatch, "notset"):
        # Flask's tests use this name of older versions of pytest.
        monkeypatch.notset = monkeypatch.NOTSET  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        # WebOb imports cgi, whose deprecation is no test's.
        warnings.simplefilter("ignore", DeprecationWarning)
        import webob  # noqa: F401
    chain = os.environ.get("FOREIGN_CHAIN")
    if chain:
        SUITES[os.environ["FOREIGN_SUITE"]].patch(chain)


def pytest_runtest_logreport(report: Any) -> None:
    if report.outcome != "passed" or report.nodeid not in _outcomes:
        _outcomes[report.nodeid] = report.outcome


def pytest_sessionfinish(session: Any) -> None:
    Path(os.environ["FOREIGN_RESULT"]).write_text(json.dumps(_outcomes), encoding="utf-8")
